//! One connection to a backend: commands out, answers in, and what is known of its session state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio::time::timeout;

use super::error::BackendError;
use super::flavour::Flavour;
use super::kill::Beginning;
use super::server::{Place, Server};
use super::settings::{Settings, Variables, Wanted, has_default, remembered, set_statement};
use super::setup::{Risk, SchemaCommand, SessionState, Setup, Step};
use super::spec::Limits;
use super::statements::{Prepared, StatementText, Statements};
use super::version::ServerVersion;
use super::{auth, response};
use crate::cores;
use crate::net::PacketStream;
use crate::protocol::StatusFlags;
use crate::protocol::command::code;
use crate::protocol::frame::{HEADER_LEN, MAX_WIRE_PAYLOAD};

/// A read or write buffer larger than this is given back when the connection goes idle.
const IDLE_BUFFER_BYTES: usize = 64 * 1024;

/// One connection to a backend.
///
/// A command is queued (`queue_…`), flushed, and its answer read from [`stream`](Self::stream) by whoever sent it, who
/// then calls [`response_done`](Self::response_done). A connection whose answers were not all read is never used again.
#[derive(Debug)]
pub struct BackendConn {
    stream: PacketStream,
    server: Arc<Server>,
    thread_id: u32,
    version: Arc<ServerVersion>,
    flavour: Flavour,
    proof: auth::Proof,
    state: SessionState,
    statements: Statements,
    status: StatusFlags,
    /// Commands sent whose answers are not read to their end.
    open_responses: u32,
    /// Whether statements of the proxy's own are under way in front of the client's.
    beginning: Arc<Beginning>,
    dirty: bool,
    broken: bool,
    reused: bool,
    /// No statement has run since it was opened or taken from the pool.
    untouched: bool,
    /// The core (see `cores`) that waits for its socket.
    core: usize,
    created: Instant,
    idle_since: Instant,
    _place: Place,
}

