//! ORDER BY in the query of a view.
//!
//! A server orders what is selected from a view as the view says, if the statement does not say otherwise (*CREATE VIEW
//! Statement*). A derived table does not do that, so the statement is given the ORDER BY, in the names of the view.

use sqlparser::ast::{Expr, OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, Value};

use crate::plan::outline::Outline;
use crate::plan::shape::{bare, is_aggregated, is_cut};
use crate::sql::LexMode;

/// How the rows of a view are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Not at all, or in the middle of its query, for a LIMIT.
    No,
    /// By these of its columns; downwards where it says so.
    By(Vec<(String, bool)>),
    /// By something that it does not show.
    Hidden,
}

impl Order {
    /// The order of a view's query, and the text without it.
    pub fn taken_from(query: &Query, text: &str) -> (Self, String) {
        let keep = (Self::No, text.to_owned());
        let Some(order) = query.order_by.as_ref().filter(|_| !is_cut(query)) else { return keep };
        let OrderByKind::Expressions(keys) = &order.kind else { return keep };
        let outline = Outline::new(text.as_bytes(), LexMode::default());
        let clauses = match &*query.body {
            SetExpr::Select(select) => crate::sql::spans::range_of(select.select_token.0.span)
                .and_then(|select| outline.clauses(text.as_bytes(), select.start)),
            _ => Some(outline.tail(text.as_bytes())),
        };
        let Some(clauses) = clauses else { return keep };
        let Some(range) = clauses.order_by.clone() else { return keep };
        let without =
            format!("{}{}", text.get(..range.start).unwrap_or(text), text.get(range.end..).unwrap_or_default());
        let names = outputs(&query.body);
        let shown: Vec<&str> = clauses.items.iter().map(|item| text.get(item.clone()).unwrap_or_default()).collect();
        let column = |(index, expr): (usize, &Expr)| -> Option<String> {
            if let Expr::Value(value) = bare(expr)
                && let Value::Number(number, _) = &value.value
            {
                return names.get(number.to_string().parse::<usize>().ok()?.checked_sub(1)?).cloned();
            }
            if let Expr::Identifier(name) = bare(expr) {
                let is_it = |shown: &&String| shown.eq_ignore_ascii_case(&name.value);
                return names.iter().find(is_it).cloned();
            }
            let key = text.get(clauses.order.get(index)?.clone())?;
            let is_it = |item: &&str| item.strip_prefix(key).is_some_and(|rest| rest.starts_with(" AS "));
            let at = shown.iter().position(is_it)?;
            names.get(at).cloned()
        };
        let by: Option<Vec<(String, bool)>> = keys
            .iter()
            .enumerate()
            .map(|(index, key)| {
                Some((column((index, &key.expr))?, matches!(key.options.sort, Some(OrderBySort::Desc))))
            })
            .collect();
        (by.map_or(Self::Hidden, Self::By), without)
    }
}

/// The names of the columns that a query shows, as far as it says them: servers always do.
pub(super) fn outputs(body: &SetExpr) -> Vec<String> {
    match body {
        SetExpr::Select(select) => select.projection.iter().filter_map(output).collect(),
        SetExpr::Query(query) => outputs(&query.body),
        SetExpr::SetOperation { left, .. } => outputs(left),
        _ => Vec::new(),
    }
}

fn output(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(|name| name.value.clone()),
        _ => None,
    }
}

/// Whether a query takes the order of the only table in its FROM: it says none, and its rows are those of the table.
pub(super) fn passes_order(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let [only] = select.from.as_slice() else { return None };
    let grouped = match &select.group_by {
        sqlparser::ast::GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
        sqlparser::ast::GroupByExpr::All(_) => true,
    };
    let is_plain = query.order_by.is_none()
        && only.joins.is_empty()
        && !grouped
        && select.having.is_none()
        && select.distinct.is_none()
        && !select.projection.iter().any(is_aggregated);
    is_plain.then_some(&**select)
}
