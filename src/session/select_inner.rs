//! Queries that the session runs for itself: the reading part of a write that is done in steps.
//!
//! They go the way of every query (plan, targets, merge), on the transaction's own connections, and give their rows to
//! the session instead of the client. Rows are asked for in the binary protocol: a FLOAT has all of its bits there.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::query::Text;
use super::run::Input;
use super::{Diagnostic, Failure, Session};
use crate::backend::{KillHandle, Role, StatementText};
use crate::error::SqlError;
use crate::execute::gather::{Gather, Kept, Progress};
use crate::execute::lane::{Head, Request};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::RowFormat;
use crate::plan::Access;
use crate::protocol::execute::{cursor, put_execute};
use crate::protocol::text_row::CellSpan;
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType, ProtocolError, Value, binary_row};
use crate::sql::scan;

/// The rows of a query of the session's own.
#[derive(Debug, Default)]
pub(super) struct InnerRows {
    /// Its columns.
    pub columns: Vec<ColumnDef>,
    /// Its rows, in the binary protocol; at most `limits.max_buffered_bytes` of them.
    pub rows: Vec<Bytes>,
    /// How many warnings it gave.
    pub warnings: u16,
    /// Those, as far as they are kept.
    pub diagnostics: Vec<Diagnostic>,
    types: Vec<ColumnType>,
}

impl InnerRows {
    /// The values of a row.
    pub fn values<'a>(&self, row: &'a [u8]) -> Result<Vec<Value<'a>>, ProtocolError> {
        let mut spans: Vec<CellSpan> = Vec::with_capacity(self.types.len());
        binary_row::index(row, &self.types, &mut spans)?;
        let cell = |(span, column): (&CellSpan, &ColumnDef)| {
            binary_row::value(row, span, column.kind, column.flags.contains(ColumnFlags::UNSIGNED))
        };
        spans.iter().zip(&self.columns).map(cell).collect()
    }
}

impl Session {
    /// Runs a query and gives its rows, on connections of the open transaction. Nothing reaches the client. Warnings are an
    /// error where `is_strict`: on one server they would have been one of the statement that this query is a part of.
    pub(super) async fn select_inner(&mut self, sql: Bytes, is_strict: bool) -> Result<InnerRows, Failure> {
        let outer = std::mem::take(&mut self.literals);
        let result = self.select_rows(sql, is_strict).await;
        self.literals = outer;
        result
    }

    async fn select_rows(&mut self, sql: Bytes, is_strict: bool) -> Result<InnerRows, Failure> {
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        let text = Text { sql };
        let snapshot = self.snapshot();
        let plan = self.plan(&text, &scanned, &snapshot, false).await?;
        if !matches!(plan.access, Access::Read | Access::LockingRead) {
            return Err(SqlError::not_supported("a query in this place that writes", "run it before").into());
        }
        let bound = self.bind(&plan, &text.sql, &[])?;
        let vars = Arc::clone(&self.state.vars);
        self.state.vars = vars.with("character_set_results", Some("'utf8mb4'")).with("sql_select_limit", None);
        if let Some(scratch) = &bound.scratch {
            let kept = Box::pin(self.scratch_inner(&snapshot, &plan, scratch, &text.sql)).await;
            self.state.vars = vars;
            let (columns, rows, warnings) = kept?;
            let count = u16::try_from(warnings.len()).unwrap_or(u16::MAX);
            return self.inner_rows(columns, rows, (count, warnings), is_strict);
        }
        let lanes = self.gather_lanes(&snapshot, &plan, &bound, Input::Text(&text), Role::Primary).await;
        self.state.vars = vars;
        let (lanes, mut parts) = lanes?;
        for part in &mut parts {
            part.request = in_binary(&part.request);
        }
        let spec = bound.merge.clone().unwrap_or_default();
        let bounds = self.gather_bounds();
        let limit_bytes = bounds.held_bytes;
        let watch = Watch { entry: &self.entry };
        let statements: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let opening = async { Ok(Gather::open(lanes, parts, &spec, RowFormat::Binary, bounds).await) };
        let mut gather = match watch.guard_killing(&self.client, &statements, opening).await? {
            Ok(gather) => gather,
            Err((error, lanes)) => return Err(self.inner_failed(lanes, error, &bound, &snapshot).await),
        };
        let columns = gather.columns().to_vec();
        if bound.expected_columns.is_some_and(|expected| expected != columns.len() + spec.hidden_columns) {
            self.invalidate(&plan, &snapshot);
            let message = "A table has changed while the statement was planned; run it again";
            let failure = SqlError::client(1105, "HY000", message);
            for lane in gather.finish().await.0 {
                self.settle(lane, &snapshot);
            }
            return Err(failure.into());
        }
        let mut kept = Kept { limit_bytes, ..Kept::default() };
        let progress = watch.guard_killing(&self.client, &statements, gather.advance(&mut kept)).await;
        let error = match progress {
            Ok(Progress::Done) => None,
            Ok(Progress::SinkFull) => Some(ExecuteError::TooLarge { limit_bytes }),
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            return Err(self.inner_failed(gather.into_lanes(), error, &bound, &snapshot).await);
        }
        let (mut lanes, count) = gather.finish().await;
        let warnings = self.collect_warnings(&mut lanes).await;
        for lane in lanes {
            self.settle(lane, &snapshot);
        }
        self.inner_rows(columns, kept.rows, (count, warnings), is_strict)
    }

