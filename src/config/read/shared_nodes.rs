//! Groups at the same server: no physical table may stand for two nodes of a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::group::Group;
use crate::config::reader::MapReader;
use crate::config::schema::Schema;
use crate::config::yaml::{Name, Node, Value};

/// Notes tables of which two nodes are one physical table, since their groups have the same server.
pub(super) fn check(map: MapReader<'_>, groups: &[Group], schemas: &BTreeMap<String, Arc<Schema>>) {
    let written = map.node("groups").map_or(&[][..], entries);
    if written.len() != groups.len() {
        // One has a problem of its own, and the ids of the others count on it.
        return;
    }
    for (name, node) in map.node("schemas").map_or(&[][..], entries) {
        let Some(schema) = schemas.get(&name.text) else { continue };
        let tables =
            entries(node).iter().find(|(key, _)| key.text == "tables").map_or(&[][..], |(_, node)| entries(node));
        for (key, table) in &schema.tables {
            let place = tables.iter().find(|(name, _)| name.text.to_lowercase() == *key).map_or(name, |(name, _)| name);
            let mut seen = BTreeSet::new();
            for node in &table.nodes {
                let Some(group) = groups.get(usize::from(node.group.0)) else { continue };
                let address = &group.primary.address;
                if !seen.insert((address, &node.schema, &node.table)) {
                    let text =
                        format!("two data nodes of table '{key}' are {}.{} at {address}", node.schema, node.table);
                    map.context.problem(
                        &place.place,
                        text,
                        "give each group a server, or each node a schema of its own",
                    );
                    break;
                }
            }
        }
    }
}

fn entries(node: &Node) -> &[(Name, Node)] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}
