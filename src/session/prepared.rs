//! Prepared statements of the binary protocol: COM_STMT_PREPARE, _EXECUTE, _FETCH, _RESET, _CLOSE, _SEND_LONG_DATA.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::query::{Text, several_statements};
use super::{Failure, Flow, Session, Snapshot};
use crate::backend::{Role, Settings, StatementText};
use crate::config::GroupId;
use crate::error::SqlError;
use crate::execute::Watch;
use crate::execute::lane::Request;
use crate::execute::relay::{Style, relay, renamed};
use crate::protocol::command::code;
use crate::protocol::execute::{ExecuteHead, ExecuteParams, cursor, put_execute};
use crate::protocol::long_data::LongData;
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType, PrepareOk, ResponseKind, StatusFlags, charset};
use crate::sql::session_statement::SessionStatement;
use crate::sql::{LexMode, Literal, Scan, Verb, scan, session_statement};
use crate::txn::Want;

/// The prepared statements of one session, of both protocols.
#[derive(Debug, Default)]
pub struct PreparedStatements {
    by_id: HashMap<u32, Box<Prepared>, BuildHasherDefault<IdHasher>>,
    named: HashMap<String, Bytes>,
    last_id: u32,
    long_data_limit_bytes: usize,
}

/// Spreads statement ids. The proxy gives them, one after the other: nobody chooses ids that collide.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// One prepared statement.
#[derive(Debug)]
pub struct Prepared {
    /// The statement.
    pub text: Text,
    /// What reading it told.
    pub scan: Scan,
    /// Its literals.
    pub literals: Vec<Literal>,
    /// The text as backends are given it, where it is the client's own.
    pub backend_text: StatementText,
    /// Whether the session answers it itself.
    pub is_local: bool,
    /// The parameters of the last execution.
    pub params: ExecuteParams,
    /// Parameters that came in pieces.
    pub long_data: LongData,
    /// The open cursor.
    pub cursor: Option<Cursor>,
}

impl Prepared {
    /// A statement without parameters that stands inside of another one.
    pub fn inside(text: Text, mode: LexMode) -> Self {
        let mut literals = Vec::new();
        let scan = scan(&text.sql, mode, &mut literals);
        Self {
            backend_text: StatementText::new(&text.sql[..]),
            text,
            scan,
            literals,
            is_local: false,
            params: ExecuteParams::default(),
            long_data: LongData::default(),
            cursor: None,
        }
    }
}

/// An open cursor.
#[derive(Debug)]
pub enum Cursor {
    /// The backend holds the rows.
    Backend {
        /// The group whose connection is held.
        group: GroupId,
        /// The statement's id on that connection.
        statement_id: u32,
    },
    /// The proxy holds the rows of several shards.
    Rows(VecDeque<Bytes>),
}

/// Parameters and columns.
pub(super) type Definitions = (Vec<ColumnDef>, Vec<ColumnDef>);

impl PreparedStatements {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.by_id.clear();
        self.named.clear();
    }

    fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn check_room(&self, limit: usize) -> Result<(), Failure> {
        if self.by_id.len() + self.named.len() < limit {
            return Ok(());
        }
        let message = format!(
            "Can't create more than max_prepared_stmt_count statements (current value: {limit}); close some, \
             or raise limits.max_prepared_statements"
        );
        Err(SqlError::client(1461, "42000", message).into())
    }

    /// Adds a piece of a parameter; an unknown statement is ignored, as the command has no answer.
    pub fn add_long_data(&mut self, id: u32, param: u16, piece: &[u8]) {
        let limit = self.long_data_limit_bytes;
        if let Some(prepared) = self.by_id.get_mut(&id) {
            prepared.long_data.append(param, piece, limit);
        }
    }

    /// Remembers a statement of `PREPARE … FROM`.
    pub fn insert_named(&mut self, name: String, text: Bytes, limit: usize) -> Result<(), Failure> {
        if !self.named.contains_key(&name) {
            self.check_room(limit)?;
        }
        self.named.insert(name, text);
        Ok(())
    }

    /// The text of a statement of `PREPARE … FROM`.
    pub fn named(&self, name: &str) -> Option<Bytes> {
        self.named.get(name).cloned()
    }

    /// Forgets a statement of `PREPARE … FROM`.
    pub fn remove_named(&mut self, name: &str) -> bool {
        self.named.remove(name).is_some()
    }
}

