//! LOAD DATA LOCAL INFILE into tables that the rules place: the client's file is cut into lines as it comes, each line
//! goes to the node of its key, and the nodes' servers read the fields.
//!
//! A node gets its lines in chunks, each a LOAD DATA of its own, all in one transaction. So the proxy holds no more than a
//! chunk per node, whatever the file's length.

use std::sync::Arc;

use super::Done;
use crate::backend::{Role, Settings};
use crate::error::SqlError;
use crate::execute::lane::Outcome;
use crate::execute::write::{at_row, number_after};
use crate::execute::{ExecuteError, Lane, Watch, infile};
use crate::id::{IdError, Key, MAX_FETCHES};
use crate::net::NetError;
use crate::plan::LastInsertId;
use crate::plan::load::{LoadPlan, OwnKey};
use crate::protocol::Capabilities;
use crate::session::query::Text;
use crate::session::{Failure, Flow, Session, Snapshot};
use crate::sql::load_data::{self, Lines, NotRead};
use crate::txn::Want;

/// A node's chunk is sent when it is that long.
const CHUNK_BYTES: usize = 256 * 1024;
/// So many keys are fetched at once for the lines that come.
const KEYS_AT_ONCE: u32 = 1_000;

/// The lines that a node gets next.
#[derive(Debug, Default)]
struct Chunk {
    lines: Vec<u8>,
    /// The numbers of the lines in the file, from 1.
    rows: Vec<u32>,
}

/// What `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0` says.
#[derive(Debug, Default)]
struct Counts {
    records: u64,
    deleted: u64,
    skipped: u64,
}

impl Counts {
    fn add(&mut self, info: &str) {
        self.records += number_after(info, "Records").unwrap_or(0);
        self.deleted += number_after(info, "Deleted").unwrap_or(0);
        self.skipped += number_after(info, "Skipped").unwrap_or(0);
    }

    fn text(&self, warnings: u16) -> String {
        format!("Records: {}  Deleted: {}  Skipped: {}  Warnings: {warnings}", self.records, self.deleted, self.skipped)
    }
}

/// A file on its way.
struct Loading<'a> {
    plan: &'a LoadPlan,
    sql: &'a [u8],
    snapshot: Arc<Snapshot>,
    chunks: Vec<Chunk>,
    /// What came and is not yet a whole line.
    pending: Vec<u8>,
    /// Lines that are still to be left out.
    ignored: u64,
    row: u32,
    counts: Counts,
    first_key: Option<u64>,
}

impl Session {
    /// LOAD DATA LOCAL INFILE into a table that the rules place; `None` for one that they do not.
    pub(in crate::session) async fn load_split(&mut self, text: &Text) -> Result<Option<Flow>, Failure> {
        let load = load_data::parse(&text.sql, self.state.lex_mode)
            .map_err(|NotRead(what)| SqlError::not_supported(what, "insert the rows, or write it in another way"))?;
        let snapshot = self.snapshot();
        let schema = load.table.schema.as_ref().map(|name| name.text.clone());
        if let Some(schema) = schema.as_deref().or(self.state.schema.as_deref()) {
            self.check_may_use(std::iter::once(schema))?;
            snapshot.catalog.table(schema, &load.table.table.text).await?;
        }
        let Some(plan) = crate::plan::load::plan(&self.plan_context(&snapshot, false), load)? else { return Ok(None) };
        if !self.client.capabilities.contains(Capabilities::LOCAL_FILES) {
            return Err(no_local_files(self.shared.is_mariadb()));
        }
        let within = self.begin_steps(&snapshot, &[]).await?;
        let mut done = Done::new();
        let loaded = self.load_file(&plan, text, &snapshot, &mut done).await;
        let loaded = loaded.map_err(|failure| match &plan.names {
            Some(names) => failure.renamed(&**names),
            None => failure,
        });
        self.end_steps(within, loaded).await?;
        self.answer_steps(done);
        Ok(Some(Flow::Continue))
    }

    async fn load_file(
        &mut self,
        plan: &LoadPlan,
        text: &Text,
        snapshot: &Arc<Snapshot>,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let mut loading = Loading {
            plan,
            sql: &text.sql,
            snapshot: Arc::clone(snapshot),
            chunks: plan.unit.place.nodes().iter().map(|_| Chunk::default()).collect(),
            pending: Vec::new(),
            ignored: plan.load.ignored.as_ref().map_or(0, |(count, _)| *count),
            row: 0,
            counts: Counts::default(),
            first_key: None,
        };
        infile::ask_for(&mut self.client, &plan.load.file).await?;
        let mut failed = None;
        // The file is read to its end in any case: only then the client listens.
        loop {
            let packet = tokio::select! {
                biased;
                packet = self.client.stream.read_packet() => packet.map_err(ExecuteError::ClientLost)?,
                () = async { while self.entry.interrupted().await != crate::execute::Interrupt::Connection {} } => {
                    return Err(ExecuteError::ClientLost(NetError::Closed).into());
                }
            };
            let at_end = packet.is_empty();
            if failed.is_none() {
                loading.pending.extend_from_slice(&packet);
                failed = self.load_lines(&mut loading, at_end, done).await.err();
            }
            match failed {
                Some(failure @ Failure::ClientGone) => return Err(failure),
                Some(failure) if at_end => return Err(failure),
                None if at_end => break,
                _ => {}
            }
        }
        for node in 0..loading.chunks.len() {
            // of a file without lines a server tells what is wrong with the statement
            if !loading.chunks[node].rows.is_empty() || (loading.row == 0 && node == 0) {
                self.send_chunk(&mut loading, node, done).await?;
            }
        }
        done.text = Some(loading.counts.text(done.warnings));
        if let Some(key) = loading.first_key {
            // a server tells no insert id of a file
            done.last_insert_id = LastInsertId::Generated(key);
        }
        Ok(())
    }

