//! Writes in steps: rows are read by a query first, and written by their values or by their primary keys.
//!
//! A plan has such a recipe beside its action where it may be needed; whether it is, binding tells: what can be sent to
//! the shards as it is goes there. The recipe makes texts only; the session runs them, in one transaction.

mod change;
mod clauses;
mod insert;
mod taker;
mod target;

pub(crate) use change::{ChangeRows, Said, has_query};
pub(crate) use insert::{EvaluatedValues, InsertRows};
pub(crate) use taker::{Taker, Takes};
pub(crate) use target::{Assigned, Target};

use std::sync::Arc;

use bytes::Bytes;

use super::action::Home;
use super::error::PlanError;
use super::types::{Params, ShardStatement, Text};

/// A write in steps.
#[derive(Debug, Clone)]
pub(crate) enum Compose {
    /// INSERT … SELECT: the rows of the query are inserted as VALUES.
    Insert(InsertRows),
    /// INSERT … VALUES whose keys a server must evaluate first.
    Values(EvaluatedValues),
    /// UPDATE or DELETE: the rows are chosen by a locking query, and changed by their primary keys.
    Change(ChangeRows),
    /// CREATE TABLE … SELECT: the table is made as a server would make it, and the query's rows are inserted.
    Create,
}

/// A write that has no other way than its steps.
#[derive(Debug, Clone)]
pub(crate) struct OnlyComposed {
    /// Why it cannot be sent to the shards as it is.
    pub refused: PlanError,
    /// Where it is prepared.
    pub home: Home,
    /// How many parameters it has.
    pub params: usize,
}

impl OnlyComposed {
    /// A statement with as many parameters, and no columns.
    pub fn sample(&self) -> ShardStatement {
        let sql = format!("DO 0{}", ", ?".repeat(self.params));
        ShardStatement {
            node: Arc::clone(&self.home.label),
            group: self.home.group,
            schema: self.home.schema.clone(),
            sql: Text::Rewritten(Bytes::from(sql)),
            params: Params::Same,
            names: None,
            rows: None,
        }
    }
}

impl Compose {
    /// The steps in words, for EXPLAIN ROUTE.
    pub fn describe(&self, sql: &[u8], literals: &[crate::sql::Literal]) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Insert(rows) => {
                let parts = rows.parts(sql, literals);
                format!(
                    "in steps: insert\nread: {}\nwrite: {} VALUES … {}",
                    text(parts.query),
                    text(parts.head),
                    text(parts.tail)
                )
                .trim_end()
                .to_owned()
            }
            Self::Create => "in steps: create\nread: the query\nwrite: the table, then its rows".to_owned(),
            Self::Values(values) => {
                let cells = values.cells(literals).into_iter().map(|cell| text(sql.get(cell).unwrap_or_default()));
                let items = cells.collect::<Vec<_>>().join(", ");
                format!("in steps: insert\nread: SELECT {items}\nwrite: the rows with these values")
            }
            Self::Change(rows) => {
                let verb = if rows.is_update { "update" } else { "delete" };
                let mut out = format!("in steps: {verb}\nread: {}", text(&rows.read(sql, literals)));
                for target in &rows.targets {
                    let how = if target.moves { " (rows whose sharding key changes are moved)" } else { "" };
                    out.push_str(&format!(
                        "\nwrite: {verb} '{}' by ({}){how}",
                        target.unit.place.table(),
                        target.identity.join(", ")
                    ));
                }
                out
            }
        }
    }
}
