//! The list of columns of an INSERT that has none.
//!
//! The proxy routes the rows by the columns that it knows. A definition that another proxy has just carried out, or one that
//! failed on some nodes, may have brought a node's columns into another order; with the list a node puts each value where
//! the proxy took it for, or answers with an error.

use std::ops::Range;

use sqlparser::ast::Insert;

use crate::catalog::TableInfo;
use crate::plan::names::behind_partitions;
use crate::plan::shape::{Builder, TableRef};
use crate::plan::unit::quoted;

/// The list, and where it belongs. `more` is a column behind the table's own. Nothing where one is written, where none may
/// be, and where the names cannot be written in the statement's character set.
pub(super) fn list(
    builder: &Builder<'_>,
    target: &TableRef,
    info: Option<&TableInfo>,
    insert: &Insert,
    more: Option<&str>,
) -> Option<(Range<usize>, String)> {
    if !insert.columns.is_empty() || !insert.assignments.is_empty() {
        return None;
    }
    let columns = info?.visible_columns().map(|column| column.name.as_str()).chain(more);
    let names = columns.map(quoted).collect::<Vec<_>>().join(", ");
    if names.is_empty() || !(builder.context.text_is_utf8 || names.is_ascii()) {
        return None;
    }
    let end = behind_partitions(builder, target).unwrap_or(target.range.end);
    let next = builder.outline.index_at(end);
    let is_symbol = |index: usize, symbol: u8| {
        builder.outline.tokens().get(index).is_some_and(|token| token.is_symbol(builder.sql, symbol))
    };
    if is_symbol(next, b'(') && is_symbol(next + 1, b')') {
        let inside = builder.outline.tokens()[next].end;
        return Some((inside..inside, names));
    }
    Some((end..end, format!(" ({names})")))
}
