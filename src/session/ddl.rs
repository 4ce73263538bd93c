//! DDL: the same statement on every data node, one after the other on each group, all groups at once.
//!
//! MySQL's DDL commits by itself and cannot be rolled back. So all nodes are tried, and if some fail, the error says which,
//! and how many have it done. How far it came is written down ([`crate::definitions`]), so that one that is left half done is
//! carried on, or reported.

use std::sync::Arc;

use futures_util::future::join_all;

use super::run::{Input, request};
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::{BackendError, KillHandle, ServerError};
use crate::config::GroupId;
use crate::definitions::{self, Definition, Node, NodeState, Recording, State};
use crate::error::SqlError;
use crate::execute::diagnostics::MAX_DIAGNOSTICS;
use crate::execute::lane::{Head, Outcome, Request};
use crate::execute::own_query::query_rows;
use crate::execute::relay::Names as _;
use crate::execute::write::Info;
use crate::execute::{ExecuteError, Lane, Watch};
use crate::plan::types::{NameMap, StatementKind};
use crate::plan::{Bound, LogicalTable, Plan};
use crate::protocol::OkPacket;
use crate::sql::ddl::DdlKind;
use crate::txn::step;

/// ER_UNKNOWN_ERROR: the number of the proxy's own warnings.
const UNKNOWN_ERROR: u16 = 1105;
/// ER_TABLE_EXISTS_ERROR, a note of CREATE TABLE IF NOT EXISTS.
const TABLE_EXISTS: u16 = 1050;
/// How long a definition waits for another one of the same tables.
const LOCK_WAIT_S: u32 = 50;

/// One node's part: its number, its label and the request.
struct NodePart {
    number: usize,
    label: String,
    request: Request,
    /// The names of its tables.
    names: Option<Arc<NameMap>>,
}

/// What a definition came to.
#[derive(Debug)]
pub(super) struct Defined {
    pub(super) affected_rows: u64,
    pub(super) warnings: u16,
    pub(super) info: String,
}

impl Session {
    pub(super) async fn run_ddl(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let Defined { affected_rows, warnings, info } = self.define(snapshot, plan, bound, input).await?;
        let ok =
            OkPacket { affected_rows, status: self.status(), warnings, info: info.as_bytes(), ..OkPacket::default() };
        self.client.put_ok(&ok);
        self.state.row_count = affected_rows as i64;
        Ok(())
    }

