//! One client: its commands, in named steps, and what it has set.
//!
//! [`Session::run`] reads commands; `command` tells them apart; `query` and `prepared` take a statement from its text to
//! its plan; `run` carries the plan out; `local`, `set`, `show` are the statements that the session answers itself.

mod after;
mod announce;
mod answer;
mod aside;
mod atomic;
mod combine;
mod command;
mod consistent;
mod ddl;
mod ddl_missing;
mod dml;
mod doorman;
mod evaluate;
mod failure;
mod field_list;
mod gather;
mod grants;
mod lanes;
mod literal;
mod local;
mod locks;
mod maintain;
mod moment;
mod names;
mod planning;
mod prepared;
mod query;
mod reading;
mod recent;
mod renamed;
mod run;
mod scratch;
mod scratch_columns;
mod scratch_gate;
mod scratch_order;
mod scratch_place;
mod scratch_reread;
mod scratch_size;
mod select_inner;
mod set;
mod shared;
mod show;
mod show_definitions;
mod show_rights;
mod show_transactions;
mod stale;
mod state;
mod temporary;
mod text_prepared;
mod values;
mod watched;
mod write;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

pub use doorman::{Doorman, NewUser};
pub use failure::Failure;
pub use shared::{Shared, Snapshot};
pub use state::{DefaultCharsets, State};

use crate::backend::Flavour;
use crate::execute::{Client, Diagnostic, Entered, Interrupt};
use crate::net::NetError;
use crate::plan::LogicalTable;
use crate::protocol::{Capabilities, OkPacket, StatusFlags};
use crate::sql::Literal;
use crate::txn::Transaction;
use prepared::PreparedStatements;
use recent::RecentPlans;

/// Whether the session goes on after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The next command is read.
    Continue,
    /// The connection is closed.
    Close,
}

/// Why a session keeps its backend connections between statements even outside of a transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pins {
    /// LOCK TABLES.
    pub locked_tables: bool,
    /// GET_LOCK.
    pub named_locks: bool,
    /// CREATE TEMPORARY TABLE.
    pub temporary_tables: bool,
    /// Open cursors.
    pub cursors: usize,
}

impl Pins {
    /// Whether there is a reason.
    pub fn any(self) -> bool {
        self.locked_tables || self.named_locks || self.temporary_tables || self.cursors > 0
    }
}

/// Who a client is, as the handshake found out.
#[derive(Debug)]
pub struct Identity {
    /// The connection id that it was told.
    pub connection_id: u32,
    /// The account.
    pub user: Arc<str>,
    /// Its address and port, for SHOW PROCESSLIST.
    pub peer: String,
    /// Its host, as USER() shows it.
    pub host: String,
    /// The schema it asked for.
    pub schema: Option<Arc<str>>,
    /// The collation id of its handshake.
    pub collation: u16,
}

/// One client's session.
pub struct Session {
    shared: Arc<Shared>,
    client: Client,
    entry: Entered,
    state: State,
    txn: Transaction,
    pins: Pins,
    /// What LOCK TABLES named.
    locked_tables: Vec<LogicalTable>,
    /// What CREATE TEMPORARY TABLE named.
    temporary_tables: Vec<LogicalTable>,
    prepared: PreparedStatements,
    /// The plans that were used last.
    recent: RecentPlans,
    /// The rules that an open transaction began with.
    snapshot: Option<Arc<Snapshot>>,
    /// CLIENT_MULTI_STATEMENTS, which COM_SET_OPTION can change.
    multi_statements: bool,
    /// Another statement of the same command follows.
    more_results: bool,
    /// The statement that runs wants binary rows: a COM_STMT_EXECUTE with its parameters.
    binary: Option<Bytes>,
    /// The statement that runs was answered with a backend's error.
    statement_failed: bool,
    /// Used again for each statement.
    literals: Vec<Literal>,
    /// When the last command came, or its last statement ended: the clock is read twice per statement, not more.
    since: Instant,
    collation: u16,
    host: String,
    doorman: Box<dyn Doorman>,
    /// `limits.statement_timeout_ms`; zero for none.
    statement_timeout: Duration,
}

