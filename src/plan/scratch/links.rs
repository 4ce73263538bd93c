//! Semi-joins: of a table reference that must equal another one in some column, only the rows matter whose value stands in
//! that other one. Once the other one is read and proves small, its values go along as a condition.
//!
//! What must be equal is what [`Shape::usable`](crate::plan::shape::Shape::usable) says for the reference: leaving out the
//! rows for which it fails does not change the answer, whatever outer joins and subqueries there are. The rows read of the other
//! reference are all of its rows that matter.

use crate::catalog::ColumnInfo;
use crate::plan::PlanContext;
use crate::plan::keys::{Keys, classes};
use crate::plan::shape::{Reader, RefId, RefKind, Shape};
use crate::plan::types::{LinkValues, ScratchLink};

/// How many links a reference may have.
const MAX_LINKS: usize = 8;

/// The equalities of a reference with others.
pub(super) fn links(shape: &Shape, context: &PlanContext<'_>, keys: &Keys, id: RefId) -> Vec<ScratchLink> {
    let facts = shape.usable(shape.refs[id].block, Reader::Table(id));
    let classes = classes(shape, context, &facts);
    let mut links = Vec::new();
    for (column, ours) in shape.columns.iter().enumerate().filter(|(_, column)| column.table == id) {
        let Some(info) = info(shape, id, &ours.name) else { continue };
        for other in classes.of(column).iter().map(|member| &shape.columns[*member]) {
            let Some(unit) = keys.unit_of(other.table).filter(|_| other.table != id) else { continue };
            let values = self::info(shape, other.table, &other.name).and_then(|other| values(info, other));
            if let Some(values) = values.filter(|_| links.len() < MAX_LINKS) {
                let other_column = other.name.as_str().into();
                links.push(ScratchLink { column: info.name.as_str().into(), other: unit, other_column, values });
            }
        }
    }
    links
}

fn info<'a>(shape: &'a Shape, id: RefId, name: &str) -> Option<&'a ColumnInfo> {
    match &shape.refs[id].kind {
        RefKind::Table { info: Some(info), .. } => info.column(name).map(|(_, column)| column),
        _ => None,
    }
}

/// How values of a column are written so that another column compares with them as with the column itself.
fn values(one: &ColumnInfo, other: &ColumnInfo) -> Option<LinkValues> {
    const INTEGERS: &[&str] = &["tinyint", "smallint", "mediumint", "int", "bigint"];
    const TEXTS: &[&str] = &["char", "varchar"];
    const UTF8: &[&str] = &["utf8", "utf8mb3", "utf8mb4"];
    let both = |kinds: &[&str]| kinds.contains(&&*one.data_type) && kinds.contains(&&*other.data_type);
    let is_utf8 = one.charset.as_deref().is_some_and(|charset| UTF8.contains(&charset));
    if both(INTEGERS) {
        Some(LinkValues::Numbers)
    } else if both(&["date"]) {
        Some(LinkValues::Dates)
    } else if both(TEXTS) && is_utf8 && one.collation == other.collation {
        Some(LinkValues::Texts)
    } else {
        None
    }
}
