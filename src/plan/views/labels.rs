//! How MySQL labels the columns of views.
//!
//! It says that a column of a view is of the view, one of a derived table of the table under it. Where it makes a table of a
//! view's rows, only columns that are no table's are the view's.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Visit, Visitor};

use super::SplitView;
use super::definition::parsed;
use crate::plan::shape::{has_query, is_aggregated};
use crate::plan::types::{ViewLabels, ViewName};

/// The tables that a statement selects from plainly, if its rows are put together of theirs; grouped ones and those without
/// duplicates may come out of a table of their own, which says something else.
pub(super) fn sources(statement: &Statement) -> Vec<&TableFactor> {
    let Statement::Query(query) = statement else { return Vec::new() };
    let SetExpr::Select(select) = &*query.body else { return Vec::new() };
    if query.with.is_some() || makes_rows(select) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for table in &select.from {
        all.push(&table.relation);
        all.extend(table.joins.iter().map(|join| &join.relation));
    }
    all
}

/// The labels of a view that is read by a name.
pub(super) fn of(view: &SplitView, visible: &str) -> Option<ViewName> {
    if !view.info.on_mysql {
        return None;
    }
    let definition = parsed(view.info.definition.as_deref()?)?;
    let Statement::Query(query) = &definition.statement else { return None };
    let labels = if is_merged(query) { ViewLabels::Merged } else { ViewLabels::Made(view.place.schema().into()) };
    Some(ViewName { visible: visible.into(), view: view.place.table().into(), labels })
}

/// Whether MySQL merges a view's query into a statement (*Optimizing Derived Tables, View References, and Common Table
/// Expressions with Merging or Materialization*).
fn is_merged(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    let asks = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr) => has_query(expr),
        _ => false,
    };
    query.limit_clause.is_none()
        && !select.from.is_empty()
        && !makes_rows(select)
        && !select.projection.iter().any(asks)
        && !has_window(select)
}

fn makes_rows(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    grouped || select.distinct.is_some() || select.having.is_some() || select.projection.iter().any(is_aggregated)
}

fn has_window(select: &Select) -> bool {
    struct Windows;
    impl Visitor for Windows {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    select.projection.visit(&mut Windows).is_break()
}
