//! Queries over temporary tables: the rows of each table reference are brought to one server, which then answers the
//! client's own statement.
//!
//! The server is reached by a connection of its own, apart from the transaction's; the shards are read on the
//! transaction's connections, so that it sees its own writes. The temporary tables end with the connection's reset.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::gather::of_cursor;
use super::prepared::Cursor;
use super::query::Text;
use super::run::{Input, request};
use super::scratch_columns::{Brought, Sources, labelled, with_copied};
use super::scratch_gate::Deadline;
use super::scratch_order::{Filled, ready_read};
use super::scratch_place::{group_of, loading, names, names_of, statement};
use super::scratch_reread::{Running, copy_empty, copy_filled, params_of, statement as written, with_copies};
use super::select_inner::in_binary;
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::{BackendError, KillHandle, Role, Settings, StatementText};
use crate::config::ScratchPlace as Rule;
use crate::error::SqlError;
use crate::execute::gather::{Gather, Kept, Part, Progress};
use crate::execute::lane::Request;
use crate::execute::scratch::{Budget, fill};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::{MergeSpec, RowFormat};
use crate::plan::types::LastInsertId;
use crate::plan::types::{NameMap, ScratchBound, ScratchPlace, ScratchRead, ShardStatement};
use crate::plan::{Bound, Plan, Skipped};
use crate::protocol::{ColumnDef, OkPacket};

/// ER_DUP_ENTRY.
const DUPLICATE: u16 = 1062;

/// Variables of the session that speak of transactions; the scratch server has none open.
const OF_TRANSACTIONS: &[&str] = &["transaction_isolation", "tx_isolation", "transaction_read_only", "tx_read_only"];

/// A query whose temporary tables are filled.
struct Ready {
    /// What to run there.
    statement: ShardStatement,
    /// The temporary tables by their logical names.
    names: NameMap,
    /// What was read into each of them, and into each of their copies.
    read: Sources,
    /// Others may run once it is gone.
    permit: OwnedSemaphorePermit,
}

/// How a statement over temporary tables is asked: for a client, or for the session itself, in the binary protocol then.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    /// The client's command.
    pub input: Option<Input<'a>>,
    /// The text of the statement.
    pub sql: &'a Bytes,
}

impl Asking<'_> {
    /// What is sent.
    pub fn request(&self, statement: &ShardStatement) -> Request {
        match self.input {
            Some(input) => request(statement, input, false),
            None => in_binary(&Request::Query(Bytes::copy_from_slice(statement.sql.bytes(self.sql)))),
        }
    }

    /// The protocol of its rows.
    pub fn format(&self) -> RowFormat {
        self.input.map_or(RowFormat::Binary, |input| input.format())
    }
}

/// A query over temporary tables whose rows are coming.
pub(super) struct Opened {
    /// Its rows.
    pub gather: Gather,
    /// Its columns, as the client sees them.
    pub columns: Vec<ColumnDef>,
    /// Warnings of what ran before it.
    pub warnings: u16,
    /// The same, fetched.
    pub diagnostics: Vec<Diagnostic>,
    /// Others may run once it is gone.
    pub _permit: OwnedSemaphorePermit,
}

impl Session {
    /// Answers a query over temporary tables.
    pub(super) async fn run_scratch(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        skipped: Skipped,
        input: Input<'_>,
    ) -> Result<Option<Cursor>, Failure> {
        if !scratch.gives_rows {
            let (lane, ready) = self.ready_scratch(snapshot, plan, scratch, Some(input)).await?;
            let done = self.scratch_without_rows(plan, lane, &ready, input).await;
            return done.map(|()| None).map_err(|failure| failure.renamed(&ready.names));
        }
        let asking = Asking { input: Some(input), sql: input.sql() };
        let (opened, names) = self.open_over_tables(snapshot, plan, scratch, asking).await?;
        self.answer_scratch(plan, opened, skipped, input).await.map_err(|failure| failure.renamed(&names))
    }

