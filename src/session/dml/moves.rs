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
            let (outcome, diagnostics) = self.run_on_nodes(snapshot, plan, target, statements).await?;
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
        self.check_zero(snapshot, target, &literals).await?;
        let delete = NodeStatement { node, sql: target.delete(node, &[&identity], false) };
        let (deleted, _) = self.run_on_nodes(snapshot, plan, target, vec![delete]).await?;
        if deleted.affected_rows != 1 {
            return Err(unknown_place(target));
        }
        let insert = NodeStatement { node: to, sql: target.insert_row(to, &literals) };
        self.run_on_nodes(snapshot, plan, target, vec![insert]).await?;
        Ok(())
    }

    /// An UPDATE may give 0 to an AUTO_INCREMENT column; where that is inserted, it becomes a number that the server makes.
    async fn check_zero(&self, snapshot: &Arc<Snapshot>, target: &Target, literals: &[Vec<u8>]) -> Result<(), Failure> {
        if self.state.lex_mode.no_auto_value_on_zero {
            return Ok(());
        }
        let place = &target.unit.place;
        let info = snapshot.catalog.table(place.schema(), place.table()).await?;
        let Some(numbered) = info.as_deref().and_then(|info| info.auto_increment()) else { return Ok(()) };
        let at = target.columns.iter().position(|column| column.eq_ignore_ascii_case(&numbered.name));
        if !at.and_then(|at| literals.get(at)).is_some_and(|literal| is_zero(literal)) {
            return Ok(());
        }
        Err(SqlError::not_supported(
            format!(
                "changing the sharding key of a row of '{}' whose AUTO_INCREMENT column '{}' is 0",
                place.table(),
                numbered.name
            ),
            "add NO_AUTO_VALUE_ON_ZERO to sql_mode",
        )
        .into())
    }
}

/// The value 0.
fn is_zero(literal: &[u8]) -> bool {
    let digits = literal.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(literal);
    !digits.is_empty() && digits.iter().all(|byte| *byte == b'0')
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
