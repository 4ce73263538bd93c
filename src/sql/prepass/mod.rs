//! What `sqlparser` cannot read is rewritten in its tokens before it reads them.
//!
//! Each step replaces a construct by one of the same meaning, or takes it out and says so in the [`Notes`]. Tokens keep
//! the spans of the text they came from; a token that stands for no text has an empty span, so that no edit can be
//! made at it.

mod expression;
mod head;
mod query;
mod tables;

use super::parse::Notes;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

/// The operator `DIV` in the tree.
pub(super) const DIV: &str = "DIV";
/// The operator `SOUNDS LIKE` in the tree.
pub(super) const SOUNDS_LIKE: &str = "SOUNDS LIKE";

/// The tokens of a statement (without an end-of-input token) with quick answers about them.
pub(super) struct Tokens(pub(super) Vec<TokenWithSpan>);

impl Tokens {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn token(&self, index: usize) -> &Token {
        self.0.get(index).map_or(&Token::EOF, |token| &token.token)
    }

    /// The keyword at an index; `NoKeyword` if there is none.
    fn keyword(&self, index: usize) -> Keyword {
        match self.token(index) {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        }
    }

    fn before(&self, index: usize) -> Keyword {
        index.checked_sub(1).map_or(Keyword::NoKeyword, |before| self.keyword(before))
    }

    fn is(&self, index: usize, token: &Token) -> bool {
        self.token(index) == token
    }

    /// Whether these keywords stand at an index, one after the other.
    fn keywords(&self, index: usize, keywords: &[Keyword]) -> bool {
        keywords.iter().enumerate().all(|(offset, keyword)| self.keyword(index + offset) == *keyword)
    }

    /// Whether an unquoted word stands at an index, whatever the parser knows of it.
    fn is_word(&self, index: usize, text: &str) -> bool {
        matches!(self.token(index), Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(text))
    }

    fn has(&self, keyword: Keyword) -> bool {
        (0..self.len()).any(|index| self.keyword(index) == keyword)
    }

    /// The index after the `)` that closes the `(` at an index.
    fn after_parentheses(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for index in open..self.len() {
            match self.token(index) {
                Token::LParen => depth += 1,
                Token::RParen if depth <= 1 => return index + 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
        }
        self.len()
    }

    /// The first index outside of all parentheses that a test accepts.
    fn find_at_top(&self, from: usize, test: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let mut index = from;
        while index < self.len() {
            if self.is(index, &Token::LParen) {
                index = self.after_parentheses(index);
            } else if test(self, index) {
                return Some(index);
            } else {
                index += 1;
            }
        }
        None
    }

    fn remove(&mut self, from: usize, count: usize) {
        let end = (from + count).min(self.len());
        self.0.drain(from.min(end)..end);
    }

    fn insert(&mut self, index: usize, token: Token) {
        self.0.insert(index, made(token));
    }

    fn replace(&mut self, index: usize, token: Token) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.token = token;
        }
    }
}

/// A token that stands for no text.
fn made(token: Token) -> TokenWithSpan {
    TokenWithSpan { token, span: Span::empty() }
}

/// A keyword as a token.
fn word(text: &str, keyword: Keyword) -> Token {
    super::tokens::keyword(text, keyword)
}

/// Rewrites what the parser cannot read.
pub(super) fn rewrite(tokens: &mut Tokens, notes: &mut Notes) {
    head::rewrite(tokens, notes);
    query::rewrite(tokens, notes);
    tables::rewrite(tokens, notes);
    expression::rewrite(tokens, notes);
}
