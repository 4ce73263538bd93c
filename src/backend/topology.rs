//! The groups of the rules with the pools of their servers, and which server a statement goes to.

use std::sync::Arc;

use super::error::BackendError;
use super::flavour::Flavour;
use super::kill::KillHandle;
use super::lease::Lease;
use super::pool::Pool;
use super::response::Answer;
use super::server::Server;
use super::spec::ServerSpec;
use super::stats::ServerStats;
use crate::config::{GroupId, Rules, ScratchPlace};
use crate::governance::Rotation;

/// What a statement needs of the server that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The primary: writes, transactions, reads that must see the last write.
    Primary,
    /// Any replica in the rotation; the primary where there is none.
    Replica,
}

/// The servers of one group.
#[derive(Debug)]
pub struct GroupBackends {
    name: Arc<str>,
    primary: Arc<Pool>,
    replicas: Box<[Arc<Pool>]>,
    rotation: Rotation,
}

impl GroupBackends {
    /// The group's name in the rules.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The pool of the primary. (Found by the rules today; where it will be found by replication state, this is the one
    /// place that asks.)
    pub fn primary(&self) -> &Arc<Pool> {
        &self.primary
    }

    /// The pools of the replicas.
    pub fn replicas(&self) -> &[Arc<Pool>] {
        &self.replicas
    }

    /// The pool for a role. `passed_over` are servers that failed for this statement already.
    fn choose(&self, role: Role, passed_over: &[Arc<Pool>]) -> &Arc<Pool> {
        if role == Role::Primary || self.replicas.is_empty() {
            return &self.primary;
        }
        // What a replica must satisfy to serve a read; its lag and position will be asked here too.
        let may_serve = |replica: usize| {
            let pool = &self.replicas[replica];
            pool.server().is_up() && !passed_over.iter().any(|passed| Arc::ptr_eq(passed, pool))
        };
        self.rotation.pick(may_serve).map_or(&self.primary, |replica| &self.replicas[replica])
    }
}

/// The server whose turn it is.
#[derive(Debug)]
pub struct Chosen(Arc<Pool>);

/// All backends of one version of the rules. A reload makes a new one, which takes over the pools of servers that did not
/// change; those of others close when the last statement that uses them is done.
#[derive(Debug)]
pub struct Backends {
    groups: Box<[GroupBackends]>,
    /// `scratch.server`.
    scratch: Option<Arc<Pool>>,
}

impl Backends {
    /// Pools for all servers of the rules; no connection is opened yet. Must be called within a tokio runtime.
    pub fn new(rules: &Rules) -> Self {
        Self::build(rules, &mut Vec::new())
    }

    /// The backends of changed rules.
    pub fn reload(&self, rules: &Rules) -> Self {
        Self::build(rules, &mut self.pools().cloned().collect())
    }

    fn build(rules: &Rules, kept: &mut Vec<Arc<Pool>>) -> Self {
        let mut pool = |spec: ServerSpec| match kept.iter().position(|pool| *pool.server().spec() == spec) {
            Some(index) => kept.swap_remove(index),
            None => Pool::new(Server::new(spec)),
        };
        let groups = rules.groups.iter().map(|group| {
            let replica = |(index, server)| ServerSpec::new(rules, group, server, &format!("replica{}", index + 1));
            GroupBackends {
                name: group.name.clone(),
                primary: pool(ServerSpec::new(rules, group, &group.primary, "primary")),
                replicas: group.replicas.iter().enumerate().map(replica).map(&mut pool).collect(),
                rotation: Rotation::new(&group.replicas.iter().map(|server| server.weight).collect::<Vec<_>>()),
            }
        });
        let groups = groups.collect();
        let scratch = match &rules.proxy.scratch.place {
            ScratchPlace::Server(server) => ServerSpec::scratch(rules, server).map(pool),
            ScratchPlace::Groups { .. } => None,
        };
        Self { groups, scratch }
    }

    /// A group's servers.
    ///
    /// # Panics
    ///
    /// When the id is from other rules that had more groups.
    pub fn group(&self, id: GroupId) -> &GroupBackends {
        &self.groups[id.index()]
    }

    /// All groups, in the order of the rules.
    pub fn groups(&self) -> &[GroupBackends] {
        &self.groups
    }

