//! A read of several shards: its lanes, and its rows on their way to the client or into a cursor.

use std::sync::Arc;

use bytes::BytesMut;

use super::prepared::Cursor;
use super::run::{Input, parameters, request};
use super::{Failure, Session, Snapshot};
use crate::backend::{KillHandle, Role};
use crate::config::GroupId;
use crate::error::SqlError;
use crate::execute::gather::{Frames, Gather, Kept, Part, Progress};
use crate::execute::lane::Request;
use crate::execute::relay::renamed;
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::MAX_SORT_LENGTH;
use crate::plan::{Access, Bound, Plan};
use crate::protocol::{ColumnDef, ColumnFlags, StatusFlags};

impl Session {
    /// Several targets, read: their rows are merged. What the merge turns out not to compare, once it sees the types of the
    /// columns, runs over temporary tables.
    pub(super) async fn gather(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
    ) -> Result<Option<Cursor>, Failure> {
        let seq = self.client.stream.seq();
        let skipped = bound.skipped;
        let result = self.gather_rows(snapshot, plan, bound, input, true).await;
        let unmergeable = match &result {
            Err(Failure::Sql(error)) if error.is_not_supported() && self.client.stream.seq() == seq => error,
            _ => return result,
        };
        let params = match input {
            Input::Text(_) => Vec::new(),
            Input::Execute { prepared, payload, .. } => parameters(prepared, payload)?,
        };
        let reason = unmergeable.message.clone();
        match plan.bind_scratch(reason, input.sql(), &self.literals, &params, &self.asked()) {
            Some(scratch) => Box::pin(self.run_scratch(snapshot, plan, &scratch, skipped, input)).await,
            None => result,
        }
    }

    /// `is_first`: it may be tried once more.
    async fn gather_rows(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
        is_first: bool,
    ) -> Result<Option<Cursor>, Failure> {
        let role = self.role(snapshot, plan);
        // The limit is on the rows of the answer, not on those of each shard.
        let select_limit = self.state.vars.get("sql_select_limit").and_then(|limit| limit.parse::<u64>().ok());
        let vars = Arc::clone(&self.state.vars);
        if select_limit.is_some() {
            self.state.vars = vars.with("sql_select_limit", None);
        }
        // What is sorted by a few bytes only is in an order that the merge does not know; that by more bytes is one of those
        // that the session asks for.
        if vars
            .get("max_sort_length")
            .and_then(|length| length.parse::<usize>().ok())
            .is_some_and(|length| length < MAX_SORT_LENGTH)
        {
            self.state.vars = self.state.vars.with("max_sort_length", None);
        }
        let lanes = self.gather_lanes(snapshot, plan, &bound, input, role).await;
        self.state.vars = vars;
        let (lanes, parts) = lanes?;
        let mut spec = bound.merge.clone().unwrap_or_default();
        if spec.limit.is_none() && select_limit.is_some() {
            Arc::make_mut(&mut spec).limit = select_limit;
        }
        let bounds = self.gather_bounds();
        let watch = Watch { entry: &self.entry };
        let statements: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let opening = async { Ok(Gather::open(lanes, parts, &spec, input.format(), bounds).await) };
        let mut gather = match watch.guard_killing(&self.client, &statements, opening).await? {
            Ok(gather) => gather,
            // As in `run_single`: pooled connections may have been closed by their server.
            Err((error, lanes))
                if error.is_backend_lost()
                    && is_first
                    && plan.access == Access::Read
                    && lanes.iter().any(Lane::was_reused)
                    && !lanes.iter().any(Lane::must_stay) =>
            {
                drop(lanes);
                return Box::pin(self.gather_rows(snapshot, plan, bound, input, false)).await;
            }
            Err((error, lanes)) => return Err(self.gather_failed(lanes, error, snapshot).await),
        };
        let visible = gather.columns().len() + spec.hidden_columns;
        if bound.expected_columns.is_some_and(|expected| expected != visible) {
            self.invalidate(plan, snapshot);
            let error =
                SqlError::client(1105, "HY000", "A table has changed while the statement was planned; run it again");
            drop(gather);
            return Err(error.into());
        }
        let names = bound.shards.first().and_then(|shard| shard.names.clone());
        let columns: Vec<ColumnDef> = match &names {
            Some(names) => gather.columns().iter().map(|c| renamed(c.view(), &**names).to_owned()).collect(),
            None => gather.columns().to_vec(),
        };
        let columns = if input.wants_cursor() { columns.into_iter().map(of_cursor).collect() } else { columns };
        let result = if input.wants_cursor() {
            self.keep_rows(&mut gather, &columns).await.map(Some)
        } else {
            self.stream_rows(&mut gather, &columns).await.map(|()| None)
        };
        let open = match result {
            Ok(open) => open,
            Err(error) => return Err(self.gather_failed(gather.into_lanes(), error, snapshot).await),
        };
        let rows = gather.rows_found();
        let (mut lanes, warnings) = gather.finish().await;
        let diagnostics = self.collect_warnings(&mut lanes).await;
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        self.finish_rows(rows, warnings, open.is_some());
        self.state.diagnostics = diagnostics;
        Ok(open)
    }

