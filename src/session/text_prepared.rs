//! `PREPARE`, `EXECUTE` and `DEALLOCATE PREPARE`: prepared statements in SQL (*SQL Syntax for Prepared Statements*).
//!
//! The text is kept, and runs with the values of the variables in the places of its `?`.

use bytes::{BufMut, Bytes, BytesMut};

use super::query::Text;
use super::{Failure, Flow, Session};
use crate::error::SqlError;
use crate::sql::lexer::{LexMode, Lexer, TokenKind};
use crate::sql::scan;
use crate::sql::session_statement::{self, PrepareSource, SessionStatement};

impl Session {
    pub(super) async fn prepare_named(&mut self, name: String, source: PrepareSource) -> Result<(), Failure> {
        let text = match source {
            PrepareSource::Text(text) => Bytes::from(text),
            PrepareSource::Variable(variable) => self.text_of_variable(&variable).await?,
            PrepareSource::Expression(_) => {
                return Err(
                    SqlError::not_supported("PREPARE from an expression", "put the text into a variable").into()
                );
            }
        };
        let scanned = scan(&text, self.state.lex_mode, &mut self.literals);
        if scanned.next_statement.is_some() {
            return Err(SqlError::client(1064, "42000", "PREPARE takes one statement").into());
        }
        // A statement that runs itself would never end.
        if let Some(
            SessionStatement::Prepare { .. } | SessionStatement::Execute { .. } | SessionStatement::Deallocate(_),
        ) = session_statement::parse(&text, self.state.lex_mode)
        {
            self.prepared.remove_named(&name);
            let message = "This command is not supported in the prepared statement protocol yet";
            return Err(SqlError::client(1295, "HY000", message).into());
        }
        self.prepared.insert_named(name, text, self.shared.limits().max_prepared_statements)
    }

    async fn text_of_variable(&mut self, variable: &str) -> Result<Bytes, Failure> {
        let (_, row) = self.run_aside("DO 0", &format!("SELECT @`{variable}`")).await?;
        let text = row.into_iter().next().flatten();
        text.ok_or_else(|| SqlError::client(1064, "42000", format!("The variable @{variable} is NULL")).into())
    }

    pub(super) async fn execute_named(
        &mut self,
        name: &str,
        using: Option<Vec<String>>,
        _text: &Text,
    ) -> Result<Flow, Failure> {
        let Some(using) = using else {
            return Err(
                SqlError::not_supported("EXECUTE … USING an expression", "put the value into a variable").into()
            );
        };
        let Some(text) = self.prepared.named(name) else { return Err(unknown(name, "EXECUTE")) };
        let values = using.iter().map(|variable| self.state.user_vars.get(variable).map_or("NULL", String::as_str));
        let sql = fill_placeholders(&text, &values.collect::<Vec<_>>(), self.state.lex_mode)?;
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        Box::pin(self.statement(Text { sql }, scanned)).await
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
