//! `PREPARE`, `EXECUTE` and `DEALLOCATE PREPARE`: prepared statements in SQL (*SQL Syntax for Prepared Statements*).
//!
//! The text is kept, and runs with the values of the variables in the places of its `?`.

use bytes::{BufMut, Bytes, BytesMut};

use super::aside::at_variable;
use super::prepared::{not_preparable, session_statement_of};
use super::query::{Text, several_statements};
use super::{Failure, Flow, Session};
use crate::error::SqlError;
use crate::sql::lexer::{LexMode, Lexer, TokenKind};
use crate::sql::scan;
use crate::sql::session_statement::{Argument, PrepareSource, SessionStatement};

impl Session {
    /// PREPARE: what is wrong with the statement is told now, and a statement of the same name is gone in any case.
    pub(super) async fn prepare_named(
        &mut self,
        name: String,
        source: PrepareSource,
        statement: &Text,
    ) -> Result<(), Failure> {
        self.prepared.remove_named(&name);
        let text = self.text_to_prepare(source, statement).await?;
        self.check_preparable(&text).await?;
        self.prepared.insert_named(name, text, self.shared.limits().max_prepared_statements)
    }

    /// EXECUTE IMMEDIATE: PREPARE, EXECUTE and DEALLOCATE in one.
    pub(super) async fn execute_immediate(
        &mut self,
        source: PrepareSource,
        using: &[Argument],
        statement: &Text,
    ) -> Result<Flow, Failure> {
        let text = self.text_to_prepare(source, statement).await?;
        self.check_preparable(&text).await?;
        self.execute_text(&text, using, statement).await
    }

    /// The text that PREPARE names.
    async fn text_to_prepare(&mut self, source: PrepareSource, statement: &Text) -> Result<Bytes, Failure> {
        let expression = match source {
            PrepareSource::Text(text) => return Ok(Bytes::from(text)),
            PrepareSource::Variable(variable) => at_variable(&variable),
            PrepareSource::Expression(range) => {
                String::from_utf8_lossy(statement.sql.get(range).unwrap_or_default()).into_owned()
            }
        };
        let (_, row) = self.values_of(&[&expression]).await?;
        // As the servers do it: the word is no statement, and that is the error.
        Ok(row.into_iter().next().flatten().unwrap_or(Bytes::from_static(b"NULL")))
    }

    /// Refuses what cannot be prepared, with the server's own error where it is the server's business.
    async fn check_preparable(&mut self, text: &Bytes) -> Result<(), Failure> {
        let scanned = scan(text, self.state.lex_mode, &mut self.literals);
        if let Some(next) = scanned.next_statement {
            return Err(several_statements(&text[next..]));
        }
        let text = Text { sql: text.slice(..scanned.statement_end) };
        if text.sql.trim_ascii().is_empty() {
            return Err(SqlError::client(1065, "42000", "Query was empty").into());
        }
        match session_statement_of(&text, &scanned, self.state.lex_mode) {
            // A statement that runs itself would never end.
            Some(
                SessionStatement::Prepare { .. }
                | SessionStatement::Execute { .. }
                | SessionStatement::ExecuteImmediate { .. }
                | SessionStatement::Deallocate(_),
            ) => Err(not_preparable()),
            Some(SessionStatement::Opaque(_)) => self.check_syntax(&text).await,
            Some(_) => Ok(()),
            None => Box::pin(self.definitions(&text, &scanned)).await.map(drop),
        }
    }

    pub(super) async fn execute_named(
        &mut self,
        name: &str,
        using: &[Argument],
        statement: &Text,
    ) -> Result<Flow, Failure> {
        let Some(text) = self.prepared.named(name) else { return Err(unknown(name, "EXECUTE")) };
        self.execute_text(&text, using, statement).await
    }

    async fn execute_text(&mut self, text: &Bytes, using: &[Argument], statement: &Text) -> Result<Flow, Failure> {
        let arguments: Vec<String> =
            using.iter().map(|range| String::from_utf8_lossy(&statement.sql[range.clone()]).into_owned()).collect();
        let values = self.literals_of(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let sql = fill_placeholders(text, &values, self.state.lex_mode)?;
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        let statement = Text { sql: sql.slice(..scanned.statement_end) };
        Box::pin(self.statement(statement, scanned)).await
    }

    pub(super) fn deallocate(&mut self, name: &str) -> Result<(), Failure> {
        if self.prepared.remove_named(name) { Ok(()) } else { Err(unknown(name, "DEALLOCATE PREPARE")) }
    }
}

fn unknown(name: &str, command: &str) -> Failure {
    let message = format!("Unknown prepared statement handler ({name}) given to {command}");
    SqlError::client(1243, "HY000", message).into()
}

/// The text with a literal in the place of each `?`.
fn fill_placeholders(sql: &[u8], values: &[&str], mode: LexMode) -> Result<Bytes, Failure> {
    let mut out = BytesMut::with_capacity(sql.len() + 16 * values.len());
    let mut from = 0;
    let mut values = values.iter();
    let wrong = || Failure::from(SqlError::client(1210, "HY000", "Incorrect arguments to EXECUTE"));
    for token in Lexer::starting_at(sql, mode, 0).filter(|token| token.kind == TokenKind::Placeholder) {
        out.put_slice(&sql[from..token.start]);
        out.put_slice(values.next().ok_or_else(wrong)?.as_bytes());
        from = token.end;
    }
    out.put_slice(&sql[from..]);
    if values.next().is_some() { Err(wrong()) } else { Ok(out.freeze()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_outside_of_strings_only() {
        let filled = fill_placeholders(b"SELECT ?, '?', ?", &["1", "'x'"], LexMode::default()).unwrap();
        assert_eq!(&filled[..], b"SELECT 1, '?', 'x'");
        assert!(fill_placeholders(b"SELECT ?", &[], LexMode::default()).is_err());
        assert!(fill_placeholders(b"SELECT 1", &["1"], LexMode::default()).is_err());
    }
}
