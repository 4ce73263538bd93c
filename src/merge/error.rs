//! What can go wrong while the shards' rows are woven together.

use crate::error::{Fault, Report};

/// Errors of the merge. Column names in them are the client's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A shape whose merge is not proven to give the one server's answer.
    #[error("Shardloom does not yet support {what}; {instead}")]
    NotSupported {
        /// What was met.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// The shards disagree on a column: their tables have drifted apart.
    #[error("The shards disagree on column '{column}': {what} differs; make the tables of all shards equal")]
    ColumnsDiffer {
        /// The column's name.
        column: String,
        /// Which property differs.
        what: &'static str,
    },
    /// The shards sent different numbers of columns.
    #[error("The shards sent results of {first} and of {other} columns; make the tables of all shards equal")]
    ColumnCountsDiffer {
        /// Columns of the first shard.
        first: usize,
        /// Columns of the one that differs.
        other: usize,
    },
    /// A row came before one that it should have followed: merging further could give a wrong answer.
    #[error("A shard's rows did not arrive in the order that the merge needs (column '{column}')")]
    OutOfOrder {
        /// The first key's column.
        column: String,
    },
    /// A value that cannot be what its column's metadata says.
    #[error("A shard sent a value for column '{column}' that cannot be read as {expected}")]
    BadValue {
        /// The column's name.
        column: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A row that is not built as the protocol says.
    #[error("A shard sent a malformed row")]
    MalformedRow,
    /// A total past the range of its type.
    #[error("{kind} value is out of range in column '{column}'")]
    OutOfRange {
        /// BIGINT or DECIMAL.
        kind: &'static str,
        /// The column's name.
        column: String,
    },
    /// The plan contradicts itself or the result.
    #[error("The merge plan does not fit the result: {0}")]
    Plan(&'static str),
}

impl Report for MergeError {
    fn errno(&self) -> u16 {
        match self {
            Self::NotSupported { .. } => 1235,       // ER_NOT_SUPPORTED_YET
            Self::OutOfRange { .. } => 1690,         // ER_DATA_OUT_OF_RANGE
            Self::ColumnCountsDiffer { .. } => 1222, // ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT
            Self::MalformedRow => 1835,              // ER_MALFORMED_PACKET
            Self::ColumnsDiffer { .. } | Self::OutOfOrder { .. } | Self::BadValue { .. } | Self::Plan(_) => 1105, // ER_UNKNOWN_ERROR
        }
    }

    fn sqlstate(&self) -> &'static str {
        match self {
            Self::NotSupported { .. } => "42000",
            Self::OutOfRange { .. } => "22003",
            Self::ColumnCountsDiffer { .. } => "21000",
            _ => "HY000",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::NotSupported { .. } => "not_supported",
            Self::ColumnsDiffer { .. } | Self::ColumnCountsDiffer { .. } => "shards_differ",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::BadValue { .. } | Self::MalformedRow => "malformed_row",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Plan(_) => "merge_plan",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::NotSupported { .. } | Self::OutOfRange { .. } => Fault::Client,
            Self::OutOfOrder { .. } | Self::Plan(_) => Fault::Proxy,
            Self::ColumnsDiffer { .. }
            | Self::ColumnCountsDiffer { .. }
            | Self::BadValue { .. }
            | Self::MalformedRow => Fault::Backend,
        }
    }
}