    /// Takes the whole lines of what came so far.
    async fn load_lines(&mut self, loading: &mut Loading<'_>, at_end: bool, done: &mut Done) -> Result<(), Failure> {
        let limit_bytes = self.shared.limits().max_buffered_bytes;
        let plan = loading.plan;
        let lines = Lines::new(&plan.load.format);
        let pending = std::mem::take(&mut loading.pending);
        let mut from = 0;
        while let Some((length, content)) = lines.next(&pending[from..], at_end) {
            let line = &pending[from + content.start..from + content.end];
            let is_line = length > 0 && !(content.is_empty() && content.start == length);
            from += length;
            if !is_line {
                continue;
            }
            if loading.ignored > 0 {
                loading.ignored -= 1;
                continue;
            }
            loading.row += 1;
            let fields = lines.fields(line);
            let key = match plan.own_key(&fields)? {
                Some(OwnKey::None) => self.next_key(plan, &loading.snapshot).await?,
                Some(OwnKey::Number(number)) => {
                    if let Some(maker) = plan.maker() {
                        self.shared.keys.note_given(maker, number);
                    }
                    None
                }
                _ => None,
            };
            loading.first_key = loading.first_key.or(key.and_then(Key::int));
            for node in plan.nodes(&fields, key)? {
                let chunk = &mut loading.chunks[node];
                plan.write(line, &fields, key, &mut chunk.lines)?;
                chunk.rows.push(loading.row);
                if chunk.lines.len() >= CHUNK_BYTES {
                    self.send_chunk(loading, node, done).await?;
                }
            }
        }
        loading.pending = pending[from..].to_vec();
        if loading.pending.len() > limit_bytes {
            return Err(ExecuteError::TooLarge { limit_bytes }.into());
        }
        Ok(())
    }

    async fn next_key(&self, plan: &LoadPlan, snapshot: &Snapshot) -> Result<Option<Key>, Failure> {
        let Some(maker) = plan.maker() else { return Ok(None) };
        for _ in 0..MAX_FETCHES {
            match self.shared.keys.take(maker, 1) {
                Err(IdError::NotReady | IdError::TooEarly(_)) => {
                    self.shared.keys.prepare(maker, KEYS_AT_ONCE, &snapshot.backends).await?;
                }
                keys => {
                    self.shared.keys.keep_up(maker, &snapshot.backends);
                    return Ok(keys?.first().copied());
                }
            }
        }
        Err(IdError::NotReady.into())
    }

    /// Gives a node its lines.
    async fn send_chunk(&mut self, loading: &mut Loading<'_>, node: usize, done: &mut Done) -> Result<(), Failure> {
        let chunk = std::mem::take(&mut loading.chunks[node]);
        let plan = loading.plan;
        let Some(place) = plan.unit.node(node) else { return Ok(()) };
        let snapshot = Arc::clone(&loading.snapshot);
        self.check_write(&snapshot, &[place.group])?;
        let settings = Settings::new(Some(Arc::clone(&place.schema)), Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let want =
            Want { group: place.group, role: Role::Primary, flavour, settings: (&settings).into(), strict: true };
        let mut lane: Lane = self.txn.lane(&snapshot.backends, want).await?;
        if let Some(prelude) = self.user_variables_prelude() {
            lane.queue_prelude(prelude.as_bytes())?;
            lane.conn()?.mark_dirty();
        }
        // where the proxy makes no numbers, the server may
        let numbers = plan.maker().is_none() && plan.unit.place.nodes().len() == 1;
        if numbers {
            self.queue_insert_id(&mut lane)?;
        }
        let sql = plan.statement(loading.sql, node);
        let handles: Vec<_> = lane.kill_handle().into_iter().collect();
        let watch = Watch { entry: &self.entry };
        let work = infile::load(&mut lane, &sql, &chunk.lines);
        let outcome: Outcome = match watch.guard_killing(&self.client, &handles, work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let failure = self.lane_failed(lane, error, &snapshot);
                return Err(failure.map_message(|message| at_row(&message, &chunk.rows)));
            }
        };
        self.state.diagnostics.clear();
        self.add_warnings(&mut lane).await;
        if numbers && loading.first_key.is_none() {
            let id = self.insert_id_on(&mut lane).await;
            loading.first_key = Some(id).filter(|id| *id != self.state.last_insert_id);
        }
        self.settle(lane, &snapshot);
        let mut diagnostics = std::mem::take(&mut self.state.diagnostics);
        for diagnostic in &mut diagnostics {
            diagnostic.message = at_row(&diagnostic.message, &chunk.rows);
            if let Some(names) = &plan.names {
                diagnostic.message = crate::execute::relay::Names::restore_text(&**names, &diagnostic.message);
            }
        }
        // of a broadcast table every node has the same rows
        if plan.unit.place.broadcast().is_some() && node > 0 {
            return Ok(());
        }
        loading.counts.add(&outcome.info);
        done.add(&outcome, diagnostics);
        Ok(())
    }
}

/// The error of a server for a client that does not send files.
fn no_local_files(is_mariadb: bool) -> Failure {
    if is_mariadb {
        let message = "The used command is not allowed because the MariaDB server or client has disabled the local infile \
                       capability";
        return SqlError::client(4166, "HY000", message).into();
    }
    let message = "Loading local data is disabled; this must be enabled on both the client and server sides";
    SqlError::client(3948, "42000", message).into()
}
