//! Which queries a server merges into the statement that reads them (*Optimizing Derived Tables, View References, and Common
//! Table Expressions with Merging or Materialization*).

use std::ops::ControlFlow;

use sqlparser::ast::{Distinct, Expr, GroupByExpr, Query, Select, SelectItem, Visit, Visitor};

use super::walk::{has_query, is_aggregated};

/// Whether a query gives some of its rows only: LIMIT, or MariaDB's FETCH.
pub(crate) fn is_cut(query: &Query) -> bool {
    query.limit_clause.is_some() || query.fetch.is_some()
}

/// Whether each row of a SELECT is one of its tables', which are not grouped and keep their duplicates.
pub(crate) fn keeps_rows(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
    };
    let distinct = matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_)));
    !grouped && !distinct && select.having.is_none() && !select.projection.iter().any(is_aggregated)
}

/// Whether a SELECT is merged where it has no LIMIT: it reads tables, keeps their rows, and computes each by itself.
pub(crate) fn is_row_by_row(select: &Select) -> bool {
    let is_simple = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !has_query(expr) && !has_window(expr),
        _ => true,
    };
    !select.from.is_empty() && keeps_rows(select) && select.projection.iter().all(is_simple)
}

fn has_window(node: &impl Visit) -> bool {
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
    node.visit(&mut Windows).is_break()
}
