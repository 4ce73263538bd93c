//! Temporary tables that a statement reads in several places, on a server that opens each but once: copies, and queries of
//! WITH that are evaluated first. [`crate::plan::reread`] says what is needed.

use std::sync::Arc;

use bytes::Bytes;

use super::run::{Input, request};
use super::{Failure, Session};
use crate::backend::{KillHandle, Settings, StatementText};
use crate::execute::lane::Request;
use crate::execute::scratch::Budget;
use crate::execute::{ExecuteError, Lane, Watch};
use crate::plan::types::{
    NameEntry, NameMap, ParamSource, Params, ScratchBound, ScratchPlace, ScratchRead, ShardStatement, Text,
};
use crate::plan::{Evaluated, Plan, PlanError, Reread, TableCopy, Written, reread};
use crate::protocol::ColumnDef;

/// The `sql_mode` in which rows are copied from table to table as they are.
const AS_THEY_ARE: &str = "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";
/// The session's `sql_mode`, but for what makes a write out of a query an error where the query has a warning.
const NOT_STRICT: &str = "REPLACE(REPLACE(@@sql_mode,'STRICT_TRANS_TABLES',''),'STRICT_ALL_TABLES','')";

/// Which server a statement runs on, and what it is executed with.
#[derive(Clone, Copy)]
pub(super) struct Running<'a> {
    pub plan: &'a Plan,
    pub place: &'a ScratchPlace,
    /// The parameters of the statement.
    pub params: &'a Params,
    /// The client's command; none for a query of the session's own.
    pub input: Option<Input<'a>>,
}

impl Session {
    /// What a statement needs beside its tables on the server of `lane`; `only_shape`: to prepare it.
    pub(super) fn reread(
        &self,
        scratch: &ScratchBound,
        lane: &mut Lane,
        only_shape: bool,
    ) -> Result<Option<Reread>, Failure> {
        if !scratch.reads_again || lane.conn()?.is_mariadb() {
            return Ok(None);
        }
        let tables: Vec<&str> = scratch.reads.iter().map(|read| &*read.table.name).collect();
        Ok(reread(scratch.sql.bytes(b""), self.state.lex_mode, &tables, only_shape)?)
    }

    /// Evaluates the queries of WITH that come first. The lane is left with the settings that it had.
    pub(super) async fn evaluate_first(
        &mut self,
        lane: &mut Lane,
        first: &[Evaluated],
        running: Running<'_>,
        settings: &Settings,
    ) -> Result<Vec<Evaluation>, Failure> {
        let mut evaluations = Vec::new();
        for one in first {
            lane.settle_settings(settings, true).await?;
            let (_, _, columns) = lane.prepare_anew(&StatementText::new(&one.query.sql[..])).await?;
            let columns = columns.iter().map(|column| of_query(&evaluations, column)).collect();
            let copies = one.copies.iter().map(|copy| copy.name.clone());
            evaluations.push(Evaluation { tables: copies.chain([one.table.clone()]).collect(), columns });
            lane.settle_settings(&settings.with_var("sql_mode", Some(NOT_STRICT)), true).await?;
            self.queue_user_variables(running.plan, lane)?;
            let create = create_as(one);
            let sent = match running.input {
                Some(input) => request(&statement(&create, running.params, running.place), input, false),
                None => Request::Query(Bytes::from(create.sql)),
            };
            let handles: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
            let evaluating = async {
                lane.send(&sent).await?;
                lane.read_head().await
            };
            let watch = Watch { entry: &self.entry };
            watch.guard_killing(&self.client, &handles, evaluating).await?;
            if lane.outcome().warnings > 0 {
                // they would be the statement's
                return Err(refused("whose query gives warnings").into());
            }
            lane.settle_settings(&settings.with_var("sql_mode", Some(AS_THEY_ARE)), true).await?;
            for copy in &one.copies {
                copy_table(lane, copy, &[]).await?;
            }
        }
        lane.settle_settings(settings, true).await?;
        Ok(evaluations)
    }
}

/// A query of WITH that was evaluated.
pub(super) struct Evaluation {
    /// Its temporary table, and the copies of that.
    tables: Vec<Box<str>>,
    /// The columns of the query.
    columns: Vec<ColumnDef>,
}

