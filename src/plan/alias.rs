//! Columns that are named by strings, as in `SELECT a AS 'b'`.

use std::ops::ControlFlow;

use sqlparser::ast::{Select, SelectItem, Statement, Visit, Visitor};

use crate::sql::spans;

/// Whether a column of the statement, or of a query in it, is named by a string: the digest takes such a name for a value.
pub(super) fn is_by_string(statement: &Statement) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            // a string becomes a name without a place
            let is_string = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if spans::range_of(alias.span).is_none());
            if select.projection.iter().any(is_string) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Finder).is_break()
}
