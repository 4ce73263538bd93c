//! `binding_tables`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::problem::Place;
use crate::config::reader::{Context, MapReader};
use crate::config::schema::{Schema, Table};
use crate::config::yaml::Node;

/// Reads the binding groups and notes tables that are not split alike. `written` are the names (in small letters) of all
/// tables, also of those with a problem of their own.
pub(super) fn read(map: MapReader<'_>, written: &BTreeSet<String>, schema: &mut Schema) {
    let Some(node) = map.node("binding_tables") else { return };
    let context = map.context;
    let groups = context.entries(node);
    // One group may be written without the outer list.
    let is_flat = groups.iter().all(|group| matches!(group.value, crate::config::yaml::Value::Scalar(_)));
    if is_flat && !groups.is_empty() {
        read_group(context, node, written, schema);
    } else {
        groups.iter().for_each(|group| read_group(context, group, written, schema));
    }
}

fn read_group(context: &Context<'_>, node: &Node, written: &BTreeSet<String>, schema: &mut Schema) {
    let before = context.count();
    let mut has_broken = false;
    let mut tables: Vec<(Arc<str>, Arc<Table>)> = Vec::new();
    for entry in context.entries(node) {
        let Some(name) = context.text(entry, "the name of a table") else { continue };
        let key = name.to_lowercase();
        match schema.tables.get(&key) {
            None if written.contains(&key) => has_broken = true,
            None => context.unknown(&entry.place, "table", &name, written.iter().map(String::as_str)),
            Some(table) if !table.is_sharded() => {
                let text = format!("table '{name}' is not split by a key");
                context.problem(&entry.place, text, "bind tables that have a strategy");
            }
            Some(table) if table.binding.is_some() || tables.iter().any(|(known, _)| **known == *key) => {
                context.problem(&entry.place, format!("table '{name}' is bound twice"), "bind each table once");
            }
            Some(table) => {
                if let Some((first_name, first)) = tables.first() {
                    compare(context, &entry.place, (first_name, first), (&name, table));
                }
                tables.push((Arc::from(key), Arc::clone(table)));
            }
        }
    }
    if tables.len() < 2 && context.count() == before && !has_broken {
        context.problem(&node.place, "a binding group of one table", "name two tables or more");
    }
    let index = schema.binding.len();
    for (name, table) in &tables {
        let bound = Table { binding: Some(index), ..Table::clone(table) };
        schema.tables.insert(name.to_string(), Arc::new(bound));
    }
    schema.binding.push(tables.into_iter().map(|(name, _)| name).collect());
}

/// Two bound tables have nodes in the same databases, one by one, and the same algorithms.
fn compare(context: &Context<'_>, place: &Place, first: (&str, &Table), other: (&str, &Table)) {
    let ((first_name, first), (other_name, other)) = (first, other);
    if first.nodes.len() != other.nodes.len() {
        let text = format!(
            "binding tables '{first_name}' and '{other_name}' have {} and {} data nodes",
            first.nodes.len(),
            other.nodes.len()
        );
        context.problem(place, text, "give both the same number of nodes");
        return;
    }
    let differs = |(a, b): (&_, &_)| {
        let (a, b): (&crate::config::schema::DataNode, &crate::config::schema::DataNode) = (a, b);
        a.group != b.group || a.schema != b.schema
    };
    if let Some(index) = first.nodes.iter().zip(&other.nodes).position(differs) {
        let (a, b) = (&first.nodes[index], &other.nodes[index]);
        let text = format!(
            "binding tables '{first_name}' and '{other_name}' part at {} and {}, which are in different databases",
            a.table, b.table
        );
        context.problem(place, text, "list the nodes of both in the same order of groups and schemas");
        return;
    }
    let describe = |table: &Table| table.levels().map(|level| level.algorithm.describe()).collect::<Vec<_>>();
    let (a, b) = (describe(first), describe(other));
    if a != b {
        let text = format!(
            "binding tables '{first_name}' and '{other_name}' are split differently: {} and {}",
            a.join(", then "),
            b.join(", then ")
        );
        context.problem(place, text, "give both the same strategies");
    }
}
