//! Names in a text, and which of them may be tables.

use super::lexer::{LexMode, Lexer, TokenKind, unquote_name};
use std::ops::Range;

/// A name in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name, without quotes.
    pub text: String,
    /// Where it stands, with its quotes.
    pub range: Range<usize>,
}

/// A table, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// `schema` in `schema.table`.
    pub schema: Option<Name>,
    /// The table.
    pub table: Name,
}

/// All names in a text that could be tables: every word and every quoted name, with or without a `.` before it
/// (`schema.table` and `table.column` look the same). Keywords are among them, names of columns, functions and aliases
/// too, and what stands in comments that only some servers execute: a table that is not in the list is not named in
/// the text, whatever the text means.
pub fn tables(sql: &[u8], mode: LexMode) -> Vec<Name> {
    let mut names = Vec::new();
    collect(sql, 0, mode, &mut names);
    names
}

fn collect(sql: &[u8], offset: usize, mode: LexMode, names: &mut Vec<Name>) {
    for token in Lexer::new(sql, mode) {
        match token.kind {
            TokenKind::Word | TokenKind::QuotedName => {
                let text = unquote_name(token.bytes(sql)).into_owned();
                names.push(Name { text, range: offset + token.start..offset + token.end });
            }
            TokenKind::UnsureComment | TokenKind::OptimizerHint => {
                // past `/*!80000`, `/*M!100100` or `/*+`; a word may be left of the digits, which does no harm
                let inner = sql.get(token.start + 3..token.end.saturating_sub(2)).unwrap_or_default();
                let skip = inner.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'!').count();
                collect(&inner[skip..], offset + token.start + 3 + skip, mode, names);
            }
            // ANSI_QUOTES may be set by a route that is not seen here
            TokenKind::String if sql.get(token.start) == Some(&b'"') => {
                let text = unquote_name(token.bytes(sql)).into_owned();
                names.push(Name { text, range: offset + token.start..offset + token.end });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sql: &str) -> Vec<String> {
        tables(sql.as_bytes(), LexMode::default()).into_iter().map(|name| name.text).collect()
    }

    #[test]
    fn every_name_is_found_and_no_literal_is() {
        assert_eq!(named("DO f(a.`b c`, 'no', 5) -- no"), ["DO", "f", "a", "b c"]);
        assert_eq!(
            named("/*!80000 x */ /*M!100100 y*/ /*! z */ /*+ INDEX(w i) */"),
            ["x", "y", "z", "INDEX", "w", "i"]
        );
        assert_eq!(named("SELECT \"q\""), ["SELECT", "q"]);
    }

    #[test]
    fn names_know_where_they_stand() {
        let sql = "SELECT 1 /*!80000 FROM `t` */";
        let name = tables(sql.as_bytes(), LexMode::default()).pop().unwrap();
        assert_eq!(&sql[name.range], "`t`");
    }
}
