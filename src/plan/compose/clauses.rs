//! Where the clauses of an UPDATE, DELETE or INSERT … SELECT stand.

use std::ops::Range;

use crate::plan::outline::Outline;

/// Steps over the tokens of a statement that stand in no parentheses.
pub(super) struct Clauses<'a> {
    /// The tokens.
    pub outline: &'a Outline,
    /// The text.
    pub sql: &'a [u8],
}

impl Clauses<'_> {
    /// The index of the first of these keywords at or behind token `from`.
    pub fn find(&self, from: usize, keywords: &[&str]) -> Option<usize> {
        let tokens = self.outline.tokens();
        let mut index = from;
        while index < tokens.len() {
            if tokens[index].is_symbol(self.sql, b'(') {
                index = self.outline.closing(self.sql, index)? + 1;
                continue;
            }
            if self.outline.is_keyword(self.sql, index, keywords) {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// Steps over these keywords.
    pub fn skip(&self, mut index: usize, keywords: &[&str]) -> usize {
        while self.outline.is_keyword(self.sql, index, keywords) {
            index += 1;
        }
        index
    }

    /// The bytes from token `from` up to, not including, token `to`; empty where there are none.
    pub fn range(&self, from: usize, to: usize) -> Range<usize> {
        let tokens = self.outline.tokens();
        let end = || tokens.last().map_or(0, |token| token.end);
        if from >= to.min(tokens.len()) {
            let at = tokens.get(from).map_or_else(end, |token| token.start);
            return at..at;
        }
        tokens[from].start..tokens[to.min(tokens.len()) - 1].end
    }

    /// How many tokens there are.
    pub fn end(&self) -> usize {
        self.outline.tokens().len()
    }
}
