//! Queries over temporary tables: the rows of each table reference are brought to one server, which then answers the
//! client's own statement.
//!
//! The server is reached by a connection of its own, apart from the transaction's; the shards are read on the
//! transaction's connections, so that it sees its own writes. The temporary tables end with the connection's reset.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::gather::{PART_KEY, of_cursor};
use super::prepared::Cursor;
use super::query::Text;
use super::run::{Input, request};
use super::scratch_order::{Filled, ready_read};
use super::scratch_reread::{
    Evaluation, Running, copy_empty, copy_filled, of_query, params_of, statement as written, with_copies,
};
use super::select_inner::in_binary;
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::{BackendError, KillHandle, Role, Settings, StatementText, Variables};
use crate::config::{GroupId, Scratch, ScratchPlace as Rule};
use crate::execute::gather::{Gather, Kept, Part, Progress};
use crate::execute::lane::Request;
use crate::execute::scratch::{Budget, fill};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::merge::{MergeSpec, RowFormat};
use crate::plan::types::LastInsertId;
use crate::plan::types::{NameEntry, NameMap, ScratchBound, ScratchPlace, ScratchRead, ShardStatement};
use crate::plan::{Bound, Plan, TableCopy};
use crate::protocol::{ColumnDef, ColumnFlags, OkPacket};

/// ER_QUERY_INTERRUPTED.
const KILLED: u16 = 1317;
/// ER_DUP_ENTRY.
const DUPLICATE: u16 = 1062;

/// Flags of a column that comes straight out of its table, and that the temporary table's does not have.
const OF_TABLE: ColumnFlags = ColumnFlags::PRIMARY_KEY
    .with(ColumnFlags::UNIQUE_KEY)
    .with(ColumnFlags::MULTIPLE_KEY)
    .with(PART_KEY)
    .with(ColumnFlags::AUTO_INCREMENT)
    .with(ColumnFlags::TIMESTAMP)
    .with(ColumnFlags::ON_UPDATE_NOW);

/// How connections are set while temporary tables are filled: texts as UTF-8, backslashes as escapes, every date that a
/// column can hold, moments in UTC.
const LOADING: &[(&str, &str)] = &[
    ("autocommit", "1"),
    ("character_set_client", "'utf8mb4'"),
    // rows of a file may wait for a shard; `scratch.timeout_ms` is what ends that
    ("net_read_timeout", "86400"),
    ("character_set_results", "'utf8mb4'"),
    ("collation_connection", "'utf8mb4_general_ci'"),
    ("sql_mode", "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"),
    ("time_zone", "'+00:00'"),
];

/// Variables of the session that speak of transactions; the scratch server has none open.
const OF_TRANSACTIONS: &[&str] = &["transaction_isolation", "tx_isolation", "transaction_read_only", "tx_read_only"];

/// Admits queries over temporary tables, and spreads them over the servers.
#[derive(Debug)]
pub struct ScratchGate {
    running: Arc<Semaphore>,
    next: AtomicUsize,
    /// A scratch server of its own has the schema for temporary tables.
    has_schema: AtomicBool,
}

impl ScratchGate {
    /// For so many queries at the same time.
    pub fn new(rules: &Scratch) -> Self {
        let permits = rules.max_concurrent.min(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(permits)),
            next: AtomicUsize::new(0),
            has_schema: AtomicBool::new(false),
        }
    }

    async fn enter(&self, rules: &Scratch) -> Result<OwnedSemaphorePermit, ExecuteError> {
        let busy = ExecuteError::ScratchBusy { limit: rules.max_concurrent };
        let waited = tokio::time::timeout(limit(rules), Arc::clone(&self.running).acquire_owned()).await;
        waited.ok().and_then(Result::ok).ok_or(busy)
    }
}

fn limit(rules: &Scratch) -> Duration {
    Duration::from_millis(rules.timeout_ms)
}

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

/// What was read into a temporary table.
#[derive(Clone)]
pub(super) struct Brought {
    /// The temporary table.
    physical: Box<[u8]>,
    /// The logical schema.
    schema: Arc<str>,
    /// The logical table.
    table: Arc<str>,
    /// Its columns as the shards describe them.
    columns: Vec<ColumnDef>,
    /// The columns of its primary key, if it has one.
    primary_key: Vec<Box<str>>,
}

