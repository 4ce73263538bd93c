//! The text of statements: what it says, where in it, and how to change it.
//!
//! Everything here is pure. The steps in the order in which a statement meets them:
//!
//! - [`lexer`]: bytes → tokens, by the rules of the MySQL manual; the only place that knows them
//! - [`digest`]: the fingerprint that keys the plan cache, and where the literals stand
//! - [`split`]: one text → its statements
//! - [`session_statement`]: `SET`, `USE`, `BEGIN`, `SHOW`, …: what the session answers or tracks itself
//! - [`ddl`]: statements that define tables, by a parser of our own
//! - [`parse`](mod@parse): tokens → syntax tree, on a cache miss; spans of the tree are byte offsets ([`spans`])
//! - [`names`]: which tables a text may name, for what does not parse
//! - [`splice`]: edits to the text, also to another text of the same fingerprint

mod cursor;
pub mod ddl;
pub mod dialect;
pub mod digest;
mod foreign_words;
pub mod lexer;
mod limits;
pub mod literal;
pub mod load_data;
pub mod names;
mod normalised;
pub mod parse;
mod prepass;
pub mod session_statement;
pub mod spans;
pub mod splice;
pub mod split;
mod tokens;
mod verb;

pub use digest::{Flags, Scan, Verb, normalised, scan};
pub use lexer::LexMode;
pub use literal::{Literal, LiteralKind};
pub use parse::{Notes, ParseError, Parsed, parse};
pub use session_statement::SessionStatement;
pub use splice::{Piece, Splice, SpliceBuilder};

#[cfg(test)]
mod fuzz_tests;