    /// Makes the temporary tables of a query and sends its statement: the cheaper way where there is one.
    async fn open_over_tables(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        asking: Asking<'_>,
    ) -> Result<(Opened, NameMap), Failure> {
        if let Some(combine) = &scratch.combine
            && let Some(opened) = Box::pin(self.open_combined(snapshot, plan, scratch, combine, asking)).await?
        {
            return Ok(opened);
        }
        let (lane, ready) = self.ready_scratch(snapshot, plan, scratch, asking.input).await?;
        let opened = self.open_scratch(lane, asking.request(&ready.statement), asking.format()).await;
        let gather = opened.map_err(|failure| about_collations(failure, scratch).renamed(&ready.names))?;
        let columns = labelled(ready.read.restored(gather.columns()), scratch);
        Ok((Opened { gather, columns, warnings: 0, diagnostics: Vec::new(), _permit: ready.permit }, ready.names))
    }

    async fn answer_scratch(
        &mut self,
        plan: &Arc<Plan>,
        opened: Opened,
        skipped: Skipped,
        input: Input<'_>,
    ) -> Result<Option<Cursor>, Failure> {
        let Opened { mut gather, columns, warnings: before, mut diagnostics, _permit } = opened;
        let columns = if input.wants_cursor() { columns.into_iter().map(of_cursor).collect() } else { columns };
        let open = if input.wants_cursor() {
            Some(self.keep_rows(&mut gather, &columns).await?)
        } else {
            self.stream_rows(&mut gather, &columns).await?;
            None
        };
        let rows = gather.rows_out();
        let (mut lanes, warnings) = gather.finish().await;
        diagnostics.extend(self.collect_warnings(&mut lanes).await);
        self.finish_rows(rows, warnings.saturating_add(before), open.is_some());
        self.state.diagnostics = diagnostics;
        let counts = self.note_found(rows, skipped);
        for lane in &mut lanes {
            self.read_back(lane, plan, counts).await;
        }
        Ok(open)
    }

    /// Runs a statement over the temporary tables of a lane.
    pub(super) async fn open_scratch(
        &mut self,
        lane: Lane,
        request: Request,
        format: RowFormat,
    ) -> Result<Gather, Failure> {
        let watch = Watch { entry: &self.entry };
        let handles: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
        let parts = vec![Part { lane: 0, request, before: None }];
        let bounds = self.gather_bounds();
        let spec = Arc::new(MergeSpec::default());
        let opening = async { Ok(Gather::open(vec![lane], parts, &spec, format, bounds).await) };
        let opened = watch.guard_killing(&self.client, &handles, opening).await?;
        Ok(opened.map_err(|(error, _)| error)?)
    }

    /// Runs a query of the session's own over temporary tables, and keeps its rows, in the binary protocol.
    pub(super) async fn scratch_inner(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        sql: &Bytes,
    ) -> Result<(Vec<ColumnDef>, VecDeque<Bytes>, Vec<Diagnostic>), Failure> {
        let asking = Asking { input: None, sql };
        let (opened, names) = self.open_over_tables(snapshot, plan, scratch, asking).await?;
        self.keep_scratch(opened).await.map_err(|failure| failure.renamed(&names))
    }

    async fn keep_scratch(
        &mut self,
        opened: Opened,
    ) -> Result<(Vec<ColumnDef>, VecDeque<Bytes>, Vec<Diagnostic>), Failure> {
        let Opened { mut gather, columns, mut diagnostics, _permit, .. } = opened;
        let limit_bytes = self.shared.limits().max_buffered_bytes;
        let mut kept = Kept { limit_bytes, ..Kept::default() };
        let watch = Watch { entry: &self.entry };
        let handles = gather.kill_handles();
        if watch.guard_killing(&self.client, &handles, gather.advance(&mut kept)).await? == Progress::SinkFull {
            return Err(ExecuteError::TooLarge { limit_bytes }.into());
        }
        let (mut lanes, _) = gather.finish().await;
        diagnostics.extend(self.collect_warnings(&mut lanes).await);
        Ok((columns, kept.rows, diagnostics))
    }

