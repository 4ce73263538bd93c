//! One backend connection in use by one statement.

mod answer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::ExecuteError;
use super::diagnostics::Diagnostic;
use crate::backend::{BackendError, KillHandle, Lease, Prepared, ServerError, StatementText, Wanted};
use crate::config::GroupId;
use crate::protocol::column::ColumnDef;
use crate::protocol::command::code;
use crate::protocol::err::is_err;
use crate::protocol::ok::OkPacket;
use crate::protocol::prepare_ok::PrepareOk;
use crate::protocol::{Capabilities, StatusFlags};

/// ER_LOCK_DEADLOCK: the server has rolled the transaction back.
const DEADLOCK: u16 = 1213;

/// What is sent to a shard.
#[derive(Debug, Clone)]
pub enum Request {
    /// COM_QUERY.
    Query(Bytes),
    /// COM_STMT_EXECUTE of a text, which is prepared first where it is not yet.
    Execute {
        /// The statement.
        text: StatementText,
        /// A whole COM_STMT_EXECUTE with the types of its parameters; the statement id is put in here.
        payload: Bytes,
    },
    /// Makes another schema the connection's default, which the connection then remembers.
    UseSchema(Arc<str>),
    /// Any other command, its code first.
    Command(Bytes),
}

/// What a statement came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Status flags of the last packet.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Affected rows (found rows under CLIENT_FOUND_ROWS).
    pub affected_rows: u64,
    /// The insert id that the server reported.
    pub insert_id: u64,
    /// Rows of the result, if it had rows.
    pub rows: Option<u64>,
    /// The text of an OK packet.
    pub info: String,
    /// The error that ended it, if one did and it has been relayed to the client.
    pub error: Option<ServerError>,
}

/// How an answer begins.
#[derive(Debug)]
pub enum Head {
    /// With column definitions; rows follow.
    Rows(Vec<ColumnDef>),
    /// It was an OK packet: there is no more to it.
    Ok,
}

/// One backend connection in use by one statement.
#[derive(Debug)]
pub struct Lane {
    group: GroupId,
    lease: Option<Lease>,
    /// Statements queued before the client's, whose OK packets come first.
    preludes: u32,
    has_setup: bool,
    /// The sequence id that the answer begins with: one more than the last packet of the request had.
    answer_seq: u8,
    in_transaction: bool,
    /// It is a branch of a transaction over several groups: only the proxy ends that.
    is_branch: bool,
    /// The schema that a request in flight chooses: the connection is in it once the server has said OK.
    choosing: Option<Arc<str>>,
    outcome: Outcome,
    /// Warnings of the statements that ran on it and are not the last one.
    diagnostics: Vec<Diagnostic>,
    /// Set when the lane ends without its connection being handed back: the session relied on what it held.
    loss: Option<Arc<AtomicBool>>,
}

/// A lane that goes down with the state of its session on it tells so: whichever way an error takes, a transaction is
/// never half forgotten.
impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(loss) = &self.loss {
            loss.store(true, Ordering::Relaxed);
        }
    }
}

impl Lane {
    /// A lane over a lease; `in_transaction` says whether the server has a transaction open on it.
    pub fn new(group: GroupId, lease: Lease, in_transaction: bool) -> Self {
        Self {
            group,
            lease: Some(lease),
            preludes: 0,
            has_setup: false,
            answer_seq: 1,
            in_transaction,
            is_branch: false,
            choosing: None,
            outcome: Outcome::default(),
            diagnostics: Vec::new(),
            loss: None,
        }
    }

    /// The same lane, as a branch of a transaction over several groups: whatever a statement does, the branch stays open
    /// until the proxy ends it. (A deadlock leaves it *rollback only*, which is still to be ended.)
    pub fn as_branch(mut self) -> Self {
        self.set_branch();
        self
    }

    /// As [`as_branch`](Self::as_branch).
    pub fn set_branch(&mut self) {
        self.is_branch = true;
        self.in_transaction = true;
    }

    /// The same lane, whose loss is told.
    pub fn reporting_loss(mut self, loss: &Arc<AtomicBool>) -> Self {
        self.loss = Some(Arc::clone(loss));
        self
    }

    /// Whether it held state of the session before this statement.
    pub fn reports_loss(&self) -> bool {
        self.loss.is_some()
    }

    /// What it takes to stop its statement from outside.
    pub fn kill_handle(&self) -> Option<KillHandle> {
        self.lease.as_ref().map(|lease| lease.kill_handle())
    }

    /// Whether the session relies on what this connection holds.
    pub fn must_stay(&self) -> bool {
        self.loss.is_some() || self.in_transaction
    }

    /// Sends what is queued before a statement that is not going to run, so that the connection can be handed back.
    pub async fn run_preludes(&mut self) -> Result<(), ExecuteError> {
        if self.has_preludes() {
            self.conn()?.flush().await?;
            self.read_preludes().await?;
        }
        Ok(())
    }

    /// The group that it leads to.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The connection. It is there until the lane is discarded, and a discarded lane is not used again.
    pub fn conn(&mut self) -> Result<&mut Lease, ExecuteError> {
        self.lease.as_mut().ok_or_else(|| ExecuteError::Backend(BackendError::gone()))
    }

