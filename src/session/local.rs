//! Statements that the session answers or tracks itself.

use bytes::Bytes;

use super::query::Text;
use super::{Failure, Flow, Session};
use crate::backend::Variables;
use crate::error::SqlError;
use crate::execute::Interrupt;
use crate::sql::session_statement::{Argument, Begin as ParsedBegin, End, Kill, SessionStatement, SetItem, Show};
use crate::sql::{Verb, scan};
use crate::txn::{Access, Begin, CommitError, Mode};

/// The modes of `sql_mode` that decide how a text is read.
const READING: &[&str] = &[
    "ANSI",
    "ANSI_QUOTES",
    "DB2",
    "HIGH_NOT_PRECEDENCE",
    "IGNORE_SPACE",
    "MAXDB",
    "MSSQL",
    "NO_BACKSLASH_ESCAPES",
    "ORACLE",
    "PIPES_AS_CONCAT",
    "POSTGRESQL",
    "REAL_AS_FLOAT",
];

/// Those of them that are on.
fn reading(vars: &Variables) -> Vec<String> {
    let modes = vars.get("sql_mode").map_or_else(String::new, |modes| modes.to_ascii_uppercase());
    let modes = modes.split([',', '\'', '"']).map(str::trim).filter(|mode| READING.contains(mode));
    let mut modes: Vec<String> = modes.map(str::to_owned).collect();
    modes.sort();
    modes
}

impl Session {
    /// Runs a statement about the session.
    pub(super) async fn session_statement(
        &mut self,
        statement: SessionStatement,
        text: &Text,
    ) -> Result<Flow, Failure> {
        if !matches!(statement, SessionStatement::Show(Show::Warnings { .. } | Show::CountWarnings { .. })) {
            self.forget_diagnostics();
        }
        match statement {
            SessionStatement::Set(items) => {
                self.set_and_answer(items, &text.sql).await?;
                return Ok(Flow::Continue);
            }
            SessionStatement::SetTransaction(set) => self.set_transaction(set).await?,
            SessionStatement::Use(name) => {
                self.use_schema(&name.text)?;
                self.answer_schema_change();
                return Ok(Flow::Continue);
            }
            SessionStatement::Begin(begin) => self.begin(begin).await?,
            SessionStatement::Commit(end) => return self.end_transaction(true, end).await,
            SessionStatement::Rollback(end) => return self.end_transaction(false, end).await,
            SessionStatement::Savepoint(name) => self.savepoint(&name.text, &text.sql).await?,
            SessionStatement::RollbackTo(name) => {
                let index = self.txn.find_savepoint(&name.text)?;
                let result = self.txn.rollback_to(index, &text.sql).await;
                self.after_transaction_step(result.map_err(CommitError::from))?;
            }
            SessionStatement::ReleaseSavepoint(name) => {
                let index = self.txn.find_savepoint(&name.text)?;
                let result = self.txn.release(index, &text.sql).await;
                self.after_transaction_step(result.map_err(CommitError::from))?;
            }
            SessionStatement::SetStatement { items, statement } => {
                return self.set_statement(items, statement, text).await;
            }
            SessionStatement::Kill(kill) => return self.kill(kill),
            SessionStatement::KillExpression { query, connection_id } => {
                return self.kill_by_expression(query, connection_id, text).await;
            }
            SessionStatement::Prepare { name, source } => {
                self.prepare_named(name, source, text).await?;
                self.answer_ok_saying("Statement prepared");
                return Ok(Flow::Continue);
            }
            SessionStatement::Execute { name, using } => return self.execute_named(&name, &using, text).await,
            SessionStatement::ExecuteImmediate { source, using } => {
                return self.execute_immediate(source, &using, text).await;
            }
            SessionStatement::Deallocate(name) => self.deallocate(&name)?,
            SessionStatement::Show(show) => return self.show(show, text).await,
            SessionStatement::Describe(describe) => return self.describe(describe, text).await,
            SessionStatement::Explain(explain) => return self.explain(explain, text).await,
            SessionStatement::ExplainRoute(range) => return self.explain_route(text.slice(range)).await,
            SessionStatement::UnlockTables => return self.unlock_tables().await,
            SessionStatement::LockTables(tables) => return self.lock_tables(&tables).await,
            SessionStatement::LoadData { local, table } => return self.load_data(local, &table, text).await,
            SessionStatement::Versioned { versions, content } => return self.versioned(versions, content, text).await,
            other => {
                if matches!(other, SessionStatement::Opaque(_)) {
                    self.check_syntax(text).await?;
                }
                return Err(refused(&other));
            }
        }
        self.answer_ok();
        Ok(Flow::Continue)
    }

