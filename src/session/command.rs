//! Commands, told apart.

use std::pin::pin;

use bytes::Bytes;

use super::recent::RecentPlans;
use super::{Failure, Flow, Pins, Session};
use crate::error::SqlError;
use crate::execute::ExecuteError;
use crate::execute::deadline::Cause;
use crate::execute::error::DEADLOCK_KIND;
use crate::protocol::session_track::put_schema;
use crate::protocol::{Capabilities, Command, OkPacket, ProtocolError};
use crate::sql::session_statement::Kill;

impl Session {
    /// Answers one command. An error that the client can read is written here; what comes back as an `Err` ends the
    /// session.
    pub(super) async fn command(&mut self, packet: Bytes) -> Result<Flow, Failure> {
        self.follow_limits();
        let result = self.dispatch(&packet).await.map_err(|failure| self.explained(failure));
        self.entry.end(self.since);
        let lost = self.lost_state();
        let flow = match result {
            // Its transaction is gone, as a deadlock takes it, and nothing else that the client relies on.
            Err(Failure::Sql(error) | Failure::Fatal(error)) if error.kind == DEADLOCK_KIND && !self.pins.any() => {
                self.txn.abandon();
                self.note_failure(&error);
                self.client.put_error(&error);
                Flow::Continue
            }
            // Its answer has left; on one server the connection would be gone with what it held.
            Ok(_) if lost => Flow::Close,
            Err(failure) if lost => return Err(failure.fatal()),
            Ok(flow) => flow,
            Err(Failure::Sql(error)) => {
                self.note_failure(&error);
                self.client.put_error(&error);
                Flow::Continue
            }
            Err(fatal) => return Err(fatal),
        };
        self.client.flush().await?;
        drop(packet);
        self.client.release();
        Ok(flow)
    }

    /// A statement that was killed because its time was up ends with the server's error for that.
    fn explained(&self, failure: Failure) -> Failure {
        let Some(cause @ Cause::TimeUp { .. }) = self.entry.deadline().stopped() else { return failure };
        let error = SqlError::from_report(&ExecuteError::from(cause));
        failure.with_cause_of_kill(&error)
    }

    /// Whether a connection went down with state that the client relies on: its transaction, locks, temporary tables.
    /// What is left of that is dropped with it.
    pub(super) fn lost_state(&mut self) -> bool {
        let lost = self.txn.take_loss();
        if lost {
            self.txn.abandon();
        }
        lost
    }

    async fn dispatch(&mut self, packet: &Bytes) -> Result<Flow, Failure> {
        self.more_results = false;
        self.binary = None;
        let command = match Command::parse(packet) {
            Ok(command) => command,
            Err(ProtocolError::UnknownCommand) => {
                return Err(SqlError::client(1047, "08S01", "Unknown command").into());
            }
            Err(error) => return Err(error.into()),
        };
        match command {
            // Pinned where they are made: awaited by value, a future of some KiB is moved twice for each statement.
            Command::Query(_) => return pin!(self.query(packet.slice(1..))).await,
            Command::StmtExecute(payload) => return pin!(self.execute_statement(packet.slice_ref(payload))).await,
            // Boxed, as all that is not run for most commands: its state would weigh on every statement's.
            Command::StmtPrepare(_) => Box::pin(self.prepare_statement(packet.slice(1..))).await?,
            Command::StmtSendLongData { statement_id, param, data } => {
                self.prepared.add_long_data(statement_id, param, data);
            }
            Command::StmtClose(id) => self.close_statement(id),
            Command::StmtReset(id) => Box::pin(self.reset_statement(id)).await?,
            Command::StmtFetch { statement_id, rows } => Box::pin(self.fetch(statement_id, rows)).await?,
            Command::Quit => return Ok(Flow::Close),
            Command::InitDb(name) => {
                self.use_schema(&String::from_utf8_lossy(name))?;
                self.answer_schema_change();
            }
            Command::Ping => self.answer_ok(),
            Command::FieldList { table, wildcard } => Box::pin(self.field_list(table, wildcard)).await?,
            Command::Statistics => self.statistics(),
            Command::ProcessInfo => Box::pin(self.process_list(false)).await?,
            Command::ProcessKill(id) => return self.kill(Kill { query: false, connection_id: u64::from(id) }),
            Command::ChangeUser(body) => Box::pin(self.change_user(&packet.slice_ref(body))).await?,
            Command::ResetConnection => {
                Box::pin(self.reset()).await?;
                self.answer_ok();
            }
            Command::SetOption { multi_statements } => {
                self.multi_statements = multi_statements;
                self.client.put_end(self.status(), 0);
            }
            Command::Refused { name } => {
                tracing::debug!(name, "a command for administrators of one server is refused");
                let message = "Access denied; you need (at least one of) the SUPER privilege(s) for this operation";
                return Err(SqlError::client(1227, "42000", message).into());
            }
        }
        Ok(Flow::Continue)
    }

    /// USE and COM_INIT_DB.
    pub(super) fn use_schema(&mut self, name: &str) -> Result<(), Failure> {
        let snapshot = self.shared.snapshot.load_full();
        if name.eq_ignore_ascii_case("information_schema") {
            self.state.set_schema(Some("information_schema"));
            self.entry.set_schema(self.state.schema.clone());
            return Ok(());
        }
        let Some(schema) = snapshot.rules.schema(name) else {
            return Err(SqlError::client(1049, "42000", format!("Unknown database '{name}'")).into());
        };
        if !self.shared.may_use(&self.entry.user, name) {
            let message = format!("Access denied for user '{}'@'%' to database '{name}'", self.entry.user);
            return Err(SqlError::client(1044, "42000", message).into());
        }
        self.state.set_schema(Some(&schema.name));
        self.entry.set_schema(self.state.schema.clone());
        Ok(())
    }

    /// The OK of a schema change, which tells the new schema to clients that track it.
    pub(super) fn answer_schema_change(&mut self) {
        let mut tracked = Vec::new();
        if self.client.capabilities.contains(Capabilities::SESSION_TRACK)
            && let Some(schema) = &self.state.schema
        {
            put_schema(schema.as_bytes(), &mut tracked);
        }
        let ok = OkPacket { status: self.status(), session_state: &tracked, ..OkPacket::default() };
        self.client.put_ok(&ok);
        self.state.row_count = 0;
    }

    /// COM_RESET_CONNECTION: the state of a fresh session, the schema kept.
    pub(super) async fn reset(&mut self) -> Result<(), Failure> {
        // Whatever is open is rolled back; what cannot be reached any more is rolled back by its server.
        if self.txn.rollback(false).await.is_err() {
            self.txn.abandon();
        }
        self.pins = Pins::default();
        self.temporary_tables.clear();
        self.prepared.clear();
        // Another user may be about to take the session over.
        self.recent = RecentPlans::default();
        self.state = self.shared.fresh_state(self.collation, self.state.schema.take());
        self.multi_statements = self.client.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        Ok(())
    }

    /// COM_STATISTICS: one line, as `mysqladmin status` shows it.
    fn statistics(&mut self) {
        let text = self.shared.statistics();
        self.client.stream.queue(text.as_bytes());
    }

    /// What the next SHOW WARNINGS shows after an error.
    pub(super) fn note_failure(&mut self, error: &SqlError) {
        self.shared.note_error(error);
        self.state.row_count = -1;
        self.state.diagnostics.clear();
        self.state.diagnostics.push(super::Diagnostic {
            level: "Error".to_owned(),
            code: error.errno,
            message: error.message.clone(),
            is_told_once: false,
        });
    }
}
