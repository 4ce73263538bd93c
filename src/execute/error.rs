//! What can go wrong while a statement runs on its shards.

use crate::backend::BackendError;
use crate::error::{Fault, Report};
use crate::merge::MergeError;
use crate::net::NetError;

/// [`Report::kind`] of [`ExecuteError::Deadlock`].
pub const DEADLOCK_KIND: &str = "deadlock";

/// `ER_QUERY_INTERRUPTED`: what a server answers when its statement was killed.
pub const QUERY_INTERRUPTED: u16 = 1317;

/// The servers' words for a statement that ran for too long.
fn time_up_text(is_mariadb: bool) -> &'static str {
    if is_mariadb {
        "Query execution was interrupted (max_statement_time exceeded)"
    } else {
        "Query execution was interrupted, maximum statement execution time exceeded"
    }
}

/// What can go wrong while a statement runs on its shards.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A backend failed, or answered with an error.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The rows of the shards could not be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The client went away; nobody reads this text.
    #[error("the client is gone: {0}")]
    ClientLost(NetError),
    /// `KILL QUERY`: `ER_QUERY_INTERRUPTED`.
    #[error("Query execution was interrupted")]
    Interrupted,
    /// The transaction was chosen to end a deadlock over several groups, and is rolled back: `ER_LOCK_DEADLOCK`.
    #[error("Deadlock found when trying to get lock; try restarting transaction")]
    Deadlock,
    /// `limits.statement_timeout_ms` has passed: `ER_QUERY_TIMEOUT`, or MariaDB's `ER_STATEMENT_TIMEOUT`.
    #[error("{}", time_up_text(*is_mariadb))]
    TimeUp {
        /// Whether the client takes the proxy for a MariaDB.
        is_mariadb: bool,
    },
    /// Rows that had to be held in memory passed the limit.
    #[error(
        "The answer needs more than {limit_bytes} bytes of the proxy's memory; \
         run it outside of a transaction, read it without a cursor, or raise limits.max_buffered_bytes"
    )]
    TooLarge {
        /// `limits.max_buffered_bytes`.
        limit_bytes: usize,
    },
    /// A query would bring more to the scratch server than the rules allow.
    #[error(
        "The query needs more than {limit} {what} in temporary tables; \
         add conditions that each table's shards can apply, or raise scratch.{key}"
    )]
    ScratchLimit {
        /// Rows or bytes.
        what: &'static str,
        /// The key of the limit.
        key: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Too many such queries ran at the same time for too long.
    #[error("{limit} queries over temporary tables run already; try again, or raise scratch.max_concurrent")]
    ScratchBusy {
        /// `scratch.max_concurrent`.
        limit: usize,
    },
    /// A column is no longer what it was when the query was planned: `ER_TABLE_DEF_CHANGED`.
    #[error("Table definition has changed, please retry transaction")]
    DefinitionChanged,
    /// It took too long to bring the rows together: as `ER_QUERY_TIMEOUT`.
    #[error(
        "Query execution was interrupted: bringing its rows together took more than {limit_ms} ms (scratch.timeout_ms)"
    )]
    ScratchTimeout {
        /// `scratch.timeout_ms`.
        limit_ms: u64,
    },
}

impl ExecuteError {
    /// An answer that broke off inside a packet: the client cannot be told anything any more.
    pub fn cut_off(cause: Self) -> Self {
        tracing::warn!(error = %cause, "an answer broke off inside a row; the client is disconnected");
        Self::ClientLost(NetError::Closed)
    }

    /// Whether the client is gone, so that no answer can reach it.
    pub fn is_client_lost(&self) -> bool {
        matches!(self, Self::ClientLost(_))
    }

    /// Whether a server ended its statement because that was killed.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Backend(BackendError::Server(error)) if error.errno == QUERY_INTERRUPTED)
    }

    /// Whether a server has rolled the transaction back (ER_LOCK_DEADLOCK).
    pub fn is_deadlock(&self) -> bool {
        match self {
            Self::Deadlock => true,
            Self::Backend(BackendError::Server(error)) => error.errno == 1213,
            _ => false,
        }
    }

    /// Whether a backend connection broke, and with it the state it held.
    pub fn is_backend_lost(&self) -> bool {
        matches!(self, Self::Backend(e) if e.is_lost())
    }
}

impl Report for ExecuteError {
    fn errno(&self) -> u16 {
        match self {
            Self::Backend(e) => e.errno(),
            Self::Merge(e) => e.errno(),
            Self::ClientLost(e) => e.errno(),
            Self::Interrupted => QUERY_INTERRUPTED,
            Self::Deadlock => 1213,
            Self::TimeUp { is_mariadb: true } => 1969,
            Self::TimeUp { is_mariadb: false } => 3024,
            Self::TooLarge { .. } | Self::ScratchLimit { .. } => 1235,
            Self::ScratchBusy { .. } => 1105,
            Self::DefinitionChanged => 1412,
            Self::ScratchTimeout { .. } => 3024,
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::Backend(e) => e.sqlstate(),
            Self::Merge(e) => e.sqlstate(),
            Self::ClientLost(e) => e.sqlstate(),
            Self::Deadlock => "40001",
            Self::Interrupted | Self::TimeUp { is_mariadb: true } => "70100",
            Self::TooLarge { .. } | Self::ScratchLimit { .. } => "42000",
            Self::TimeUp { .. } | Self::ScratchBusy { .. } | Self::ScratchTimeout { .. } | Self::DefinitionChanged => {
                "HY000"
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Backend(e) => e.kind(),
            Self::Merge(e) => e.kind(),
            Self::ClientLost(_) => "client_lost",
            Self::Interrupted => "interrupted",
            Self::Deadlock => DEADLOCK_KIND,
            Self::TimeUp { .. } => "statement_timeout",
            Self::TooLarge { .. } => "buffer_limit",
            Self::DefinitionChanged => "definition_changed",
            Self::ScratchLimit { .. } | Self::ScratchBusy { .. } | Self::ScratchTimeout { .. } => "scratch_limit",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Backend(e) => e.fault(),
            Self::Merge(e) => e.fault(),
            Self::ClientLost(_) | Self::Interrupted | Self::Deadlock | Self::TimeUp { .. } => Fault::Client,
            Self::TooLarge { .. }
            | Self::ScratchLimit { .. }
            | Self::ScratchBusy { .. }
            | Self::ScratchTimeout { .. }
            | Self::DefinitionChanged => Fault::Proxy,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Backend(e) => e.retryable(),
            Self::ScratchBusy { .. } | Self::Deadlock | Self::DefinitionChanged => true,
            _ => false,
        }
    }
}
