//! What a definition asks for that the shards keep each for itself only: told as warnings.

use super::Plan;
use super::place::{Place, locate};
use super::query::Subject;
use crate::config::Table;
use crate::sql::ddl::{self, ForeignKey, Role};

/// Adds the warnings of a definition to its plan.
pub(crate) fn add(subject: &Subject<'_>, mut plan: Plan) -> Plan {
    let Some(ddl) = ddl::parse(subject.sql, subject.context.mode) else { return plan };
    if ddl.unique_keys.is_empty() && ddl.foreign_keys.is_empty() {
        return plan;
    }
    let target = ddl.tables.iter().find(|table| table.role == Role::Target);
    let place = |name: &crate::sql::session_statement::TableName| {
        let schema = name.schema.as_ref().map(|schema| schema.text.as_str());
        locate(subject.context, schema, &name.table.text).ok()
    };
    let Some(place_of_target) = target.and_then(|target| place(&target.name)) else { return plan };
    let Some(table) = place_of_target.sharded() else { return plan };
    for key in &ddl.unique_keys {
        let missing = table.key_columns().into_iter().find(|column| !key.iter().any(|name| **name == **column));
        if let Some(column) = missing {
            plan.warnings.push(format!(
                "The key ({}) of '{}' is unique on each shard only: it does not hold the sharding key '{column}'",
                key.join(", "),
                table.name
            ));
        }
    }
    for key in &ddl.foreign_keys {
        let referenced = place(&key.table);
        let parent = referenced.as_ref().and_then(Place::sharded);
        if parent.is_some_and(|parent| !holds_keys(key, table, parent)) {
            plan.warnings.push(format!(
                "The foreign key ({}) of '{}' is kept on each shard only: it does not hold the sharding keys of both tables",
                key.columns.join(", "),
                table.name
            ));
        }
    }
    plan
}

/// Whether a foreign key ties the sharding keys of its two tables together.
fn holds_keys(key: &ForeignKey, child: &Table, parent: &Table) -> bool {
    let pairs = child.levels().zip(parent.levels()).flat_map(|(ours, theirs)| ours.columns.iter().zip(&theirs.columns));
    pairs.into_iter().all(|(ours, theirs)| {
        key.columns
            .iter()
            .zip(&key.referenced)
            .any(|(column, referenced)| **column == **ours && **referenced == **theirs)
    })
}
