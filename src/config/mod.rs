//! The rules: a folder of YAML files, read as a whole or not at all.
//!
//! [`Rules::load`] gives either rules that are right in every respect that can be seen without a backend, or all
//! problems with file and line. `docs/rules.md` is the reference of the keys.

mod data_nodes;
mod environment;
mod group;
mod keys;
mod names;
mod password;
mod problem;
mod proxy;
mod read;
mod reader;
mod schema;
mod secret;
mod shield;
mod source;
pub mod watch;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use environment::Environment;
pub use group::{Address, Group, GroupId, PoolLimits, Server, ServerKind, ServerTls, TlsMode};
pub use names::SYSTEM_SCHEMAS;
pub use password::{Password, PasswordHash};
pub use problem::{Place, Problem, Problems};
pub use proxy::{
    AuthPlugin, ClientTls, ClientTlsFiles, HealthCheck, Limits, Listen, Proxy, Reads, Recovery, Scratch, ScratchPlace,
    User,
};
pub use schema::{DataNode, KeyGenerator, Level, Schema, Strategy, Table, TableKey, Worker};
pub use secret::Secret;

/// The reference of the keys: for each kind of map its name and its table in Markdown, as docs/rules.md shows them.
pub fn reference() -> impl Iterator<Item = (&'static str, String)> {
    keys::SECTIONS.iter().map(|section| (section.name, section.table()))
}

/// Everything the rules say. A snapshot: it does not change, a reload makes another one.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Differs from that of all other rules of this process, and grows: caches are keyed by it.
    pub version: u64,
    /// Settings of the proxy itself.
    pub proxy: Proxy,
    /// Who may log in.
    pub users: Vec<User>,
    /// Where the data lives, in the order of the files.
    pub groups: Vec<Group>,
    /// What clients see, by name.
    pub schemas: BTreeMap<String, Arc<Schema>>,
}

impl Rules {
    /// Loads the YAML files of a folder (not of folders in it), with the environment of this process.
    pub fn load(folder: &Path) -> Result<Self, Problems> {
        Self::read(&source::read_folder(folder)?, &Environment::process(folder))
    }

    /// Takes rules from texts: pairs of file name and YAML. Nothing is read but environment variables.
    pub fn from_files(files: &[(&str, &str)]) -> Result<Self, Problems> {
        let files: Vec<(String, String)> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self::read(&files, &Environment::of(&[]))
    }

    /// Takes rules from pairs of file name and YAML; references get their values from `environment`.
    pub fn read(files: &[(String, String)], environment: &Environment) -> Result<Self, Problems> {
        let mut nodes = Vec::new();
        let mut broken = Vec::new();
        for (name, text) in files {
            match yaml::parse(name, text) {
                Ok(node) => nodes.push(node),
                Err(problem) => broken.push(problem),
            }
        }
        read::read(nodes, broken, environment)
    }

    /// A group of these rules.
    ///
    /// # Panics
    ///
    /// When the id is from other rules that had more groups.
    pub fn group(&self, id: GroupId) -> &Group {
        &self.groups[id.index()]
    }

    /// A group by name.
    pub fn group_id(&self, name: &str) -> Option<GroupId> {
        let index = self.groups.iter().position(|group| *group.name == *name)?;
        u16::try_from(index).ok().map(GroupId)
    }

    /// All group ids.
    pub fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.groups.len()).filter_map(|index| u16::try_from(index).ok()).map(GroupId)
    }

    /// A logical schema by name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.schemas.get(name)
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| &*user.name == name)
    }
}

#[cfg(test)]
mod tests;
