//! Which columns of a table a statement uses, and which of them join it to others.

use std::collections::HashSet;

use crate::catalog::{ColumnInfo, TableInfo};
use crate::plan::query::Subject;
use crate::plan::shape::{ColumnId, Fact, RefId, RefKind, Shape};
use crate::sql::lexer::{TokenKind, unquote_name};

/// The names in a statement, in lower case: whatever is none of them is no column that the statement uses by its name.
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Reads the names of a statement.
    pub fn of(subject: &Subject<'_>) -> Self {
        let names = subject
            .outline
            .tokens()
            .iter()
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedName));
        Self(names.map(|token| unquote_name(token.bytes(subject.sql)).to_lowercase()).collect())
    }

    /// The columns of a reference that are used: a name counts for every table that has a column of it.
    pub fn columns<'i>(&self, info: &'i TableInfo, all: bool) -> Vec<&'i ColumnInfo> {
        // the primary key too: tables are read in its order, and values depend on it that a query does not name
        let is_key = |name: &str| info.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name));
        let is_used = |column: &&ColumnInfo| {
            (all && !column.invisible) || is_key(&column.name) || self.0.contains(&column.name.to_lowercase())
        };
        info.columns.iter().filter(is_used).collect()
    }
}

/// The columns of a reference that must equal columns of other references, in lower case.
pub(super) fn joined(shape: &Shape, id: RefId) -> Vec<String> {
    let mut pairs = Vec::new();
    for filter in shape.blocks.iter().flat_map(|block| &block.filters) {
        pairs_in(&filter.fact, &mut pairs);
    }
    let mut names: Vec<String> = Vec::new();
    for (left, right) in pairs {
        for (ours, theirs) in [(left, right), (right, left)] {
            let column = &shape.columns[ours];
            if column.table == id && joins(shape, id, shape.columns[theirs].table) && !names.contains(&column.name) {
                names.push(column.name.clone());
            }
        }
    }
    names
}

/// Whether an equality with a column of `other` joins, and does not only say what a derived table shows.
fn joins(shape: &Shape, id: RefId, other: RefId) -> bool {
    match shape.refs[other].kind {
        RefKind::Derived(block) => shape.refs[id].block != block,
        _ => id != other,
    }
}

fn pairs_in(fact: &Fact, pairs: &mut Vec<(ColumnId, ColumnId)>) {
    match fact {
        Fact::Same(left, right) => pairs.push((*left, *right)),
        Fact::All(facts) | Fact::Any(facts) => facts.iter().for_each(|fact| pairs_in(fact, pairs)),
        _ => {}
    }
}
