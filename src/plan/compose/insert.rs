//! INSERT … SELECT in steps.

use super::clauses::Clauses;
use super::taker::Taker;
use crate::plan::anchor::Span;
use crate::plan::query::Subject;
use crate::sql::Literal;

/// INSERT … SELECT: where its parts stand.
#[derive(Debug, Clone)]
pub(crate) struct InsertRows {
    head: Span,
    query: Span,
    tail: Span,
    /// `INSERT IGNORE`.
    pub ignore: bool,
    /// The columns that take the values, where they are known.
    pub takers: Vec<Taker>,
    /// Columns without a value and without a default.
    pub lacking: Vec<Box<str>>,
}

/// INSERT … VALUES with expressions that only a server can evaluate, where their values decide where a row belongs.
#[derive(Debug, Clone)]
pub(crate) struct EvaluatedValues {
    /// Where they stand.
    pub spans: Vec<Span>,
    /// The columns that take them.
    pub takers: Vec<Option<Taker>>,
    /// `INSERT IGNORE`.
    pub ignore: bool,
}

impl EvaluatedValues {
    /// Where they stand in a text.
    pub fn cells(&self, literals: &[Literal]) -> Vec<std::ops::Range<usize>> {
        self.spans.iter().map(|span| span.range(literals)).collect()
    }
}

/// The parts of an INSERT … SELECT.
pub(crate) struct InsertParts<'a> {
    /// `INSERT INTO t (columns)`.
    pub head: &'a [u8],
    /// The query.
    pub query: &'a [u8],
    /// `ON DUPLICATE KEY UPDATE …`, or nothing.
    pub tail: &'a [u8],
}

impl InsertRows {
    /// Finds the parts; `None` where they cannot be told apart.
    pub fn of(subject: &Subject<'_>, ignore: bool, takers: Vec<Taker>, lacking: Vec<Box<str>>) -> Option<Self> {
        let clauses = Clauses { outline: &subject.outline, sql: subject.sql };
        let tokens = subject.outline.tokens();
        let begins = ["SELECT", "WITH", "TABLE", "VALUES"];
        let mut index =
            clauses.skip(0, &["INSERT", "REPLACE", "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]);
        let start = loop {
            let token = tokens.get(index)?;
            if subject.outline.is_keyword(subject.sql, index, &begins) {
                break index;
            }
            if !token.is_symbol(subject.sql, b'(') {
                index += 1;
                continue;
            }
            let mut inner = index;
            while tokens.get(inner).is_some_and(|token| token.is_symbol(subject.sql, b'(')) {
                inner += 1;
            }
            if subject.outline.is_keyword(subject.sql, inner, &begins) {
                break index;
            }
            index = subject.outline.closing(subject.sql, index)? + 1;
        };
        let mut end = start;
        loop {
            match clauses.find(end, &["ON", "RETURNING"]) {
                Some(at) if clauses.outline.is_keyword(subject.sql, at, &["RETURNING"]) => return None,
                Some(at) if clauses.outline.is_keyword(subject.sql, at + 1, &["DUPLICATE"]) => {
                    end = at;
                    break;
                }
                Some(at) => end = at + 1,
                None => {
                    end = clauses.end();
                    break;
                }
            }
        }
        let span = |from, to| Span::of(&clauses.range(from, to), subject.literals);
        Some(Self {
            head: span(0, start),
            query: span(start, end),
            tail: span(end, clauses.end()),
            ignore,
            takers,
            lacking,
        })
    }

    /// The parts of a text.
    pub fn parts<'a>(&self, sql: &'a [u8], literals: &[Literal]) -> InsertParts<'a> {
        let part = |span: Span| sql.get(span.range(literals)).unwrap_or_default();
        InsertParts { head: part(self.head), query: part(self.query), tail: part(self.tail) }
    }
}
