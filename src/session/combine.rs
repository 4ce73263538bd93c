//! Grouped queries whose partial groups are put together on a scratch server (`plan/combine`).
//!
//! What the columns of the answer are is asked of the server: the client's statement runs over empty tables of the shards'
//! columns. If the statement over the groups would give other types, or anything else is not as it should be, this way
//! is left, and the rows themselves are brought there.

use std::sync::Arc;

use bytes::Bytes;

use super::scratch::{Asking, Opened};
use super::scratch_columns::{Brought, Sources, labelled};
use super::scratch_gate::Deadline;
use super::scratch_place::{loading, names, names_of, statement};
use super::select_inner::in_binary;
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::{BackendError, KillHandle, Settings};
use crate::execute::lane::{Head, Request};
use crate::execute::own_query::query_rows;
use crate::execute::scratch::{Budget, fill};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::RowFormat;
use crate::plan::Plan;
use crate::plan::types::{
    CellText, CombineBound, NameMap, ScratchBound, ScratchPlace, ScratchRead, ScratchTable, ShardStatement, Text,
};
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType};

/// What makes the values of two columns of a type different ones.
const OF_VALUES: ColumnFlags = ColumnFlags::UNSIGNED.with(ColumnFlags::ZEROFILL);

/// The tables of a query that is combined, empty yet.
struct Defined {
    /// The columns of the answer.
    columns: Vec<ColumnDef>,
    /// The table of parts.
    parts: ScratchTable,
}

impl Session {
    /// Opens a query over whole groups; `None` if the rows themselves must be brought together.
    pub(super) async fn open_combined(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        combine: &CombineBound,
        asking: Asking<'_>,
    ) -> Result<Option<(Opened, NameMap)>, Failure> {
        let permit = self.enter_scratch(snapshot).await?;
        let rules = &snapshot.rules.proxy.scratch;
        let deadline = Deadline::new(rules);
        let (mut lane, place) = self.scratch_lane(snapshot, scratch).await?;
        let settings = self.scratch_settings(place);
        let expected = asking.request(&statement(scratch, place));
        let last = Request::Query(combine.sql.clone());
        let last = if asking.format() == RowFormat::Binary { in_binary(&last) } else { last };

        let handles = lane_handles(&lane);
        let defining = define(&mut lane, scratch, combine, place, &settings, &expected, &last);
        let Some(Some(Defined { columns, parts })) = self.watched(&handles, defining).await? else {
            return Ok(None);
        };
        let read = self.brought(snapshot, plan, scratch, &columns, deadline).await?;
        let mut budget = Budget::new(rules.max_rows, rules.max_bytes);
        let brought = self.bring_parts(snapshot, plan, combine, &parts, &mut lane, &mut budget, deadline).await?;
        let (warnings, diagnostics) = brought;
        if budget.warnings() > 0 {
            return Ok(None);
        }

        let grouping = put_together(&mut lane, combine, place, &settings);
        if self.watched(&handles, grouping).await? != Some(true) {
            return Ok(None);
        }
        let (rows, bytes) = budget.used();
        tracing::debug!(server = %place.label, rows, bytes, "partial groups are put together");
        let gather = match self.open_scratch(lane, last, asking.format()).await {
            Ok(gather) => gather,
            // its own text tells of columns that the client knows
            Err(Failure::Sql(error)) => {
                tracing::debug!(errno = error.errno, "a query over groups failed");
                return Ok(None);
            }
            Err(failure) => return Err(failure.renamed(&names(scratch, place))),
        };
        let columns = labelled(Sources { read, evaluations: Vec::new() }.restored(&columns), scratch);
        Ok(Some((Opened { gather, columns, warnings, diagnostics, _permit: permit }, names(scratch, place))))
    }

