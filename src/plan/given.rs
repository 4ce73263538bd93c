//! Statements that the planner wrote itself, in answer to SHOW.

use std::sync::Arc;

use bytes::Bytes;

use super::types::{Bound, NameMap, Params, ShardStatement, Text};
use crate::config::GroupId;
use crate::merge::MergeSpec;

/// Statements that are the same for each execution.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Where, and what.
    pub statements: Vec<GivenStatement>,
    /// How the rows of several are merged.
    pub merge: Option<Arc<MergeSpec>>,
    /// Names to restore in what comes back.
    pub names: Option<Arc<NameMap>>,
    /// They stand in the rows too.
    pub names_in_rows: bool,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct GivenStatement {
    /// What EXPLAIN ROUTE calls its place.
    pub label: Arc<str>,
    /// The group.
    pub group: GroupId,
    /// The physical schema of the connection.
    pub schema: Option<Arc<str>>,
    /// The text.
    pub sql: Bytes,
}

impl Given {
    /// The statements.
    pub fn bind(&self) -> Bound {
        let statement = |given: &GivenStatement| ShardStatement {
            node: Arc::clone(&given.label),
            group: given.group,
            schema: given.schema.clone(),
            sql: Text::Rewritten(given.sql.clone()),
            params: Params::Same,
            names: self.names.clone(),
            rows: None,
        };
        Bound {
            shards: self.statements.iter().map(statement).collect(),
            merge: self.merge.clone(),
            names_in_rows: self.names_in_rows,
            ..Bound::default()
        }
    }
}
