//! Text to syntax tree, by `sqlparser` with our tokens and our dialect.

use super::dialect::ShardloomDialect;
use super::lexer::{LexMode, Lexer, TokenKind};
use super::limits;
use super::prepass::{self, Tokens};
use super::tokens;
use crate::error::{Fault, Report};
use sqlparser::ast::{BinaryOperator, Expr, Statement, visit_expressions};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::ControlFlow;

/// How deep expressions and queries may be nested.
const NESTING_LIMIT: usize = 128;

/// Up to so many joins are parsed on the stack of the task: each takes some 20 KiB in a debug build.
const JOINS_ON_OWN_STACK: usize = 10;

/// The stack that the parser gets for more joins: enough for all that the limits let through.
const PARSER_STACK_BYTES: usize = 16 << 20;

/// How much of the text an error shows, as the server does.
const ERROR_NEAR_BYTES: usize = 80;

/// A parsed statement.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The tree. Its spans are byte offsets: [`super::spans`].
    pub statement: Statement,
    /// What the tree does not tell.
    pub notes: Notes,
}

/// What a statement holds beside its tree. What is said to be *not in the tree* was taken out before parsing; it still
/// stands in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// `SELECT … INTO`; not in the tree.
    pub into: Option<Into>,
    /// `UPDATE IGNORE`, `DELETE IGNORE` (not in the tree), `INSERT IGNORE`.
    pub ignore: bool,
    /// `FOR UPDATE`, `FOR SHARE`, `LOCK IN SHARE MODE`; in the tree, under the query that locks.
    pub lock: bool,
    /// `FOR UPDATE WAIT n`: the wait is not in the tree.
    pub lock_wait: bool,
    /// `SQL_CALC_FOUND_ROWS`.
    pub calc_found_rows: bool,
    /// `GROUP BY … WITH ROLLUP`.
    pub rollup: bool,
    /// `GROUP BY a DESC`: the directions are not in the tree. Where they are allowed they sort the result.
    pub group_by_order: bool,
    /// `LIMIT … ROWS EXAMINED n`; not in the tree.
    pub rows_examined: bool,
    /// `FOR SYSTEM_TIME …`: rows of another time are read; not in the tree.
    pub system_time: bool,
    /// `INSERT INTO t PARTITION (…)`; not in the tree.
    pub insert_partition: bool,
    /// `USE INDEX`, `FORCE INDEX`, `IGNORE INDEX` for a table.
    pub index_hints: bool,
    /// `/*+ … */`; not in the tree.
    pub optimizer_hints: bool,
    /// A comment that is code to some servers only; not in the tree.
    pub unsure_comment: bool,
    /// `TABLE t`: the tree says `SELECT * FROM t`, and the words of it that are not in the text have no span.
    pub table_statement: bool,
    /// `DO …`: the tree says `SELECT …`, whose result is not sent.
    pub do_statement: bool,
    /// `@a`.
    pub user_variables: bool,
    /// `@a := …` in an expression.
    pub assignments: bool,
}

/// `SELECT … INTO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Into {
    /// Where to.
    pub kind: IntoKind,
    /// Where it stands, `INTO` included.
    pub range: std::ops::Range<usize>,
}

/// Where `SELECT … INTO` puts its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntoKind {
    /// Variables: `@a`, or a local one, as they are written.
    Variables(Vec<String>),
    /// `OUTFILE` or `DUMPFILE`: a file of the server.
    Outfile,
}

/// Why a text has no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// There is no statement in it.
    #[error("Query was empty")]
    Empty,
    /// The parser stopped. The text reads as the server's own error does.
    #[error("Shardloom cannot parse this statement near '{near}' at line {line}: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// The text from where it stopped.
        near: String,
        /// The line of that, from 1.
        line: usize,
    },
    /// `a LIKE b LIKE c`, or `a LIKE b || c` under PIPES_AS_CONCAT: servers read them in ways of their own. A refusal,
    /// since the server may well take it.
    #[error("Shardloom cannot parse this statement: put parentheses around '{0}'")]
    Ambiguous(String),
    /// Nested too deep, or a chain of operators, joins or queries too long.
    #[error("Shardloom cannot parse this statement: it is nested too deep, or connects too much in a row")]
    TooDeep,
}

impl Report for ParseError {
    /// `ER_EMPTY_QUERY`, `ER_PARSE_ERROR`, `ER_NOT_SUPPORTED_YET`, `ER_STACK_OVERRUN_NEED_MORE`.
    fn errno(&self) -> u16 {
        match self {
            Self::Empty => 1065,
            Self::Syntax { .. } => 1064,
            Self::Ambiguous(_) => 1235,
            Self::TooDeep => 1436,
        }
    }

