//! Why a client does not get in, with MySQL's own numbers and texts.

use std::path::PathBuf;

use crate::error::{Fault, Report};
use crate::net::NetError;
use crate::protocol::ProtocolError;

/// Errors of the accepting side.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// `ER_ACCESS_DENIED_ERROR`: unknown user and wrong password look the same.
    #[error("Access denied for user '{user}'@'{host}' (using password: {})", if *.using_password { "YES" } else { "NO" })]
    AccessDenied {
        /// As the client sent it.
        user: String,
        /// Where it came from.
        host: String,
        /// Whether it sent a password.
        using_password: bool,
    },
    /// `ER_DBACCESS_DENIED_ERROR`.
    #[error("Access denied for user '{user}'@'{host}' to database '{database}'")]
    DatabaseDenied {
        /// The user.
        user: String,
        /// Where it came from.
        host: String,
        /// The database.
        database: String,
    },
    /// `ER_ACCESS_DENIED_ERROR`: the account may come in over TLS only.
    #[error("Access denied for user '{user}'@'{host}': this account must use TLS")]
    AccountNeedsTls {
        /// The user.
        user: String,
        /// Where it came from.
        host: String,
    },
    /// `ER_USER_LIMIT_REACHED`.
    #[error("User '{user}' has exceeded the 'max_user_connections' resource (current value: {limit})")]
    TooManyUserConnections {
        /// The user.
        user: String,
        /// How many connections it may have.
        limit: usize,
    },
    /// `ER_BAD_DB_ERROR`.
    #[error("Unknown database '{0}'")]
    UnknownDatabase(String),
    /// `ER_CON_COUNT_ERROR`.
    #[error("Too many connections")]
    TooManyConnections,
    /// `ER_SERVER_SHUTDOWN`: a client that connects while the proxy drains.
    #[error("Server shutdown in progress")]
    ShuttingDown,
    /// `ER_SECURE_TRANSPORT_REQUIRED`.
    #[error("Connections using insecure transport are prohibited while --require_secure_transport=ON.")]
    SecureTransportRequired,
    /// `ER_WRONG_VALUE_FOR_VAR`: statements in this character set cannot be read byte by byte.
    #[error(
        "Variable 'character_set_client' can't be set to the value of '{0}': Shardloom reads no statements in it; connect \
         with utf8mb4"
    )]
    CharacterSet(&'static str),
    /// `ER_NET_READ_INTERRUPTED`: the handshake took too long.
    #[error("Got timeout reading communication packets")]
    HandshakeTimeout,
    /// `ER_HANDSHAKE_ERROR`.
    #[error("Bad handshake")]
    BadHandshake(#[from] ProtocolError),
    /// `ER_NOT_SUPPORTED_AUTH_MODE`: a client without authentication plugins, and an account that needs one.
    #[error("Client does not support authentication protocol requested by server; consider upgrading MySQL client")]
    UnsupportedAuthentication,
    /// The connection broke.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    TlsHandshake(std::io::Error),
    /// The proxy cannot listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("{}: {problem}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Report for ServerError {
    fn errno(&self) -> u16 {
        match self {
            Self::AccessDenied { .. } | Self::AccountNeedsTls { .. } => 1045,
            Self::TooManyUserConnections { .. } => 1226,
            Self::DatabaseDenied { .. } => 1044,
            Self::UnknownDatabase(_) => 1049,
            Self::CharacterSet(_) => 1231,
            Self::TooManyConnections => 1040,
            Self::ShuttingDown => 1053,
            Self::SecureTransportRequired => 3159,
            Self::HandshakeTimeout => 1159,
            Self::BadHandshake(_) | Self::TlsHandshake(_) => 1043,
            Self::UnsupportedAuthentication => 1251,
            Self::Net(error) => error.errno(),
            Self::Listen { .. } | Self::KeyFile { .. } => 1105,
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::AccessDenied { .. } | Self::AccountNeedsTls { .. } => "28000",
            Self::DatabaseDenied { .. }
            | Self::UnknownDatabase(_)
            | Self::CharacterSet(_)
            | Self::TooManyUserConnections { .. } => "42000",
            Self::TooManyConnections | Self::UnsupportedAuthentication => "08004",
            Self::ShuttingDown | Self::HandshakeTimeout | Self::BadHandshake(_) | Self::TlsHandshake(_) => "08S01",
            Self::SecureTransportRequired | Self::Listen { .. } | Self::KeyFile { .. } => "HY000",
            Self::Net(error) => error.sqlstate(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::AccessDenied { .. } => "access_denied",
            Self::AccountNeedsTls { .. } => "account_needs_tls",
            Self::TooManyUserConnections { .. } => "too_many_user_connections",
            Self::DatabaseDenied { .. } => "database_denied",
            Self::UnknownDatabase(_) => "unknown_database",
            Self::CharacterSet(_) => "character_set",
            Self::TooManyConnections => "too_many_connections",
            Self::ShuttingDown => "shutting_down",
            Self::SecureTransportRequired => "secure_transport_required",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::BadHandshake(_) => "bad_handshake",
            Self::UnsupportedAuthentication => "unsupported_authentication",
            Self::Net(error) => error.kind(),
            Self::TlsHandshake(_) => "tls_handshake",
            Self::Listen { .. } => "listen",
            Self::KeyFile { .. } => "key_file",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::TooManyConnections | Self::ShuttingDown | Self::Listen { .. } | Self::KeyFile { .. } => Fault::Proxy,
            _ => Fault::Client,
        }
    }

    fn retryable(&self) -> bool {
        matches!(
            self,
            Self::TooManyConnections
                | Self::TooManyUserConnections { .. }
                | Self::ShuttingDown
                | Self::HandshakeTimeout
        )
    }
}