    /// Carries a definition out on all of its nodes. Its warnings are the session's diagnostics then.
    pub(super) async fn define(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
    ) -> Result<Defined, Failure> {
        // DDL commits what is open, before and after itself.
        self.commit().await?;
        self.check_dropped(snapshot, plan, input).await?;
        let total = bound.shards.len();
        let mut written_down = self.written_down(snapshot, plan, &bound, input);
        let is_locked = written_down.is_some();
        if let Some(definition) = &written_down {
            self.finish_earlier(snapshot, bound.shards[0].group, definition).await?;
        }
        let (mut lanes, parts) = self.ddl_lanes(snapshot, plan, &bound, input).await?;
        let statements: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let instance = self.shared.coordinator.instance();
        let group = bound.shards[0].group;
        let work = async {
            let recording = match &mut written_down {
                Some(definition) => begin_recording(&mut lanes, snapshot, group, instance, definition).await?,
                None => None,
            };
            step::reached(step::Step::DefinitionBegun).await;
            let lanes = lanes.iter_mut().zip(parts);
            let results = join_all(lanes.map(|(lane, parts)| run_nodes(lane, parts, recording.as_ref()))).await;
            Ok((results, recording))
        };
        // Nodes that were killed are told apart from those that have it done.
        let watch = Watch { entry: &self.entry };
        let (results, recording) = match watch.guard_killing(&self.client, &statements, work).await {
            Ok(results) => results,
            // what was written down stays open: whoever looks next finds out how far it came
            Err(error) => {
                if is_locked {
                    release(&mut lanes, &snapshot.backends, plan).await;
                }
                return Err(self.lanes_failed(lanes, error, snapshot));
            }
        };
        let (mut warnings, mut affected_rows, mut info) = (0u16, 0u64, Info::default());
        let mut failures = Vec::new();
        for (outcomes, failed) in results {
            for outcome in outcomes {
                warnings = warnings.saturating_add(outcome.warnings);
                affected_rows = affected_rows.saturating_add(outcome.affected_rows);
                info.add(&outcome.info);
            }
            failures.extend(failed);
        }
        self.state.diagnostics.clear();
        // the nodes warn of the same things
        for told in lanes.iter_mut().flat_map(|lane| std::mem::take(lane.diagnostics())) {
            if total == 1 || !self.state.diagnostics.contains(&told) {
                self.state.diagnostics.push(told);
            }
        }
        self.state.diagnostics.truncate(MAX_DIAGNOSTICS);
        let failure = failures.first().map(|(_, error)| failure_of(&failures, error, total));
        match (&recording, &failure) {
            (Some(recording), None) => recording.end(State::Done, "").await,
            // a lost connection may have it done: whoever looks next finds out
            (Some(_), Some(_)) if failures.iter().any(|(_, error)| !is_refused(error)) => {}
            (Some(recording), Some(_)) if failures.len() == total => recording.end(State::Done, "").await,
            (Some(recording), Some(error)) => recording.end(State::Failed, &error.message).await,
            (None, None) => {
                let tables = logical_tables(plan);
                definitions::note_single(&snapshot.backends, group, instance, &tables).await;
            }
            (None, Some(_)) => {}
        }
        if is_locked {
            release(&mut lanes, &snapshot.backends, plan).await;
        }
        for mut lane in lanes {
            self.pin_for(plan, &mut lane);
            self.settle(lane, snapshot);
        }
        self.invalidate(plan, snapshot);
        let is_there = self.state.diagnostics.iter().any(|note| note.code == TABLE_EXISTS);
        if failures.len() < total && !is_there {
            self.restart_sequences(plan, input, snapshot).await;
        }
        self.note_write();
        if let Some(error) = failure {
            return Err(error.into());
        }
        self.note_temporary_tables(plan);
        self.note_renamed_tables(input.sql());
        // The nodes warn of the same things.
        let warnings = warnings.min(self.state.diagnostics.len() as u16) + plan.warnings.len() as u16;
        self.state.diagnostics.extend(plan.warnings.iter().map(|message| Diagnostic {
            level: "Warning".to_owned(),
            code: UNKNOWN_ERROR,
            message: message.clone(),
            is_told_once: false,
        }));
        Ok(Defined { affected_rows, warnings, info: info.text(warnings) })
    }

    /// A lane for each group and schema, and what each runs.
    async fn ddl_lanes(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: &Bound,
        input: Input<'_>,
    ) -> Result<(Vec<Lane>, Vec<Vec<NodePart>>), Failure> {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut parts: Vec<Vec<NodePart>> = Vec::new();
        for (number, shard) in bound.shards.iter().enumerate() {
            let known = lanes
                .iter()
                .zip(&parts)
                .position(|(lane, _)| lane.group() == shard.group && same_schema(lane, shard.schema.as_deref()));
            let index = match known {
                Some(index) => index,
                None => {
                    match self.lane_for(snapshot, plan, shard, crate::backend::Role::Primary).await {
                        Ok(lane) => lanes.push(lane),
                        Err(failure) => {
                            self.put_back(lanes, snapshot).await;
                            return Err(failure);
                        }
                    }
                    parts.push(Vec::new());
                    lanes.len() - 1
                }
            };
            let request = request(shard, input, false);
            let names = shard.names.clone();
            parts[index].push(NodePart { number, label: shard.node.to_string(), request, names });
        }
        Ok((lanes, parts))
    }

    /// What is written down of a definition over several nodes.
    fn written_down(&self, snapshot: &Snapshot, plan: &Plan, bound: &Bound, input: Input<'_>) -> Option<Definition> {
        if bound.shards.len() < 2 || plan.kind != StatementKind::Ddl {
            return None;
        }
        let kind = crate::sql::ddl::parse(input.sql(), self.state.lex_mode).map(|ddl| ddl.kind);
        // what empties or drops tables would take rows along that were written meanwhile
        let is_resumable = matches!(
            kind,
            Some(DdlKind::AlterTable | DdlKind::CreateIndex | DdlKind::DropIndex | DdlKind::CreateTable { .. })
        );
        let mut defined = plan.defined_tables().into_iter();
        let node = |shard: &crate::plan::ShardStatement| Node {
            group: Arc::clone(snapshot.backends.group(shard.group).name()),
            schema: shard.schema.clone(),
            table: defined.next(),
            statement: shard.sql.bytes(input.sql()).to_vec(),
            was: 0,
            state: NodeState::Waiting,
        };
        Some(Definition {
            name: String::new(),
            tables: logical_tables(plan),
            statement: input.sql().to_vec(),
            nodes: bound.shards.iter().map(node).collect(),
            settings: self.state.vars.iter().map(|(name, literal)| (name.to_string(), literal.to_string())).collect(),
            is_resumable,
            state: State::Running,
            message: String::new(),
            age_s: 0,
        })
    }

