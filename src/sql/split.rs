//! One text, several statements: where each ends.

use super::lexer::{LexMode, Lexer, Token, TokenKind};
use std::ops::Range;

/// A statement that defines a stored program says so within its first tokens: the longest way there is
/// `CREATE OR REPLACE DEFINER = user @ host SQL SECURITY INVOKER AGGREGATE FUNCTION`.
const TOKENS_BEFORE_PROGRAM_KIND: usize = 16;

/// The byte ranges of the statements of a text, without their `;`. Statements of comments only are left out.
pub fn statements(sql: &[u8], mode: LexMode) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut next = next_statement(sql, 0, mode);
    while let Some(start) = next {
        let end = statement_end(sql, start, mode);
        ranges.push(start..end);
        next = next_statement(sql, end + 1, mode);
    }
    ranges
}

fn statement_end(sql: &[u8], start: usize, mode: LexMode) -> usize {
    Lexer::starting_at(sql, mode, start)
        .find(|token| token.kind == TokenKind::Semicolon && !runs_to_the_end(sql, start, mode))
        .map_or(sql.len(), |token| token.start)
}

/// Where the next statement begins at or after `from`, if there is one. What stands between two `;` and holds no more
/// than comments is no statement. Its comments belong to the statement that they precede.
pub fn next_statement(sql: &[u8], from: usize, mode: LexMode) -> Option<usize> {
    let mut start = from;
    for token in Lexer::starting_at(sql, mode, from) {
        match token.kind {
            TokenKind::Semicolon => start = token.end,
            TokenKind::Comment | TokenKind::ProxyHint => {}
            _ => return Some(start),
        }
    }
    None
}

/// Whether the `;` of the statement that begins at `start` belong to it: the definition of a stored program, whose
/// body holds statements, runs to the end of the text.
pub fn runs_to_the_end(sql: &[u8], start: usize, mode: LexMode) -> bool {
    let is = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(sql, word));
    let mut words = Lexer::starting_at(sql, mode, start)
        .filter(|token| !matches!(token.kind, TokenKind::Comment | TokenKind::CodeOpen | TokenKind::CodeClose))
        .take(TOKENS_BEFORE_PROGRAM_KIND);
    match words.next() {
        Some(first) if is(&first, &["create", "alter"]) => {}
        Some(first) if is(&first, &["begin"]) => return words.next().is_some_and(|token| is(&token, &["not"])),
        _ => return false,
    }
    for token in words {
        if is(&token, &["procedure", "function", "trigger", "event", "package"]) {
            return true;
        }
        if token.kind == TokenKind::Semicolon || is(&token, &["table", "view", "index", "database", "schema", "user"]) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        statements(sql.as_bytes(), LexMode::default()).into_iter().map(|range| sql[range].trim()).collect()
    }

    #[test]
    fn a_text_is_split_at_the_semicolons_outside_of_everything() {
        assert_eq!(
            texts("SELECT 1; SELECT ';' ;;SELECT `;` /*;*/ -- ;\n;"),
            ["SELECT 1", "SELECT ';'", "SELECT `;` /*;*/ -- ;",]
        );
        assert_eq!(texts(" ; /* nothing */ ; "), [""; 0]);
        assert_eq!(texts("/*!40101 SET NAMES utf8 */; SELECT 1"), ["/*!40101 SET NAMES utf8 */", "SELECT 1"]);
    }

    #[test]
    fn the_body_of_a_stored_program_is_not_split() {
        for sql in [
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
            "CREATE DEFINER=`root`@`%` TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END",
            "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END */",
            "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
        ] {
            assert_eq!(texts(sql), [sql]);
        }
        assert_eq!(texts("BEGIN; SELECT 1"), ["BEGIN", "SELECT 1"]);
        assert_eq!(texts("CREATE TABLE event (a INT); SELECT 1"), ["CREATE TABLE event (a INT)", "SELECT 1"]);
    }
}
