//! Where the data lives: groups of servers.
#![allow(missing_docs)] // one line per field stands in `keys`, once

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::secret::Secret;

/// Index into [`super::Rules::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

impl GroupId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One primary and its replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub name: Arc<str>,
    pub primary: Server,
    pub replicas: Vec<Server>,
    pub pool: PoolLimits,
}

impl Group {
    /// The primary, then the replicas.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.primary).chain(&self.replicas)
    }
}

/// One backend server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// What logs and metrics call it.
    pub name: Arc<str>,
    pub address: Address,
    pub user: Arc<str>,
    pub password: Secret,
    pub tls: ServerTls,
    pub weight: u32,
    pub kind: ServerKind,
}

/// Which protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// MySQL or MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
}

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    Tcp { host: Arc<str>, port: u16 },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS towards a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerTls {
    pub mode: TlsMode,
    pub ca: Option<PathBuf>,
    /// Certificate and key to show.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// `None`: the host.
    pub server_name: Option<Arc<str>>,
}

impl ServerTls {
    /// No TLS.
    pub const OFF: Self = Self { mode: TlsMode::Off, ca: None, identity: None, server_name: None };
}

/// As MySQL's `--ssl-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsMode {
    Off,
    /// Encrypted where the server can.
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

/// Bounds of the connections to one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolLimits {
    pub max_connections: usize,
    pub wait_queue: usize,
    pub wait_timeout_ms: u64,
    pub connect_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub lifetime_ms: u64,
    pub ping_after_idle_ms: u64,
    pub max_statements: usize,
}
