//! `DESCRIBE`, `EXPLAIN` and this proxy's `EXPLAIN ROUTE`.

use super::super::cursor::Cursor;
use super::{SessionStatement, TableName};
use crate::sql::lexer::TokenKind;
use std::ops::Range;

/// `DESCRIBE table [column | 'pattern']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Describe {
    /// The table.
    pub table: TableName,
    /// A column, or a pattern as for `LIKE`.
    pub column: Option<String>,
}

/// `EXPLAIN` of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// Whether the statement is executed: `EXPLAIN ANALYZE`, `ANALYZE`.
    pub executes: bool,
    /// Where the statement stands. Empty for `EXPLAIN FOR CONNECTION`.
    pub statement: Range<usize>,
}

/// The words that begin what `EXPLAIN` explains.
const EXPLAINED: &[&str] = &["select", "insert", "update", "delete", "replace", "with", "table", "values", "call"];

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor.skip();
    if cursor.peek_word("route") && cursor.remaining() > 1 && !next_is_column(cursor) {
        return Some(SessionStatement::ExplainRoute(cursor.skip().rest()));
    }
    if let Some(explain) = explain(cursor, false) {
        return Some(SessionStatement::Explain(explain));
    }
    let table = cursor.table_name()?;
    let column = if cursor.at_end() { None } else { Some(cursor.name_or_string()?) };
    Some(SessionStatement::Describe(Describe { table, column }))
}

/// `DESC route 'pattern'`, `DESC route.t`: a table of that name.
fn next_is_column(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.skip();
    matches!(ahead.peek_kind(), Some(TokenKind::String)) || ahead.symbol(b'.')
}

/// MariaDB's `ANALYZE [FORMAT = …] statement`; nothing for `ANALYZE TABLE`.
pub(super) fn analyze(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    explain(cursor.skip(), true).map(SessionStatement::Explain)
}

fn explain(cursor: &mut Cursor<'_>, mut executes: bool) -> Option<Explain> {
    let mut ahead = cursor.clone();
    loop {
        if ahead.word("analyze") {
            executes = true;
        } else if ahead.word("extended") || ahead.word("partitions") {
        } else if ahead.word("format") && ahead.symbol(b'=') {
            ahead.name_or_string()?;
        } else {
            break;
        }
    }
    if ahead.words(&["for", "connection"]) && ahead.integer().is_some() {
        *cursor = ahead;
        return Some(Explain { executes, statement: 0..0 });
    }
    let parenthesis = ahead.clone().symbol(b'(');
    // `ANALYZE TABLE t` is no query, though `EXPLAIN TABLE t` is one
    let begins = |word: &str| ahead.peek_word(word) && !(executes && word == "table");
    if !parenthesis && !EXPLAINED.iter().any(|word| begins(word)) {
        return None;
    }
    let statement = ahead.rest();
    *cursor = ahead;
    Some(Explain { executes, statement })
}