/// A column as it would be if the queries of WITH that it comes from stood in their places.
pub(super) fn of_query(evaluations: &[Evaluation], column: &ColumnDef) -> ColumnDef {
    let is_of = |evaluation: &&Evaluation| evaluation.tables.iter().any(|table| table.as_bytes() == column.org_table);
    let Some(evaluation) = evaluations.iter().find(is_of) else { return column.clone() };
    let Some(known) = evaluation.columns.iter().find(|known| known.name == column.org_name) else {
        // it has another name where it is read; the names of temporary tables are the proxy's own
        return ColumnDef { schema: Bytes::new(), org_table: Bytes::new(), ..column.clone() };
    };
    let (schema, org_table, org_name) = (known.schema.clone(), known.org_table.clone(), known.org_name.clone());
    ColumnDef { schema, org_table, org_name, ..column.clone() }
}

fn create_as(one: &Evaluated) -> Written {
    let mut sql = format!("CREATE TEMPORARY TABLE {} AS ", quoted(&one.table)).into_bytes();
    sql.extend_from_slice(&one.query.sql);
    Written { sql, params: one.query.params.clone() }
}

fn refused(what: &str) -> PlanError {
    PlanError::not_supported(
        format!("a name of WITH that is read more than once on MySQL, and {what},"),
        "write its query in each place where it is read",
    )
}

/// Copies the filled tables. `used` says how many rows and bytes were brought into each.
pub(super) async fn copy_filled(
    lane: &mut Lane,
    scratch: &ScratchBound,
    copies: &[TableCopy],
    used: &[(u64, u64)],
    budget: &mut Budget,
) -> Result<(), ExecuteError> {
    for copy in copies {
        let Some(number) = number_of(&scratch.reads, copy) else { continue };
        let (rows, bytes) = used.get(number).copied().unwrap_or_default();
        budget.copied(rows, bytes)?;
        copy_table(lane, copy, &scratch.reads[number].table.columns).await?;
    }
    Ok(())
}

/// Makes the copies of tables that are empty.
pub(super) async fn copy_empty(lane: &mut Lane, copies: &[TableCopy]) -> Result<(), ExecuteError> {
    for copy in copies {
        lane.run(create_like(copy).as_bytes()).await?;
    }
    Ok(())
}

/// Which of the reads a copy is of.
pub(super) fn number_of(reads: &[ScratchRead], copy: &TableCopy) -> Option<usize> {
    reads.iter().position(|read| read.table.name == copy.of)
}

/// Without a list of columns, all that are visible.
async fn copy_table(lane: &mut Lane, copy: &TableCopy, columns: &[Box<str>]) -> Result<(), ExecuteError> {
    lane.run(create_like(copy).as_bytes()).await?;
    let list = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let (into, from) = if list.is_empty() { (String::new(), "*".to_owned()) } else { (format!(" ({list})"), list) };
    let sql = format!("INSERT INTO {}{into} SELECT {from} FROM {}", quoted(&copy.name), quoted(&copy.of));
    lane.run(sql.as_bytes()).await
}

fn create_like(copy: &TableCopy) -> String {
    format!("CREATE TEMPORARY TABLE {} LIKE {}", quoted(&copy.name), quoted(&copy.of))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A written text as a statement for the scratch server; `params` are those of the text it was written from.
pub(super) fn statement(written: &Written, params: &Params, place: &ScratchPlace) -> ShardStatement {
    let source = |number: &u32| match params {
        Params::Same => Some(ParamSource::Param(*number)),
        Params::List(sources) => sources.get(*number as usize).copied(),
    };
    ShardStatement {
        node: Arc::clone(&place.label),
        group: super::scratch_place::group_of(place),
        schema: Some(Arc::clone(&place.schema)),
        sql: Text::Rewritten(Bytes::copy_from_slice(&written.sql)),
        params: Params::List(written.params.iter().filter_map(source).collect()),
        names: None,
        rows: None,
    }
}

/// The definitions of the parameters of a text, from those of what was written for it.
pub(super) fn params_of(written: &Written, params: Vec<ColumnDef>) -> Vec<ColumnDef> {
    let count = written.params.iter().max().map_or(0, |last| *last as usize + 1);
    let first = |number: usize| written.params.iter().position(|written| *written as usize == number);
    (0..count).filter_map(first).filter_map(|at| params.get(at).cloned()).collect()
}

/// The copies by the names of what they stand for.
pub(super) fn with_copies(mut names: NameMap, reads: &[ScratchRead], copies: &[TableCopy]) -> NameMap {
    let of = |copy: &TableCopy| {
        let entry = names.entries.get(number_of(reads, copy)?)?;
        Some(NameEntry { physical_table: Arc::from(&*copy.name), ..entry.clone() })
    };
    let entries: Vec<NameEntry> = copies.iter().filter_map(of).collect();
    names.entries.extend(entries);
    names
}
