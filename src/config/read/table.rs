//! `tables` and `key_generators`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::schema::{Groups, Scope};
use super::strategy;
use crate::config::data_nodes::{MAX_NODES, WrittenNode, expand};
use crate::config::group::GroupId;
use crate::config::keys;
use crate::config::names::{check_name, check_no_system_schema};
use crate::config::reader::{Context, MapReader};
use crate::config::schema::{DataNode, KeyGenerator, Table, TableKey, Worker};
use crate::config::yaml::{Name, Node};
use crate::route::key::DateTimeKey;

/// Reads one table.
pub(super) fn read<'a>(context: &'a Context<'a>, name: &'a Name, node: &'a Node, scope: &Scope<'_>) -> Option<Table> {
    check_name(context, &name.place, "table", &name.text);
    let map = MapReader::open(context, &keys::TABLE, &name.place, node)?;
    let nodes = map.node("data_nodes").and_then(|node| data_nodes(context, node, scope));
    let key_generator = map.map("key_generator", &keys::TABLE_KEY).and_then(|map| table_key(map, scope));
    let strategy = strategy::read(map, nodes.as_deref(), scope);
    let (nodes, strategy) = nodes.zip(strategy)?;
    let (nodes, strategy) = strategy.arrange(nodes);
    Some(Table { name: Arc::from(name.text.as_str()), nodes, strategy, key_generator, binding: None })
}

fn data_nodes(context: &Context<'_>, node: &Node, scope: &Scope<'_>) -> Option<Vec<DataNode>> {
    let before = context.count();
    let mut nodes = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in context.entries(node) {
        let Some(text) = context.expression(entry, "a data node") else { continue };
        let written = match expand(&text) {
            Ok(written) => written,
            Err(why) => {
                let fix = "write group.table or group.schema.table, such as g{0..1}.orders_{0..3}";
                context.problem(&entry.place, format!("data nodes '{text}': {why}"), fix);
                continue;
            }
        };
        for one in written {
            let Some(node) = resolve(context, entry, &one, scope) else { break };
            if !seen.insert(node.clone()) {
                let text = format!("the data node {}.{} of group {} twice", node.schema, node.table, one.group);
                context.problem(&entry.place, text, "name each data node once");
                break;
            }
            nodes.push(node);
        }
    }
    if context.entries(node).is_empty() {
        context.problem(&node.place, "no data nodes", "write at least one, such as g0.orders");
    }
    if nodes.len() > MAX_NODES {
        context.problem(&node.place, format!("{} data nodes", nodes.len()), format!("use at most {MAX_NODES}"));
    }
    (!nodes.is_empty() && context.count() == before).then_some(nodes)
}

fn resolve(context: &Context<'_>, entry: &Node, written: &WrittenNode, scope: &Scope<'_>) -> Option<DataNode> {
    let group = scope.groups.get(context, &entry.place, &written.group)?;
    let schema = written.schema.as_deref().unwrap_or(scope.schema);
    let is_named = check_name(context, &entry.place, "physical schema", schema)
        && check_name(context, &entry.place, "physical table", &written.table)
        // The logical schema's own name has been looked at.
        && written.schema.as_deref().is_none_or(|schema| check_no_system_schema(context, &entry.place, schema));
    is_named.then(|| DataNode { group, schema: Arc::from(schema), table: Arc::from(written.table.as_str()) })
}

fn table_key(map: MapReader<'_>, scope: &Scope<'_>) -> Option<TableKey> {
    let (column, name) = (map.text("column")?, map.text("generator")?);
    let Some(generator) = scope.generators.get(name.as_str()) else {
        map.context.unknown(map.place_of("generator"), "key generator", &name, scope.generators.keys().copied());
        return None;
    };
    Some(TableKey { column: Arc::from(column.to_lowercase()), name: Arc::from(name), generator: (*generator)? })
}

/// Reads one key generator.
pub(super) fn generator<'a>(
    context: &'a Context<'a>,
    name: &'a Name,
    node: &'a Node,
    groups: &Groups<'_>,
) -> Option<KeyGenerator> {
    let map = MapReader::open(context, &keys::KEY_GENERATOR, &name.place, node)?;
    let kind = map.node("type").and_then(|_| map.word("type"))?;
    let group = match map.text("group") {
        Some(group) => groups.get(context, map.place_of("group"), &group)?,
        None => GroupId(0),
    };
    match kind {
        "auto_segment" => return Some(KeyGenerator::AutoSegment { group, block: map.number("block") }),
        "uuid_v7" => return Some(KeyGenerator::UuidV7),
        _ => {}
    }
    let worker = match map.node("worker_id") {
        Some(_) => Worker::Fixed(map.number("worker_id")),
        None => Worker::Leased { group, lease_ms: map.number("lease_ms") },
    };
    let epoch = map.text("epoch")?;
    let epoch_ms = DateTimeKey::parse(&epoch).and_then(DateTimeKey::unix_ms);
    if epoch_ms.is_none() {
        context.problem(map.place_of("epoch"), format!("epoch: '{epoch}'"), "write a date, such as 2024-01-01");
    }
    Some(KeyGenerator::Snowflake { worker, epoch_ms: epoch_ms?, max_backward_ms: map.number("max_backward_ms") })
}