    /// BEGIN: what is open is committed first; nothing goes out before the first statement.
    async fn begin(&mut self, begin: ParsedBegin) -> Result<(), Failure> {
        self.commit().await?;
        self.release_table_locks().await?;
        let access = match begin.read_only {
            Some(true) => Access::ReadOnly,
            Some(false) => Access::ReadWrite,
            None => std::mem::take(&mut self.state.next_access),
        };
        self.state.next_access = Access::Default;
        let isolation = self.state.next_isolation.take();
        let mode = self.transaction_mode();
        let begin = Begin { access, consistent_snapshot: begin.consistent_snapshot, isolation };
        if begin.consistent_snapshot {
            return Box::pin(self.begin_consistent(begin, mode)).await;
        }
        self.txn.begin(begin, mode);
        Ok(())
    }

    /// Without autocommit a statement begins a transaction, which is as `SET TRANSACTION` announced it. The server does so
    /// by itself, unless it is to be begun on several groups or otherwise than usual.
    pub(super) fn begin_as_announced(&mut self, on_several: bool) {
        let access = std::mem::take(&mut self.state.next_access);
        let isolation = self.state.next_isolation.take();
        let mode = self.transaction_mode();
        if on_several || isolation.is_some() || access != Access::Default {
            self.txn.begin(Begin { access, consistent_snapshot: false, isolation }, mode);
        } else {
            self.txn.set_mode(mode);
        }
    }

    /// Over how many groups transactions of the session's schema may write.
    pub(super) fn transaction_mode(&self) -> Mode {
        let snapshot = self.shared.snapshot.load();
        let schema = self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name));
        if schema.is_some_and(|schema| schema.single_group_transactions) { Mode::Single } else { Mode::TwoPhase }
    }

    /// Commits what is open; nothing if nothing is.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        let wrote = self.txn.has_written();
        let result = self.end_on_groups(true).await;
        if wrote {
            self.note_write();
        }
        self.after_transaction_step(result)
    }

    async fn end_transaction(&mut self, commit: bool, end: End) -> Result<Flow, Failure> {
        let chained = self.txn.begun().cloned();
        let by_default = self.completion();
        let end = End {
            chain: end.chain.or(by_default.chain),
            release: end.release.or(by_default.release.filter(|_| end.chain != Some(true))),
        };
        if commit {
            self.commit().await?;
        } else {
            let result = self.end_on_groups(false).await;
            self.after_transaction_step(result)?;
        }
        if end.chain == Some(true) {
            let mode = self.transaction_mode();
            // A chained transaction takes over isolation and access, and no snapshot (*START TRANSACTION, COMMIT, and ROLLBACK*).
            self.txn.begin(Begin { consistent_snapshot: false, ..chained.unwrap_or_default() }, mode);
        }
        self.answer_ok();
        Ok(if end.release == Some(true) { Flow::Close } else { Flow::Continue })
    }

    /// How transactions end where COMMIT and ROLLBACK do not say (`completion_type`).
    fn completion(&self) -> End {
        let value =
            self.state.vars.get("completion_type").map(|literal| literal.trim_matches('\'').to_ascii_uppercase());
        match value.as_deref() {
            Some("CHAIN" | "1") => End { chain: Some(true), release: None },
            Some("RELEASE" | "2") => End { chain: None, release: Some(true) },
            _ => End::default(),
        }
    }

    async fn savepoint(&mut self, name: &str, statement: &Bytes) -> Result<(), Failure> {
        if !self.txn.is_active() && self.state.autocommit {
            // Outside of a transaction a savepoint is gone with its own statement.
            return Ok(());
        }
        self.txn.check_savepoint_room()?;
        let result = self.txn.savepoint(name, statement.clone()).await;
        self.after_transaction_step(result.map_err(CommitError::from))
    }

    /// A transaction whose connection broke is rolled back by its server: the session ends, as it would on one server.
    pub(super) fn after_transaction_step(&mut self, result: Result<(), CommitError>) -> Result<(), Failure> {
        let Err(error) = result else { return Ok(()) };
        if error.is_backend_lost() {
            self.txn.abandon();
            return Err(Failure::from(error).fatal());
        }
        Err(error.into())
    }

    /// MariaDB's `SET STATEMENT a = 1 FOR statement`: the settings hold for that statement alone.
    async fn set_statement(
        &mut self,
        items: Vec<SetItem>,
        statement: std::ops::Range<usize>,
        text: &Text,
    ) -> Result<Flow, Failure> {
        if !self.shared.is_mariadb() {
            self.check_syntax(text).await?;
            return Err(SqlError::not_supported("SET STATEMENT", "set the variable for the session").into());
        }
        check_for_statement(&items)?;
        let (vars, lex_mode) = (std::sync::Arc::clone(&self.state.vars), self.state.lex_mode);
        // The values stand before the statement, whose tables are none of theirs.
        let result = match self.set(items, &text.sql[..statement.start]).await {
            Err(failure) => Err(failure),
            // MariaDB has read the statement before the mode holds; a server that gets it alone reads it under the mode
            Ok(()) if reading(&vars) != reading(&self.state.vars) => Err(SqlError::not_supported(
                "SET STATEMENT with a sql_mode under which texts are read in another way",
                "set it for the session",
            )
            .into()),
            Ok(()) => {
                let inner = text.slice(statement);
                let scanned = scan(&inner.sql, self.state.lex_mode, &mut self.literals);
                Box::pin(self.statement(inner, scanned)).await
            }
        };
        self.state.vars = vars;
        self.state.lex_mode = lex_mode;
        result
    }

    /// `KILL [QUERY] id`, with the ids of this proxy.
    pub(super) fn kill(&mut self, kill: Kill) -> Result<Flow, Failure> {
        let found = u32::try_from(kill.connection_id).ok().and_then(|id| self.shared.registry.find(id));
        let Some(target) = found else {
            return Err(SqlError::client(1094, "HY000", format!("Unknown thread id: {}", kill.connection_id)).into());
        };
        if target.user != self.entry.user {
            let message = format!("You are not owner of thread {}", kill.connection_id);
            return Err(SqlError::client(1095, "HY000", message).into());
        }
        match (target.id == self.entry.id, kill.query) {
            (true, true) => return Err(interrupted().into()),
            (true, false) if self.shared.is_mariadb() => {
                return Err(Failure::Fatal(SqlError::client(1927, "70100", "Connection was killed")));
            }
            (true, false) => return Err(Failure::Fatal(interrupted())),
            (false, true) => target.interrupt(Interrupt::Query),
            (false, false) => target.interrupt(Interrupt::Connection),
        }
        self.answer_ok();
        Ok(Flow::Continue)
    }

    /// `KILL CONNECTION_ID()`, `KILL @id`.
    async fn kill_by_expression(&mut self, query: bool, id: Argument, text: &Text) -> Result<Flow, Failure> {
        let expression = String::from_utf8_lossy(&text.sql[id]).into_owned();
        let (_, row) = self.values_of(&[&expression]).await?;
        let id = row.first().and_then(Option::as_ref).map(|id| String::from_utf8_lossy(id).into_owned());
        // What is no number is 0, which no connection has.
        let connection_id = id.and_then(|id| id.parse().ok()).unwrap_or(0);
        self.kill(Kill { query, connection_id })
    }
}