    /// A definition of the same tables that was left half done comes first.
    async fn finish_earlier(
        &self,
        snapshot: &Snapshot,
        group: GroupId,
        definition: &Definition,
    ) -> Result<(), Failure> {
        let backends = &snapshot.backends;
        for name in definitions::unfinished(backends, group, &definition.tables).await? {
            definitions::resume(backends, group, &name).await?;
        }
        Ok(())
    }
}

fn logical_tables(plan: &Plan) -> Vec<(String, String)> {
    plan.tables.iter().map(|table| (table.schema.to_string(), table.table.to_string())).collect()
}

/// Takes the locks of a definition, notes what its tables are, and writes it down. Where that cannot be done for lack of
/// rights, the definition runs all the same.
async fn begin_recording(
    lanes: &mut [Lane],
    snapshot: &Snapshot,
    group: GroupId,
    instance: u64,
    definition: &mut Definition,
) -> Result<Option<Recording>, ExecuteError> {
    let backends = &snapshot.backends;
    // all proxies take them in the same order
    let mut order: Vec<&mut Lane> = lanes.iter_mut().collect();
    order.sort_by_key(|lane| (Arc::clone(backends.group(lane.group()).name()), lane.schema()));
    for lane in &mut order {
        let name = Arc::clone(backends.group(lane.group()).name());
        // they are given back whatever comes
        lane.conn()?.mark_dirty();
        for lock in definitions::lock_names(&name, lane.schema().as_deref(), &definition.tables) {
            let query = format!("SELECT GET_LOCK('{lock}', {LOCK_WAIT_S})");
            let (_, rows) = query_rows(lane, &query, 1).await?;
            let got = rows.first().and_then(|row| row.first().cloned().flatten());
            if got.as_deref() != Some(b"1") {
                let message = "Lock wait timeout exceeded; another definition of the table is running";
                let error = ServerError { errno: 1205, sqlstate: "HY000".to_owned(), message: message.to_owned() };
                return Err(ExecuteError::Backend(error.into()));
            }
        }
        let schema = lane.schema();
        for node in definition.nodes.iter_mut().filter(|node| node.group == name && node.schema == schema) {
            node.was = current(lane, node).await?;
        }
    }
    match definitions::begin(backends, group, instance, definition).await {
        Ok(recording) => Ok(Some(recording)),
        Err(error @ BackendError::Server(_)) => {
            tracing::warn!(group = %backends.group(group).name(), %error, "the progress of a definition is not written down");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the table of a node is now; 0 where there is none.
async fn current(lane: &mut Lane, node: &Node) -> Result<u64, ExecuteError> {
    let Some((schema, table)) = &node.table else { return Ok(0) };
    let name = |name: &str| name.replace('`', "``");
    let query = format!("SHOW CREATE TABLE `{}`.`{}`", name(schema), name(table));
    match query_rows(lane, &query, 1).await {
        Ok((_, rows)) => {
            let text = rows.first().and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default();
            Ok(definitions::fingerprint(&String::from_utf8_lossy(&text), table))
        }
        // there is none, or it is not for us to see
        Err(ExecuteError::Backend(BackendError::Server(_))) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Gives the locks back on connections that the session keeps; elsewhere they go with the reset of the connection, or with
/// the connection.
async fn release(lanes: &mut [Lane], backends: &crate::backend::Backends, plan: &Plan) {
    for lane in lanes.iter_mut().filter(|lane| lane.is_usable() && lane.must_stay() && !lane.is_busy()) {
        let name = Arc::clone(backends.group(lane.group()).name());
        for lock in definitions::lock_names(&name, lane.schema().as_deref(), &logical_tables(plan)) {
            if let Err(error) = lane.run(format!("DO RELEASE_LOCK('{lock}')").as_bytes()).await {
                tracing::debug!(%error, "the lock of a definition goes with its connection");
            }
        }
    }
}

/// Whether a server said no, so that nothing was done there.
fn is_refused(error: &ExecuteError) -> bool {
    matches!(error, ExecuteError::Backend(BackendError::Server(_)))
}

impl Session {
    /// The keys of tables that were made, dropped or emptied are counted anew, as their server would, and from the number
    /// on that the statement says.
    async fn restart_sequences(&self, plan: &Plan, input: Input<'_>, snapshot: &Snapshot) {
        let Some(ddl) = crate::sql::ddl::parse(input.sql(), self.state.lex_mode) else { return };
        let emptied = match ddl.kind {
            DdlKind::CreateTable { temporary, .. } | DdlKind::DropTable { temporary, .. } => !temporary,
            DdlKind::Truncate | DdlKind::RenameTable => true,
            DdlKind::AlterTable => ddl.next_number.is_some(),
            _ => false,
        };
        for named in plan.tables.iter().filter(|_| emptied) {
            let next = ddl.next_number.unwrap_or(1);
            let numbered = if next > 1 { numbered_column(named, snapshot).await } else { String::new() };
            let maker = crate::plan::sequence_of(&snapshot.rules, &named.schema, &named.table, &numbered);
            let Some(maker) = maker else { continue };
            if let Err(error) = self.shared.keys.restart(&maker, next, &snapshot.backends).await {
                tracing::warn!(table = %named.table, %error, "the keys of a table are not counted anew");
            }
        }
    }
}

/// The AUTO_INCREMENT column of a table, whose keys say where its numbers go on.
async fn numbered_column(table: &LogicalTable, snapshot: &Snapshot) -> String {
    let known = snapshot.catalog.table(&table.schema, &table.table).await.ok().flatten();
    let column =
        known.and_then(|info| info.columns.iter().find(|column| column.auto_increment).map(|c| c.name.clone()));
    column.unwrap_or_default()
}

fn same_schema(lane: &Lane, schema: Option<&str>) -> bool {
    lane.schema().as_deref() == schema
}

/// Runs all parts of a lane, also behind one that failed; gives what they came to, and what failed.
async fn run_nodes(
    lane: &mut Lane,
    parts: Vec<NodePart>,
    recording: Option<&Recording>,
) -> (Vec<Outcome>, Vec<(String, ExecuteError)>) {
    let mut outcomes = Vec::new();
    let mut failed = Vec::new();
    for part in parts {
        let ran = run_node(lane, &part.request).await;
        if ran.is_ok() {
            keep_warnings(lane, part.names.as_deref()).await;
        }
        if let Some(recording) = recording {
            match &ran {
                Ok(_) => recording.tick(part.number, NodeState::Done).await,
                Err(error) if is_refused(error) => recording.tick(part.number, NodeState::Failed).await,
                Err(_) => {}
            }
            step::reached(step::Step::DefinedOne).await;
        }
        match ran {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => failed.push((part.label, error)),
        }
    }
    (outcomes, failed)
}

/// Keeps the warnings of a node's statement, under the names that the client knows.
async fn keep_warnings(lane: &mut Lane, names: Option<&NameMap>) {
    let earlier = lane.diagnostics().len();
    lane.keep_warnings().await;
    if let Some(names) = names {
        lane.diagnostics().iter_mut().skip(earlier).for_each(|told| told.message = names.restore_text(&told.message));
    }
}

async fn run_node(lane: &mut Lane, request: &Request) -> Result<Outcome, ExecuteError> {
    lane.send(request).await?;
    if let Head::Rows(_) = lane.read_head().await? {
        while lane.read_row().await?.is_some() {}
    }
    Ok(lane.outcome().clone())
}

/// The error of the first node that failed; which nodes failed, unless all did alike.
fn failure_of(failures: &[(String, ExecuteError)], first: &ExecuteError, total: usize) -> SqlError {
    let mut error = SqlError::from_report(first);
    if failures.len() < total {
        // written so that they are not taken for names that the client knows
        let nodes: Vec<String> = failures.iter().map(|(label, _)| label.replace('.', "/")).collect();
        error.message = format!(
            "{} (failed on {} of {total} nodes: {}; done on the others)",
            error.message,
            failures.len(),
            nodes.join(", ")
        );
    }
    error
}
