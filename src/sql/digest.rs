//! The fingerprint of a statement, and where its literals stand.
//!
//! [`scan`] reads a text once and allocates nothing but room in the list it is given. The fingerprint covers the exact
//! bytes between the literals and the kind of each literal. So two texts of one fingerprint differ only inside their
//! literals, and what is known of one (the tree, the spans, a plan) holds for the other, measured from the literals.

use super::lexer::{LexMode, Lexer, Token, TokenKind};
pub use super::literal::{Literal, LiteralKind};
pub use super::normalised::normalised;
pub use super::verb::Verb;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What one reading of a statement tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// 128 bits over the bytes between the literals and the literals' kinds. Texts read under another [`LexMode`] may
    /// share it: whoever keeps plans under it keeps the mode beside it.
    pub fingerprint: u128,
    /// The first keyword.
    pub verb: Verb,
    /// Where this statement ends: the offset of its `;`, or of the end of the text.
    pub statement_end: usize,
    /// Where the next statement begins, if more than white space and comments follow the `;`.
    pub next_statement: Option<usize>,
    /// How many `?` there are.
    pub placeholders: u32,
    /// What else was seen.
    pub flags: Flags,
}

/// What a statement was seen to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// `@x`.
    pub user_variable: bool,
    /// `@@x`.
    pub system_variable: bool,
    /// `:=`, which in a query sets a user variable.
    pub assignment: bool,
    /// `/*+ … */`.
    pub optimizer_hint: bool,
    /// `/* shardloom: … */`.
    pub proxy_hint: bool,
    /// `/*! … */` that all supported servers execute.
    pub executable_comment: bool,
    /// A comment that is code to some of the supported servers only.
    pub unsure_comment: bool,
    /// A string, quoted name or comment without an end.
    pub unterminated: bool,
}

/// Folds the hashes of the pieces into one. The order of the pieces matters, and so does where each ends.
struct Fold(u128);

impl Fold {
    /// Odd, so that the multiplication can be undone and no two states meet.
    const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

    fn add(&mut self, piece: &[u8], kind: u8) {
        let hash = xxh3_128_with_seed(piece, u64::from(kind));
        self.0 = (self.0.rotate_left(61) ^ hash).wrapping_mul(Self::FACTOR);
    }
}

/// Reads the first statement of `sql`; `literals` is emptied and filled with its literals, in order.
pub fn scan(sql: &[u8], mode: LexMode, literals: &mut Vec<Literal>) -> Scan {
    scan_from(sql, 0, mode, literals)
}

/// Like [`scan`], for the statement that begins at `start`. Offsets count from the start of `sql`; the fingerprint is
/// that of the statement alone.
pub fn scan_from(sql: &[u8], start: usize, mode: LexMode, literals: &mut Vec<Literal>) -> Scan {
    literals.clear();
    let mut lexer = Lexer::starting_at(sql, mode, start);
    let mut fold = Fold(0);
    let mut piece_start = start;
    let mut found = Scan {
        fingerprint: 0,
        verb: Verb::None,
        statement_end: sql.len(),
        next_statement: None,
        placeholders: 0,
        flags: Flags::default(),
    };
    for token in lexer.by_ref() {
        if let Some(kind) = LiteralKind::of(token.kind) {
            fold.add(&sql[piece_start..token.start], kind as u8);
            piece_start = token.end;
            literals.push(Literal { start: token.start as u32, end: token.end as u32, kind });
        } else if token.kind == TokenKind::Word {
            if found.verb == Verb::None {
                found.verb = Verb::of(token.bytes(sql));
            }
        } else if token.kind == TokenKind::Semicolon {
            if !super::split::runs_to_the_end(sql, start, mode) {
                found.statement_end = token.start;
                found.next_statement = super::split::next_statement(sql, token.end, mode);
                break;
            }
        } else {
            note(&mut found, sql, token);
        }
    }
    fold.add(&sql[piece_start..found.statement_end], 0);
    found.fingerprint = fold.0;
    found.flags.unterminated = lexer.unterminated();
    found
}

fn note(found: &mut Scan, sql: &[u8], token: Token) {
    let flags = &mut found.flags;
    match token.kind {
        TokenKind::Placeholder => found.placeholders += 1,
        TokenKind::UserVariable => flags.user_variable = true,
        TokenKind::SystemVariable => flags.system_variable = true,
        TokenKind::OptimizerHint => flags.optimizer_hint = true,
        TokenKind::ProxyHint => flags.proxy_hint = true,
        TokenKind::CodeOpen => flags.executable_comment = true,
        TokenKind::UnsureComment => flags.unsure_comment = true,
        TokenKind::Symbol if sql[token.start] == b':' && sql.get(token.end) == Some(&b'=') => flags.assignment = true,
        // a statement of another kind of beginning, as in `{call …}`, has no verb
        _ => {}
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