fn interrupted() -> SqlError {
    SqlError::client(1317, "70100", "Query execution was interrupted")
}

/// Variables that no statement can have for itself.
const NOT_FOR_STATEMENTS: [&str; 13] = [
    "autocommit",
    "character_set_client",
    "character_set_connection",
    "character_set_filesystem",
    "collation_connection",
    "interactive_timeout",
    "profiling",
    "profiling_history_size",
    "query_cache_type",
    "skip_replication",
    "sql_log_off",
    "tx_isolation",
    "wait_timeout",
];

fn check_for_statement(items: &[SetItem]) -> Result<(), Failure> {
    let name = items.iter().find_map(|item| match item {
        SetItem::System { name, .. } if NOT_FOR_STATEMENTS.contains(&name.as_str()) => Some(name),
        _ => None,
    });
    let Some(name) = name else { return Ok(()) };
    let message = format!("The system variable {name} cannot be set in SET STATEMENT.");
    Err(SqlError::client(1971, "42000", message).into())
}

fn refused(statement: &SessionStatement) -> Failure {
    let (what, instead): (String, &str) = match statement {
        SessionStatement::Xa => ("XA statements".into(), "use BEGIN and COMMIT"),
        SessionStatement::Administration(verb) => {
            (format!("{verb:?} (administration)").to_uppercase(), "send it to the backends themselves")
        }
        SessionStatement::Opaque(Verb::Show) => ("this form of SHOW".into(), "check its syntax"),
        SessionStatement::Opaque(verb) => (format!("this form of {verb:?}").to_uppercase(), "check its syntax"),
        _ => ("this statement".into(), "send it to the backends themselves"),
    };
    SqlError::not_supported(what, instead).into()
}
