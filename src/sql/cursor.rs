//! Walks the tokens of a short statement.

use super::digest::Verb;
use super::lexer::{LexMode, Lexer, Token, TokenKind, unquote_name};
use super::literal;
use super::names::{Name, TableName};
use std::ops::Range;
use std::rc::Rc;

/// The tokens of a statement without comments, and where we are in them. Methods that look for something step over it
/// if it is there, and leave the cursor where it is if not.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    sql: &'a [u8],
    mode: LexMode,
    tokens: Rc<[Token]>,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(sql: &'a [u8], mode: LexMode) -> Self {
        let mut tokens: Vec<Token> = Lexer::new(sql, mode)
            .filter(|token| {
                !matches!(
                    token.kind,
                    TokenKind::Comment
                        | TokenKind::ProxyHint
                        | TokenKind::OptimizerHint
                        | TokenKind::CodeOpen
                        | TokenKind::CodeClose
                )
            })
            .collect();
        while tokens.last().is_some_and(|token| token.kind == TokenKind::Semicolon) {
            tokens.pop();
        }
        Self { sql, mode, tokens: tokens.into(), position: 0 }
    }

    pub(super) fn peek(&self) -> Option<Token> {
        self.tokens.get(self.position).copied()
    }

    pub(super) fn peek_kind(&self) -> Option<TokenKind> {
        self.peek().map(|token| token.kind)
    }

    pub(super) fn peek_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is_word(self.sql, word))
    }

    pub(super) fn at_end(&self) -> bool {
        self.position >= self.tokens.len()
    }

    /// Where the token before the cursor ends.
    pub(super) fn passed(&self) -> usize {
        let passed = self.position.min(self.tokens.len()).checked_sub(1);
        passed.and_then(|index| self.tokens.get(index)).map_or(0, |token| token.end)
    }

    pub(super) fn remaining(&self) -> usize {
        self.tokens.len().saturating_sub(self.position)
    }

    /// Steps over one token.
    pub(super) fn skip(&mut self) -> &mut Self {
        self.position += 1;
        self
    }

    /// The verb of the statement; the cursor stays before it.
    pub(super) fn verb(&self) -> Verb {
        match self.peek() {
            Some(token) if token.kind == TokenKind::Word => Verb::of(token.bytes(self.sql)),
            Some(_) => Verb::Other,
            None => Verb::None,
        }
    }

    /// Steps over comments that only some servers execute; true if there were some.
    pub(super) fn unsure_comments(&mut self) -> bool {
        let before = self.position;
        while self.peek_kind() == Some(TokenKind::UnsureComment) {
            self.position += 1;
        }
        self.position > before
    }

    /// Steps over this keyword.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.peek_word(word);
        self.position += usize::from(found);
        found
    }

    /// Steps over these keywords if they all follow.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let start = self.position;
        let found = words.iter().all(|word| self.word(word));
        if !found {
            self.position = start;
        }
        found
    }

    /// Steps over this byte.
    pub(super) fn symbol(&mut self, symbol: u8) -> bool {
        let found = self.peek().is_some_and(|token| token.is_symbol(self.sql, symbol));
        self.position += usize::from(found);
        found
    }

    pub(super) fn peek_symbol(&self, symbol: u8) -> bool {
        self.peek().is_some_and(|token| token.is_symbol(self.sql, symbol))
    }

    /// Steps over a `(` and all up to the `)` that closes it.
    pub(super) fn parentheses(&mut self) -> bool {
        if !self.peek_symbol(b'(') {
            return false;
        }
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            self.position += 1;
            match token.bytes(self.sql) {
                b"(" => depth += 1,
                b")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        true
    }

    /// Steps over `=` or `:=`.
    pub(super) fn equals(&mut self) -> bool {
        self.symbol(b':');
        self.symbol(b'=')
    }

    /// A name, quoted or not.
    pub(super) fn name(&mut self) -> Option<Name> {
        let token = self
            .peek()
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedName | TokenKind::Integer))?;
        let text = match token.kind {
            TokenKind::Integer => return None,
            _ => unquote_name(token.bytes(self.sql)).into_owned(),
        };
        self.position += 1;
        Some(Name { text, range: token.start..token.end })
    }

    /// `table` or `schema.table`.
    pub(super) fn table_name(&mut self) -> Option<TableName> {
        let first = self.name()?;
        if !self.symbol(b'.') {
            return Some(TableName { schema: None, table: first });
        }
        Some(TableName { schema: Some(first), table: self.name()? })
    }

    /// An unsigned integer.
    pub(super) fn integer(&mut self) -> Option<u64> {
        let token = self.peek().filter(|token| token.kind == TokenKind::Integer)?;
        let value = std::str::from_utf8(token.bytes(self.sql)).ok()?.parse().ok()?;
        self.position += 1;
        Some(value)
    }

    /// A string, unescaped.
    pub(super) fn string(&mut self) -> Option<Vec<u8>> {
        let token = self.peek().filter(|token| token.kind == TokenKind::String)?;
        self.position += 1;
        Some(literal::unescape(token.bytes(self.sql), self.mode).into_owned())
    }

    /// A name or a string, as in `SET NAMES 'utf8'`.
    pub(super) fn name_or_string(&mut self) -> Option<String> {
        if let Some(text) = self.string() {
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
        self.name().map(|name| name.text)
    }

    /// `@name`, without the `@`, in lower case: names of user variables are case-insensitive.
    pub(super) fn user_variable(&mut self) -> Option<String> {
        let token = self.peek().filter(|token| token.kind == TokenKind::UserVariable)?;
        self.position += 1;
        Some(literal::user_variable(&token.bytes(self.sql)[1..], self.mode).to_lowercase())
    }

    /// `@@name`: what follows the two `@`, unquoted.
    pub(super) fn system_variable(&mut self) -> Option<Name> {
        let token = self.peek().filter(|token| token.kind == TokenKind::SystemVariable)?;
        self.position += 1;
        let text = unquote_name(&token.bytes(self.sql)[2..]).into_owned();
        Some(Name { text, range: token.start..token.end })
    }

    /// Steps over an expression: up to a comma outside of parentheses, or the end.
    pub(super) fn expression(&mut self) -> Option<Range<usize>> {
        self.expression_until(&[])
    }

    /// Steps over an expression that one of these keywords may end too.
    pub(super) fn expression_until(&mut self, keywords: &[&str]) -> Option<Range<usize>> {
        let first = self.peek()?;
        let mut end = first.start;
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token.bytes(self.sql) {
                b"(" => depth += 1,
                b")" => depth = depth.checked_sub(1)?,
                b"," if depth == 0 => break,
                _ if depth == 0 && keywords.iter().any(|keyword| token.is_word(self.sql, keyword)) => break,
                _ => {}
            }
            end = token.end;
            self.position += 1;
        }
        (end > first.start).then_some(first.start..end)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Range<usize> {
        let start = self.peek().map_or(self.sql.len(), |token| token.start);
        let end = self.tokens.last().map_or(start, |token| token.end);
        self.position = self.tokens.len();
        start..end.max(start)
    }

    /// The bytes of a range.
    pub(super) fn text(&self, range: &Range<usize>) -> &'a [u8] {
        self.sql.get(range.clone()).unwrap_or_default()
    }

    /// The tokens from the current one up to this offset.
    pub(super) fn tokens_before(&self, end: usize) -> &[Token] {
        let rest = self.tokens.get(self.position..).unwrap_or_default();
        &rest[..rest.partition_point(|token| token.start < end)]
    }

    /// The only token, if there is only one.
    pub(super) fn only_token(&self) -> Option<Token> {
        match &*self.tokens {
            [token] => Some(*token),
            _ => None,
        }
    }

    /// How this statement is to be read.
    pub(super) fn mode(&self) -> LexMode {
        self.mode
    }
}