impl Brought {
    pub fn new(read: &ScratchRead, columns: Vec<ColumnDef>) -> Self {
        Self {
            physical: read.table.name.as_bytes().into(),
            schema: Arc::clone(&read.schema),
            table: Arc::clone(&read.name),
            columns,
            primary_key: read.table.primary_key.clone(),
        }
    }

    /// The same rows in a copy of the table.
    fn copied(&self, copy: &TableCopy) -> Self {
        Self { physical: copy.name.as_bytes().into(), ..self.clone() }
    }

    /// A column that comes out of the temporary table, as one server with all rows describes it. `is_direct`: it comes
    /// straight out of it.
    fn restored(&self, column: &ColumnDef, is_direct: bool) -> ColumnDef {
        let mut restored = column.clone();
        // a derived table's column has no schema
        if !column.schema.is_empty() {
            restored.schema = Bytes::copy_from_slice(self.schema.as_bytes());
        }
        restored.org_table = Bytes::copy_from_slice(self.table.as_bytes());
        if column.table == column.org_table {
            restored.table = restored.org_table.clone();
        }
        let Some(defined) = self.columns.iter().find(|defined| defined.name == column.org_name) else {
            return restored;
        };
        // temporary tables have no defaults
        let no_default = ColumnFlags::NO_DEFAULT_VALUE;
        if column.flags.contains(no_default) && !defined.flags.contains(no_default) {
            restored.flags = restored.flags.without(no_default);
        }
        if is_direct {
            restored.flags = restored.flags.with(ColumnFlags(defined.flags.0 & OF_TABLE.0));
        }
        restored
    }
}

/// What the columns of a result may come from.
pub(super) struct Sources {
    /// Temporary tables.
    pub read: Vec<Brought>,
    /// Queries of WITH that were evaluated first.
    pub evaluations: Vec<Evaluation>,
}

impl Sources {
    /// The columns of a result as one server with all rows describes them.
    pub fn restored(&self, columns: &[ColumnDef]) -> Vec<ColumnDef> {
        let columns: Vec<ColumnDef> = columns.iter().map(|column| of_query(&self.evaluations, column)).collect();
        let of = |column: &ColumnDef| self.read.iter().find(|read| *read.physical == *column.org_table);
        // A key shows as one only where rows come straight out of their tables; where a server sorts them in a table of
        // its own, columns lose what `OF_TABLE` says. Without a key to see, the first is likelier.
        let is_key = |column: &&ColumnDef| {
            of(column).is_some_and(|read| read.primary_key.iter().any(|key| key.as_bytes() == column.org_name))
        };
        let is_direct = columns.iter().filter(is_key).all(|column| column.flags.contains(ColumnFlags::PRIMARY_KEY));
        let restore =
            |column: &ColumnDef| of(column).map_or_else(|| column.clone(), |read| read.restored(column, is_direct));
        columns.iter().map(restore).collect()
    }
}

/// What is read, and the copies of it.
fn with_copied(mut read: Vec<Brought>, copies: &[TableCopy]) -> Vec<Brought> {
    let of = |copy: &TableCopy| Some(read.iter().find(|read| *read.physical == *copy.of.as_bytes())?.copied(copy));
    let copied: Vec<Brought> = copies.iter().filter_map(of).collect();
    read.extend(copied);
    read
}

impl Session {
    /// Answers a query over temporary tables.
    pub(super) async fn run_scratch(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        scratch: &ScratchBound,
        input: Input<'_>,
    ) -> Result<Option<Cursor>, Failure> {
        if !scratch.gives_rows {
            let (lane, ready) = self.ready_scratch(snapshot, plan, scratch, Some(input)).await?;
            let done = self.scratch_without_rows(plan, lane, &ready, input).await;
            return done.map(|()| None).map_err(|failure| failure.renamed(&ready.names));
        }
        let asking = Asking { input: Some(input), sql: input.sql() };
        let (opened, names) = self.open_over_tables(snapshot, plan, scratch, asking).await?;
        self.answer_scratch(plan, opened, input).await.map_err(|failure| failure.renamed(&names))
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
        let gather = opened.map_err(|failure| failure.renamed(&ready.names))?;
        let columns = ready.read.restored(gather.columns());
        Ok((Opened { gather, columns, warnings: 0, diagnostics: Vec::new(), _permit: ready.permit }, ready.names))
    }