    /// Runs a query of the session's own on one lane, which is given back.
    pub(super) async fn rows_of(
        &mut self,
        mut lane: Lane,
        sql: Bytes,
        snapshot: &Arc<super::Snapshot>,
    ) -> Result<InnerRows, Failure> {
        let watch = Watch { entry: &self.entry };
        let statements: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
        let request = in_binary(&Request::Query(sql));
        let work = async {
            lane.send(&request).await?;
            let Head::Rows(columns) = lane.read_head().await? else { return Ok(InnerRows::default()) };
            let mut rows = Vec::new();
            while let Some(row) = lane.read_row().await? {
                rows.push(row);
            }
            let types = columns.iter().map(|column| column.kind).collect();
            Ok(InnerRows { columns, rows, types, ..InnerRows::default() })
        };
        match watch.guard_killing(&self.client, &statements, work).await {
            Ok(rows) => {
                self.settle(lane, snapshot);
                Ok(rows)
            }
            Err(error) => Err(self.lane_failed(lane, error, snapshot)),
        }
    }

    async fn inner_failed(
        &mut self,
        lanes: Vec<Lane>,
        error: ExecuteError,
        bound: &crate::plan::Bound,
        snapshot: &Arc<super::Snapshot>,
    ) -> Failure {
        let failure = self.gather_failed(lanes, error, snapshot).await;
        match bound.shards.first().and_then(|shard| shard.names.as_ref()) {
            Some(names) => failure.renamed(&**names),
            None => failure,
        }
    }

    /// Whether a write that meets a wrong value fails.
    pub(super) fn is_strict(&self) -> bool {
        super::values::is_strict(&self.state)
    }

    /// The rows of a query, unless a warning is an error.
    fn inner_rows(
        &self,
        columns: Vec<ColumnDef>,
        rows: VecDeque<Bytes>,
        (count, warnings): (u16, Vec<Diagnostic>),
        is_strict: bool,
    ) -> Result<InnerRows, Failure> {
        let fails = |warning: &&Diagnostic| warning.level != "Note" && self.shared.is_error_when_strict(warning.code);
        if let Some(warning) = warnings.iter().find(fails).filter(|_| is_strict) {
            return Err(SqlError::client(warning.code, sqlstate_of(warning.code), warning.message.clone()).into());
        }
        let types = columns.iter().map(|column| column.kind).collect();
        Ok(InnerRows { columns, rows: rows.into_iter().collect(), warnings: count, diagnostics: warnings, types })
    }
}

/// The SQLSTATE of an error that a warning becomes.
fn sqlstate_of(code: u16) -> &'static str {
    match code {
        1264 => "22003",        // ER_WARN_DATA_OUT_OF_RANGE
        1265 => "01000",        // WARN_DATA_TRUNCATED
        1292 | 1411 => "22007", // ER_TRUNCATED_WRONG_VALUE, ER_WRONG_VALUE_FOR_TYPE
        1365 => "22012",        // ER_DIVISION_BY_ZERO
        1690 => "22003",        // ER_DATA_OUT_OF_RANGE
        _ => "HY000",
    }
}

/// The same statement, whose rows come in the binary protocol.
pub(super) fn in_binary(request: &Request) -> Request {
    let Request::Query(sql) = request else { return request.clone() };
    let mut payload = BytesMut::new();
    put_execute(0, cursor::NONE, std::iter::empty(), &mut payload);
    Request::Execute { text: StatementText::new(&sql[..]), payload: payload.freeze() }
}