    fn sqlstate(&self) -> &'static str {
        match self {
            Self::Empty | Self::Syntax { .. } | Self::Ambiguous(_) => "42000",
            Self::TooDeep => "HY000",
        }
    }

    fn kind(&self) -> &'static str {
        "parse"
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}

/// Parses the one statement in `sql` (see [`super::split`] for texts of several). A `;` may end it.
///
/// Where the parser descends into expressions and queries it looks after its stack itself. Where it descends into joins
/// it does not, so for many of them it gets a larger one.
pub fn parse(sql: &[u8], mode: LexMode) -> Result<Parsed, ParseError> {
    let mut tokens = tokens::tokens(sql, 0, sql.len(), mode);
    while tokens.last().is_some_and(|token| token.token == Token::SemiColon) {
        tokens.pop();
    }
    if tokens.is_empty() {
        return Err(ParseError::Empty);
    }
    let joins = limits::check(&tokens)?;
    let mut notes = notes_of_text(sql, mode);
    let mut tokens = Tokens(tokens);
    prepass::rewrite(&mut tokens, &mut notes);
    let mut tokens = tokens.0;
    notes.assignments = tokens.iter().any(|token| token.token == Token::Assignment);
    tokens.push(TokenWithSpan { token: Token::EOF, span: tokens::span(sql.len(), sql.len()) });
    let parsed =
        if joins > JOINS_ON_OWN_STACK { stacker::grow(PARSER_STACK_BYTES, || tree(tokens)) } else { tree(tokens) };
    let statement = parsed.map_err(|error| describe(error, sql))?;
    if let ControlFlow::Break(chain) = visit_expressions(&statement, chained_predicate) {
        return Err(ParseError::Ambiguous(chain));
    }
    Ok(Parsed { statement, notes })
}

fn tree(tokens: Vec<TokenWithSpan>) -> Result<Statement, ParserError> {
    let dialect = ShardloomDialect;
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_LIMIT).with_tokens_with_locations(tokens);
    let mut statement = parser.parse_statement()?;
    if parser.peek_token_ref().token != Token::EOF {
        return parser.expected_ref("end of statement", parser.peek_token_ref());
    }
    limits::balance(&mut statement);
    Ok(statement)
}

fn notes_of_text(sql: &[u8], mode: LexMode) -> Notes {
    let mut notes = Notes::default();
    for token in Lexer::new(sql, mode) {
        match token.kind {
            TokenKind::OptimizerHint => notes.optimizer_hints = true,
            TokenKind::UnsureComment => notes.unsure_comment = true,
            TokenKind::UserVariable => notes.user_variables = true,
            _ => {}
        }
    }
    notes
}

/// A predicate (`LIKE`, `IN`, `BETWEEN`, …) that is an operand of another one, without parentheses.
fn chained_predicate(expr: &Expr) -> ControlFlow<String> {
    fn is_predicate(expr: &Expr) -> bool {
        match expr {
            Expr::Like { .. }
            | Expr::RLike { .. }
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::MemberOf(_) => true,
            Expr::BinaryOp { op, .. } => is_sounds_like(op),
            _ => false,
        }
    }
    let operands: [&Expr; 2] = match expr {
        Expr::Like { expr, pattern, .. } | Expr::RLike { expr, pattern, .. } => [expr, pattern],
        Expr::InList { expr, .. } | Expr::InSubquery { expr, .. } => [expr, expr],
        Expr::Between { expr, high, .. } => [expr, high],
        Expr::MemberOf(member) => [&member.value, &member.value],
        Expr::BinaryOp { left, op, right } if is_sounds_like(op) => [left, right],
        _ => return ControlFlow::Continue(()),
    };
    match operands.into_iter().find(|operand| is_predicate(operand)) {
        Some(operand) => ControlFlow::Break(operand.to_string()),
        None => ControlFlow::Continue(()),
    }
}

fn is_sounds_like(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Custom(name) if name == prepass::SOUNDS_LIKE)
}

/// The parser's message ends in ` at Line: 1, Column: n`, where n is our offset.
fn describe(error: ParserError, sql: &[u8]) -> ParseError {
    let text = match error {
        ParserError::RecursionLimitExceeded => return ParseError::TooDeep,
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (message, offset) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let column = place.rsplit_once(' ').and_then(|(_, column)| column.parse::<usize>().ok());
            (message.to_owned(), column.map_or(sql.len(), |column| column.saturating_sub(1)))
        }
        None => (text, sql.len()),
    };
    let offset = offset.min(sql.len());
    let near = &sql[offset..sql.len().min(offset + ERROR_NEAR_BYTES)];
    let line = 1 + memchr::memchr_iter(b'\n', &sql[..offset]).count();
    ParseError::Syntax { message, near: String::from_utf8_lossy(near).into_owned(), line }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
