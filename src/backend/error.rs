//! What can go wrong between the proxy and a backend.
//!
//! A backend is named by its label (`g0/primary`) and never by its address, user or password: the text reaches clients.

use std::io;
use std::sync::Arc;

use crate::error::{Fault, Report};
use crate::net::NetError;
use crate::protocol::ProtocolError;

/// An ERR packet of a server, passed on as it came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServerError {
    /// The server's error number.
    pub errno: u16,
    /// The server's SQLSTATE.
    pub sqlstate: String,
    /// The server's text.
    pub message: String,
}

/// What can go wrong between the proxy and a backend.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// No connection could be opened.
    #[error("Unable to connect to backend {server}: {reason}")]
    Connect {
        /// The server's label.
        server: Arc<str>,
        /// What failed.
        reason: ConnectFailure,
    },
    /// The pool's connections stayed busy for as long as a client may wait.
    #[error("Too many connections: none to backend {server} became free within {waited_ms} ms")]
    PoolTimeout {
        /// The server's label.
        server: Arc<str>,
        /// The limit that was reached.
        waited_ms: u64,
    },
    /// As many clients wait for a connection as may wait.
    #[error("Too many connections: {waiting} clients already wait for backend {server}")]
    PoolFull {
        /// The server's label.
        server: Arc<str>,
        /// The limit that was reached.
        waiting: usize,
    },
    /// The connection broke while it was in use.
    #[error("Lost connection to backend {server} during query")]
    Lost {
        /// The server's label.
        server: Arc<str>,
        /// Why, for the log: it may name what a client should not read.
        cause: Arc<str>,
    },
    /// The server answered a command of the proxy's own too late.
    #[error("Backend {server} did not answer within {waited_ms} ms")]
    Timeout {
        /// The server's label.
        server: Arc<str>,
        /// The limit that was reached.
        waited_ms: u64,
    },
    /// A packet that the protocol does not allow here.
    #[error("Backend {server} sent a packet that could not be understood: {what}")]
    Malformed {
        /// The server's label.
        server: Arc<str>,
        /// What was met.
        what: Arc<str>,
    },
    /// An answer to a query of the proxy's own passed its limit.
    #[error("The answer of backend {server} to a query of the proxy passed {limit}")]
    TooLarge {
        /// The server's label.
        server: Arc<str>,
        /// The limit that was reached.
        limit: &'static str,
    },
    /// The server's own error.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why no connection could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// The connection and its handshake took longer than `connect_timeout_ms`.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// The transport failed.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The server refused the proxy's user or password. Its own text names user and address.
    #[error("access denied for the user that the rules name (server error {0})")]
    Refused(u16),
    /// The server refused for another reason, such as too many connections. Its text may name a host.
    #[error("the server refused the connection (server error {0})")]
    Rejected(u16),
    /// TLS is required and the server offers none.
    #[error("TLS is required and the server offers none")]
    NoTls,
    /// The TLS handshake failed, or a certificate could not be loaded.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server asks for an authentication method that the proxy does not know.
    #[error("authentication method '{0}' is not supported; use caching_sha2_password or mysql_native_password")]
    AuthPlugin(String),
    /// The server does not speak the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The proxy's limit of connections to this server is used up by connections in use.
    #[error("no connection is free")]
    NoneFree,
}

impl BackendError {
    /// Puts a label on what a socket reported.
    pub(super) fn lost(server: &Arc<str>, error: &NetError) -> Self {
        match error {
            NetError::OutOfOrder | NetError::PacketTooLarge => {
                Self::Malformed { server: server.clone(), what: error.to_string().into() }
            }
            _ => Self::Lost { server: server.clone(), cause: error.to_string().into() },
        }
    }

    /// Puts a label on what a parser reported.
    pub(super) fn malformed(server: &Arc<str>, error: &ProtocolError) -> Self {
        Self::Malformed { server: server.clone(), what: error.to_string().into() }
    }

    /// For use of a connection that was given up before.
    pub fn gone() -> Self {
        Self::Lost { server: "of this statement".into(), cause: "the connection was given up".into() }
    }

    /// Whether the connection is gone. A read that had no answer yet may be run again on another connection.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the server could not be reached at all, so that another server of the group may be tried.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }
}

impl Report for BackendError {
    fn errno(&self) -> u16 {
        match self {
            Self::Connect { .. } => 1429, // ER_CONNECT_TO_FOREIGN_DATA_SOURCE
            Self::PoolTimeout { .. } | Self::PoolFull { .. } => 1040, // ER_CON_COUNT_ERROR
            // CR_SERVER_LOST: a client's number, but the one that drivers know as "this session is gone".
            Self::Lost { .. } | Self::Timeout { .. } => 2013,
            Self::Malformed { .. } => 2027, // CR_MALFORMED_PACKET
            Self::TooLarge { .. } => 1105,  // ER_UNKNOWN_ERROR
            Self::Server(e) => e.errno,
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::PoolTimeout { .. } | Self::PoolFull { .. } => "08004",
            Self::Server(e) => &e.sqlstate,
            _ => "HY000",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Connect { reason: ConnectFailure::Refused(_), .. } => "backend_auth",
            Self::Connect { .. } => "backend_connect",
            Self::PoolTimeout { .. } => "pool_timeout",
            Self::PoolFull { .. } => "pool_full",
            Self::Lost { .. } => "backend_lost",
            Self::Timeout { .. } => "backend_timeout",
            Self::Malformed { .. } => "backend_malformed",
            Self::TooLarge { .. } => "backend_too_large",
            Self::Server(_) => "backend_error",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::PoolTimeout { .. } | Self::PoolFull { .. } | Self::TooLarge { .. } => Fault::Proxy,
            _ => Fault::Backend,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::PoolTimeout { .. } | Self::PoolFull { .. } => true,
            Self::Lost { .. } | Self::Timeout { .. } => true,
            // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK
            Self::Server(e) => matches!(e.errno, 1205 | 1213),
            Self::Malformed { .. } | Self::TooLarge { .. } => false,
        }
    }
}
