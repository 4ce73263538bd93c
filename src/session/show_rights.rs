//! SHOW for accounts that may use some schemas only.

use bytes::Bytes;

use super::literal::quote;
use super::query::Text;
use super::{Failure, Session};
use crate::error::SqlError;
use crate::plan::check_show;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::names::{self, Name};
use crate::sql::session_statement::Show;

impl Session {
    /// Refuses a SHOW that names a schema which the account may not use, or that reads tables.
    pub(super) fn check_shown(&self, show: &Show, text: &Text) -> Result<(), Failure> {
        check_show(&text.sql, self.state.lex_mode)?;
        let snapshot = self.shared.snapshot.load();
        let named = match show {
            Show::Create { name, .. } => name.schema.as_ref(),
            Show::CreateDatabase { name, .. } => Some(name),
            _ => None,
        };
        let known = |name: &Name| snapshot.rules.schema(&name.text).map(|schema| schema.name.to_string());
        let named = named.map(|name| known(name).unwrap_or_else(|| name.text.to_ascii_lowercase()));
        let names = names::tables(&text.sql, self.state.lex_mode);
        let qualifiers = names.iter().filter(|name| {
            let behind = text.sql.get(name.range.end..).unwrap_or_default();
            behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'.')
        });
        let schemas: Vec<String> = named
            .into_iter()
            .chain(qualifiers.filter_map(known))
            .filter(|schema| schema != "information_schema")
            .collect();
        self.check_may_use(schemas.iter().map(String::as_str))
    }

    /// SHOW PROCEDURE STATUS and its kin: of the schemas of the account. Nothing for other statements, and where the
    /// account may use all schemas.
    pub(super) fn programs_query(&self, words: &[String], text: &Text) -> Result<Option<Bytes>, Failure> {
        const LISTS: [&[&str]; 4] =
            [&["procedure", "status"], &["function", "status"], &["package", "status"], &["package", "body", "status"]];
        let snapshot = self.shared.snapshot.load();
        let schemas = snapshot.rules.user(&self.entry.user).and_then(|user| user.schemas.as_ref());
        let is_list = LISTS
            .iter()
            .any(|list| words.iter().map(String::as_str).zip(*list).filter(|(a, b)| a == *b).count() == list.len());
        let (Some(schemas), true) = (schemas, is_list) else { return Ok(None) };
        let unknown = || SqlError::not_supported("this form of SHOW … STATUS", "write it without comments");
        let mode = self.state.lex_mode;
        let names = names::tables(&text.sql, mode);
        let mut names = names.iter().skip_while(|name| !name.text.eq_ignore_ascii_case("status"));
        let head = names.next().map_or(0, |name| name.range.end);
        let filter = match names.next() {
            None => String::new(),
            Some(word) => {
                let clause = text.sql.get(word.range.end..).unwrap_or_default();
                if !is_closed(clause, mode) {
                    return Err(unknown().into());
                }
                let clause = String::from_utf8_lossy(clause);
                match word.text.to_ascii_lowercase().as_str() {
                    "where" => format!(" AND ({clause}\n)"),
                    "like" => format!(" AND (Name LIKE {clause}\n)"),
                    _ => return Err(unknown().into()),
                }
            }
        };
        let schemas: Vec<String> = schemas.iter().map(|name| quote(name.as_bytes())).collect();
        let among = if schemas.is_empty() { "FALSE".to_owned() } else { format!("Db IN ({})", schemas.join(", ")) };
        let head = String::from_utf8_lossy(text.sql.get(..head).unwrap_or_default());
        Ok(Some(Bytes::from(format!("{head} WHERE {among}{filter}"))))
    }
}

/// Whether a condition ends where its text does: it closes no parenthesis that it has not opened, and has no comment that
/// a server might execute.
fn is_closed(clause: &[u8], mode: crate::sql::LexMode) -> bool {
    let mut depth = 0_i32;
    for token in Lexer::new(clause, mode) {
        match (token.kind, token.bytes(clause)) {
            (TokenKind::Symbol, b"(") => depth += 1,
            (TokenKind::Symbol, b")") => depth -= 1,
            (TokenKind::UnsureComment | TokenKind::CodeOpen | TokenKind::CodeClose, _) => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}