    /// A connection to a server of the group. A replica that cannot be reached is passed over for the next, and in the end
    /// for the primary; a full pool is not, because moving its load would fill the next one.
    pub async fn checkout(&self, group: GroupId, role: Role, flavour: Flavour) -> Result<Lease, BackendError> {
        match self.at_hand(group, role, flavour) {
            Ok(lease) => Ok(lease),
            Err(chosen) => Box::pin(self.checkout_from(chosen, group, role, flavour)).await,
        }
    }

    /// A connection, if one lies at hand at the server whose turn it is; else that server.
    pub fn at_hand(&self, group: GroupId, role: Role, flavour: Flavour) -> Result<Lease, Chosen> {
        let pool = self.group(group).choose(role, &[]);
        pool.take_at_hand(flavour).ok_or_else(|| Chosen(Arc::clone(pool)))
    }

    /// As [`checkout`](Self::checkout), once it is known whose turn it is.
    pub async fn checkout_from(
        &self,
        chosen: Chosen,
        group: GroupId,
        role: Role,
        flavour: Flavour,
    ) -> Result<Lease, BackendError> {
        let group = self.group(group);
        let mut passed_over = Vec::new();
        let mut pool = &chosen.0;
        loop {
            match pool.checkout(flavour).await {
                Err(error) if error.is_unreachable() && !Arc::ptr_eq(pool, &group.primary) => {
                    tracing::debug!(server = %pool.server().label(), %error, "replica passed over");
                    passed_over.push(Arc::clone(pool));
                    pool = group.choose(role, &passed_over);
                }
                checked_out => return checked_out,
            }
        }
    }

    /// A connection to the server that is there for scratch work alone; `None` if there is no such server.
    pub async fn checkout_scratch(&self, flavour: Flavour) -> Option<Result<Lease, BackendError>> {
        match &self.scratch {
            Some(pool) => Some(pool.checkout(flavour).await),
            None => None,
        }
    }

    /// One more connection to a server of the group, if that needs no waiting for others.
    pub async fn checkout_free(&self, group: GroupId, role: Role, flavour: Flavour) -> Option<Lease> {
        self.group(group).choose(role, &[]).checkout_free(flavour).await
    }

    /// Runs a query of the proxy's own on the group's primary, apart from the pool.
    pub async fn query(&self, group: GroupId, sql: &str) -> Result<Answer, BackendError> {
        let pool = self.group(group).primary();
        let limit = pool.server().spec().limits.wait_timeout;
        pool.control().catalog.query(pool.server(), sql, limit).await
    }

    /// As [`query`](Self::query), for what becomes of transactions: such statements may wait for row locks, and nothing
    /// else should wait behind them.
    pub async fn decide(&self, group: GroupId, sql: &str) -> Result<Answer, BackendError> {
        self.decide_all(group, &[sql]).await
    }

    /// As [`decide`](Self::decide), for statements that belong together: on one connection, up to the first that fails.
    pub async fn decide_all(&self, group: GroupId, sql: &[&str]) -> Result<Answer, BackendError> {
        let pool = self.group(group).primary();
        let limit = pool.server().spec().limits.wait_timeout;
        pool.control().decisions.query_all(pool.server(), sql, limit).await
    }

    /// Stops the statement that runs on a connection, by its server's label and its id there.
    pub async fn kill_query(&self, server: &str, thread_id: u32) -> Result<(), BackendError> {
        match self.pools().find(|pool| &**pool.server().label() == server) {
            Some(pool) => KillHandle::new(pool.clone(), thread_id, None).kill_query().await,
            // A server that left the rules: its connections close by themselves.
            None => Ok(()),
        }
    }

    /// The state of every server, for metrics and `SHOW`.
    pub fn stats(&self) -> Vec<ServerStats> {
        let of_group = |group: &GroupBackends| {
            let primary = ServerStats::of(&group.name, Role::Primary, &group.primary);
            let replicas = group.replicas.iter().map(|pool| ServerStats::of(&group.name, Role::Replica, pool));
            std::iter::once(primary).chain(replicas).collect::<Vec<_>>()
        };
        let scratch = self.scratch.iter().map(|pool| ServerStats::of(&Arc::from("scratch"), Role::Primary, pool));
        self.groups.iter().flat_map(of_group).chain(scratch).collect()
    }

    /// Whether every group has a primary that counts as up: what readiness means.
    pub fn is_ready(&self) -> bool {
        self.groups.iter().all(|group| group.primary.server().is_up())
    }

    fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        let of_groups = self.groups.iter().flat_map(|group| std::iter::once(&group.primary).chain(&group.replicas));
        of_groups.chain(&self.scratch)
    }
}