    /// SELECT … INTO variables, DO.
    async fn scratch_without_rows(
        &mut self,
        plan: &Arc<Plan>,
        mut lane: Lane,
        ready: &Ready,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let sent = request(&ready.statement, input, false);
        let watch = Watch { entry: &self.entry };
        let handles: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
        let running = async {
            lane.send(&sent).await?;
            lane.read_head().await
        };
        watch.guard_killing(&self.client, &handles, running).await?;
        let outcome = lane.outcome().clone();
        self.note_outcome(&outcome, LastInsertId::AsReported, true);
        if outcome.warnings > 0 {
            self.fetch_warnings(&mut lane).await;
        }
        self.read_back(&mut lane, plan, false).await;
        let (affected_rows, warnings, status) = (outcome.affected_rows, outcome.warnings, self.status());
        self.client.put_ok(&OkPacket { affected_rows, warnings, status, ..OkPacket::default() });
        Ok(())
    }

    /// Waits until a query may make temporary tables.
    pub(super) async fn enter_scratch(&mut self, snapshot: &Snapshot) -> Result<OwnedSemaphorePermit, Failure> {
        let watch = Watch { entry: &self.entry };
        Ok(watch.guard(&self.client, snapshot.scratch.enter(&snapshot.rules.proxy.scratch)).await?)
    }

    /// Fills the temporary tables of a query; the statement is to run on the lane.
    async fn ready_scratch(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        input: Option<Input<'_>>,
    ) -> Result<(Lane, Ready), Failure> {
        self.check_temporary_tables(plan)?;
        if !self.begin_reading(snapshot, plan, scratch) {
            return self.fill_scratch(snapshot, plan, scratch, input).await;
        }
        let filled = self.fill_scratch(snapshot, plan, scratch, input).await;
        match self.end_reading(filled).await {
            // a connection may be one that its server closed long ago
            Err(Failure::Fatal(_)) => self.fill_scratch(snapshot, plan, scratch, input).await,
            filled => filled,
        }
    }

    async fn fill_scratch(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        input: Option<Input<'_>>,
    ) -> Result<(Lane, Ready), Failure> {
        let rules = &snapshot.rules.proxy.scratch;
        let permit = self.enter_scratch(snapshot).await?;
        let deadline = Deadline::new(rules);
        let (mut lane, place) = self.scratch_lane(snapshot, scratch).await?;
        let mut budget = Budget::new(rules.max_rows, rules.max_bytes);
        let mut read = Vec::new();
        let mut used = vec![(0, 0); scratch.reads.len()];
        let mut filled = Filled::new(self.expected_rows(snapshot, plan, &scratch.reads, deadline).await?);
        while let Some(next) = filled.next(&scratch.reads) {
            let one = &scratch.reads[next];
            let condition = filled.condition(&mut lane, &scratch.reads, one).await?;
            let one = ready_read(one, condition.as_deref());
            let before = budget.used();
            let columns = self.bring(snapshot, plan, &one, &mut lane, &mut budget, deadline).await?;
            let after = budget.used();
            used[next] = (after.0 - before.0, after.1 - before.1);
            filled.note(next, used[next].0);
            tracing::debug!(table = %one.visible, rows = used[next].0, linked = condition.is_some(), "a table is brought");
            read.push(Brought::new(&one, columns));
        }
        filled.analyze(&mut lane, &scratch.reads).await?;
        let mut names = names(scratch, place);
        let mut statement = statement(scratch, place);
        let settings = self.scratch_settings(place);
        let mut evaluations = Vec::new();
        if let Some(again) = self.reread(scratch, &mut lane, false)? {
            copy_filled(&mut lane, scratch, &again.copies, &used, &mut budget).await?;
            read = with_copied(read, &again.copies);
            names = with_copies(names, &scratch.reads, &again.copies);
            let running = Running { plan, place, params: &scratch.params, input };
            let first = self.evaluate_first(&mut lane, &again.first, running, &settings).await;
            evaluations = first.map_err(|failure| failure.renamed(&names))?;
            statement = written(&again.statement, &scratch.params, place);
        }
        let (rows, bytes) = budget.used();
        tracing::debug!(server = %place.label, tables = read.len(), rows, bytes, "temporary tables are filled");
        lane.settle_settings(&settings, true).await?;
        self.queue_user_variables(plan, &mut lane)?;
        Ok((lane, Ready { statement, names, read: Sources { read, evaluations }, permit }))
    }

