//! UPDATE of a sharding key: rows that belong to another node then are carried there.
//!
//! A row is updated where it is, so that its server converts the values, counts it as changed, and keeps its own columns
//! up. If it belongs elsewhere afterwards, it is read, deleted and inserted there. Row by row, in the order of the reading
//! query: so a duplicate is met where one server would meet it.

use std::sync::Arc;

use super::Done;
use super::change::{ChosenRow, key_of};
use super::nodes::{NodeStatement, restored};
use crate::error::SqlError;
use crate::execute::own_query::query_rows;
use crate::plan::Plan;
use crate::plan::compose::Target;
use crate::protocol::Value;
use crate::session::{Failure, Session, Snapshot};

impl Session {
    /// Rows that others refer to by foreign keys cannot be carried: the servers would delete what refers to them.
    pub(super) async fn check_unreferenced(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        target: &Target,
    ) -> Result<(), Failure> {
        let Some(node) = target.unit.node(0) else { return Ok(()) };
        let mut lane = self.node_lane(snapshot, plan, target, node.group).await?;
        let name = |name: &str| name.replace('\\', "\\\\").replace('\'', "''");
        let query = format!(
            "SELECT 1 FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_SCHEMA = '{}' AND \
             REFERENCED_TABLE_NAME = '{}' LIMIT 1",
            name(&node.schema),
            name(&node.table)
        );
        let found = query_rows(&mut lane, &query, 1).await;
        match found {
            Ok((_, rows)) => {
                self.settle(lane, snapshot);
                if rows.is_empty() {
                    return Ok(());
                }
                Err(SqlError::not_supported(
                    format!(
                        "changing the sharding key of '{}', which foreign keys refer to",
                        target.unit.place.table()
                    ),
                    "delete the rows and insert them anew",
                )
                .into())
            }
            Err(error) => Err(self.lane_failed(lane, error, snapshot)),
        }
    }

    pub(super) async fn move_rows(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        target: &Target,
        chosen: Vec<ChosenRow>,
        done: &mut Done,
    ) -> Result<(), Failure> {
        for row in chosen {
            let &[node] = row.nodes.as_slice() else { return Err(unknown_place(target)) };
            let sql = target.update_row(node, &row.identity, &row.values, false);
            let statements = vec![NodeStatement { node, sql }];
            let updated = self.run_on_nodes(snapshot, plan, target, statements).await;
            let (outcome, diagnostics) = updated.map_err(|failure| beside_parent(failure, target))?;
            let is_changed = !outcome.info.contains("Changed: 0");
            done.add(&outcome, diagnostics);
            if is_changed {
                self.carry(snapshot, plan, target, node, &row).await?;
            }
        }
        Ok(())
    }

    /// Carries a row that was updated on `node` to where it belongs.
    async fn carry(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        target: &Target,
        node: usize,
        row: &ChosenRow,
    ) -> Result<(), Failure> {
        let identity = new_identity(target, row);
        let group = target.unit.node(node).map(|node| node.group).ok_or_else(|| unknown_place(target))?;
        let lane = self.node_lane(snapshot, plan, target, group).await?;
        let query = target.read_row(node, &identity);
        let read = match self.rows_of(lane, query.into(), snapshot).await {
            Ok(read) => read,
            Err(failure) => return Err(restored(failure, target)),
        };
        let [only] = read.rows.as_slice() else { return Err(unknown_place(target)) };
        let values = read.values(only)?;
        let key_at: Vec<usize> = target.key.iter().map(|at| target.columns.len() + at).collect();
        let key = key_of(&values, &key_at);
        let to = target
            .unit
            .keyed
            .as_ref()
            .and_then(|keyed| keyed.stored(&key).ok())
            .ok_or_else(|| unknown_place(target))?;
        if to == node {
            return Ok(());
        }
        let writer = self.literal_writer();
        let literals: Vec<Vec<u8>> = values[..target.columns.len()]
            .iter()
            .zip(&read.columns)
            .map(|(value, column): (&Value<'_>, _)| {
                let mut out = Vec::new();
                writer.cell(value, column, &mut out);
                out
            })
            .collect();
        let delete = NodeStatement { node, sql: target.delete(node, &[&identity], false) };
        let (deleted, _) = self.run_on_nodes(snapshot, plan, target, vec![delete]).await?;
        if deleted.affected_rows != 1 {
            return Err(unknown_place(target));
        }
        let insert = NodeStatement { node: to, sql: target.insert_row(to, &literals) };
        // what was stored is stored again, also what the session's mode would not take or would number
        let vars = Arc::clone(&self.state.vars);
        let mode = if self.state.lex_mode.no_backslash_escapes { AS_STORED_NO_ESCAPES } else { AS_STORED };
        self.state.vars = vars.with("sql_mode", Some(mode));
        let inserted = self.run_on_nodes(snapshot, plan, target, vec![insert]).await;
        self.state.vars = vars;
        inserted.map(drop)
    }
}

/// The mode in which a row is inserted that was stored elsewhere: literals are read as the session writes them.
const AS_STORED: &str = "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";
const AS_STORED_NO_ESCAPES: &str = "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES'";

/// A row is updated where it was: the row that it is to refer to by a foreign key may be where it is going.
fn beside_parent(failure: Failure, target: &Target) -> Failure {
    /// `ER_NO_REFERENCED_ROW_2`.
    const NO_PARENT: u16 = 1452;
    match failure {
        Failure::Sql(error) if error.errno == NO_PARENT => SqlError::not_supported(
            format!("changing the sharding key of '{}' beside a foreign key", target.unit.place.table()),
            "delete the row and insert it anew, if there is the row that it refers to",
        )
        .into(),
        other => other,
    }
}

/// The identity that a row has after its update.
fn new_identity(target: &Target, row: &ChosenRow) -> Vec<Vec<u8>> {
    let mut identity = row.identity.clone();
    let mut values = row.values.iter();
    for assigned in &target.values {
        let value = assigned.value.and_then(|_| values.next());
        let at = target.identity.iter().position(|column| column.eq_ignore_ascii_case(&assigned.column));
        if let (Some(at), Some(value)) = (at, value) {
            identity[at].clone_from(value);
        }
    }
    identity
}

/// The row is not where it was looked for.
fn unknown_place(target: &Target) -> Failure {
    SqlError::not_supported(
        format!(
            "changing the sharding key of '{}' to a value that is not stored as it is written",
            target.unit.place.table()
        ),
        "give plain values of the column's type",
    )
    .into()
}
