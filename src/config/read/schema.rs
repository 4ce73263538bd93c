//! `schemas`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{algorithm, binding, table};
use crate::config::group::GroupId;
use crate::config::keys;
use crate::config::names::{check_name, check_no_system_schema};
use crate::config::problem::Place;
use crate::config::reader::{Context, MapReader};
use crate::config::schema::{DataNode, KeyGenerator, Schema, Strategy, Table};
use crate::config::yaml::{Name, Node};
use crate::route::algorithm::{Algorithm, AlgorithmSpec};

/// The groups that data nodes may name, in the order of their ids.
pub(super) struct Groups<'a> {
    pub(super) names: &'a [&'a str],
}

impl Groups<'_> {
    /// A group by name; notes one that is not known.
    pub(super) fn get(&self, context: &Context<'_>, place: &Place, name: &str) -> Option<GroupId> {
        let index = self.names.iter().position(|known| *known == name);
        let found = index.and_then(|index| u16::try_from(index).ok()).map(GroupId);
        if found.is_none() {
            context.unknown(place, "group", name, self.names.iter().copied());
        }
        found
    }
}

/// What the tables of a schema refer to. `None` is a thing that has a problem of its own.
pub(super) struct Scope<'a> {
    pub(super) schema: &'a str,
    pub(super) groups: &'a Groups<'a>,
    pub(super) algorithms: BTreeMap<&'a str, Option<AlgorithmSpec>>,
    pub(super) generators: BTreeMap<&'a str, Option<KeyGenerator>>,
    /// Rings by their description.
    rings: RefCell<BTreeMap<String, Arc<dyn Algorithm>>>,
}

impl Scope<'_> {
    /// One ring for all tables on the same shards: a ring of many virtual nodes takes much memory.
    pub(super) fn share(&self, algorithm: Arc<dyn Algorithm>) -> Arc<dyn Algorithm> {
        if algorithm.name() != "consistent_hash" {
            return algorithm;
        }
        Arc::clone(self.rings.borrow_mut().entry(algorithm.describe()).or_insert(algorithm))
    }
}

/// Reads one logical schema.
pub(super) fn read<'a>(
    context: &'a Context<'a>,
    name: &'a Name,
    node: &'a Node,
    groups: &Groups<'_>,
) -> Option<Schema> {
    check_name(context, &name.place, "schema", &name.text);
    check_no_system_schema(context, &name.place, &name.text);
    let map = MapReader::open(context, &keys::SCHEMA, &name.place, node)?;
    let default_group =
        map.text("default_group").and_then(|group| groups.get(context, map.place_of("default_group"), &group));
    let named = |key: &str, what| map.node(key).map_or(&[][..], |node| context.named(node, what));
    let algorithms = named("algorithms", "algorithms by their names");
    let generators = named("key_generators", "key generators by their names");
    let scope = Scope {
        schema: &name.text,
        groups,
        algorithms: algorithms
            .iter()
            .map(|(n, node)| (n.text.as_str(), algorithm::read(context, &n.place, node)))
            .collect(),
        generators: generators
            .iter()
            .map(|(n, node)| (n.text.as_str(), table::generator(context, n, node, groups)))
            .collect(),
        rings: RefCell::default(),
    };
    let mut schema = Schema {
        name: Arc::from(name.text.as_str()),
        default_group,
        tables: BTreeMap::new(),
        binding: vec![],
        single_group_transactions: map.word("transactions") == Some("single"),
        parts: BTreeSet::new(),
    };
    let mut owners: BTreeMap<DataNode, String> = BTreeMap::new();
    let tables = named("tables", "tables by their names");
    for (name, node) in tables {
        let Some(table) = table::read(context, name, node, &scope) else { continue };
        for node in &table.nodes {
            if let Some(owner) = owners.insert(node.clone(), name.text.clone()) {
                let text = format!(
                    "a data node of table '{}' is also one of '{owner}': {}.{}",
                    name.text, node.schema, node.table
                );
                context.problem(&name.place, text, "give each table physical tables of its own");
                break;
            }
        }
        add(context, &mut schema, name, table);
    }
    read_broadcast(map, &mut schema);
    let written = tables.iter().map(|(name, _)| name.text.to_lowercase()).collect();
    binding::read(map, &written, &mut schema);
    Some(schema)
}

fn add(context: &Context<'_>, schema: &mut Schema, name: &Name, table: Table) {
    if schema.tables.insert(name.text.to_lowercase(), Arc::new(table)).is_some() {
        context.problem(&name.place, format!("two tables '{}'", name.text), "name each table once, in whatever case");
    }
}

/// A broadcast table is in every physical schema that the schema touches.
fn read_broadcast(map: MapReader<'_>, schema: &mut Schema) {
    let context = map.context;
    let databases = schema.databases();
    for (text, place) in map.texts("broadcast_tables") {
        if !check_name(context, place, "table", &text) {
            continue;
        }
        if databases.is_empty() {
            // The groups may stand in a file that could not be read.
            if !context.complete {
                return;
            }
            let fix = "give the schema a default_group, or tables with data nodes";
            context.problem(place, format!("broadcast table '{text}' in a schema without groups"), fix);
            return;
        }
        let name: Arc<str> = Arc::from(text.as_str());
        let node = |(group, schema): &(GroupId, Arc<str>)| DataNode {
            group: *group,
            schema: Arc::clone(schema),
            table: Arc::clone(&name),
        };
        let table = Table {
            name: Arc::clone(&name),
            nodes: databases.iter().map(node).collect(),
            strategy: Strategy::Broadcast,
            key_generator: None,
            binding: None,
        };
        add(context, schema, &Name { place: place.clone(), text }, table);
    }
}