    async fn answer_scratch(
        &mut self,
        plan: &Arc<Plan>,
        opened: Opened,
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
        for lane in &mut lanes {
            self.read_back(lane, plan).await;
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
        self.read_back(&mut lane, plan).await;
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
        let mut filled = Filled::new(scratch.reads.len());
        while let Some(next) = filled.next(&scratch.reads) {
            let one = &scratch.reads[next];
            let condition = filled.condition(&mut lane, &scratch.reads, one).await?;
            let one = ready_read(one, condition.as_deref());
            let before = budget.used();
            let columns = self.bring(snapshot, plan, &one, &mut lane, &mut budget, deadline).await?;
            let after = budget.used();
            used[next] = (after.0 - before.0, after.1 - before.1);
            filled.note(next, used[next].0);
            read.push(Brought::new(&one, columns));
        }
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
        let (_, params, columns) = prepared.map_err(|error| Failure::from(error).renamed(&names(scratch, place)))?;
        let params = again.map_or(params.clone(), |again| params_of(&again.statement, params));
        let sources = Sources { read, evaluations: Vec::new() };
        Ok((params, sources.restored(&columns)))
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

/// Until when the temporary tables of a query must be filled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit_ms: u64,
}

impl Deadline {
    pub fn new(rules: &Scratch) -> Self {
        Self { at: Instant::now() + limit(rules), limit_ms: rules.timeout_ms }
    }

    /// Runs `work`; past the deadline its statements are killed, and it ends as they do.
    pub async fn watch<T>(&self, statements: &[KillHandle], work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout_at(self.at.into(), work.as_mut()).await {
            return done;
        }
        for statement in statements {
            if let Err(error) = statement.kill_query().await {
                tracing::debug!(%error, "a statement could not be stopped");
            }
        }
        work.await
    }

    /// What an error means that came in spite of the deadline, or because of it.
    pub fn explain(&self, error: ExecuteError) -> ExecuteError {
        let is_of_kill = matches!(&error, ExecuteError::Backend(BackendError::Server(error)) if error.errno == KILLED);
        if is_of_kill && Instant::now() >= self.at {
            return ExecuteError::ScratchTimeout { limit_ms: self.limit_ms };
        }
        error
    }
}

/// How connections are set while temporary tables are filled.
pub(super) fn loading(place: &ScratchPlace) -> Settings {
    let vars = LOADING.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Settings::new(Some(Arc::clone(&place.schema)), Variables::new(vars.collect::<BTreeMap<_, _>>()))
}

/// The group of a lane to a place; of one that is in no group it is never asked.
pub(super) fn group_of(place: &ScratchPlace) -> GroupId {
    place.group.unwrap_or(GroupId(0))
}

/// The client's statement over temporary tables.
pub(super) fn statement(scratch: &ScratchBound, place: &ScratchPlace) -> ShardStatement {
    ShardStatement {
        node: Arc::clone(&place.label),
        group: group_of(place),
        schema: Some(Arc::clone(&place.schema)),
        sql: scratch.sql.clone(),
        params: scratch.params.clone(),
        names: None,
        rows: None,
    }
}

/// The temporary tables by the names of what they stand for.
pub(super) fn names(scratch: &ScratchBound, place: &ScratchPlace) -> NameMap {
    let entry = |read: &ScratchRead| NameEntry {
        physical_schema: Arc::clone(&place.schema),
        physical_table: Arc::from(&*read.table.name),
        schema: Arc::clone(&read.schema),
        table: Arc::clone(&read.name),
    };
    NameMap { entries: scratch.reads.iter().map(entry).collect(), views: Vec::new() }
}

/// The names of tables on their shards.
pub(super) fn names_of(shards: &[ShardStatement]) -> NameMap {
    let names = shards.first().and_then(|shard| shard.names.as_deref());
    names.cloned().unwrap_or_default()
}
