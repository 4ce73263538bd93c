//! A server's description as the pool needs it: taken from the rules, compared on reload.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Group, Rules, Secret, Server, ServerTls};

/// Where a server is, who connects, and within which limits. Two equal descriptions are one server: its pool survives a
/// reload of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// The name in messages, metrics and logs, such as `g0/primary`.
    pub label: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// The user that the proxy connects as.
    pub user: String,
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
}

impl ServerSpec {
    /// The description of a server of the rules.
    pub fn of(_rules: &Rules, _group: &Group, server: &Server) -> Self {
        Self {
            label: server.name.clone(),
            address: server.address.clone(),
            user: server.user.clone(),
            password: server.password.clone(),
            tls: server.tls.clone(),
            limits: Limits { max_connections: 100, max_waiting: 1000, wait_timeout: Duration::from_secs(10), connect_timeout: Duration::from_secs(5), idle_timeout: Duration::from_secs(300), max_lifetime: Duration::from_secs(3600), ping_after_idle: Duration::from_secs(30), max_statements: 128, health_interval: Duration::from_secs(2), health_timeout: Duration::from_secs(2)},
        }
    }
}
