//! A plan, carried out: one target is relayed, several are gathered (reads) or written to.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::moment::at_one_moment;
use super::prepared::{Cursor, Prepared};
use super::query::Text;
use super::values::raw_value;
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::{KillHandle, Role, Settings, StatementText};
use crate::config::GroupId;
use crate::error::SqlError;
use crate::execute::gather::{Frames, Gather, Kept, Part, Progress};
use crate::execute::lane::{Outcome, Request};
use crate::execute::relay::{Names, Style, relay, renamed};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::RowFormat;
use crate::observe::{QueryKind, Way};
use crate::plan::types::{LastInsertId, Params, ServerHint, StatementKind, Text as ShardText};
use crate::plan::{Access, Bound, Plan, ShardStatement};
use crate::protocol::execute::{cursor, put_execute};
use crate::protocol::{ColumnDef, ColumnFlags, StatusFlags};
use crate::txn::Want;

/// ER_LOCK_DEADLOCK: the whole transaction is rolled back.
const DEADLOCK: u16 = 1213;

/// Where a statement's values come from.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// All are in the text.
    Text(&'a Text),
    /// COM_STMT_EXECUTE.
    Execute {
        /// The statement and its parameters.
        prepared: &'a Prepared,
        /// The client's packet.
        payload: &'a Bytes,
        /// Whether a cursor is wanted.
        wants_cursor: bool,
    },
}

impl Input<'_> {
    pub(super) fn sql(&self) -> &Bytes {
        match self {
            Self::Text(text) => &text.sql,
            Self::Execute { prepared, .. } => &prepared.text.sql,
        }
    }

    pub(super) fn format(&self) -> RowFormat {
        match self {
            Self::Text(_) => RowFormat::Text,
            Self::Execute { .. } => RowFormat::Binary,
        }
    }

    pub(super) fn wants_cursor(&self) -> bool {
        matches!(self, Self::Execute { wants_cursor: true, .. })
    }
}

impl Session {
    /// Carries out a plan for a COM_QUERY.
    pub(super) async fn run_text(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        text: &Text,
    ) -> Result<(), Failure> {
        if let Some(payload) = self.binary.clone() {
            // A statement inside of one that the session runs itself.
            let mut prepared = Prepared::inside(text.clone(), self.state.lex_mode);
            return Box::pin(self.run_prepared(snapshot, plan, &mut prepared, &payload, false)).await;
        }
        let Some(bound) = self.bind_with_keys(snapshot, plan, &text.sql, &[]).await? else {
            return Box::pin(self.run_steps(snapshot, plan, text)).await;
        };
        self.run_bound(snapshot, plan, bound, Input::Text(text)).await.map(drop)
    }

    /// Carries out a plan for a COM_STMT_EXECUTE, and keeps the cursor that it may leave open.
    pub(super) async fn run_prepared(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        prepared: &mut Prepared,
        payload: &Bytes,
        wants_cursor: bool,
    ) -> Result<(), Failure> {
        let count = prepared.params.len();
        let values = (0..count)
            .map(|param| prepared.params.value(param, payload, &prepared.long_data).map(|value| raw_value(&value)))
            .collect::<Result<Vec<_>, _>>()?;
        let bound = self.bind_with_keys(snapshot, plan, &prepared.text.sql, &values).await?;
        drop(values);
        let Some(bound) = bound else { return Box::pin(self.run_prepared_as_text(prepared, payload)).await };
        let input = Input::Execute { prepared, payload, wants_cursor };
        let open = self.run_bound(snapshot, plan, bound, input).await?;
        if open.is_some() {
            self.pins.cursors += 1;
        }
        prepared.cursor = open;
        Ok(())
    }

