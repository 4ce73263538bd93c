//! A small cluster of private servers: groups of one primary with its replicas, and plain servers beside them.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::binary::ServerBinary;
use super::error::PlaygroundError;
use super::folder::{self, RunFolder};
use super::local_server::{LocalServer, ServerSpec};
use super::replication;
use super::template::Template;

/// What a cluster consists of.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// How many groups; they are named g0, g1, …
    pub groups: usize,
    /// Replicas of each group's primary.
    pub replicas: usize,
    /// Servers that belong to no group: what answers are compared with.
    pub plain: usize,
    /// Further options for every server's command line.
    pub options: Vec<String>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self { groups: 2, replicas: 1, plain: 0, options: Vec::new() }
    }
}

/// A primary and its replicas.
#[derive(Debug)]
pub struct LocalGroup {
    /// The server that takes writes.
    pub primary: LocalServer,
    /// The servers that follow it.
    pub replicas: Vec<LocalServer>,
}

/// A running cluster. Everything ends and is removed when it is dropped.
#[derive(Debug)]
pub struct LocalCluster {
    /// The groups, g0 first.
    pub groups: Vec<LocalGroup>,
    /// The plain servers.
    pub plain: Vec<LocalServer>,
    /// Dropped last: the servers' folders are in it.
    folder: RunFolder,
}

impl LocalCluster {
    /// Starts all servers at once under a throw-away folder in `base` and sets up replication.
    pub async fn start(
        binary: &ServerBinary,
        base: &Path,
        purpose: &str,
        spec: &ClusterSpec,
    ) -> Result<Self, PlaygroundError> {
        let template = Arc::new(Template::ensure(binary, base)?);
        let folder = RunFolder::create(base, purpose)?;
        let specs = server_specs(spec);
        let starts = specs.into_iter().map(|one| LocalServer::start(binary, &template, folder.path(), one));
        let mut servers = try_join_all(starts).await?.into_iter();
        let plain: Vec<_> = servers.by_ref().take(spec.plain).collect();
        let mut groups = Vec::with_capacity(spec.groups);
        while let Some(primary) = servers.next() {
            let replicas = servers.by_ref().take(spec.replicas).collect();
            groups.push(LocalGroup { primary, replicas });
        }
        let pairs = groups.iter().flat_map(|group| group.replicas.iter().map(|replica| (&group.primary, replica)));
        try_join_all(pairs.map(|(primary, replica)| replication::attach(primary, replica))).await?;
        Ok(Self { groups, plain, folder })
    }

    /// Waits until all replicas have what their primaries have committed up to now.
    pub async fn wait_for_replicas(&self) -> Result<(), PlaygroundError> {
        let groups = self.groups.iter();
        let pairs = groups.flat_map(|group| group.replicas.iter().map(|replica| (&group.primary, replica)));
        try_join_all(pairs.map(|(primary, replica)| replication::catch_up(primary, replica))).await?;
        Ok(())
    }

    /// Starts a cluster of whatever server is installed, in the user's own throw-away folder.
    pub async fn start_installed(purpose: &str, spec: &ClusterSpec) -> Result<Self, PlaygroundError> {
        Self::start(&ServerBinary::find()?, &folder::base()?, purpose, spec).await
    }

    /// The folder that all the servers' folders are in; others may keep files there too.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All servers.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut LocalServer> {
        let grouped =
            self.groups.iter_mut().flat_map(|group| std::iter::once(&mut group.primary).chain(&mut group.replicas));
        grouped.chain(&mut self.plain)
    }
}

/// The plain servers first, then each group's primary followed by its replicas.
fn server_specs(spec: &ClusterSpec) -> Vec<ServerSpec> {
    let mut names: Vec<(String, bool)> = (0..spec.plain).map(|number| (format!("plain{number}"), false)).collect();
    for group in 0..spec.groups {
        names.push((format!("g{group}-primary"), false));
        names.extend((0..spec.replicas).map(|number| (format!("g{group}-replica{number}"), true)));
    }
    let numbered = names.into_iter().zip(1..);
    numbered
        .map(|((name, read_only), server_id)| ServerSpec { name, server_id, read_only, options: spec.options.clone() })
        .collect()
}
