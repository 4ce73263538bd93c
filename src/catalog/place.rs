//! Where the definition of a logical table is read.

use std::sync::Arc;

use crate::config::{GroupId, Rules, SYSTEM_SCHEMAS};

/// Where the definition of a logical table is read, and its key in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The logical schema.
    pub(super) schema: Arc<str>,
    /// The logical table, as the rules write it where they name it.
    pub(super) table: Arc<str>,
    /// The group whose primary is asked.
    pub(super) group: GroupId,
    /// The schema there.
    pub(super) physical_schema: Arc<str>,
    /// The table there.
    pub(super) physical_table: Arc<str>,
}

/// The place of a logical table: its first node where the rules place it, else the schema's default group (where a part of
/// another table is none). System schemas are taken from the first group.
pub(super) fn place(rules: &Rules, schema: &str, table: &str) -> Option<Place> {
    let Some(found) = rules.schema(schema) else {
        let system = SYSTEM_SCHEMAS.iter().find(|name| name.eq_ignore_ascii_case(schema))?;
        let (schema, table) = (Arc::<str>::from(*system), Arc::<str>::from(table));
        let group = rules.group_ids().next()?;
        return Some(Place { physical_schema: schema.clone(), physical_table: table.clone(), schema, table, group });
    };
    let schema = found.name.clone();
    match found.table(table) {
        Some(placed) => placed.nodes.first().map(|node| Place {
            schema,
            table: placed.name.clone(),
            group: node.group,
            physical_schema: node.schema.clone(),
            physical_table: node.table.clone(),
        }),
        None if found.is_part(table) => None,
        None => found.default_group.map(|group| {
            let table = Arc::<str>::from(table);
            Place { physical_schema: schema.clone(), physical_table: table.clone(), schema, table, group }
        }),
    }
}