    async fn run_bound(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
    ) -> Result<Option<Cursor>, Failure> {
        if !self.state.autocommit && !self.txn.is_active() && plan.access != Access::Ddl {
            let first = bound.shards.first().map(|shard| shard.group);
            self.begin_as_announced(bound.shards.iter().any(|shard| Some(shard.group) != first));
        }
        if plan.access == Access::LockingRead && (self.txn.is_active() || !self.state.autocommit) {
            // A function or a procedure that nothing is known of may have written.
            bound.shards.iter().for_each(|shard| self.txn.note_possible_write(shard.group));
        }
        if let Some(scratch) = &bound.scratch {
            let result = Box::pin(self.run_scratch(snapshot, plan, scratch, input)).await;
            let way = if result.is_ok() { Way::Scratch } else { Way::Failed };
            self.note_way(plan, way);
            return result;
        }
        self.check_user_variable_room(plan)?;
        let announced = self.announcement(plan).is_some();
        let single = bound.shards.len() == 1;
        let names = bound.shards.first().and_then(|shard| shard.names.clone());
        let vars = Arc::clone(&self.state.vars);
        if !single && (plan.needs.timestamp || plan.needs.row_times) {
            self.state.vars = at_one_moment(&vars);
        }
        let result = match (plan.access, bound.shards.len()) {
            (Access::Ddl, _) => Box::pin(self.run_ddl(snapshot, plan, bound, input)).await.map(|()| None),
            (_, 1) if bound.names_in_rows => {
                Box::pin(self.run_renamed(snapshot, plan, &bound, input)).await.map(|()| None)
            }
            (_, 1) if bound.merge.is_none() && !bound.answers_insert_id => {
                self.run_single(snapshot, plan, &bound, input).await
            }
            (Access::Read | Access::LockingRead, _) => {
                Box::pin(self.gather_rows(snapshot, plan, bound, input, true)).await
            }
            (Access::Write, _) => Box::pin(self.run_write(snapshot, plan, bound, input)).await.map(|()| None),
        };
        self.state.vars = vars;
        let way = match &result {
            Err(_) => Way::Failed,
            Ok(_) if single => Way::Relay,
            Ok(_) => Way::Scatter,
        };
        self.note_way(plan, way);
        if announced && !self.was_refused_as_read_only(&result) {
            self.forget_announcement();
        }
        match (result, names) {
            (Err(failure), Some(names)) => Err(failure.renamed(&*names)),
            (result, Some(names)) => {
                for diagnostic in &mut self.state.diagnostics {
                    diagnostic.message = names.restore_text(&diagnostic.message);
                }
                result
            }
            (result, None) => result,
        }
    }

    /// Notes in the metrics how a statement has gone.
    fn note_way(&mut self, plan: &Plan, way: Way) {
        let ended = Instant::now();
        self.shared.note_query(kind_of(plan.kind), way, ended.duration_since(self.since));
        self.since = ended;
    }

    /// Primary or replica, for a statement of this kind at this moment.
    pub(super) fn role(&self, snapshot: &Snapshot, plan: &Plan) -> Role {
        if plan.access != Access::Read
            || !self.state.autocommit
            || self.txn.is_active()
            // A connection that the session holds serves its writes too.
            || self.pins.any()
            || plan.pins.named_lock
            || plan.server_hint == Some(ServerHint::Primary)
        {
            return Role::Primary;
        }
        if plan.server_hint == Some(ServerHint::Replica) {
            return Role::Replica;
        }
        let reads = &snapshot.rules.proxy.reads;
        let window = std::time::Duration::from_millis(reads.read_after_write_ms);
        match self.state.last_write {
            _ if !reads.split => Role::Primary,
            Some(written) if written.elapsed() < window => Role::Primary,
            _ => Role::Replica,
        }
    }

    /// One target: its bytes pass untouched.
    async fn run_single(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: &Bound,
        input: Input<'_>,
    ) -> Result<Option<Cursor>, Failure> {
        let Some(shard) = bound.shards.first() else { return Ok(None) };
        if plan.access == Access::Write {
            self.check_write(snapshot, &[shard.group])?;
        }
        // The connection of an open cursor is held, and a held connection must be able to serve a write.
        let role = if input.wants_cursor() { Role::Primary } else { self.role(snapshot, plan) };
        let mut retried = false;
        loop {
            let mut lane = self.lane_for(snapshot, plan, shard, role).await?;
            let seq = self.client.stream.seq();
            let result = self.relay_one(&mut lane, shard, input).await;
            match result {
                Ok(()) => {
                    let open = self.note_cursor(&mut lane, shard, input);
                    return self.after_single(lane, snapshot, plan, bound).await.map(|()| open);
                }
                // A pooled connection may have been closed by its server; a read that had no answer yet loses nothing.
                Err(error)
                    if error.is_backend_lost()
                        && !retried
                        && plan.access == Access::Read
                        && !lane.in_transaction()
                        && !self.pins.any()
                        && self.client.stream.seq() == seq
                        && lane.was_reused() =>
                {
                    retried = true;
                    lane.discard();
                }
                Err(error) => return Err(self.lane_failed(lane, error, snapshot)),
            }
        }
    }