    /// Prepares a statement over empty temporary tables, to learn its parameters and columns.
    pub(super) async fn scratch_definitions(
        &mut self,
        snapshot: &Arc<Snapshot>,
        scratch: &ScratchBound,
        sql: &[u8],
    ) -> Result<(Vec<ColumnDef>, Vec<ColumnDef>), Failure> {
        let (mut lane, place) = self.scratch_lane(snapshot, scratch).await?;
        for read in &scratch.reads {
            lane.run(read.table.create.as_bytes()).await?;
        }
        let mut read = scratch.reads.iter().map(|read| Brought::new(read, Vec::new())).collect::<Vec<_>>();
        let again = self.reread(scratch, &mut lane, true)?;
        if let Some(again) = &again {
            copy_empty(&mut lane, &again.copies).await?;
            read = with_copied(read, &again.copies);
        }
        lane.settle_settings(&self.scratch_settings(place), true).await?;
        let text = again.as_ref().map_or(scratch.sql.bytes(sql), |again| &again.statement.sql);
        let prepared = lane.prepare_anew(&StatementText::new(text)).await;
        let (_, params, columns) =
            prepared.map_err(|error| about_collations(error.into(), scratch).renamed(&names(scratch, place)))?;
        let params = again.map_or(params.clone(), |again| params_of(&again.statement, params));
        let sources = Sources { read, evaluations: Vec::new() };
        Ok((params, labelled(sources.restored(&columns), scratch)))
    }

    /// The session's settings for its statement over temporary tables.
    pub(super) fn scratch_settings(&self, place: &ScratchPlace) -> Settings {
        let mut vars = self.state.vars.with("autocommit", Some("1"));
        for name in OF_TRANSACTIONS.iter().filter(|name| self.state.vars.get(name).is_some()) {
            vars = vars.with(name, None);
        }
        Settings::new(Some(Arc::clone(&place.schema)), vars)
    }

