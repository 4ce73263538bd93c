//! The state of a server in numbers.

use std::sync::Arc;

use super::pool::Pool;
use super::topology::Role;

/// The state of a server in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStats {
    /// The server's label, such as `g0/primary`.
    pub server: Arc<str>,
    /// The group's name.
    pub group: Arc<str>,
    /// Its part in the group.
    pub role: Role,
    /// Whether it counts as up.
    pub is_up: bool,
    /// Open connections, of all flavours.
    pub open: usize,
    /// Connections on loan.
    pub in_use: usize,
    /// Connections that lie idle.
    pub idle: usize,
    /// Clients that wait for one.
    pub waiting: usize,
    /// The limit of open connections.
    pub max_connections: usize,
    /// Connections opened since the pool exists.
    pub connects: u64,
    /// Attempts that failed.
    pub connect_failures: u64,
}

impl ServerStats {
    pub(crate) fn of(group: &Arc<str>, role: Role, pool: &Arc<Pool>) -> Self {
        let server = pool.server();
        let counters = server.counters();
        Self {
            server: server.label().clone(),
            group: group.clone(),
            role,
            is_up: server.is_up(),
            open: counters.open,
            in_use: pool.in_use(),
            idle: pool.idle(),
            waiting: counters.waiting,
            max_connections: server.spec().limits.max_connections,
            connects: counters.connects,
            connect_failures: counters.connect_failures,
        }
    }
}
