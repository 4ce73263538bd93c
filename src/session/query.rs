//! COM_QUERY: from a text to its statements, and from a statement to its plan.

use std::ops::Range;

use bytes::Bytes;

use super::{Failure, Flow, Session};
use crate::error::SqlError;
use crate::sql::session_statement::{self, Versions};
use crate::sql::{Scan, Verb, scan};

/// The text of one statement.
#[derive(Debug, Clone)]
pub struct Text {
    /// The text, without a `;` at its end.
    pub sql: Bytes,
}

impl Text {
    /// A statement inside of this one.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self { sql: self.sql.slice(range) }
    }
}

impl Session {
    /// COM_QUERY: one statement, or several for a client that asked for that. The first error ends it.
    pub(super) async fn query(&mut self, text: Bytes) -> Result<Flow, Failure> {
        self.entry.begin(text.clone(), self.since);
        let mut rest = text;
        let mut statements = 0;
        loop {
            statements += 1;
            if statements > 1 {
                self.check_statement_count(statements)?;
            }
            let scanned = scan(&rest, self.state.lex_mode, &mut self.literals);
            if let (Some(next), false) = (scanned.next_statement, self.multi_statements) {
                return Err(several_statements(&rest[next..]));
            }
            self.more_results = scanned.next_statement.is_some();
            let statement = Text { sql: rest.slice(..scanned.statement_end) };
            self.statement_failed = false;
            self.start_clock();
            let flow = self.statement(statement, scanned).await?;
            if self.lost_state() {
                return Ok(Flow::Close);
            }
            match scanned.next_statement {
                Some(next) if flow == Flow::Continue && !self.statement_failed => rest = rest.slice(next..),
                _ => return Ok(flow),
            }
        }
    }

    fn check_statement_count(&self, statements: usize) -> Result<(), Failure> {
        let limit = self.shared.limits().max_statements_per_query;
        if statements <= limit {
            return Ok(());
        }
        let message =
            format!("More than {limit} statements in one text; send fewer, or raise limits.max_statements_per_query");
        Err(SqlError::client(1105, "HY000", message).into())
    }

    /// Runs one statement, whose literals are in `self.literals`.
    pub(super) async fn statement(&mut self, text: Text, scanned: Scan) -> Result<Flow, Failure> {
        match scanned.verb {
            Verb::None if text.sql.trim_ascii().is_empty() => {
                return Err(SqlError::client(1065, "42000", "Query was empty").into());
            }
            // Nothing but comments, of which servers execute some: they are looked at as what they are there.
            Verb::None if scanned.flags.unsure_comment => {
                let statement = session_statement::parse(&text.sql, self.state.lex_mode).ok_or_else(unsure_comments)?;
                return Box::pin(self.session_statement(statement, &text)).await;
            }
            // Nothing but comments: an error for MySQL, nothing at all for MariaDB.
            Verb::None => return Box::pin(self.pass_through(&text.sql)).await,
            Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Replace | Verb::With => {}
            _ => {
                if let Some(statement) = session_statement::parse(&text.sql, self.state.lex_mode) {
                    return Box::pin(self.session_statement(statement, &text)).await;
                }
            }
        }
        self.forget_diagnostics();
        self.plan_and_run(&text, &scanned).await
    }

    /// A comment around a whole statement: it runs if the server that the proxy stands for executes it.
    pub(super) async fn versioned(
        &mut self,
        versions: Versions,
        content: Range<usize>,
        text: &Text,
    ) -> Result<Flow, Failure> {
        if !versions.include(self.shared.server_version_number(), self.shared.is_mariadb()) {
            // Nothing but a comment.
            return Box::pin(self.pass_through(&Bytes::from_static(b"/* */"))).await;
        }
        let inner = text.slice(content);
        let scanned = scan(&inner.sql, self.state.lex_mode, &mut self.literals);
        if let Some(next) = scanned.next_statement {
            return Err(several_statements(&inner.sql[next..]));
        }
        Box::pin(self.statement(inner.slice(0..scanned.statement_end), scanned)).await
    }
}

fn unsure_comments() -> Failure {
    let what = "a statement in comments that only some servers execute";
    SqlError::not_supported(what, "write it without the comments").into()
}

/// The error of a text with several statements where one may stand.
pub(super) fn several_statements(rest: &[u8]) -> Failure {
    let near = String::from_utf8_lossy(&rest[..rest.len().min(80)]).into_owned();
    SqlError::client(
        1064,
        "42000",
        format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your server version for the right \
             syntax to use near '{near}' at line 1"
        ),
    )
    .into()
}