impl Session {
    /// COM_STMT_PREPARE.
    pub(super) async fn prepare_statement(&mut self, sql: Bytes) -> Result<(), Failure> {
        let limits = self.shared.limits();
        self.prepared.long_data_limit_bytes = limits.max_allowed_packet_bytes;
        self.prepared.check_room(limits.max_prepared_statements)?;
        self.entry.begin(sql.clone(), self.since);
        self.start_clock();
        self.forget_diagnostics();
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        if scanned.next_statement.is_some() {
            return Err(several_statements(&sql[scanned.next_statement.unwrap_or(sql.len())..]));
        }
        let text = Text { sql: sql.slice(..scanned.statement_end) };
        let literals = self.literals.clone();
        let local = session_statement_of(&text, &scanned, self.state.lex_mode);
        let is_local = local.is_some();
        let (params, columns) = match local {
            Some(statement) => Box::pin(self.local_definitions(&statement, &text, &scanned)).await?,
            None => Box::pin(self.definitions(&text, &scanned)).await?,
        };
        let id = self.prepared.next_id();
        self.answer_prepare(id, &params, &columns);
        let backend_text = StatementText::new(&text.sql[..]);
        let prepared = Prepared {
            text,
            scan: scanned,
            literals,
            backend_text,
            is_local,
            params: ExecuteParams::default(),
            long_data: LongData::default(),
            cursor: None,
        };
        self.prepared.by_id.insert(id, Box::new(prepared));
        Ok(())
    }

    /// The parameters and columns of a statement that the session runs itself: they are a server's where it passes the
    /// statement on.
    async fn local_definitions(
        &mut self,
        statement: &SessionStatement,
        text: &Text,
        scanned: &Scan,
    ) -> Result<Definitions, Failure> {
        match statement {
            SessionStatement::Set(_) | SessionStatement::KillExpression { .. } => {
                return Ok((vec![placeholder(); scanned.placeholders as usize], Vec::new()));
            }
            SessionStatement::Opaque(_) => self.check_syntax(text).await?,
            SessionStatement::Prepare { .. }
            | SessionStatement::Execute { .. }
            | SessionStatement::ExecuteImmediate { .. }
            | SessionStatement::Deallocate(_)
            | SessionStatement::Versioned { .. }
            | SessionStatement::SetStatement { .. } => return Err(not_preparable()),
            SessionStatement::Show(show) => {
                if let Some(sql) = self.passed_on(show, text)? {
                    return self.definitions_aside(&sql).await;
                }
            }
            _ => {}
        }
        Ok(Definitions::default())
    }

    /// Prepares a statement on any server, to learn its parameters and columns.
    async fn definitions_aside(&mut self, sql: &Bytes) -> Result<Definitions, Failure> {
        let snapshot = self.snapshot();
        let group = self.group_for(sql, &snapshot);
        let mut lane = self.lane_aside(group, &snapshot).await?;
        let statement = lane.kill_handle();
        let watch = Watch { entry: &self.entry };
        let asking = async { lane.prepare_anew(&StatementText::new(&sql[..])).await };
        match watch.guard_killing(&self.client, statement.as_slice(), asking).await {
            Ok((_, params, columns)) => {
                self.settle(lane, &snapshot);
                Ok((params, columns))
            }
            Err(error) => Err(self.lane_failed(lane, error, &snapshot)),
        }
    }

