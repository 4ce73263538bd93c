//! Why a statement has no plan.

use std::fmt;

use crate::error::{Fault, Report};
use crate::id::IdError;
use crate::route::algorithm::RouteError;
use crate::sql::ParseError;

/// Errors of the planner. Their texts name logical tables only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A shape that is not proven to give the one server's answer.
    #[error("Shardloom does not yet support {what}; {instead}")]
    NotSupported {
        /// What was met.
        what: String,
        /// What to do.
        instead: String,
    },
    /// A name without schema, and no schema chosen.
    #[error("No database selected")]
    NoSchema,
    /// A schema that the rules do not have.
    #[error("Unknown database '{0}'")]
    UnknownSchema(String),
    /// A table that no rule names, in a schema without default group.
    #[error("Table '{schema}.{table}' doesn't exist")]
    NoSuchTable {
        /// Its schema.
        schema: String,
        /// Its name.
        table: String,
    },
    /// A table that a list names twice.
    #[error("Not unique table/alias: '{0}'")]
    NamedTwice(String),
    /// A view over a table that is gone.
    #[error(
        "View '{schema}.{view}' references invalid table(s) or column(s) or function(s) or definer/invoker of view \
         lack rights to use them"
    )]
    InvalidView {
        /// Its schema.
        schema: String,
        /// Its name.
        view: String,
    },
    /// A row whose sharding key is NULL.
    #[error("Column '{0}' cannot be null")]
    NullKey(String),
    /// A row without a value for its sharding key.
    #[error("Field '{0}' doesn't have a default value")]
    MissingKey(String),
    /// More or fewer values than columns.
    #[error("Column count doesn't match value count at row {0}")]
    ColumnCount(usize),
    /// A column that the table does not have.
    #[error("Unknown column '{column}' in '{place}'")]
    UnknownColumn {
        /// The column.
        column: String,
        /// Where it was named.
        place: &'static str,
    },
    /// Clauses that do not go together.
    #[error("Incorrect usage of {0}")]
    WrongUsage(String),
    /// A table that is changed, and that a subquery reads.
    #[error("You can't specify target table '{0}' for update in FROM clause")]
    TargetRead(String),
    /// Too few parameters.
    #[error("Incorrect arguments to EXECUTE")]
    Parameters,
    /// A key that leads nowhere.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A hint comment that cannot be followed.
    #[error("Shardloom hint '{hint}': {problem}")]
    Hint {
        /// The hint.
        hint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A row whose place is not exactly known.
    #[error(
        "Shardloom cannot tell where a row belongs whose sharding key '{0}' is not a plain value of the column's type"
    )]
    UnknownKey(String),
    /// A sharding key that the column cannot hold.
    #[error("Out of range value for column '{column}' at row {row}")]
    OutOfRange {
        /// The column.
        column: String,
        /// The row, from 1.
        row: usize,
    },
    /// The text has no tree.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// No key could be generated.
    #[error("{message}")]
    Ids {
        /// Why.
        message: String,
        /// Whether trying again can help.
        retryable: bool,
    },
    /// The planner contradicts itself.
    #[error("Shardloom lost its way in this statement: {0}")]
    Internal(&'static str),
}

impl PlanError {
    /// Error 1235: `what` names what was met, `instead` what to do.
    pub fn not_supported(what: impl fmt::Display, instead: impl fmt::Display) -> Self {
        Self::NotSupported { what: what.to_string(), instead: instead.to_string() }
    }

    /// A part of the tree that cannot be found in the text.
    pub(crate) fn lost_place() -> Self {
        Self::Internal("a name of the syntax tree has no place in the text")
    }
}

impl Report for PlanError {
    fn errno(&self) -> u16 {
        match self {
            Self::NotSupported { .. } => 1235,  // ER_NOT_SUPPORTED_YET
            Self::NoSchema => 1046,             // ER_NO_DB_ERROR
            Self::UnknownSchema(_) => 1049,     // ER_BAD_DB_ERROR
            Self::NoSuchTable { .. } => 1146,   // ER_NO_SUCH_TABLE
            Self::NamedTwice(_) => 1066,        // ER_NONUNIQ_TABLE
            Self::InvalidView { .. } => 1356,   // ER_VIEW_INVALID
            Self::NullKey(_) => 1048,           // ER_BAD_NULL_ERROR
            Self::MissingKey(_) => 1364,        // ER_NO_DEFAULT_FOR_FIELD
            Self::ColumnCount(_) => 1136,       // ER_WRONG_VALUE_COUNT_ON_ROW
            Self::UnknownColumn { .. } => 1054, // ER_BAD_FIELD_ERROR
            Self::WrongUsage(_) => 1221,        // ER_WRONG_USAGE
            Self::TargetRead(_) => 1093,        // ER_UPDATE_TABLE_USED
            Self::Parameters => 1210,           // ER_WRONG_ARGUMENTS
            Self::UnknownKey(_) => 1235,        // ER_NOT_SUPPORTED_YET
            Self::OutOfRange { .. } => 1264,    // ER_WARN_DATA_OUT_OF_RANGE
            Self::Parse(error) => error.errno(),
            Self::Ids { .. } => 1105, // ER_UNKNOWN_ERROR
            Self::Route(error) => error.errno(),
            Self::Hint { .. } => 1231, // ER_WRONG_VALUE_FOR_VAR
            Self::Internal(_) => 1105, // ER_UNKNOWN_ERROR
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::NotSupported { .. }
            | Self::UnknownSchema(_)
            | Self::NamedTwice(_)
            | Self::Hint { .. }
            | Self::UnknownKey(_) => "42000",
            Self::NoSchema => "3D000",
            Self::NoSuchTable { .. } => "42S02",
            Self::NullKey(_) => "23000",
            Self::OutOfRange { .. } => "22003",
            Self::ColumnCount(_) => "21S01",
            Self::UnknownColumn { .. } => "42S22",
            Self::InvalidView { .. }
            | Self::MissingKey(_)
            | Self::WrongUsage(_)
            | Self::TargetRead(_)
            | Self::Parameters
            | Self::Ids { .. }
            | Self::Internal(_) => "HY000",
            Self::Route(error) => error.sqlstate(),
            Self::Parse(error) => error.sqlstate(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::NotSupported { .. } => "not_supported",
            Self::NoSchema | Self::UnknownSchema(_) => "schema",
            Self::NoSuchTable { .. } | Self::NamedTwice(_) | Self::InvalidView { .. } | Self::UnknownColumn { .. } => {
                "name"
            }
            Self::NullKey(_)
            | Self::MissingKey(_)
            | Self::ColumnCount(_)
            | Self::UnknownKey(_)
            | Self::OutOfRange { .. } => "values",
            Self::Parse(error) => error.kind(),
            Self::Ids { .. } => "id_generator",
            Self::WrongUsage(_) | Self::TargetRead(_) => "form",
            Self::Parameters => "parameters",
            Self::Route(error) => error.kind(),
            Self::Hint { .. } => "hint",
            Self::Internal(_) => "planner",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Internal(_) | Self::Ids { .. } => Fault::Proxy,
            _ => Fault::Client,
        }
    }

    fn retryable(&self) -> bool {
        matches!(self, Self::Ids { retryable: true, .. })
    }
}

impl From<IdError> for PlanError {
    fn from(error: IdError) -> Self {
        Self::Ids { message: error.to_string(), retryable: error.retryable() }
    }
}