impl BackendConn {
    /// A connection whose handshake is done.
    pub(super) fn new(
        server: &Arc<Server>,
        flavour: Flavour,
        place: Place,
        stream: PacketStream,
        greeted: auth::Greeted,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            server: server.clone(),
            thread_id: greeted.thread_id,
            version: Arc::new(greeted.version),
            flavour,
            proof: greeted.proof,
            state: SessionState::fresh(),
            statements: Statements::new(server.spec().limits.max_statements),
            status: greeted.status,
            open_responses: 0,
            beginning: Arc::default(),
            dirty: false,
            broken: false,
            reused: false,
            untouched: true,
            core: cores::current(),
            created: now,
            idle_since: now,
            _place: place,
        }
    }

    /// The packets: answers are read, relayed and scanned here.
    #[inline]
    pub fn stream(&mut self) -> &mut PacketStream {
        &mut self.stream
    }

    /// Whether statements of the proxy's own are under way in front of the client's.
    pub fn beginning(&self) -> &Arc<Beginning> {
        &self.beginning
    }

    /// The server's id of this connection, as `KILL` takes it.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// The server that it leads to.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The server's version.
    pub fn version(&self) -> &Arc<ServerVersion> {
        &self.version
    }

    /// Whether the server is a MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.version.is_mariadb
    }

    /// The capabilities that shape its answers.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The status flags of the last answer.
    pub fn status(&self) -> StatusFlags {
        self.status
    }

    /// Whether it came out of the pool used: then the server may have closed it unseen, and a read that got no byte of an
    /// answer may be run again on another connection.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Queues what brings this connection to the settings. Nothing if it has them, which costs a pointer comparison.
    /// See [`Setup::may_pipeline`] for what may be queued behind it, and [`read_setup`](Self::read_setup) for the answers.
    #[inline]
    pub fn queue_settings<'a>(&mut self, want: impl Into<Wanted<'a>>) -> Setup {
        let want = want.into();
        if self.state.is_ready_for(want) {
            return Setup::READY;
        }
        self.queue_setup(want)
    }

    /// Whether it has the settings already.
    #[inline]
    pub fn has_settings(&self, want: Wanted<'_>) -> bool {
        self.state.is_ready_for(want)
    }

    fn queue_setup(&mut self, want: Wanted<'_>) -> Setup {
        let mut risk = Risk::None;
        // There is no way out of a schema but to log in again, which ends transactions and drops what the session has made
        // here. Once it has run a statement here, it stays in the last schema that it had.
        let stays = want.schema.is_none() && !self.untouched;
        let own = self.state.schema.clone();
        let schema = if stays { own.as_ref() } else { want.schema };
        match self.state.choose_schema(schema) {
            Some(SchemaCommand::InitDb(name)) => {
                let known = self.server.has_accepted(SCHEMA, &name);
                risk = if known { Risk::Schema } else { Risk::Untried };
                self.queue_command(code::INIT_DB, name.as_bytes());
            }
            Some(SchemaCommand::ChangeUser) => {
                risk = Risk::Untried;
                self.statements.drain();
                let payload = auth::change_user(self.server.spec(), &self.proof);
                self.queue_payload(&payload);
            }
            None => {}
        }
        // A variable that the session before had set and this one has not: if it has no DEFAULT to go back to, the
        // connection starts afresh. A session that holds the connection never drops a variable.
        if self.untouched
            && self
                .state
                .vars
                .assignments(want.vars)
                .iter()
                .any(|(name, literal)| literal.is_none() && !has_default(name))
        {
            self.dirty = true;
            self.queue_reset_if_dirty();
        }
        if !Variables::same(&self.state.vars, want.vars) {
            let assignments = self.state.vars.assignments(want.vars);
            if !assignments.iter().all(|(name, literal)| {
                self.server.has_accepted(name, literal.map_or(DEFAULT, |literal| remembered(name, literal)))
            }) {
                risk = Risk::Untried;
            }
            let sql = set_statement(&self.state.vars, want.vars, &self.version);
            if let Some(sql) = self.state.choose_vars(want.vars, sql) {
                self.queue_command(code::QUERY, sql.as_bytes());
            }
        }
        Setup { steps: self.state.pending.len(), risk }
    }

    fn queue_reset_if_dirty(&mut self) {
        if self.dirty {
            self.dirty = false;
            self.statements.drain();
            self.state.reset();
            self.queue_command(code::RESET_CONNECTION, &[]);
        }
    }

    /// Reads the answers of the setup, all of them. The first error is returned as the server sent it; the step that failed
    /// has changed nothing, so the connection can go on, unless a statement was queued behind it: that one has run, and
    /// its answer must be read, or the connection discarded.
    pub async fn read_setup(&mut self) -> Result<(), BackendError> {
        if self.state.pending.is_empty() {
            return Ok(());
        }
        if !self.stream.write_buffer().is_empty() {
            self.flush().await?;
        }
        // The stream counts on from the command queued last; each setup command was a packet with id 0 of its own.
        let seq = self.stream.seq();
        let mut failed = None;
        while let Some(step) = self.state.pending.pop_front() {
            self.stream.set_seq(1);
            match self.read_step(&step).await {
                Ok(()) => self.step_succeeded(&step),
                Err(BackendError::Server(error)) => {
                    self.step_failed(&step);
                    self.state.undo(step);
                    failed.get_or_insert(error);
                }
                Err(error) => {
                    self.broken = true;
                    return Err(error);
                }
            }
        }
        self.stream.set_seq(seq);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn read_step(&mut self, step: &Step) -> Result<(), BackendError> {
        match step {
            Step::LeaveSchema { .. } => {
                (self.proof, self.status) = auth::finish(&mut self.stream, &self.server, self.proof).await?;
                return Ok(());
            }
            Step::Set { unsent: Some(sql), .. } => {
                self.queue_command(code::QUERY, sql.as_bytes());
                self.flush().await?;
            }
            _ => {}
        }
        self.status = response::read_ok(&mut self.stream, &self.server).await?.status;
        Ok(())
    }

    fn step_succeeded(&mut self, step: &Step) {
        match step {
            Step::Schema { name, .. } => self.server.note_accepted(SCHEMA, name),
            Step::Set { previous, want, .. } => {
                for (name, literal) in previous.assignments(want) {
                    self.server.note_accepted(name, literal.map_or(DEFAULT, |literal| remembered(name, literal)));
                }
            }
            Step::Reset | Step::LeaveSchema { .. } => {}
        }
    }

    fn step_failed(&mut self, step: &Step) {
        match step {
            Step::Schema { name, .. } => self.server.note_rejected(SCHEMA, name),
            Step::Set { previous, want, .. } => {
                for (name, literal) in previous.assignments(want) {
                    self.server.note_rejected(name, literal.map_or(DEFAULT, |literal| remembered(name, literal)));
                }
            }
            // A connection that cannot be reset or has lost its user is of no use to anyone.
            Step::Reset | Step::LeaveSchema { .. } => self.broken = true,
        }
    }

    /// The schema and variables that it has, or will have once the setup is read.
    pub fn settings(&self) -> Settings {
        Settings::new(self.state.schema.clone(), self.state.vars.clone())
    }

    /// The client's own statement changed the session state (a relayed `SET` or `USE`): this is what it is now.
    pub fn adopt_settings(&mut self, now: &Settings) {
        self.state.vars = now.vars.clone();
        self.state.schema = now.schema.clone();
    }

    /// Queues a `COM_QUERY`.
    #[inline]
    pub fn queue_query(&mut self, sql: &[u8]) {
        self.begin_response();
        self.queue_command(code::QUERY, sql);
    }

    /// Queues a `COM_STMT_PREPARE`.
    pub fn queue_prepare(&mut self, sql: &[u8]) {
        self.begin_response();
        self.queue_command(code::STMT_PREPARE, sql);
    }

    /// Queues a whole command, its first byte the command's code.
    #[inline]
    pub fn queue_packet(&mut self, payload: &[u8]) {
        let silent = matches!(payload.first(), Some(&(code::STMT_CLOSE | code::STMT_SEND_LONG_DATA | code::QUIT)));
        if !silent {
            self.begin_response();
        }
        self.queue_payload(payload);
    }

    /// Queues a client's COM_STMT_EXECUTE, with the id that the statement has here.
    pub fn queue_execute(&mut self, payload: &[u8], statement_id: u32) {
        let at = self.stream.write_buffer().len() + HEADER_LEN + 1;
        self.begin_response();
        self.queue_payload(payload);
        if let Some(id) = self.stream.write_buffer().get_mut(at..at + 4) {
            id.copy_from_slice(&statement_id.to_le_bytes());
        }
    }

    #[inline]
    fn begin_response(&mut self) {
        self.open_responses += 1;
        self.untouched = false;
    }

    fn queue_payload(&mut self, payload: &[u8]) {
        self.stream.set_seq(0);
        self.stream.queue(payload);
    }

    /// A command of a code and its argument. The short form (all but giants) copies the argument once.
    fn queue_command(&mut self, code: u8, argument: &[u8]) {
        let len = argument.len() + 1;
        if len >= MAX_WIRE_PAYLOAD {
            self.queue_payload(&[&[code], argument].concat());
            return;
        }
        let out = self.stream.write_buffer();
        out.reserve(HEADER_LEN + len);
        out.extend_from_slice(&[len as u8, (len >> 8) as u8, (len >> 16) as u8, 0, code]);
        out.extend_from_slice(argument);
        self.stream.set_seq(1);
    }

    /// Sends what is queued as far as that takes no waiting. True if all of it has left.
    pub fn flush_at_once(&mut self) -> Result<bool, BackendError> {
        let sent = self.stream.flush_at_once();
        sent.map_err(|error| self.lost(&error))
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> Result<(), BackendError> {
        let sent = self.stream.flush().await;
        sent.map_err(|error| self.lost(&error))
    }

    /// An answer was read to its end; `status` are the flags of its last packet (`None` after an ERR).
    #[inline]
    pub fn response_done(&mut self, status: Option<StatusFlags>) {
        self.open_responses = self.open_responses.saturating_sub(1);
        match status {
            Some(status) => self.status = status,
            // Without autocommit a statement that failed may still have begun a transaction; an ERR does not tell.
            None if !self.status.contains(StatusFlags::AUTOCOMMIT) => {
                self.status = self.status.with(StatusFlags::IN_TRANSACTION);
            }
            None => {}
        }
    }

    /// Whether an answer, or a part of one, is still to come.
    pub fn is_mid_response(&self) -> bool {
        self.open_responses > 0
    }

    /// The socket failed under whoever uses it: the error to report. The connection is not used again.
    pub fn lost(&mut self, error: &crate::net::NetError) -> BackendError {
        self.broken = true;
        if self.reused {
            self.server.suspect();
        }
        BackendError::lost(self.server.label(), error)
    }

    /// Whether it will not be used again.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The connection is not used again.
    pub fn mark_broken(&mut self) {
        self.broken = true;
    }

    /// It holds state that only a reset removes: temporary tables, locks, user variables. As long as its session holds the
    /// lease, the state stays (a reset would end the session's transaction). The reset is sent the moment the
    /// lease is dropped, so that locks do not outlive their session, and its answer is read before the next use.
    pub fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// The statement of a text, if it is prepared here under the present settings.
    #[inline]
    pub fn prepared(&mut self, text: &StatementText) -> Option<Prepared> {
        self.statements.get(text, &self.state.schema, self.state.vars.prepare_hash())
    }

    /// Remembers a statement that was prepared under the present settings, and queues the close of one that has to go.
    pub fn remember(&mut self, text: &StatementText, prepared: Prepared) {
        let hash = self.state.vars.prepare_hash();
        if let Some(id) = self.statements.insert(text, &self.state.schema, hash, prepared) {
            self.queue_close(id);
        }
    }

    /// Forgets a statement that the server does not know any more (error 1243), without closing it.
    pub fn forget(&mut self, id: u32) {
        self.statements.forget(id);
    }

    /// Closes all remembered statements: the server is at its `max_prepared_stmt_count` (error 1461).
    pub fn close_statements(&mut self) {
        for id in self.statements.drain() {
            self.queue_close(id);
        }
    }

    /// Number of remembered statements.
    pub fn statement_count(&self) -> usize {
        self.statements.count()
    }

    /// Queues a `COM_STMT_CLOSE`, which has no answer; it leaves with the next command.
    pub fn queue_close(&mut self, id: u32) {
        self.queue_command(code::STMT_CLOSE, &id.to_le_bytes());
    }

    /// The core (see `cores`) that waits for its socket.
    pub(super) fn core(&self) -> usize {
        self.core
    }

    /// Since when it has been idle.
    pub(super) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// How long it has been idle.
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// Whether it has been idle, or alive, for too long.
    pub(super) fn is_stale(&self, now: Instant, limits: &Limits) -> bool {
        self.broken
            || self.idle_for(now) > limits.idle_timeout
            || now.saturating_duration_since(self.created) > limits.max_lifetime
    }

    /// Whether nothing is known against it. Costs no system call as long as the runtime has seen nothing arrive.
    pub(super) fn looks_alive(&mut self) -> bool {
        // The answer to a reset that was sent when it was given back may be there, or the server's goodbye.
        let expects_bytes = !self.state.pending.is_empty();
        if !self.stream.buffer().is_empty() && !expects_bytes {
            return false;
        }
        if self.stream.io().is_quiet() {
            return true;
        }
        match self.stream.fill().now_or_never() {
            None => true,
            Some(read) => read.is_ok() && expects_bytes,
        }
    }

    /// A round trip to the server.
    pub async fn ping(&mut self, limit: Duration) -> Result<(), BackendError> {
        let waited_ms = limit.as_millis() as u64;
        match timeout(limit, self.ping_unbounded()).await {
            Ok(answered) => answered,
            Err(_) => {
                self.broken = true;
                Err(BackendError::Timeout { server: self.server.label().clone(), waited_ms })
            }
        }
    }

    async fn ping_unbounded(&mut self) -> Result<(), BackendError> {
        self.read_setup().await?;
        self.queue_packet(&[code::PING]);
        self.flush().await?;
        let status = response::read_ok(&mut self.stream, &self.server).await?.status;
        self.response_done(Some(status));
        Ok(())
    }

    /// Makes it ready to lie in the pool; false if it is not to be used again. Never waits.
    pub(super) fn give_back(&mut self) -> bool {
        self.idle_since = Instant::now();
        if self.is_stale(self.idle_since, &self.server.spec().limits)
            || self.open_responses > 0
            || !self.state.pending.is_empty()
        {
            return false;
        }
        if self.status.contains(StatusFlags::IN_TRANSACTION) {
            self.dirty = true;
        }
        if self.dirty {
            self.queue_reset_if_dirty();
            // Five bytes into an empty socket buffer: if that does not pass at once, something is wrong with it.
            if !matches!(self.stream.flush().now_or_never(), Some(Ok(()))) {
                return false;
            }
            self.status = StatusFlags::AUTOCOMMIT;
        }
        self.trim_buffers();
        self.reused = true;
        self.untouched = true;
        true
    }
}

impl BackendConn {
    /// Gives the memory of large buffers back.
    fn trim_buffers(&mut self) {
        if self.stream.buffer().is_empty() && self.stream.buffer().capacity() > IDLE_BUFFER_BYTES {
            *self.stream.buffer() = BytesMut::new();
        }
        if self.stream.write_buffer().is_empty() && self.stream.write_buffer().capacity() > IDLE_BUFFER_BYTES {
            *self.stream.write_buffer() = BytesMut::new();
        }
    }
}

impl Drop for BackendConn {
    /// Says goodbye where that cannot wait or mislead, so that the server does not log an aborted connection.
    fn drop(&mut self) {
        if !self.broken && self.open_responses == 0 {
            self.queue_command(code::QUIT, &[]);
            let _ = self.stream.flush().now_or_never();
        }
    }
}

/// The kind under which accepted schemas are remembered; no variable has that name.
const SCHEMA: &str = "use";
/// The value under which accepted resets of a variable are remembered.
const DEFAULT: &str = "DEFAULT";