impl Session {
    /// A session for a client whose handshake is done and answered.
    pub fn new(shared: Arc<Shared>, client: Client, identity: Identity, doorman: Box<dyn Doorman>) -> Self {
        let entry = shared.registry.enter(
            identity.connection_id,
            Arc::clone(&identity.user),
            identity.peer,
            identity.schema.clone(),
        );
        let coordinator = Arc::clone(&shared.coordinator);
        Self {
            multi_statements: client.capabilities.contains(Capabilities::MULTI_STATEMENTS),
            state: shared.fresh_state(identity.collation, identity.schema),
            shared,
            client,
            entry,
            txn: Transaction::new(coordinator, identity.connection_id),
            pins: Pins::default(),
            locked_tables: Vec::new(),
            temporary_tables: Vec::new(),
            prepared: PreparedStatements::default(),
            recent: RecentPlans::default(),
            snapshot: None,
            more_results: false,
            binary: None,
            statement_failed: false,
            literals: Vec::new(),
            since: Instant::now(),
            collation: identity.collation,
            host: identity.host,
            doorman,
            statement_timeout: Duration::ZERO,
        }
    }

    /// Reads and answers commands until the client leaves, is killed, idles for too long, or the proxy drains.
    pub async fn run(mut self, drain: impl Future<Output = ()>) {
        let mut drain = std::pin::pin!(drain);
        let mut idle = Box::pin(tokio::time::sleep(self.idle_limit()));
        loop {
            self.client.stream.set_seq(0);
            let packet = match self.next_command(&mut idle, drain.as_mut()).await {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => {
                    self.say_goodbye(error.into()).await;
                    break;
                }
            };
            let result = self.command(packet).await;
            self.shared.metrics.relayed_to_client(self.client.stream.take_sent_bytes());
            match result {
                Ok(Flow::Continue) => {}
                Ok(Flow::Close) => break,
                Err(failure) => {
                    // A session that failed holds nothing that others wait for while its client does not read.
                    self.txn.abandon();
                    let is_gone = matches!(failure, Failure::ClientGone);
                    self.say_goodbye(failure).await;
                    if is_gone {
                        return;
                    }
                    break;
                }
            }
        }
        self.txn.abandon();
        self.hang_up().await;
    }

    /// The next command, or nothing if the session is to end.
    async fn next_command(
        &mut self,
        idle: &mut Pin<Box<Sleep>>,
        mut drain: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Bytes>, NetError> {
        loop {
            tokio::select! {
                biased;
                packet = self.client.stream.read_packet() => {
                    self.since = Instant::now();
                    return packet.map(Some);
                }
                what = self.entry.interrupted() => {
                    if what == Interrupt::Connection {
                        return Ok(None);
                    }
                }
                () = idle.as_mut() => {
                    let waited = self.since.elapsed();
                    let limit = self.idle_limit();
                    if waited >= limit {
                        return Ok(None);
                    }
                    idle.as_mut().reset(tokio::time::Instant::now() + (limit - waited));
                }
                // A transaction may end before the proxy does.
                () = drain.as_mut(), if !self.txn.is_active() => return Ok(None),
            }
        }
    }

    fn idle_limit(&self) -> Duration {
        self.shared.idle_limit()
    }

    /// The rules and backends that the next statement uses.
    fn snapshot(&mut self) -> Arc<Snapshot> {
        if !self.txn.holds_any() && !self.txn.is_active() {
            self.snapshot = None;
        }
        match &self.snapshot {
            Some(snapshot) => Arc::clone(snapshot),
            None => self.shared.snapshot.load_full(),
        }
    }

    /// How the client wants its bytes.
    fn flavour(&self) -> Flavour {
        Flavour {
            deprecate_eof: self.client.deprecates_eof(),
            found_rows: self.client.capabilities.contains(Capabilities::FOUND_ROWS),
        }
    }

    /// The status flags of an answer that the proxy gives itself.
    fn status(&self) -> StatusFlags {
        let mut status = self.txn.status(self.state.autocommit);
        if self.more_results {
            status = status.with(StatusFlags::MORE_RESULTS_EXISTS);
        }
        if self.state.lex_mode.no_backslash_escapes {
            status = status.with(StatusFlags::NO_BACKSLASH_ESCAPES);
        }
        if self.state.lex_mode.ansi_quotes && self.shared.is_mariadb() {
            status = status.with(StatusFlags::ANSI_QUOTES);
        }
        status
    }

    /// Queues an OK of the proxy's own.
    fn answer_ok(&mut self) {
        self.answer_ok_saying("");
    }

    /// Queues an OK of the proxy's own with a text.
    fn answer_ok_saying(&mut self, info: &str) {
        let ok = OkPacket { status: self.status(), info: info.as_bytes(), ..OkPacket::default() };
        self.client.put_ok(&ok);
        self.state.row_count = 0;
    }

    /// Reads of this session stay on the primary for a while.
    fn note_write(&mut self) {
        self.state.last_write = Some(Instant::now());
    }
}
