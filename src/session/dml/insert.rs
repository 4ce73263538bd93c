//! INSERT … SELECT in steps: the rows are read, and inserted as VALUES where they belong.

use std::sync::Arc;

use bytes::Bytes;

use super::Done;
use super::carry::Carrier;
use crate::error::SqlError;
use crate::execute::{Lane, Watch, write};
use crate::plan::compose::{EvaluatedValues, InsertRows, Taker};
use crate::plan::{Bound, LastInsertId, Plan};
use crate::session::query::Text;
use crate::session::run::Input;
use crate::session::select_inner::InnerRows;
use crate::session::{Diagnostic, Failure, Session, Snapshot};
use crate::sql::scan;

/// A chunk of rows is sent when it is that long: short enough for the parser, long enough to be worth a round trip.
const CHUNK_BYTES: usize = 128 * 1024;
/// Nor has a chunk more rows than this.
const CHUNK_ROWS: usize = 1_000;

/// Where rows that were read are inserted.
#[derive(Clone, Copy)]
pub(super) struct Into<'a> {
    /// What stands in front of VALUES.
    pub head: &'a [u8],
    /// What stands behind them.
    pub tail: &'a [u8],
    /// The columns that take the values, as far as they are known.
    pub takers: &'a [Taker],
    /// What writes the values.
    pub carrier: Carrier,
}

/// An INSERT of the session's own.
struct Inner {
    sql: Bytes,
    /// The same with a query in place of VALUES: for a table that is not split, where there is such a form.
    as_query: Option<Bytes>,
    /// How many rows came before its own.
    before: u32,
}

impl Session {
    pub(super) async fn insert_steps(
        &mut self,
        rows: &InsertRows,
        text: &Text,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let literals = std::mem::take(&mut self.literals);
        let parts = rows.parts(&text.sql, &literals);
        let query = parts.query.to_vec();
        let (head, tail) = (parts.head.to_vec(), parts.tail.to_vec());
        self.literals = literals;
        let into = Into { head: &head, tail: &tail, takers: &rows.takers, carrier: self.carrier(&query) };
        let read = self.read_for(query, rows.ignore).await?;
        done.add_read(&read);
        // MySQL says nothing of them without a row
        if read.rows.is_empty() && self.shared.is_mariadb() {
            self.note_lacking(rows, done)?;
        }
        self.insert_read(&read, into, done).await
    }

    /// What a server says of columns without values where there are no rows to say it of.
    fn note_lacking(&self, rows: &InsertRows, done: &mut Done) -> Result<(), SqlError> {
        /// ER_NO_DEFAULT_FOR_FIELD.
        const NO_DEFAULT: u16 = 1364;
        for column in &rows.lacking {
            let message = format!("Field '{column}' doesn't have a default value");
            if self.is_strict() && !rows.ignore {
                return Err(SqlError::client(NO_DEFAULT, "HY000", message));
            }
            done.warnings = done.warnings.saturating_add(1);
            done.diagnostics.push(Diagnostic {
                level: "Warning".to_owned(),
                code: NO_DEFAULT,
                message,
                is_told_once: true,
            });
        }
        Ok(())
    }

    /// Inserts rows that were read.
    pub(super) async fn insert_read(
        &mut self,
        read: &InnerRows,
        into: Into<'_>,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let Into { head, tail, takers, carrier } = into;
        done.info.begin_records();
        let mut chunk = Vec::new();
        let mut count = 0;
        for (index, row) in read.rows.iter().enumerate() {
            chunk.extend_from_slice(if count == 0 { b"(" } else { b", (" });
            for (number, (value, column)) in read.values(row)?.iter().zip(&read.columns).enumerate() {
                if number > 0 {
                    chunk.extend_from_slice(b", ");
                }
                carrier.cell(value, column, takers.get(number), &mut chunk)?;
            }
            chunk.push(b')');
            count += 1;
            if chunk.len() >= CHUNK_BYTES || count >= CHUNK_ROWS || index + 1 == read.rows.len() {
                let sql = [head, b" VALUES ", &chunk, b" ", tail].concat();
                // a server treats a row of VALUES that is alone in another way
                let as_query = (count == 1).then(|| {
                    let cells = chunk.strip_prefix(b"(").and_then(|row| row.strip_suffix(b")")).unwrap_or_default();
                    Bytes::from([head, b" SELECT ", cells, b" ", tail].concat())
                });
                let before = u32::try_from(index + 1 - count).unwrap_or(u32::MAX);
                self.state.writes_read_rows = true;
                let inserted = self.insert_inner(Inner { sql: sql.into(), as_query, before }, done).await;
                self.state.writes_read_rows = false;
                inserted?;
                chunk.clear();
                count = 0;
            }
        }
        Ok(())
    }