    /// Prepares a statement on one of its targets, to learn its parameters and columns.
    pub(super) async fn definitions(&mut self, text: &Text, scanned: &Scan) -> Result<Definitions, Failure> {
        let snapshot = self.snapshot();
        let plan = self.plan(text, scanned, &snapshot, true).await?;
        let shard = match plan.sample(&text.sql, &self.literals) {
            Ok(shard) => shard,
            Err(error) => match plan.scratch_sample(&text.sql, &self.literals) {
                Some(scratch) => return self.scratch_definitions(&snapshot, &scratch, &text.sql).await,
                // a write in steps has no columns, and no server has all of its tables
                None if plan.compose.is_some() => {
                    return Ok((vec![placeholder(); scanned.placeholders as usize], Vec::new()));
                }
                None => return Err(error.into()),
            },
        };
        let settings = Settings::new(shard.schema.clone(), self.state.vars.clone());
        let flavour = self.flavour();
        let want =
            Want { group: shard.group, role: Role::Primary, flavour, settings: (&settings).into(), strict: false };
        let mut lane = self.take_lane(&snapshot, want).await?;
        let statement = lane.kill_handle();
        let watch = Watch { entry: &self.entry };
        let asking = async { lane.prepare_anew(&StatementText::new(shard.sql.bytes(&text.sql))).await };
        let prepared = watch.guard_killing(&self.client, statement.as_slice(), asking).await;
        let (_, params, mut columns) = match prepared {
            Ok(prepared) => {
                self.settle(lane, &snapshot);
                prepared
            }
            Err(error) => {
                let failure = self.lane_failed(lane, error, &snapshot);
                return Err(match &shard.names {
                    Some(names) => failure.renamed(&**names),
                    None => failure,
                });
            }
        };
        columns.truncate(columns.len().saturating_sub(plan.hidden_columns()));
        if let Some(names) = &shard.names {
            columns = columns.iter().map(|column| renamed(column.view(), &**names).to_owned()).collect();
        }
        Ok((params, columns))
    }

    fn answer_prepare(&mut self, id: u32, params: &[ColumnDef], columns: &[ColumnDef]) {
        let ok =
            PrepareOk { statement_id: id, columns: columns.len() as u16, params: params.len() as u16, warnings: 0 };
        let mut payload = BytesMut::new();
        ok.put(&mut payload);
        self.client.stream.queue(&payload);
        let status = self.status();
        for definitions in [params, columns] {
            if !definitions.is_empty() {
                self.client.put_definitions(definitions.iter(), status);
            }
        }
    }

    /// COM_STMT_EXECUTE.
    pub(super) async fn execute_statement(&mut self, payload: Bytes) -> Result<Flow, Failure> {
        let head = ExecuteHead::parse(&payload)?;
        let mut prepared =
            self.prepared.by_id.remove(&head.statement_id).ok_or_else(|| unknown(head.statement_id, "EXECUTE"))?;
        self.entry.begin(prepared.text.sql.clone(), self.since);
        self.start_clock();
        self.statement_failed = false;
        let result = self.execute_prepared(&mut prepared, &payload, head.cursor == cursor::READ_ONLY).await;
        prepared.long_data.clear();
        self.prepared.by_id.insert(head.statement_id, prepared);
        result
    }

