//! ANALYZE, CHECK, OPTIMIZE, REPAIR and CHECKSUM TABLE of tables that the rules place: each part is looked after, and what the
//! servers say of the parts is said of the table.

use std::sync::Arc;

use bytes::Bytes;

use super::run::Input;
use super::{Failure, Session, Snapshot};
use crate::backend::{KillHandle, Role, Settings};
use crate::error::SqlError;
use crate::execute::own_query::{Cells, query_rows};
use crate::execute::relay::Names as _;
use crate::execute::{Lane, Watch};
use crate::plan::types::ShardStatement;
use crate::plan::{Bound, Plan};
use crate::protocol::{ColumnDef, StatusFlags, text_row};
use crate::txn::Want;

/// How many rows one statement about one part may give.
const MAX_ROWS: usize = 1_000;

impl Session {
    pub(super) async fn run_maintenance(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        bound: &Bound,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let Input::Text(text) = input else {
            let what = "maintenance of a table of several parts or names as a prepared statement";
            return Err(SqlError::not_supported(what, "send it as text").into());
        };
        // they commit, as definitions do
        self.commit().await?;
        let groups: Vec<_> = bound.shards.iter().map(|shard| shard.group).collect();
        self.check_write(snapshot, &groups)?;
        let (mut columns, mut said) = (Vec::new(), Vec::new());
        for shard in &bound.shards {
            let sql = shard.sql.bytes(&text.sql);
            let (of_part, rows) = self.maintain_part(snapshot, shard, sql).await?;
            columns = of_part;
            said.extend(rows.into_iter().map(|row| restored(row, shard)));
        }
        self.invalidate(plan, snapshot);
        let rows = of_tables(said);
        let status = self.status().without(StatusFlags::MORE_RESULTS_EXISTS);
        self.client.put_columns(columns.iter(), status);
        let mut out = Vec::new();
        for row in &rows {
            out.clear();
            row.iter().for_each(|cell| text_row::put_cell(&mut out, cell.as_deref()));
            self.client.put_row(&out).await?;
        }
        self.finish_rows(rows.len() as u64, 0, false);
        Ok(())
    }

    async fn maintain_part(
        &mut self,
        snapshot: &Arc<Snapshot>,
        shard: &ShardStatement,
        sql: &[u8],
    ) -> Result<(Vec<ColumnDef>, Vec<Cells>), Failure> {
        let settings = Settings::new(shard.schema.clone(), Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let want =
            Want { group: shard.group, role: Role::Primary, flavour, settings: (&settings).into(), strict: true };
        let mut lane: Lane = self.take_lane(snapshot, want).await?;
        let statements: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
        let watch = Watch { entry: &self.entry };
        let sql = String::from_utf8_lossy(sql).into_owned();
        let asked = watch.guard_killing(&self.client, &statements, query_rows(&mut lane, &sql, MAX_ROWS)).await;
        match asked {
            Ok(answer) => {
                self.settle(lane, snapshot);
                Ok(answer)
            }
            Err(error) => {
                let failure = self.lane_failed(lane, error, snapshot);
                Err(match &shard.names {
                    Some(names) => failure.renamed(&**names),
                    None => failure,
                })
            }
        }
    }
}

/// A row about a part, as one about its table.
fn restored(mut row: Cells, shard: &ShardStatement) -> Cells {
    let Some(names) = &shard.names else { return row };
    let text = |cell: &Option<Bytes>| cell.as_deref().map(|cell| String::from_utf8_lossy(cell).into_owned());
    let named = row.first().and_then(text);
    let known = |name: &str| {
        let of = |entry: &&crate::plan::types::NameEntry| {
            format!("{}.{}", entry.physical_schema, entry.physical_table).eq_ignore_ascii_case(name)
        };
        names.entries.iter().find(of).map(|entry| format!("{}.{}", entry.schema, entry.table))
    };
    if let Some(name) = named.as_deref().and_then(known) {
        row[0] = Some(name.into());
    }
    if let Some(message) = row.get(3).and_then(text) {
        row[3] = Some(names.restore_text(&message).into());
    }
    row
}

/// Each table's rows together: each once, its worst status last.
fn of_tables(said: Vec<Cells>) -> Vec<Cells> {
    let mut tables: Vec<Vec<Cells>> = Vec::new();
    for row in said {
        match tables.iter_mut().find(|rows| rows[0].first() == row.first()) {
            Some(rows) if rows.contains(&row) => {}
            Some(rows) => rows.push(row),
            None => tables.push(vec![row]),
        }
    }
    for rows in &mut tables {
        let is_status = |row: &Cells| row.get(2).and_then(Option::as_deref) == Some(b"status".as_slice());
        let (mut statuses, mut others): (Vec<Cells>, Vec<Cells>) = rows.drain(..).partition(is_status);
        // `Table is already up to date` is less than `OK`, and `Operation failed` more
        let weight = |row: &Cells| match row.get(3).and_then(Option::as_deref) {
            Some(b"Table is already up to date") => 0,
            Some(b"OK") => 1,
            _ => 2,
        };
        statuses.sort_by_key(weight);
        others.extend(statuses.pop());
        *rows = others;
    }
    tables.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&'static str; 4]) -> Cells {
        cells.iter().map(|cell| Some(Bytes::from_static(cell.as_bytes()))).collect()
    }

    #[test]
    fn what_is_said_of_parts_is_said_once_of_their_table() {
        let said = vec![
            row(["t.a", "analyze", "note", "recreate"]),
            row(["t.a", "analyze", "status", "OK"]),
            row(["t.b", "analyze", "status", "OK"]),
            row(["t.a", "analyze", "note", "recreate"]),
            row(["t.a", "analyze", "status", "Operation failed"]),
            row(["t.a", "analyze", "status", "Table is already up to date"]),
        ];
        let expected = vec![
            row(["t.a", "analyze", "note", "recreate"]),
            row(["t.a", "analyze", "status", "Operation failed"]),
            row(["t.b", "analyze", "status", "OK"]),
        ];
        assert_eq!(of_tables(said), expected);
    }
}