    /// Runs something on a scratch server; `None` if the server refuses it.
    async fn watched<T>(
        &mut self,
        handles: &[KillHandle],
        work: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<Option<T>, Failure> {
        let watch = Watch { entry: &self.entry };
        match watch.guard_killing(&self.client, handles, work).await {
            Ok(done) => Ok(Some(done)),
            Err(ExecuteError::Backend(BackendError::Server(error))) => {
                tracing::debug!(errno = error.errno, message = %error.message, "groups are not put together");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How the shards describe the tables whose columns are shown as they are.
    async fn brought(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        columns: &[ColumnDef],
        deadline: Deadline,
    ) -> Result<Vec<Brought>, Failure> {
        let mut brought = Vec::with_capacity(scratch.reads.len());
        for read in &scratch.reads {
            let is_shown = columns.iter().any(|column| *column.org_table == *read.table.name.as_bytes());
            let defined = if is_shown { self.described(snapshot, plan, read, deadline).await? } else { Vec::new() };
            brought.push(Brought::new(read, defined));
        }
        Ok(brought)
    }

    async fn described(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        read: &ScratchRead,
        deadline: Deadline,
    ) -> Result<Vec<ColumnDef>, Failure> {
        let Some(first) = read.shards.first() else { return Ok(Vec::new()) };
        let sql = Bytes::from([first.sql.bytes(b""), b" LIMIT 0"].concat());
        let one = ShardStatement { sql: Text::Rewritten(sql), ..first.clone() };
        let gather = self.open_read(snapshot, plan, &[one], false, deadline).await?;
        let columns = gather.columns().to_vec();
        for lane in gather.finish().await.0 {
            self.settle(lane, snapshot);
        }
        Ok(columns)
    }

    /// Brings the partial groups of the shards into their table; gives the shards' warnings.
    #[allow(clippy::too_many_arguments)]
    async fn bring_parts(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        combine: &CombineBound,
        parts: &ScratchTable,
        lane: &mut Lane,
        budget: &mut Budget,
        deadline: Deadline,
    ) -> Result<(u16, Vec<Diagnostic>), Failure> {
        let mut gather = self.open_read(snapshot, plan, &combine.shards, false, deadline).await?;
        let watch = Watch { entry: &self.entry };
        let mut handles = gather.kill_handles();
        handles.extend(lane.kill_handle());
        let filling = deadline.watch(&handles, fill(&mut gather, lane, parts, budget));
        let filled = watch.guard_killing(&self.client, &handles, filling).await;
        if let Err(error) = filled.map_err(|error| deadline.explain(error)) {
            let failure = self.gather_failed(gather.into_lanes(), error, snapshot).await;
            return Err(failure.renamed(&names_of(&combine.shards)));
        }
        let (mut lanes, warnings) = gather.finish().await;
        let diagnostics = self.collect_warnings(&mut lanes).await;
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        Ok((warnings, diagnostics))
    }
}

fn lane_handles(lane: &Lane) -> Vec<KillHandle> {
    lane.kill_handle().into_iter().collect()
}

/// Makes the tables, and sees what the client's statement gives over empty ones; `None` if the statement over the groups
/// would give something else, or the parts cannot be stored.
async fn define(
    lane: &mut Lane,
    scratch: &ScratchBound,
    combine: &CombineBound,
    place: &ScratchPlace,
    settings: &Settings,
    expected: &Request,
    last: &Request,
) -> Result<Option<Defined>, ExecuteError> {
    for read in &scratch.reads {
        lane.queue_prelude(read.table.create.as_bytes())?;
    }
    lane.run_preludes().await?;
    lane.settle_settings(settings, true).await?;
    let columns = columns_of(lane, expected).await?;
    lane.queue_prelude(&combine.create_parts)?;
    lane.queue_prelude(&combine.create_groups)?;
    let (stored, _) = query_rows(lane, &format!("SELECT * FROM {} LIMIT 0", combine.parts), 0).await?;
    let Some(parts) = parts_table(combine.parts, &stored) else { return Ok(None) };
    let of_groups = columns_of(lane, last).await?;
    lane.settle_settings(&loading(place), true).await?;
    let alike =
        columns.len() == of_groups.len() && columns.iter().zip(&of_groups).all(|(one, other)| is_alike(one, other));
    if !alike {
        tracing::debug!(?columns, ?of_groups, "groups have other types than rows");
    }
    Ok(alike.then_some(Defined { columns, parts }))
}

/// Fills the table of whole groups; false if that was not free of warnings.
async fn put_together(
    lane: &mut Lane,
    combine: &CombineBound,
    place: &ScratchPlace,
    settings: &Settings,
) -> Result<bool, ExecuteError> {
    // what limits the length of GROUP_CONCAT is the session's; every value that a column can hold is taken
    let mode = loading(place).vars.get("sql_mode").cloned();
    let vars = settings.vars.with("sql_mode", mode.as_deref());
    lane.settle_settings(&Settings::new(settings.schema.clone(), vars), true).await?;
    lane.run(&combine.whole).await?;
    let clean = lane.outcome().warnings == 0;
    lane.settle_settings(settings, true).await?;
    Ok(clean)
}

/// The columns of a statement's answer, whose rows do not matter.
async fn columns_of(lane: &mut Lane, request: &Request) -> Result<Vec<ColumnDef>, ExecuteError> {
    lane.send(request).await?;
    let Head::Rows(columns) = lane.read_head().await? else { return Ok(Vec::new()) };
    while lane.read_row().await?.is_some() {}
    Ok(columns)
}

/// The table of parts with these columns; `None` if the text of a value would not be the value.
fn parts_table(name: &str, columns: &[ColumnDef]) -> Option<ScratchTable> {
    let cells: Vec<CellText> = columns.iter().map(cell_text).collect::<Option<_>>()?;
    Some(ScratchTable {
        name: name.into(),
        create: "".into(),
        create_without_unique: "".into(),
        primary_key: Vec::new(),
        select: "*".into(),
        columns: columns.iter().map(|column| String::from_utf8_lossy(&column.name).into()).collect(),
        cells,
        has_timestamp: false,
        needs_insert: false,
    })
}

fn cell_text(column: &ColumnDef) -> Option<CellText> {
    use ColumnType as T;
    Some(match column.kind {
        T::DECIMAL | T::NEWDECIMAL | T::NULL => CellText::Plain,
        T::DOUBLE | T::DATE | T::NEWDATE | T::TIME | T::DATETIME => CellText::Quoted,
        kind if kind.is_integer() => CellText::Plain,
        // in the column's own character set
        kind if kind == T::BIT || is_string(kind) => CellText::Bytes,
        _ => return None,
    })
}

fn is_string(kind: ColumnType) -> bool {
    use ColumnType as T;
    const STRINGS: &[ColumnType] =
        &[T::VARCHAR, T::VAR_STRING, T::STRING, T::ENUM, T::SET, T::TINY_BLOB, T::BLOB, T::MEDIUM_BLOB, T::LONG_BLOB];
    STRINGS.contains(&kind)
}

/// Whether values of one column are written as those of the other.
fn is_alike(one: &ColumnDef, other: &ColumnDef) -> bool {
    if is_string(one.kind) && is_string(other.kind) {
        return one.charset == other.charset;
    }
    let flags = one.flags.0 & OF_VALUES.0 == other.flags.0 & OF_VALUES.0;
    one.kind == other.kind && flags && one.decimals == other.decimals && one.charset == other.charset
}
