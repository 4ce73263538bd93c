//! Columns that are named by strings, as in `SELECT a AS 'b'`.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, SelectItem, SetExpr, Statement, Visit, Visitor};

use super::Plan;
use super::query::Subject;
use super::types::PinnedLiteral;
use crate::sql::spans;

/// Makes a plan hold for these strings only: the digest takes such a name for a value.
pub(super) fn pin_strings(plan: &mut Plan, subject: &Subject<'_>, statement: &Statement) {
    if !has_string_alias(statement) {
        return;
    }
    let pin = |(index, literal): (usize, &crate::sql::Literal)| PinnedLiteral {
        index,
        text: literal.bytes(subject.sql).into(),
    };
    plan.pinned.extend(subject.literals.iter().enumerate().map(pin));
}

/// Whether a column of the statement or of a query in it is named by a string, as in `SELECT a AS 'b'`.
fn has_string_alias(statement: &Statement) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if names_by_strings(&query.body) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Finder).is_break()
}

fn names_by_strings(body: &SetExpr) -> bool {
    match body {
        // a string becomes a name without a place
        SetExpr::Select(select) => select.projection.iter().any(
            |item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if spans::range_of(alias.span).is_none()),
        ),
        SetExpr::SetOperation { left, right, .. } => names_by_strings(left) || names_by_strings(right),
        _ => false,
    }
}