    /// A connection for temporary tables: to the next of the places that can be reached.
    pub(super) async fn scratch_lane<'s>(
        &mut self,
        snapshot: &Arc<Snapshot>,
        scratch: &'s ScratchBound,
    ) -> Result<(Lane, &'s ScratchPlace), Failure> {
        let role = match &snapshot.rules.proxy.scratch.place {
            Rule::Groups { use_replicas: true, .. } => Role::Replica,
            _ => Role::Primary,
        };
        let flavour = self.flavour();
        let first = snapshot.scratch.next.fetch_add(1, Ordering::Relaxed);
        let count = scratch.places.len();
        let mut failure = ExecuteError::Backend(BackendError::gone());
        for turn in 0..count {
            let Some(place) = scratch.places.get((first.wrapping_add(turn)) % count) else { continue };
            let watch = Watch { entry: &self.entry };
            let opening = async {
                Ok(match place.group {
                    Some(group) => snapshot.backends.checkout(group, role, flavour).await,
                    None => {
                        snapshot.backends.checkout_scratch(flavour).await.unwrap_or_else(|| Err(BackendError::gone()))
                    }
                })
            };
            match watch.guard(&self.client, opening).await? {
                Ok(lease) => {
                    let mut lane = Lane::new(group_of(place), lease, false);
                    if place.group.is_none() {
                        self.make_schema(snapshot, &mut lane, place).await?;
                    }
                    lane.settle_settings(&loading(place), true).await?;
                    // its reset drops the temporary tables
                    lane.conn()?.mark_dirty();
                    return Ok((lane, place));
                }
                Err(error) if error.is_unreachable() => failure = error.into(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(failure.into())
    }

    /// Makes the schema of a scratch server of its own, once.
    async fn make_schema(&self, snapshot: &Snapshot, lane: &mut Lane, place: &ScratchPlace) -> Result<(), Failure> {
        if !snapshot.scratch.has_schema.load(Ordering::Relaxed) {
            lane.run(format!("CREATE DATABASE IF NOT EXISTS `{}`", place.schema).as_bytes()).await?;
            snapshot.scratch.has_schema.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Brings the rows of a table reference into its temporary table; gives the columns as the shards describe them.
    async fn bring(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        read: &ScratchRead,
        lane: &mut Lane,
        budget: &mut Budget,
        deadline: Deadline,
    ) -> Result<Vec<ColumnDef>, Failure> {
        lane.run(read.table.create.as_bytes()).await?;
        if read.shards.is_empty() {
            return Ok(Vec::new());
        }
        match self.try_bring(snapshot, plan, read, lane, budget, deadline).await {
            // Unique keys that do not hold the sharding key are kept by each shard for itself.
            Err(Failure::Sql(error)) if error.errno == DUPLICATE && lane.is_usable() => {
                lane.run(format!("DROP TEMPORARY TABLE `{}`", read.table.name).as_bytes()).await?;
                lane.run(read.table.create_without_unique.as_bytes()).await?;
                self.try_bring(snapshot, plan, read, lane, budget, deadline).await
            }
            done => done,
        }
    }

    async fn try_bring(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        read: &ScratchRead,
        lane: &mut Lane,
        budget: &mut Budget,
        deadline: Deadline,
    ) -> Result<Vec<ColumnDef>, Failure> {
        let mut gather = self.open_read(snapshot, plan, &read.shards, read.table.has_timestamp, deadline).await?;
        let watch = Watch { entry: &self.entry };
        let mut handles = gather.kill_handles();
        handles.extend(lane.kill_handle());
        let filling = deadline.watch(&handles, fill(&mut gather, lane, &read.table, budget));
        let filled = watch.guard_killing(&self.client, &handles, filling).await;
        if let Err(error) = filled.map_err(|error| deadline.explain(error)) {
            if matches!(error, ExecuteError::DefinitionChanged) {
                self.invalidate(plan, snapshot);
            }
            return Err(self
                .gather_failed(gather.into_lanes(), error, snapshot)
                .await
                .renamed(&names_of(&read.shards)));
        }
        let columns = gather.columns().to_vec();
        let (lanes, _) = gather.finish().await;
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        Ok(columns)
    }

    /// Asks shards for rows, as text in the columns' own character sets.
    pub(super) async fn open_read(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        shards: &[ShardStatement],
        in_utc: bool,
        deadline: Deadline,
    ) -> Result<Gather, Failure> {
        let bound = Bound { shards: shards.to_vec(), ..Bound::default() };
        let text = Text { sql: Bytes::new() };
        let role = self.role(snapshot, plan);
        let mut is_first = true;
        loop {
            let kept = Arc::clone(&self.state.vars);
            // in the columns' own character sets, and all rows
            let mut vars = kept.with("character_set_results", Some("NULL")).with("sql_select_limit", None);
            if in_utc {
                vars = vars.with("time_zone", Some("'+00:00'"));
            }
            self.state.vars = vars;
            let lanes = self.gather_lanes(snapshot, plan, &bound, Input::Text(&text), role).await;
            self.state.vars = kept;
            let (lanes, parts) = lanes?;
            let spec = Arc::new(MergeSpec::default());
            let watch = Watch { entry: &self.entry };
            let handles: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
            let opening = Gather::open(lanes, parts, &spec, RowFormat::Text, self.gather_bounds());
            let opening = async { Ok(deadline.watch(&handles, opening).await) };
            match watch.guard_killing(&self.client, &handles, opening).await? {
                Ok(gather) => return Ok(gather),
                Err((error, lanes))
                    if error.is_backend_lost()
                        && is_first
                        && lanes.iter().any(Lane::was_reused)
                        && !lanes.iter().any(Lane::must_stay) =>
                {
                    is_first = false;
                }
                Err((error, lanes)) => {
                    let failure = self.gather_failed(lanes, deadline.explain(error), snapshot).await;
                    return Err(failure.renamed(&names_of(shards)));
                }
            }
        }
    }
}

/// Columns of views that are literals may be compared where those of a temporary table may not.
fn about_collations(failure: Failure, scratch: &ScratchBound) -> Failure {
    /// ER_CANT_AGGREGATE_2COLLATIONS, ER_CANT_AGGREGATE_3COLLATIONS, ER_CANT_AGGREGATE_NCOLLATIONS.
    const COLLATIONS: [u16; 3] = [1267, 1270, 1271];
    match failure {
        Failure::Sql(error) if scratch.reads_views && COLLATIONS.contains(&error.errno) => SqlError::not_supported(
            "a view beside tables of other groups whose columns are of another collation",
            "read the tables under the view, or name the collation",
        )
        .into(),
        failure => failure,
    }
}
