//! The text under which a statement is counted.

use super::dialect::is_reserved;
use super::digest::{LiteralKind, Verb};
use super::lexer::{LexMode, Lexer, TokenKind};
use sqlparser::tokenizer::Token;

/// A normalised text is cut here, as the server's digest texts are (`max_digest_length`).
const NORMALISED_LIMIT_BYTES: usize = 1024;

/// One statement in the form that all statements of its kind share: literals and placeholders are `?`, lists of them
/// `(...)`, rows of VALUES one row; no comments, one kind of spacing, reserved words in upper case. It is for people to
/// read in statistics; it identifies no plan.
pub fn normalised(sql: &[u8], mode: LexMode) -> String {
    let mut words = Words::default();
    for token in Lexer::new(sql, mode) {
        let text = String::from_utf8_lossy(token.bytes(sql));
        match token.kind {
            kind if LiteralKind::of(kind).is_some_and(LiteralKind::is_value) => words.value(),
            TokenKind::Placeholder => words.value(),
            TokenKind::Word if is_keyword(&text) => words.push(text.to_ascii_uppercase(), true),
            TokenKind::Word | TokenKind::QuotedName | TokenKind::UserVariable | TokenKind::SystemVariable => {
                words.push(text.into_owned(), false);
            }
            TokenKind::Symbol if text == ")" => words.close(),
            TokenKind::Symbol => words.symbol(&text, token.start),
            TokenKind::Semicolon => break,
            _ => {}
        }
        if words.bytes > NORMALISED_LIMIT_BYTES * 2 {
            break;
        }
    }
    words.text()
}

fn is_keyword(text: &str) -> bool {
    match Token::make_word(text, None) {
        Token::Word(word) => is_reserved(word.keyword) || !matches!(Verb::of(text.as_bytes()), Verb::Other),
        _ => false,
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Word {
    text: String,
    keyword: bool,
    /// Offset after it, for operators: bytes side by side are one operator.
    end: Option<usize>,
}

#[derive(Default)]
struct Words {
    list: Vec<Word>,
    bytes: usize,
}

impl Words {
    fn push(&mut self, text: String, keyword: bool) {
        self.bytes += text.len();
        self.list.push(Word { text, keyword, end: None });
    }

    fn is(&self, back: usize, text: &str) -> bool {
        self.list.len() > back && self.list[self.list.len() - 1 - back].text == text
    }

    /// Whether what comes next is the first part of an operand, so that a sign before it belongs to it.
    fn signed(&self) -> bool {
        (self.is(0, "-") || self.is(0, "+"))
            && self.list.len().checked_sub(2).is_some_and(|at| {
                let before = &self.list[at];
                before.keyword || before.end.is_some() || matches!(before.text.as_str(), "(" | ",")
            })
    }

    fn value(&mut self) {
        if self.signed() {
            self.list.pop();
        }
        self.push("?".to_owned(), false);
    }

    fn symbol(&mut self, text: &str, start: usize) {
        let plain = matches!(text, "(" | "," | ".");
        if !plain
            && let Some(last) = self.list.last_mut()
            && last.end == Some(start)
            && text != "-"
        {
            last.text.push_str(text);
            last.end = Some(start + 1);
            return;
        }
        self.bytes += text.len();
        self.list.push(Word { text: text.to_owned(), keyword: false, end: (!plain).then_some(start + 1) });
    }

    /// `)`: a list of values becomes `(...)`, and a row of them is dropped behind another one.
    fn close(&mut self) {
        let values = self.list.iter().rev().take_while(|word| matches!(word.text.as_str(), "?" | ",")).count();
        let open = self.list.len().checked_sub(values + 1).filter(|at| self.list[*at].text == "(");
        let in_list = |at: usize| at > 0 && matches!(self.list[at - 1].text.as_str(), "IN" | "VALUES" | "VALUE" | ",");
        match open.filter(|at| values > 1 || (values == 1 && in_list(*at))) {
            Some(at) => {
                self.list.truncate(at);
                if self.is(0, ",") && self.is(1, "(...)") {
                    self.list.pop();
                } else {
                    self.push("(...)".to_owned(), false);
                }
                self.bytes = self.list.iter().map(|word| word.text.len()).sum();
            }
            None => self.push(")".to_owned(), false),
        }
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes + self.list.len());
        let mut before: Option<&Word> = None;
        for word in &self.list {
            let tight = before.is_none_or(|before| {
                matches!(before.text.as_str(), "(" | ".")
                    || matches!(word.text.as_str(), ")" | "," | ".")
                    || (word.text.starts_with('(') && !before.keyword && before.end.is_none() && before.text != ",")
            });
            if !tight {
                text.push(' ');
            }
            text.push_str(&word.text);
            before = Some(word);
        }
        if text.len() > NORMALISED_LIMIT_BYTES {
            let cut = (0..=NORMALISED_LIMIT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
            text.push_str("...");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(sql: &str) -> String {
        normalised(sql.as_bytes(), LexMode::default())
    }

    #[test]
    fn one_text_for_all_of_a_kind() {
        assert_eq!(
            norm("select  c from /* x */ sbtest1 where id=5 and k in (1,-2, 3) -- end"),
            "SELECT c FROM sbtest1 WHERE id = ? AND k IN (...)"
        );
        assert_eq!(norm("SELECT c FROM t WHERE k IN(?)"), "SELECT c FROM t WHERE k IN (...)");
        assert_eq!(
            norm("insert into t(a, b) values (1,'x'),(2,\"y\"), (3,NULL);"),
            "INSERT INTO t(a, b) VALUES (...), (?, NULL)"
        );
        assert_eq!(norm("INSERT INTO t VALUES (1),(2),(3)"), "INSERT INTO t VALUES (...)");
        assert_eq!(
            norm("SELECT f(1), a.`b c`, COUNT(*), a-1, a<=>-1"),
            "SELECT f(?), a.`b c`, COUNT(*), a - ?, a <=> ?"
        );
        assert_eq!(norm("SELECT 1 LIMIT 5, 10"), "SELECT ? LIMIT ?, ?");
        assert_eq!(norm("SET @a := 5"), "SET @a := ?");
    }

    #[test]
    fn long_texts_are_cut() {
        let text = norm(&format!("SELECT {}", "é, ".repeat(5000)));
        assert!(text.len() <= NORMALISED_LIMIT_BYTES + 3 && text.ends_with("..."));
    }
}
