//! How MySQL labels the columns of views.
//!
//! It says that a column of a view is of the view, one of a derived table of the table under it. Where it makes a table of a
//! view's rows, only columns that are no table's are the view's.

use sqlparser::ast::{SetExpr, Statement, TableFactor};

use super::SplitView;
use super::definition::parsed;
use crate::plan::shape::{is_cut, is_row_by_row, keeps_rows};
use crate::plan::types::{ViewLabels, ViewName};

/// The tables that a statement selects from plainly, if its rows are put together of theirs; grouped ones and those without
/// duplicates may come out of a table of their own, which says something else.
pub(super) fn sources(statement: &Statement) -> Vec<&TableFactor> {
    let Statement::Query(query) = statement else { return Vec::new() };
    let SetExpr::Select(select) = &*query.body else { return Vec::new() };
    if query.with.is_some() || !keeps_rows(select) {
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
    let is_merged = !is_cut(query) && matches!(&*query.body, SetExpr::Select(select) if is_row_by_row(select));
    let labels = if is_merged { ViewLabels::Merged } else { ViewLabels::Made(view.place.schema().into()) };
    Some(ViewName { visible: visible.into(), view: view.place.table().into(), labels })
}
