//! A plan, carried out: one target is relayed, several are gathered (`gather`) or written to (`write`).

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::moment::at_one_moment;
use super::prepared::{Cursor, Prepared};
use super::query::Text;
use super::values::raw_value;
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::{Role, StatementText};
use crate::execute::lane::{Outcome, Request};
use crate::execute::relay::{Names, Style, relay};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::RowFormat;
use crate::observe::{Execution, QueryKind, Way};
use crate::plan::types::{LastInsertId, Params, ServerHint, StatementKind, Text as ShardText};
use crate::plan::{Access, Bound, Plan, ShardStatement};
use crate::protocol::execute::{cursor, put_execute};
use crate::protocol::{ProtocolError, StatusFlags};
use crate::route::key::RawValue;
use crate::sql::normalised;

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
        let values = parameters(prepared, payload)?;
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
            let result = Box::pin(self.run_scratch(snapshot, plan, scratch, bound.skipped, input)).await;
            let way = if result.is_ok() { Way::Scratch } else { Way::Failed };
            self.note_way(plan, way, input.sql());
            return result;
        }
        self.check_user_variable_room(plan)?;
        let announced = self.announcement(plan).is_some();
        let single = bound.shards.len() == 1;
        let names = bound.shards.first().and_then(|shard| shard.names.clone());
        let vars_before = (!single && (plan.needs.timestamp || plan.needs.row_times))
            .then(|| at_one_moment(&self.state.vars))
            .map(|vars| std::mem::replace(&mut self.state.vars, vars));
        let result = match (plan.access, bound.shards.len()) {
            (Access::Ddl, _) => Box::pin(self.run_ddl(snapshot, plan, bound, input)).await.map(|()| None),
            (_, _) if plan.kind == StatementKind::Maintenance => {
                Box::pin(self.run_maintenance(snapshot, plan, &bound, input)).await.map(|()| None)
            }
            (_, 1) if bound.names_in_rows => {
                Box::pin(self.run_renamed(snapshot, plan, &bound, input)).await.map(|()| None)
            }
            (_, 1) if bound.merge.is_none() && !bound.answers_insert_id => {
                self.run_single(snapshot, plan, &bound, input).await
            }
            (Access::Read | Access::LockingRead, _) => Box::pin(self.gather(snapshot, plan, bound, input)).await,
            (Access::Write, _) => Box::pin(self.run_write(snapshot, plan, bound, input)).await.map(|()| None),
        };
        if let Some(vars) = vars_before {
            self.state.vars = vars;
        }
        let way = match &result {
            Err(_) => Way::Failed,
            Ok(_) if single => Way::Relay,
            Ok(_) => Way::Scatter,
        };
        self.note_way(plan, way, input.sql());
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

    /// Notes in the metrics and statistics how a statement has gone.
    fn note_way(&mut self, plan: &Plan, way: Way, sql: &[u8]) {
        let ended = Instant::now();
        let duration = ended.duration_since(self.since);
        self.shared.note_query(kind_of(plan.kind), way, duration);
        let is_error = way == Way::Failed || self.statement_failed;
        let rows = match u64::try_from(self.state.row_count) {
            _ if is_error => 0,
            Ok(changed) => changed,
            Err(_) => self.state.found_rows,
        };
        let run = Execution { duration, rows, is_error };
        plan.digest.record(&self.shared.digests, run, || normalised(sql, self.state.lex_mode));
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
        let is_sent = match input {
            Input::Text(text) => lane.start_query(shard.sql.bytes(&text.sql))?,
            Input::Execute { prepared, payload, wants_cursor } => {
                let text = statement_text(shard, prepared);
                let payload = execute_payload(shard, prepared, payload, wants_cursor);
                match lane.start_execute(&text, &payload)? {
                    Some(is_sent) => is_sent,
                    None => {
                        // It has to be prepared first, which waits for locks on its tables.
                        let statement = lane.kill_handle();
                        let request = Request::Execute { text, payload };
                        let sending = lane.send(&request);
                        Box::pin(watch.guard_killing(&self.client, statement.as_slice(), sending)).await?;
                        true
                    }
                }
            }
        };
        if !is_sent {
            Box::pin(watch.guard(&self.client, lane.flush())).await?;
        }
        let style = Style {
            more_results: self.more_results,
            names: shard.names.as_deref().map(|names| names as &dyn Names),
            held: super::stale::STALE,
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
        // rows come without an insert id
        let last_insert_id = match outcome.rows {
            None => bound.last_insert_id_after(outcome.insert_id),
            Some(_) => bound.last_insert_id(),
        };
        self.note_outcome(&outcome, last_insert_id, !plan.tables.is_empty());
        if outcome.error.is_none() {
            // Before the warnings: SHOW WARNINGS would count as the rows that FOUND_ROWS() tells of.
            let counts = outcome.rows.is_some_and(|rows| self.note_found(rows, bound.skipped));
            if plan.reads_back() || counts {
                Box::pin(self.read_back(&mut lane, plan, counts)).await;
            }
            // to the server it was a key that the statement gave
            if let (LastInsertId::Generated(id), None) = (last_insert_id, outcome.rows) {
                self.state.last_insert_id = id;
            }
            self.pin_for(plan, &mut lane);
            self.note_temporary_tables(plan);
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
                is_told_once: false,
            });
            return;
        }
        match outcome.rows {
            Some(rows) => {
                self.state.found_rows = rows;
                self.state.row_count = -1;
                // of RETURNING
                if let (LastInsertId::Generated(id), true) = (last_insert_id, rows > 0) {
                    self.state.last_insert_id = id;
                }
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

/// The parameters of a COM_STMT_EXECUTE.
pub(super) fn parameters<'a>(prepared: &'a Prepared, payload: &'a [u8]) -> Result<Vec<RawValue<'a>>, ProtocolError> {
    let value = |param| prepared.params.value(param, payload, &prepared.long_data).map(|value| raw_value(&value));
    (0..prepared.params.len()).map(value).collect()
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
        StatementKind::Maintenance | StatementKind::Other => QueryKind::Other,
    }
}
