//! A server's description as the pool needs it: taken from the rules, compared on reload.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Group, Rules, Secret, Server, ServerTls};

/// Where a server is, who connects, and within which limits. Two equal descriptions are one server: its pool survives a
/// reload of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// The name in messages, metrics and logs, such as `g0/primary`; never the address, since clients read it.
    pub label: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// The user that the proxy connects as.
    pub user: Arc<str>,
    /// That user's password.
    pub password: Secret,
    /// Whether and how TLS is used.
    pub tls: ServerTls,
    /// Limits.
    pub limits: Limits,
}

/// The limits of one server's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of all flavours together.
    pub max_connections: usize,
    /// Clients that may wait for one.
    pub max_waiting: usize,
    /// How long a client waits for one.
    pub wait_timeout: Duration,
    /// How long opening one may take, handshake included.
    pub connect_timeout: Duration,
    /// An idle connection is closed after this.
    pub idle_timeout: Duration,
    /// Any connection is closed after this, once it is idle.
    pub max_lifetime: Duration,
    /// A connection that was idle for longer is pinged before it is used.
    pub ping_after_idle: Duration,
    /// Prepared statements kept per connection.
    pub max_statements: usize,
    /// How often the server is checked.
    pub health_interval: Duration,
    /// How long a check may take.
    pub health_timeout: Duration,
    /// Failures in a row after which the server counts as down.
    pub health_failures: u32,
    /// Passed checks in a row after which it counts as up again.
    pub health_successes: u32,
}

impl ServerSpec {
    /// The description of a server of the rules. `part` is its part in the group, by which it is called where the rules
    /// give it no name.
    pub fn new(rules: &Rules, group: &Group, server: &Server, part: &str) -> Self {
        let is_named = *server.name != *server.address.to_string();
        let name = if is_named { &server.name } else { part };
        Self {
            label: format!("{}/{name}", group.name).into(),
            address: server.address.clone(),
            user: server.user.clone(),
            password: server.password.clone(),
            tls: server.tls.clone(),
            limits: Limits::new(rules, group),
        }
    }
}

impl ServerSpec {
    /// The description of `scratch.server`. Its pool has the bounds of the first group's.
    pub fn scratch(rules: &Rules, server: &Server) -> Option<Self> {
        let spec = Self::new(rules, rules.groups.first()?, server, "server");
        let part = spec.label.rsplit_once('/').map_or("server", |(_, part)| part);
        Some(Self { label: format!("scratch/{part}").into(), ..spec })
    }
}

impl Limits {
    fn new(rules: &Rules, group: &Group) -> Self {
        let (pool, health) = (&group.pool, &rules.proxy.health);
        Self {
            max_connections: pool.max_connections,
            max_waiting: pool.wait_queue,
            wait_timeout: Duration::from_millis(pool.wait_timeout_ms),
            connect_timeout: Duration::from_millis(pool.connect_timeout_ms),
            idle_timeout: Duration::from_millis(pool.idle_timeout_ms),
            max_lifetime: Duration::from_millis(pool.lifetime_ms),
            ping_after_idle: Duration::from_millis(pool.ping_after_idle_ms),
            max_statements: pool.max_statements,
            health_interval: Duration::from_millis(health.interval_ms),
            health_timeout: Duration::from_millis(health.timeout_ms),
            health_failures: health.failures,
            health_successes: health.successes,
        }
    }
}
