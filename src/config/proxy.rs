//! Settings of the proxy itself. `keys::proxy` and docs/rules.md say what each means and its default.
#![allow(missing_docs)] // one line per field stands in `keys`, once

use std::path::PathBuf;
use std::sync::Arc;

use super::group::{Address, GroupId, Server};
use super::password::Password;

/// Everything but users, groups and schemas.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    pub listen: Listen,
    pub tls: ClientTls,
    pub limits: Limits,
    pub reads: Reads,
    pub health: HealthCheck,
    pub recovery: Recovery,
    pub scratch: Scratch,
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub mysql: Vec<Address>,
    pub admin: Option<Address>,
}

/// TLS towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientTls {
    Off,
    Optional(ClientTlsFiles),
    Required(ClientTlsFiles),
}

/// The files of TLS towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
}

/// Who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: Arc<str>,
    pub password: Password,
    /// `None`: all.
    pub schemas: Option<Vec<Arc<str>>>,
    /// `None`: any that can check the password.
    pub plugin: Option<AuthPlugin>,
    pub require_tls: bool,
    /// 0: no bound of its own.
    pub max_connections: usize,
}

impl User {
    /// Whether the user sees a logical schema.
    pub fn may_use(&self, schema: &str) -> bool {
        self.schemas.as_ref().is_none_or(|schemas| schemas.iter().any(|name| &**name == schema))
    }
}

/// How a password is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthPlugin {
    CachingSha2Password,
    MysqlNativePassword,
}

impl AuthPlugin {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CachingSha2Password => "caching_sha2_password",
            Self::MysqlNativePassword => "mysql_native_password",
        }
    }
}

/// Bounds of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub max_connections: usize,
    pub max_allowed_packet_bytes: usize,
    pub handshake_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub write_timeout_ms: u64,
    /// 0: none.
    pub statement_timeout_ms: u64,
    pub max_prepared_statements: usize,
    pub max_cursors: usize,
    pub max_statements_per_query: usize,
    pub max_fan_out: usize,
    pub max_buffered_bytes: usize,
    pub merge_buffer_bytes: usize,
    pub plan_cache_entries: usize,
    pub plan_cache_statement_bytes: usize,
    pub digest_entries: usize,
    pub catalog_entries: usize,
    pub catalog_age_ms: u64,
    pub drain_deadline_ms: u64,
}

/// Where reads go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    pub split: bool,
    pub read_after_write_ms: u64,
}

/// How servers are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub failures: u32,
    pub successes: u32,
}

/// How transactions that were left unfinished are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    pub interval_ms: u64,
    pub grace_ms: u64,
}

/// Where queries run that no shard can answer alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Scratch {
    pub place: ScratchPlace,
    pub max_rows: u64,
    pub max_bytes: u64,
    pub max_concurrent: usize,
    pub timeout_ms: u64,
}

/// The servers for scratch work.
#[derive(Debug, Clone, PartialEq)]
pub enum ScratchPlace {
    /// These groups, on replicas or on primaries.
    Groups { groups: Vec<GroupId>, use_replicas: bool },
    /// A server for this alone.
    Server(Box<Server>),
}
