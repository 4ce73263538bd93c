//! Views over tables that are on several servers.
//!
//! Such a view is a real one in its schema's default group, over the parts that are there: so its server checks it,
//! freezes its `*`, names and types its columns, keeps it, and shows it to every proxy. A statement that reads it is
//! planned with the view's query in its place, a derived table over the logical tables. A view whose tables are all whole
//! on the default group is read there, as a table is.

mod create;
mod definition;
mod expand;
mod labels;
mod order;

use std::sync::Arc;

use sqlparser::ast::{FromTable, Statement, TableFactor, TableObject, TableWithJoins};

pub(crate) use create::define;
pub use definition::tables_of;
pub(crate) use expand::{Expanded, plan};

use super::error::PlanError;
use super::place::{Place, locate};
use super::shape::split_name;
use super::{PlanContext, query::Subject};
use crate::catalog::TableInfo;

/// How deep views may be nested: what servers allow is limited by their stacks only.
const MAX_DEPTH: usize = 16;
/// How long a statement may become by the queries of its views, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// A view whose rows are not all on one server.
pub(crate) struct SplitView {
    place: Place,
    info: Arc<TableInfo>,
}

impl SplitView {
    /// The view of a name, if it is one.
    pub fn find(context: &PlanContext<'_>, schema: Option<&str>, table: &str) -> Option<Self> {
        Self::find_in(context, schema, table, 0)
    }

    fn find_in(context: &PlanContext<'_>, schema: Option<&str>, table: &str, depth: usize) -> Option<Self> {
        let place = locate(context, schema, table).ok()?;
        let Place::Default { .. } = &place else { return None };
        let info = context.catalog.table(place.schema(), place.table())?;
        let group = place.nodes().first()?.group;
        let text = info.definition.as_deref()?;
        definition::is_split(context, group, text, depth).then_some(Self { place, info })
    }
}

/// Refuses a statement that writes to a view whose rows are on several servers.
pub(crate) fn refuse_target(context: &PlanContext<'_>, schema: Option<&str>, table: &str) -> Result<(), PlanError> {
    match SplitView::find(context, schema, table) {
        Some(view) => Err(PlanError::not_supported(
            format!("writing through the view '{}', whose tables are sharded", view.place.table()),
            "write to the table under it",
        )),
        None => Ok(()),
    }
}

/// The same, of a statement about rows.
fn refuse_written(subject: &Subject<'_>, statement: &Statement) -> Result<(), PlanError> {
    let alone = |tables: &[TableWithJoins]| match tables {
        [TableWithJoins { relation: TableFactor::Table { name, .. }, joins }] if joins.is_empty() => Some(name.clone()),
        _ => None,
    };
    let target = match statement {
        Statement::Insert(insert) => match &insert.table {
            TableObject::TableName(name) => Some(name.clone()),
            _ => None,
        },
        Statement::Update(update) => alone(std::slice::from_ref(&update.table)),
        Statement::Delete(delete) => match &delete.from {
            FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables) => alone(tables),
        },
        _ => None,
    };
    let Some((schema, table)) = target.as_ref().and_then(|name| split_name(name).ok()) else { return Ok(()) };
    refuse_target(subject.context, schema.map(|schema| schema.value.as_str()), &table.value)
}