    /// Stops the statement that runs on it; its answer, an error then, is still to be read.
    pub async fn kill_query(&self) {
        if let Some(lease) = &self.lease {
            let handle = lease.kill_handle();
            if let Err(error) = handle.kill_query().await {
                tracing::debug!(server = %lease.server().label(), %error, "a statement could not be stopped");
            }
        }
    }

    /// Whether an answer is still to come.
    pub fn is_busy(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_mid_response())
    }

    /// Whether the server has a transaction open on it.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// The server's id of its connection; 0 when that was given up.
    pub fn thread_id(&self) -> u32 {
        self.lease.as_ref().map_or(0, |lease| lease.thread_id())
    }

    /// Whether it is a branch of a transaction over several groups.
    pub fn is_branch(&self) -> bool {
        self.is_branch
    }

    /// Notes that a transaction begins or has ended.
    pub fn set_in_transaction(&mut self, yes: bool) {
        self.in_transaction = yes;
        self.is_branch &= yes;
    }

    /// What the last statement came to.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Puts back what the client's statement came to, after statements of the proxy's own on the same lane.
    pub fn restore_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// The warnings that were fetched from it.
    pub fn diagnostics(&mut self) -> &mut Vec<Diagnostic> {
        &mut self.diagnostics
    }

    /// Notes what a relayed statement came to.
    pub fn note_outcome(&mut self, outcome: Outcome) {
        match &outcome.error {
            None => {
                self.in_transaction = self.is_branch || outcome.status.contains(StatusFlags::IN_TRANSACTION);
            }
            Some(error) => self.note_error(error.errno),
        }
        if let Some(lease) = &mut self.lease {
            lease.response_done(outcome.error.is_none().then_some(outcome.status));
        }
        self.outcome = outcome;
    }

    fn note_error(&mut self, errno: u16) {
        if errno == DEADLOCK {
            self.in_transaction = self.is_branch;
        }
    }

    /// Queues what brings the connection to the session's state.
    pub async fn settle_settings<'a>(
        &mut self,
        settings: impl Into<Wanted<'a>>,
        is_write: bool,
    ) -> Result<(), ExecuteError> {
        let setup = self.conn()?.queue_settings(settings);
        if setup.steps == 0 {
            return Ok(());
        }
        if !setup.may_pipeline(is_write) {
            let conn = self.conn()?;
            conn.flush().await?;
            return Ok(conn.read_setup().await?);
        }
        self.has_setup = true;
        self.conn()?.beginning().begin();
        Ok(())
    }

    /// Queues a statement of the proxy's own before the client's.
    pub fn queue_prelude(&mut self, sql: &[u8]) -> Result<(), ExecuteError> {
        let conn = self.conn()?;
        conn.beginning().begin();
        conn.queue_query(sql);
        self.preludes += 1;
        Ok(())
    }

    /// Queues a request and writes all that is queued.
    pub async fn send(&mut self, request: &Request) -> Result<(), ExecuteError> {
        self.choosing = None;
        match request {
            Request::Query(sql) => self.conn()?.queue_query(sql),
            Request::UseSchema(schema) => {
                self.conn()?.queue_packet(&[&[code::INIT_DB], schema.as_bytes()].concat());
                self.choosing = Some(Arc::clone(schema));
            }
            Request::Command(payload) => self.conn()?.queue_packet(payload),
            Request::Execute { text, payload } => {
                let prepared = self.prepare(text).await?;
                self.conn()?.queue_execute(payload, prepared.id);
            }
        }
        self.flush_request().await
    }

    async fn flush_request(&mut self) -> Result<(), ExecuteError> {
        let conn = self.lease.as_mut().ok_or_else(|| ExecuteError::Backend(BackendError::gone()))?;
        self.answer_seq = conn.stream().seq();
        Ok(conn.flush().await?)
    }

    /// The sequence id that the answer begins with.
    pub fn answer_seq(&self) -> u8 {
        self.answer_seq
    }

    /// Queues a COM_QUERY from a borrowed text and writes all that is queued: the way of most statements.
    pub async fn send_query(&mut self, sql: &[u8]) -> Result<(), ExecuteError> {
        self.conn()?.queue_query(sql);
        self.flush_request().await
    }

    /// As [`send_query`](Self::send_query), as far as that takes no waiting. False if a part is left to [flush](Self::flush).
    pub fn start_query(&mut self, sql: &[u8]) -> Result<bool, ExecuteError> {
        self.conn()?.queue_query(sql);
        self.start_request()
    }

    /// As [`send`](Self::send), as far as that takes no waiting: false if a part is left to [flush](Self::flush). `None` if
    /// nothing was sent, as the statement has to be prepared first.
    pub fn start_execute(&mut self, text: &StatementText, payload: &[u8]) -> Result<Option<bool>, ExecuteError> {
        if self.has_preludes() {
            return Ok(None);
        }
        let conn = self.conn()?;
        let Some(prepared) = conn.prepared(text) else { return Ok(None) };
        conn.queue_execute(payload, prepared.id);
        self.start_request().map(Some)
    }

    fn start_request(&mut self) -> Result<bool, ExecuteError> {
        let conn = self.conn()?;
        let (seq, sent) = (conn.stream().seq(), conn.flush_at_once()?);
        self.answer_seq = seq;
        Ok(sent)
    }

    /// Writes all that is queued.
    pub async fn flush(&mut self) -> Result<(), ExecuteError> {
        Ok(self.conn()?.flush().await?)
    }

    /// Reads more of the answer.
    pub async fn fill(&mut self) -> Result<(), ExecuteError> {
        let conn = self.conn()?;
        match conn.stream().fill().await {
            Ok(_) => Ok(()),
            Err(error) => Err(conn.lost(&error).into()),
        }
    }

    /// Whether answers of the setup or of preludes come before the statement's.
    pub fn has_preludes(&self) -> bool {
        self.has_setup || self.preludes > 0
    }

    /// Reads the answers of setup and preludes; afterwards the next packet is the first of the statement's answer.
    pub async fn read_preludes(&mut self) -> Result<(), ExecuteError> {
        if !self.has_preludes() {
            return self.answer_follows();
        }
        let read = self.read_beginning().await;
        if let Some(lease) = &self.lease {
            lease.beginning().end();
        }
        read?;
        self.answer_follows()
    }

    async fn read_beginning(&mut self) -> Result<(), ExecuteError> {
        if std::mem::take(&mut self.has_setup) {
            self.conn()?.read_setup().await?;
        }
        while self.preludes > 0 {
            self.preludes -= 1;
            self.read_own_ok().await?;
        }
        Ok(())
    }

    fn answer_follows(&mut self) -> Result<(), ExecuteError> {
        let seq = self.answer_seq;
        self.conn()?.stream().set_seq(seq);
        Ok(())
    }

    async fn read_own_ok(&mut self) -> Result<(), ExecuteError> {
        self.conn()?.stream().set_seq(1);
        let packet = self.read_packet().await?;
        if is_err(&packet) {
            self.conn()?.response_done(None);
            return Err(self.server_error(&packet));
        }
        let ok = OkPacket::parse(&packet, Capabilities::NONE).map_err(|e| self.malformed(&e))?;
        self.conn()?.response_done(Some(ok.status));
        Ok(())
    }

    /// Runs a statement of the proxy's own that returns no rows.
    pub async fn run(&mut self, sql: &[u8]) -> Result<(), ExecuteError> {
        self.send_query(sql).await?;
        if let Head::Rows(_) = self.read_head().await? {
            while self.read_row().await?.is_some() {}
        }
        Ok(())
    }

    /// Prepares a text unless the connection has it prepared.
    pub async fn prepare(&mut self, text: &StatementText) -> Result<Prepared, ExecuteError> {
        // The cache's key holds the settings, so they are settled first.
        self.run_preludes().await?;
        if let Some(prepared) = self.conn()?.prepared(text) {
            return Ok(prepared);
        }
        let (prepared, _, _) = self.prepare_anew(text).await?;
        Ok(prepared)
    }

    /// Prepares a text, and gives the definitions of its parameters and columns.
    pub async fn prepare_anew(
        &mut self,
        text: &StatementText,
    ) -> Result<(Prepared, Vec<ColumnDef>, Vec<ColumnDef>), ExecuteError> {
        let conn = self.conn()?;
        conn.queue_prepare(text.as_bytes());
        self.flush_request().await?;
        self.read_preludes().await?;
        let packet = self.read_packet().await?;
        if is_err(&packet) {
            self.conn()?.response_done(None);
            return Err(self.server_error(&packet));
        }
        let ok = PrepareOk::parse(&packet).map_err(|e| self.malformed(&e))?;
        let params = self.read_definitions(usize::from(ok.params)).await?;
        let columns = self.read_definitions(usize::from(ok.columns)).await?;
        let prepared = Prepared { id: ok.statement_id, params: ok.params, columns: ok.columns };
        let conn = self.conn()?;
        conn.response_done(None);
        conn.remember(text, prepared);
        Ok((prepared, params, columns))
    }

    /// Closes the connection.
    pub fn discard(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.discard();
        }
        self.in_transaction = false;
    }

    /// Closes the connection in the middle of a transaction, which is lost with it: the session must be told.
    pub fn break_off(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.mark_broken();
        }
    }

    /// Whether it can be used again: it is there, and its last answer was read to the end.
    pub fn is_usable(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| !lease.is_mid_response() && !lease.is_broken())
    }

    /// Whether its connection came out of the pool used.
    pub fn was_reused(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_reused())
    }

    /// The default schema of its connection.
    pub fn schema(&self) -> Option<Arc<str>> {
        self.lease.as_ref().and_then(|lease| lease.settings().schema)
    }

    /// The connection with its group, unless it was closed or is in no state to be used again.
    pub fn into_lease(mut self) -> Option<(Lease, GroupId)> {
        let lease = self.lease.take().filter(|lease| !lease.is_mid_response() && !lease.is_broken())?;
        self.loss = None;
        Some((lease, self.group))
    }
}