    async fn relay_one(
        &mut self,
        lane: &mut Lane,
        shard: &ShardStatement,
        input: Input<'_>,
    ) -> Result<(), ExecuteError> {
        let watch = Watch { entry: &self.entry };
        match input {
            Input::Text(text) => watch.guard(&self.client, lane.send_query(shard.sql.bytes(&text.sql))).await?,
            Input::Execute { .. } => {
                // It may have to be prepared first, which waits for locks on its tables.
                let statement = lane.kill_handle();
                let request = request(shard, input, input.wants_cursor());
                watch.guard_killing(&self.client, statement.as_slice(), lane.send(&request)).await?;
            }
        }
        let style = Style {
            more_results: self.more_results,
            names: shard.names.as_deref().map(|names| names as &dyn Names),
            ..Style::PLAIN
        };
        relay(lane, &mut self.client, watch, style).await
    }

    fn note_cursor(&mut self, lane: &mut Lane, shard: &ShardStatement, input: Input<'_>) -> Option<Cursor> {
        let open = lane.outcome().error.is_none() && lane.outcome().status.contains(StatusFlags::CURSOR_EXISTS);
        let Input::Execute { prepared, .. } = input else { return None };
        if !open {
            return None;
        }
        let text = statement_text(shard, prepared);
        let statement_id = lane.conn().ok()?.prepared(&text)?.id;
        Some(Cursor::Backend { group: shard.group, statement_id })
    }

    /// After a relayed statement: what the session remembers of it, and where its connection goes.
    async fn after_single(
        &mut self,
        mut lane: Lane,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        bound: &Bound,
    ) -> Result<(), Failure> {
        let outcome = lane.outcome().clone();
        let last_insert_id = if plan.gives_id { LastInsertId::Kept } else { bound.last_insert_id() };
        self.note_outcome(&outcome, last_insert_id, !plan.tables.is_empty());
        if outcome.error.is_none() {
            // Before the warnings: SHOW WARNINGS would count as the rows that FOUND_ROWS() tells of.
            if plan.reads_back() {
                Box::pin(self.read_back(&mut lane, plan)).await;
            }
            self.pin_for(plan, &mut lane);
        }
        if outcome.warnings > 0 {
            Box::pin(self.fetch_warnings(&mut lane)).await;
        }
        if plan.access == Access::Write {
            self.note_write();
        }
        let deadlock = outcome.error.as_ref().is_some_and(|error| error.errno == DEADLOCK);
        let cursor = outcome.status.contains(StatusFlags::CURSOR_EXISTS);
        if cursor {
            self.pins.cursors += 1;
        }
        self.settle(lane, snapshot);
        if cursor {
            self.pins.cursors -= 1;
        }
        if deadlock {
            // The servers of the other groups know nothing of it.
            Box::pin(self.txn.rollback(self.pins.any())).await?;
        }
        Ok(())
    }

    /// Several targets, read: their rows are merged. `is_first`: it may be tried once more.
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