    pub(super) fn finish_rows(&mut self, rows: u64, warnings: u16, cursor: bool) {
        let status = self.status();
        let status = if cursor { status.with(StatusFlags::CURSOR_EXISTS) } else { status };
        // The EOF behind the columns is the end of an answer that opens a cursor.
        if !cursor || self.client.deprecates_eof() {
            self.client.put_end(status, warnings);
        }
        self.state.found_rows = rows;
        self.state.row_count = -1;
        self.state.diagnostics.clear();
    }

    /// A lane for each group, and outside of a transaction more of them, up to `max_fan_out` per group: as many as are free.
    /// Only the first of a group is waited for, in the order of the groups, so that scatters do not wait for each other.
    pub(super) async fn gather_lanes(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        bound: &Bound,
        input: Input<'_>,
        role: Role,
    ) -> Result<(Vec<Lane>, Vec<Part>), Failure> {
        let held = self.txn.is_active() || !self.state.autocommit || self.pins.any();
        let per_group = if held { 1 } else { self.shared.limits().max_fan_out.max(1) };
        let mut groups: Vec<GroupId> = bound.shards.iter().map(|shard| shard.group).collect();
        groups.sort();
        groups.dedup();
        let mut lanes: Vec<Lane> = Vec::with_capacity(groups.len());
        for &group in &groups {
            let Some(shard) = bound.shards.iter().find(|shard| shard.group == group) else { continue };
            match self.lane_for(snapshot, plan, shard, role).await {
                Ok(lane) => lanes.push(lane),
                Err(failure) => {
                    self.put_back(lanes, snapshot).await;
                    return Err(failure);
                }
            }
        }
        for &group in &groups {
            for shard in bound.shards.iter().filter(|shard| shard.group == group).take(per_group).skip(1) {
                match self.spare_lane(snapshot, plan, shard, role).await? {
                    Some(lane) => lanes.push(lane),
                    None => break,
                }
            }
        }
        let mut parts: Vec<Part> = Vec::with_capacity(bound.shards.len());
        // The schema that each lane is in once its parts so far have run.
        let mut schemas: Vec<Option<Arc<str>>> = lanes.iter().map(Lane::schema).collect();
        for shard in &bound.shards {
            let of_group: Vec<usize> = (0..lanes.len()).filter(|&lane| lanes[lane].group() == shard.group).collect();
            let used = parts.iter().filter(|part| lanes[part.lane].group() == shard.group).count();
            let lane = of_group[used % of_group.len()];
            let before = shard.schema.as_ref().filter(|schema| schemas[lane].as_ref() != Some(schema)).cloned();
            if before.is_some() {
                schemas[lane].clone_from(&before);
            }
            let before = before.map(Request::UseSchema);
            parts.push(Part { lane, request: request(shard, input, false), before });
        }
        Ok((lanes, parts))
    }