    async fn execute_prepared(
        &mut self,
        prepared: &mut Prepared,
        payload: &Bytes,
        wants_cursor: bool,
    ) -> Result<Flow, Failure> {
        if prepared.long_data.overflowed() {
            return Err(SqlError::client(1153, "08S01", "A parameter is longer than max_allowed_packet").into());
        }
        self.close_cursor(prepared).await?;
        if wants_cursor && self.pins.cursors >= self.shared.limits().max_cursors {
            let max_cursors = self.shared.limits().max_cursors;
            let message = format!("More than {max_cursors} open cursors; close some, or raise limits.max_cursors");
            return Err(SqlError::client(1105, "HY000", message).into());
        }
        prepared.params.read(payload, prepared.scan.placeholders as usize, &prepared.long_data)?;
        if prepared.is_local {
            let mut own = BytesMut::with_capacity(payload.len());
            put_execute(0, cursor::NONE, prepared.params.iter(payload, &prepared.long_data), &mut own);
            self.binary = Some(own.freeze());
            let text = match session_statement::parse(&prepared.text.sql, self.state.lex_mode) {
                Some(SessionStatement::Set(_) | SessionStatement::KillExpression { .. }) => {
                    self.text_with_values(prepared, payload)?
                }
                _ => prepared.text.clone(),
            };
            return match session_statement::parse(&text.sql, self.state.lex_mode) {
                Some(statement) => Box::pin(self.session_statement(statement, &text)).await,
                None => {
                    Err(SqlError::client(1105, "HY000", "sql_mode has changed since PREPARE; prepare again").into())
                }
            };
        }
        self.forget_diagnostics();
        self.literals.clone_from(&prepared.literals);
        let snapshot = self.snapshot();
        let seq = self.client.stream.seq();
        let failure = match self.execute_once(&snapshot, prepared, payload, wants_cursor).await {
            Ok(()) => return Ok(Flow::Continue),
            Err(failure) => failure,
        };
        let stale = self.was_stale(&failure, &prepared.text, &prepared.scan, &snapshot);
        if !Box::pin(stale).await || self.client.stream.seq() != seq {
            return Err(failure);
        }
        self.literals.clone_from(&prepared.literals);
        let snapshot = self.snapshot();
        Box::pin(self.execute_once(&snapshot, prepared, payload, wants_cursor)).await?;
        Ok(Flow::Continue)
    }

    async fn execute_once(
        &mut self,
        snapshot: &Arc<Snapshot>,
        prepared: &mut Prepared,
        payload: &Bytes,
        wants_cursor: bool,
    ) -> Result<(), Failure> {
        let known = self.known_plan(&prepared.text, &prepared.scan, snapshot, true).await?;
        self.run_prepared(snapshot, &known.plan, prepared, payload, wants_cursor).await
    }

    /// COM_STMT_FETCH.
    pub(super) async fn fetch(&mut self, id: u32, rows: u32) -> Result<(), Failure> {
        let mut prepared = self.prepared.by_id.remove(&id).ok_or_else(|| unknown(id, "FETCH"))?;
        self.entry.begin(prepared.text.sql.clone(), self.since);
        self.start_clock();
        let result = match &mut prepared.cursor {
            Some(Cursor::Rows(held)) => {
                let last = held.len() <= rows as usize;
                let batch: Vec<Bytes> = held.drain(..held.len().min(rows as usize)).collect();
                self.answer_fetched(batch, last).await
            }
            Some(Cursor::Backend { group, statement_id }) => {
                let (group, statement_id) = (*group, *statement_id);
                self.fetch_from_backend(group, statement_id, rows).await
            }
            None => Err(SqlError::client(1421, "HY000", format!("The statement ({id}) has no open cursor.")).into()),
        };
        if matches!(result, Ok(true)) {
            prepared.cursor = None;
            self.pins.cursors = self.pins.cursors.saturating_sub(1);
            self.txn.release_unpinned(self.pins.any());
        }
        self.prepared.by_id.insert(id, prepared);
        result.map(drop)
    }

    async fn answer_fetched(&mut self, rows: Vec<Bytes>, last: bool) -> Result<bool, Failure> {
        for row in &rows {
            self.client.put_row(row).await?;
        }
        let mark = if last { StatusFlags::LAST_ROW_SENT } else { StatusFlags::CURSOR_EXISTS };
        self.client.put_end(self.status().with(mark), 0);
        Ok(last)
    }

    /// Returns whether that was the last row. The server's cursor is read to its end then, and closes itself.
    async fn fetch_from_backend(&mut self, group: GroupId, statement_id: u32, rows: u32) -> Result<bool, Failure> {
        let snapshot = self.snapshot();
        let mut lane = self.held_lane(group, &snapshot).await?;
        let mut payload = BytesMut::new();
        payload.put_u8(code::STMT_FETCH);
        payload.put_u32_le(statement_id);
        payload.put_u32_le(rows);
        lane.send(&Request::Command(payload.freeze())).await?;
        let style = Style { kind: ResponseKind::Fetch, ..Style::PLAIN };
        let watch = Watch { entry: &self.entry };
        relay(&mut lane, &mut self.client, watch, style).await?;
        let last = lane.outcome().status.contains(StatusFlags::LAST_ROW_SENT) || lane.outcome().error.is_some();
        self.settle(lane, &snapshot);
        Ok(last)
    }

