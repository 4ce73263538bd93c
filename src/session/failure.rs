//! How a statement fails, as the session sees it.

use crate::backend::BackendError;
use crate::error::{Report, SqlError};
use crate::execute::ExecuteError;
use crate::execute::error::QUERY_INTERRUPTED;
use crate::execute::relay::Names;
use crate::id::IdError;
use crate::net::NetError;
use crate::plan::PlanError;
use crate::protocol::ProtocolError;
use crate::sql::ParseError;
use crate::txn::{CommitError, TransactionError};

/// How a statement fails.
#[derive(Debug)]
pub enum Failure {
    /// The client reads this error, and the session goes on.
    Sql(SqlError),
    /// The client reads this error, and the session ends: state it relied on is lost.
    Fatal(SqlError),
    /// The client is gone.
    ClientGone,
}

impl Failure {
    /// The same failure, with logical names in the place of physical ones.
    pub fn renamed(self, names: &dyn Names) -> Self {
        let rename = |error: SqlError| SqlError { message: names.restore_text(&error.message), ..error };
        match self {
            Self::Sql(error) => Self::Sql(rename(error)),
            Self::Fatal(error) => Self::Fatal(rename(error)),
            Self::ClientGone => Self::ClientGone,
        }
    }

    /// The same failure with another text.
    pub fn map_message(self, text: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Sql(error) => Self::Sql(SqlError { message: text(error.message), ..error }),
            Self::Fatal(error) => Self::Fatal(SqlError { message: text(error.message), ..error }),
            Self::ClientGone => Self::ClientGone,
        }
    }

    /// The same failure, unless it is a server's that its statement was killed: then `cause` is what the client reads, with
    /// what the proxy has said beside it.
    pub fn with_cause_of_kill(self, cause: &SqlError) -> Self {
        const KILLED: &str = "Query execution was interrupted";
        let explain = |error: SqlError| match error.message.strip_prefix(KILLED) {
            Some(rest) if error.errno == QUERY_INTERRUPTED => {
                SqlError { message: format!("{}{rest}", cause.message), ..cause.clone() }
            }
            _ => error,
        };
        match self {
            Self::Sql(error) => Self::Sql(explain(error)),
            Self::Fatal(error) => Self::Fatal(explain(error)),
            Self::ClientGone => Self::ClientGone,
        }
    }

    /// The same failure, but the session ends with it.
    pub fn fatal(self) -> Self {
        match self {
            Self::Sql(error) => Self::Fatal(error),
            other => other,
        }
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        if error.is_client_lost() { Self::ClientGone } else { Self::Sql(SqlError::from_report(&error)) }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Execute(error) => error.into(),
            error => Self::Sql(SqlError::from_report(&error)),
        }
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        match error {
            NetError::PacketTooLarge | NetError::OutOfOrder => Self::Fatal(SqlError::from_report(&error)),
            NetError::Closed | NetError::Io(_) => Self::ClientGone,
        }
    }
}

macro_rules! from_reports {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Sql(SqlError::from_report(&error as &dyn Report))
            }
        }
    )*};
}

from_reports!(BackendError, IdError, ParseError, PlanError, ProtocolError, TransactionError);
