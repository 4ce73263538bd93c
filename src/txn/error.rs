//! Why a transaction refuses a statement, and how a COMMIT fails.

use super::transaction::MAX_SAVEPOINTS;
use super::xid::Gtrid;
use crate::error::{Fault, Report};
use crate::execute::ExecuteError;

/// Why a transaction refuses a statement.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// A second group would be written to, and the schema's transactions are for one.
    #[error(
        "Shardloom does not support a transaction that writes to a second group where the rules say 'transactions: single' \
         (it has written to '{first}', and this statement writes to '{second}'); commit first, keep the transaction's rows \
         on one group by their sharding key, or set 'transactions: two_phase'"
    )]
    SecondGroup {
        /// The group written to first.
        first: String,
        /// The group that the statement would write to.
        second: String,
    },
    /// One statement would write to several groups, and the schema's transactions are for one.
    #[error(
        "Shardloom does not support a statement that writes to several groups ({groups}) where the rules say \
         'transactions: single'; add the sharding key to its condition, or set 'transactions: two_phase'"
    )]
    SeveralGroups {
        /// The groups, in a list.
        groups: String,
    },
    /// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`.
    #[error("Cannot execute statement in a READ ONLY transaction.")]
    ReadOnly,
    /// `ER_SP_DOES_NOT_EXIST`, as the server words it for savepoints.
    #[error("SAVEPOINT {name} does not exist")]
    NoSavepoint {
        /// The name.
        name: String,
    },
    /// [`MAX_SAVEPOINTS`] was reached.
    #[error("More than {MAX_SAVEPOINTS} savepoints in one transaction; release some")]
    TooManySavepoints,
}

impl Report for TransactionError {
    fn errno(&self) -> u16 {
        match self {
            Self::SecondGroup { .. } | Self::SeveralGroups { .. } => 1235,
            Self::ReadOnly => 1792,
            Self::NoSavepoint { .. } => 1305,
            Self::TooManySavepoints => 1105,
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::ReadOnly => "25006",
            Self::TooManySavepoints => "HY000",
            _ => "42000",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::SecondGroup { .. } | Self::SeveralGroups { .. } => "multi_group_transaction",
            Self::ReadOnly => "read_only_transaction",
            Self::NoSavepoint { .. } | Self::TooManySavepoints => "savepoint",
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}

/// How a COMMIT fails.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// As one server's COMMIT or ROLLBACK fails.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// Nothing of the transaction is applied, on no group.
    #[error("XA_RBROLLBACK: The transaction was rolled back on all groups; COMMIT failed on '{group}': {cause}")]
    RolledBack {
        /// The group that failed.
        group: String,
        /// What failed there.
        cause: ExecuteError,
    },
    /// Somebody else decided that the transaction is rolled back: this proxy had seemed to be gone.
    #[error(
        "XA_RBROLLBACK: The transaction was rolled back on all groups, because it took so long to commit that its proxy \
         seemed to be gone"
    )]
    Overtaken,
    /// Whether the transaction is applied cannot be found out now.
    #[error(
        "The outcome of this COMMIT is not known yet, because group '{group}' cannot be reached ({cause}). All of it is \
         applied, or nothing; it is settled when the group is back. The decision is row '{gtrid}' of shardloom.decisions there"
    )]
    InDoubt {
        /// The anchor's group.
        group: String,
        /// The name of the transaction.
        gtrid: Gtrid,
        /// Why the group did not answer.
        cause: String,
    },
}

impl CommitError {
    /// Whether the session's connection was lost as one server's would be.
    pub fn is_backend_lost(&self) -> bool {
        matches!(self, Self::Execute(error) if error.is_backend_lost())
    }
}

impl Report for CommitError {
    fn errno(&self) -> u16 {
        match self {
            Self::Execute(error) => error.errno(),
            Self::RolledBack { .. } | Self::Overtaken => 1402, // ER_XA_RBROLLBACK
            Self::InDoubt { .. } => 1180,                      // ER_ERROR_DURING_COMMIT
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::Execute(error) => error.sqlstate(),
            Self::RolledBack { .. } | Self::Overtaken => "XA100",
            Self::InDoubt { .. } => "HY000",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Execute(error) => error.kind(),
            Self::RolledBack { .. } | Self::Overtaken => "commit_rolled_back",
            Self::InDoubt { .. } => "commit_in_doubt",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Execute(error) => error.fault(),
            Self::RolledBack { .. } | Self::InDoubt { .. } => Fault::Backend,
            Self::Overtaken => Fault::Proxy,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Execute(error) => error.retryable(),
            Self::RolledBack { .. } | Self::Overtaken => true,
            Self::InDoubt { .. } => false,
        }
    }
}