    /// Hands back the lanes of a statement that is not going to run.
    pub(super) async fn put_back(&mut self, lanes: Vec<Lane>, snapshot: &Arc<Snapshot>) {
        for mut lane in lanes {
            // Whatever cannot be handed back reports its loss.
            if lane.must_stay() && lane.run_preludes().await.is_err() {
                lane.break_off();
            }
            self.settle(lane, snapshot);
        }
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

    /// A lane for a shard's statement, with all that must come before it.
    pub(super) async fn lane_for(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        shard: &ShardStatement,
        role: Role,
    ) -> Result<Lane, Failure> {
        let settings = Settings::new(shard.schema.clone(), Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let strict = plan.access != Access::Read;
        let want = Want { group: shard.group, role, flavour, settings: &settings, strict };
        let mut lane = self.take_lane(snapshot, want).await?;
        self.queue_user_variables(plan, &mut lane)?;
        Ok(lane)
    }

    /// One more lane for another shard of the same read, if a connection is free.
    async fn spare_lane(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        shard: &ShardStatement,
        role: Role,
    ) -> Result<Option<Lane>, Failure> {
        let settings = Settings::new(shard.schema.clone(), Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let strict = plan.access != Access::Read;
        let want = Want { group: shard.group, role, flavour, settings: &settings, strict };
        let Some(mut lane) = self.txn.spare_lane(&snapshot.backends, want).await? else { return Ok(None) };
        self.queue_user_variables(plan, &mut lane)?;
        Ok(Some(lane))
    }

    pub(super) fn queue_user_variables(&self, plan: &Plan, lane: &mut Lane) -> Result<(), ExecuteError> {
        if plan.pins.user_variables
            && let Some(prelude) = self.user_variables_prelude()
        {
            lane.queue_prelude(prelude.as_bytes())?;
            lane.conn()?.mark_dirty();
        }
        self.queue_session_values(plan, lane)
    }

    /// The lane to a group whose connection is held.
    pub(super) async fn held_lane(&mut self, group: GroupId, snapshot: &Arc<Snapshot>) -> Result<Lane, Failure> {
        let schema = self.txn.held_schema(group);
        let settings = Settings::new(schema, Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let want = Want { group, role: Role::Primary, flavour, settings: &settings, strict: true };
        self.take_lane(snapshot, want).await
    }

    /// A statement failed on a lane: what state is lost with it, and what the client reads.
    pub(super) fn lane_failed(&mut self, lane: Lane, error: ExecuteError, snapshot: &Arc<Snapshot>) -> Failure {
        self.lanes_failed(vec![lane], error, snapshot)
    }

    pub(super) fn lanes_failed(&mut self, lanes: Vec<Lane>, error: ExecuteError, snapshot: &Arc<Snapshot>) -> Failure {
        let mut lost_state = false;
        for lane in lanes {
            let held_state = lane.reports_loss();
            if lane.is_usable() {
                self.settle(lane, snapshot);
            } else {
                lost_state |= held_state;
                drop(lane);
            }
        }
        let failure = Failure::from(error);
        if lost_state {
            // On one server the client's connection would be gone with its transaction.
            self.txn.abandon();
            return failure.fatal();
        }
        failure
    }

    /// What the session remembers of a statement. Its diagnostics take the place of the last ones; a statement that names
    /// no table and has none leaves those (*SHOW WARNINGS Statement*).
    pub(super) fn note_outcome(&mut self, outcome: &Outcome, last_insert_id: LastInsertId, names_tables: bool) {
        if names_tables || outcome.error.is_some() || outcome.warnings > 0 {
            self.state.diagnostics.clear();
        }
        if let Some(error) = &outcome.error {
            self.statement_failed = true;
            self.shared.metrics.error("backend_error", crate::error::Fault::Backend);
            self.state.row_count = -1;
            self.state.diagnostics.push(Diagnostic {
                level: "Error".to_owned(),
                code: error.errno,
                message: error.message.clone(),
            });
            return;
        }
        match outcome.rows {
            Some(rows) => {
                self.state.found_rows = rows;
                self.state.row_count = -1;
            }
            None => {
                self.state.row_count = outcome.affected_rows as i64;
                match last_insert_id {
                    LastInsertId::Generated(id) => self.state.last_insert_id = id,
                    LastInsertId::AsReported if outcome.insert_id != 0 => {
                        self.state.last_insert_id = outcome.insert_id;
                    }
                    LastInsertId::AsReported | LastInsertId::Kept => {}
                }
            }
        }
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

/// The text under which a shard's statement is prepared on a backend.
fn statement_text(shard: &ShardStatement, prepared: &Prepared) -> StatementText {
    match &shard.sql {
        ShardText::Rewritten(sql) => StatementText::new(&sql[..]),
        ShardText::Same => prepared.backend_text.clone(),
    }
}

/// What is sent to a shard.
pub(super) fn request(shard: &ShardStatement, input: Input<'_>, wants_cursor: bool) -> Request {
    match input {
        Input::Text(_) => Request::Query(match &shard.sql {
            ShardText::Rewritten(sql) => sql.clone(),
            ShardText::Same => input.sql().clone(),
        }),
        Input::Execute { prepared, payload, .. } => Request::Execute {
            text: statement_text(shard, prepared),
            payload: execute_payload(shard, prepared, payload, wants_cursor),
        },
    }
}

fn execute_payload(shard: &ShardStatement, prepared: &Prepared, payload: &Bytes, wants_cursor: bool) -> Bytes {
    let flag = if wants_cursor { cursor::READ_ONLY } else { cursor::NONE };
    let same_cursor = payload.get(5) == Some(&flag);
    let all = prepared.params.iter(payload, &prepared.long_data);
    match &shard.params {
        Params::Same if same_cursor && prepared.params.is_self_contained() => payload.clone(),
        Params::Same => {
            let mut out = BytesMut::with_capacity(payload.len() + 64);
            put_execute(0, flag, all, &mut out);
            out.freeze()
        }
        Params::List(sources) => super::write::execute_payload_of(sources, flag, prepared, payload),
    }
}

fn kind_of(kind: StatementKind) -> QueryKind {
    match kind {
        StatementKind::Select => QueryKind::Select,
        StatementKind::Insert => QueryKind::Insert,
        StatementKind::Update => QueryKind::Update,
        StatementKind::Delete => QueryKind::Delete,
        StatementKind::Ddl => QueryKind::Ddl,
        StatementKind::Other => QueryKind::Other,
    }
}
