//! MySQL opens a temporary table but once in a statement: each further place of a query gets a copy of its own.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{Ident, Query, Statement, TableFactor, Visit, Visitor};

use crate::sql::lexer::LexMode;
use crate::sql::{parse, spans};

/// What the names of copies begin with.
const PREFIX: &str = "shardloom_copy_";

/// A query that reads each table but once.
pub(super) struct Reopened {
    /// Its text.
    pub query: Vec<u8>,
    /// What makes the copies, of the tables that are there.
    pub creates: Vec<String>,
}

/// Gives the tables of a query that it reads again names of their own. Nothing if it cannot be read.
pub(super) fn reopened(query: &[u8], mode: LexMode) -> Option<Reopened> {
    let parsed = parse(query, mode).ok()?;
    let mut finder = Finder::default();
    let Statement::Query(statement) = &parsed.statement else { return None };
    if statement.visit(&mut finder).is_break() {
        return None;
    }
    let mut text = Vec::with_capacity(query.len() * 2);
    let mut at = 0;
    finder.edits.sort_by_key(|(range, _)| range.start);
    for (range, new) in &finder.edits {
        text.extend_from_slice(query.get(at..range.start)?);
        text.extend_from_slice(new.as_bytes());
        at = range.end;
    }
    text.extend_from_slice(query.get(at..)?);
    Some(Reopened { query: text, creates: finder.creates })
}

#[derive(Default)]
struct Finder {
    /// The names that WITH defines anywhere.
    of_with: Vec<String>,
    seen: Vec<String>,
    edits: Vec<(Range<usize>, String)>,
    creates: Vec<String>,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let defined = query.with.iter().flat_map(|with| &with.cte_tables);
        self.of_with.extend(defined.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let Some(table) = parts.last() else { return ControlFlow::Break(()) };
        if parts.len() == 1 && self.of_with.contains(&table.value.to_lowercase()) {
            return ControlFlow::Continue(());
        }
        let original = parts.iter().map(|part| super::create::quoted(&part.value)).collect::<Vec<_>>().join(".");
        if !self.seen.contains(&original.to_lowercase()) {
            self.seen.push(original.to_lowercase());
            return ControlFlow::Continue(());
        }
        let Some(range) = spans::range(name) else { return ControlFlow::Break(()) };
        let copy = format!("{PREFIX}{}", self.creates.len());
        self.creates.push(format!("CREATE TEMPORARY TABLE {copy} LIKE {original}"));
        let alias =
            if alias.is_some() { String::new() } else { format!(" AS {}", super::create::quoted(&table.value)) };
        self.edits.push((range, format!("{copy}{alias}")));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_read_again_is_read_from_a_copy() {
        let sql = b"WITH w AS (SELECT 1) SELECT * FROM t JOIN s.t x JOIN t AS y, w, t";
        let read = reopened(sql, LexMode::default()).unwrap();
        assert_eq!(
            String::from_utf8(read.query).unwrap(),
            "WITH w AS (SELECT 1) SELECT * FROM t JOIN s.t x JOIN shardloom_copy_0 AS y, w, shardloom_copy_1 AS `t`"
        );
        assert_eq!(read.creates.len(), 2);
    }
}