    /// COM_STMT_RESET: closes the cursor and forgets long data.
    pub(super) async fn reset_statement(&mut self, id: u32) -> Result<(), Failure> {
        let mut prepared = self.prepared.by_id.remove(&id).ok_or_else(|| unknown(id, "RESET"))?;
        prepared.long_data.clear();
        let result = self.close_cursor(&mut prepared).await;
        self.prepared.by_id.insert(id, prepared);
        result?;
        self.answer_ok();
        Ok(())
    }

    /// COM_STMT_CLOSE, which has no answer.
    pub(super) fn close_statement(&mut self, id: u32) {
        let Some(prepared) = self.prepared.by_id.remove(&id) else { return };
        match prepared.cursor {
            Some(Cursor::Backend { group, statement_id }) => {
                self.txn.close_statement(group, statement_id);
                self.unpin_cursor();
            }
            Some(Cursor::Rows(_)) => self.unpin_cursor(),
            None => {}
        }
    }

    fn unpin_cursor(&mut self) {
        self.pins.cursors = self.pins.cursors.saturating_sub(1);
        self.txn.release_unpinned(self.pins.any());
    }

    async fn close_cursor(&mut self, prepared: &mut Prepared) -> Result<(), Failure> {
        match prepared.cursor.take() {
            None => return Ok(()),
            Some(Cursor::Rows(_)) => {}
            Some(Cursor::Backend { group, statement_id }) => {
                let snapshot = self.snapshot();
                let mut lane = self.held_lane(group, &snapshot).await?;
                let mut payload = BytesMut::new();
                payload.put_u8(code::STMT_RESET);
                payload.put_u32_le(statement_id);
                lane.send(&Request::Command(payload.freeze())).await?;
                lane.read_head().await?;
                self.settle(lane, &snapshot);
            }
        }
        self.unpin_cursor();
        Ok(())
    }
}

/// A statement that the session answers itself. DDL and data go to the planner.
pub(super) fn session_statement_of(text: &Text, scanned: &Scan, mode: LexMode) -> Option<SessionStatement> {
    use Verb::{Delete, Insert, Replace, Select, Update, With};
    if matches!(scanned.verb, Select | Insert | Update | Delete | Replace | With) {
        return None;
    }
    session_statement::parse(&text.sql, mode).filter(|statement| !is_about_tables(statement))
}

/// Whether a statement about tables goes through the planner, which knows their physical names.
fn is_about_tables(statement: &SessionStatement) -> bool {
    match statement {
        SessionStatement::Describe(_) | SessionStatement::Explain(_) => true,
        SessionStatement::Show(show) => show.is_about_tables(),
        _ => false,
    }
}

/// The error of a statement that no server prepares.
pub(super) fn not_preparable() -> Failure {
    let message = "This command is not supported in the prepared statement protocol yet";
    SqlError::client(1295, "HY000", message).into()
}

fn unknown(id: u32, command: &str) -> Failure {
    let message = format!("Unknown prepared statement handler ({id}) given to mysqld_stmt_{}", command.to_lowercase());
    SqlError::client(1243, "HY000", message).into()
}

/// A parameter as a server describes it that knows nothing of its type.
fn placeholder() -> ColumnDef {
    let empty = Bytes::new;
    ColumnDef {
        catalog: Bytes::from_static(b"def"),
        schema: empty(),
        table: empty(),
        org_table: empty(),
        name: Bytes::from_static(b"?"),
        org_name: empty(),
        charset: charset::BINARY,
        length: 0,
        kind: ColumnType::NULL,
        flags: ColumnFlags::BINARY,
        decimals: 0,
        default_value: empty(),
    }
}
