//! Why a key leads to no shard.

use crate::error::{Fault, Report};

/// A key that an algorithm cannot place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The rules have no shard for this key. No row can have it, since it cannot be inserted.
    #[error("Table has no partition for value {key}")]
    NoTarget {
        /// The key as text.
        key: String,
    },
    /// The key is of a kind that the algorithm cannot use.
    #[error("the sharding algorithm '{algorithm}' needs {wanted}, not {key}")]
    WrongKind {
        /// `type:` of the algorithm.
        algorithm: &'static str,
        /// What it needs.
        wanted: &'static str,
        /// The key as text.
        key: String,
    },
}

impl Report for RouteError {
    fn errno(&self) -> u16 {
        match self {
            Self::NoTarget { .. } => 1526,  // ER_NO_PARTITION_FOR_GIVEN_VALUE
            Self::WrongKind { .. } => 1366, // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
        }
    }

    fn sqlstate(&self) -> &'static str {
        "HY000"
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::NoTarget { .. } => "no_shard_for_key",
            Self::WrongKind { .. } => "wrong_key_kind",
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}