    /// INSERT of values that a server must evaluate before it is known where their rows belong.
    pub(super) async fn values_steps(
        &mut self,
        values: &EvaluatedValues,
        text: &Text,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let cells = values.cells(&self.literals);
        let items: Vec<&[u8]> = cells.iter().map(|cell| text.sql.get(cell.clone()).unwrap_or_default()).collect();
        let query = [b"SELECT ".as_slice(), &items.join(&b", "[..])].concat();
        let carrier = self.carrier(&query);
        let read = self.read_for(query, values.ignore).await?;
        done.add_read(&read);
        let row =
            read.rows.first().ok_or_else(|| SqlError::client(1105, "HY000", "The values of a row are missing"))?;
        let mut sql = Vec::with_capacity(text.sql.len() + 64);
        let mut from = 0;
        let values = read.values(row)?.into_iter().zip(&read.columns).zip(&values.takers);
        for (cell, ((value, column), taker)) in cells.iter().zip(values) {
            sql.extend_from_slice(text.sql.get(from..cell.start).unwrap_or_default());
            carrier.cell(&value, column, taker.as_ref(), &mut sql)?;
            from = cell.end;
        }
        sql.extend_from_slice(text.sql.get(from..).unwrap_or_default());
        self.insert_inner(Inner { sql: sql.into(), as_query: None, before: 0 }, done).await
    }

    /// Runs an INSERT on connections of the open transaction.
    async fn insert_inner(&mut self, inner: Inner, done: &mut Done) -> Result<(), Failure> {
        let outer = std::mem::take(&mut self.literals);
        let result = self.insert_rows(inner, done).await;
        self.literals = outer;
        result
    }

    /// A statement of the session's own, planned and bound; nothing for one that would take steps in its turn.
    async fn ready(
        &mut self,
        sql: Bytes,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<(Text, Arc<Plan>, Bound)>, Failure> {
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        let text = Text { sql };
        let plan = self.plan(&text, &scanned, snapshot, false).await?;
        let bound = self.bind_with_keys(snapshot, &plan, &text.sql, &[]).await?;
        Ok(bound.map(|bound| (text, plan, bound)))
    }

    async fn insert_rows(&mut self, Inner { sql, as_query, before }: Inner, done: &mut Done) -> Result<(), Failure> {
        let snapshot = self.snapshot();
        let refused = || SqlError::not_supported("this INSERT in steps", "insert the rows as VALUES");
        let mut ready = self.ready(sql, &snapshot).await?;
        if let Some(sql) = as_query.filter(|_| ready.as_ref().is_none_or(|(_, plan, _)| !plan.splits_rows()))
            && let Ok(Some(query)) = self.ready(sql, &snapshot).await
        {
            ready = Some(query);
        }
        let (text, plan, bound) = ready.ok_or_else(refused)?;
        self.check_write(&snapshot, &super::super::write::groups_of(&bound))?;
        let (mut lanes, requests) = self.write_lanes(&snapshot, &plan, &bound, Input::Text(&text)).await?;
        let statements: Vec<_> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let sum = super::super::write::sum_of_rows(&bound);
        let watch = Watch { entry: &self.entry };
        let held_bytes = self.shared.limits().max_buffered_bytes;
        let work = async { Ok(write::run(&mut lanes, requests, sum, held_bytes).await) };
        let written = watch.guard_killing(&self.client, &statements, work).await.and_then(|written| written);
        let write::Written { outcome, warnings, .. } = match written {
            Ok(written) => written,
            Err(error) => {
                let failure = renamed(self.lanes_failed(lanes, error, &snapshot), &bound);
                return Err(failure.map_message(|message| counted_from(&message, before)));
            }
        };
        for lane in lanes {
            self.settle(lane, &snapshot);
        }
        let names = bound.shards.first().and_then(|shard| shard.names.clone());
        let diagnostics = warnings.into_iter().map(|mut diagnostic| {
            diagnostic.message = counted_from(&diagnostic.message, before);
            if let Some(names) = &names {
                diagnostic.message = crate::execute::relay::Names::restore_text(&**names, &diagnostic.message);
            }
            diagnostic
        });
        done.add(&outcome, diagnostics.collect());
        if outcome.info.is_empty() && done.info.counts_records() {
            done.info.add_single_row(outcome.affected_rows, bound.unchanged_is_duplicate);
        }
        match (bound.last_insert_id_after(outcome.insert_id), done.last_insert_id) {
            (_, LastInsertId::Generated(_)) => {}
            (LastInsertId::Generated(id), _) => {
                (done.insert_id, done.last_insert_id) = (id, LastInsertId::Generated(id));
            }
            // the first number that a server made stands
            (_, LastInsertId::AsReported) if done.insert_id != 0 => {}
            (other, _) => {
                // the last key that was read stands for those that the query gave
                done.insert_id = if outcome.insert_id == 0 { done.insert_id } else { outcome.insert_id };
                done.last_insert_id = other;
            }
        }
        Ok(())
    }
}

/// A text about a row of a chunk, before which so many rows were inserted.
fn counted_from(message: &str, before: u32) -> String {
    if before == 0 {
        return message.to_owned();
    }
    let rows: Vec<u32> = (before + 1..=before.saturating_add(CHUNK_ROWS as u32)).collect();
    write::at_row(message, &rows)
}

/// A failure with logical names.
fn renamed(failure: Failure, bound: &Bound) -> Failure {
    match bound.shards.first().and_then(|shard| shard.names.as_ref()) {
        Some(names) => failure.renamed(&**names),
        None => failure,
    }
}