    /// A read on several shards failed. Inside of a transaction the shards that did not fail must go on.
    pub(super) async fn gather_failed(
        &mut self,
        mut lanes: Vec<Lane>,
        error: ExecuteError,
        snapshot: &Arc<Snapshot>,
    ) -> Failure {
        if error.is_deadlock() && !self.pins.any() {
            // One server has rolled back and ended the transaction, so all must.
            drop(lanes);
            self.txn.abandon();
            return error.into();
        }
        let at_a_row = !matches!(error, ExecuteError::Interrupted | ExecuteError::ClientLost(_));
        if at_a_row && !error.is_backend_lost() {
            let rest = async {
                for lane in lanes.iter_mut().filter(|lane| lane.must_stay() && lane.is_busy()) {
                    lane.drain(usize::MAX).await;
                }
                Ok(())
            };
            // If that is disturbed, the lanes are still busy, and lost.
            let _ = Watch { entry: &self.entry }.guard(&self.client, rest).await;
        }
        self.lanes_failed(lanes, error, snapshot)
    }

    /// Sends the merged rows as they come. Nothing leaves before the first rows are merged: until then an error can take
    /// the place of the answer.
    pub(super) async fn stream_rows(&mut self, gather: &mut Gather, columns: &[ColumnDef]) -> Result<(), ExecuteError> {
        let mark = (self.client.stream.write_buffer().len(), self.client.stream.seq());
        let status = self.status().without(StatusFlags::MORE_RESULTS_EXISTS);
        self.client.put_columns(columns.iter(), status);
        let mut frames = Frames { out: BytesMut::new(), seq: self.client.stream.seq() };
        let mut is_first = true;
        let statements = gather.kill_handles();
        loop {
            let watch = Watch { entry: &self.entry };
            let progress = match watch.guard_killing(&self.client, &statements, gather.advance(&mut frames)).await {
                Ok(progress) => progress,
                Err(error) => {
                    if is_first {
                        self.client.stream.write_buffer().truncate(mark.0);
                        self.client.stream.set_seq(mark.1);
                    }
                    return Err(error);
                }
            };
            watch.write(&mut self.client, &frames.out).await?;
            frames.out.clear();
            self.client.stream.set_seq(frames.seq);
            is_first = false;
            if progress == Progress::Done {
                return Ok(());
            }
        }
    }

    /// Keeps the merged rows for a cursor; the client gets the columns, and fetches the rows later.
    pub(super) async fn keep_rows(
        &mut self,
        gather: &mut Gather,
        columns: &[ColumnDef],
    ) -> Result<Cursor, ExecuteError> {
        let limit_bytes = self.shared.limits().max_buffered_bytes;
        let mut kept = Kept { limit_bytes, ..Kept::default() };
        let watch = Watch { entry: &self.entry };
        let statements = gather.kill_handles();
        let advanced = watch.guard_killing(&self.client, &statements, gather.advance(&mut kept)).await?;
        if advanced == Progress::SinkFull {
            return Err(ExecuteError::TooLarge { limit_bytes });
        }
        let status = self.status().with(StatusFlags::CURSOR_EXISTS);
        self.client.put_columns(columns.iter(), status);
        Ok(Cursor::Rows(kept.rows))
    }
}

/// `PART_KEY_FLAG`: an index begins with the column, or has it further behind.
pub(super) const PART_KEY: ColumnFlags = ColumnFlags(1 << 14);

/// A column as a server describes it that opens a cursor: the rows are in a temporary table then, and its columns are part
/// of no key.
pub(super) fn of_cursor(column: ColumnDef) -> ColumnDef {
    let keys = ColumnFlags::PRIMARY_KEY
        .with(ColumnFlags::UNIQUE_KEY)
        .with(ColumnFlags::MULTIPLE_KEY)
        .with(PART_KEY)
        .with(ColumnFlags::AUTO_INCREMENT);
    ColumnDef { flags: column.flags.without(keys), ..column }
}
