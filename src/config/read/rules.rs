//! All files together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{group, proxy, schema, shared_nodes, user};
use crate::config::Environment;
use crate::config::Rules;
use crate::config::group::Group;
use crate::config::keys;
use crate::config::problem::{Place, Problem, Problems};
use crate::config::proxy::User;
use crate::config::reader::{Context, MapReader};
use crate::config::schema::{Schema, Table};
use crate::config::yaml::{Name, Node, Value};

/// Gives each set of rules a version of its own.
static LAST_VERSION: AtomicU64 = AtomicU64::new(0);

/// More groups than this are a mistake.
const MAX_GROUPS: usize = 10_000;

/// Reads the rules out of the parsed files; `broken` are the problems of those that could not be parsed.
pub(in crate::config) fn read(
    files: Vec<Node>,
    broken: Vec<Problem>,
    environment: &Environment,
) -> Result<Rules, Problems> {
    let context = Context::new(environment, broken.is_empty());
    let top = join(&context, files);
    let rules = read_top(&context, &top);
    let mut problems = context.into_problems();
    problems.extend(broken);
    match rules {
        Some(rules) if problems.is_empty() => Ok(rules),
        _ => {
            problems.sort();
            problems.dedup();
            Err(Problems(problems))
        }
    }
}

/// Joins the top levels of all files. Maps of names and the list of users may stand in several files, other keys in one.
fn join(context: &Context<'_>, files: Vec<Node>) -> Node {
    let mut top: Vec<(Name, Node)> = Vec::new();
    for file in files {
        let kind = file.kind();
        let Value::Map(entries) = file.value else {
            let fix = "write keys, such as 'groups:' and 'schemas:'";
            context.problem(&file.place, format!("{kind} where a map should be"), fix);
            continue;
        };
        for (name, node) in entries {
            match top.iter_mut().find(|(known, _)| known.text == name.text) {
                None => top.push((name, node)),
                Some((first, before)) => join_key(context, first, before, name, node),
            }
        }
    }
    // What is missing may be added to any file.
    Node { place: Place::file("*.yaml"), value: Value::Map(top) }
}

fn join_key(context: &Context<'_>, first: &Name, before: &mut Node, name: Name, node: Node) {
    match (name.text.as_str(), &mut before.value, node.value) {
        (_, _, Value::Null) => {}
        (_, before @ Value::Null, value) => *before = value,
        ("groups" | "schemas", Value::Map(before), Value::Map(entries)) => {
            for (name, node) in entries {
                match before.iter().find(|(known, _)| known.text == name.text) {
                    None => before.push((name, node)),
                    Some((known, _)) => {
                        let text = format!("'{}' stands in {} too", name.text, known.place);
                        context.problem(&name.place, text, "keep one of them");
                    }
                }
            }
        }
        ("users", Value::List(before), Value::List(entries)) => before.extend(entries),
        _ => context.problem(&name.place, format!("'{}' stands in {} too", name.text, first.place), "keep one of them"),
    }
}

fn read_top(context: &Context<'_>, top: &Node) -> Option<Rules> {
    let map = MapReader::open(context, &keys::RULES, &top.place, top)?;
    let groups = read_groups(map);
    let schemas = read_schemas(map);
    check_not_empty(map);
    shared_nodes::check(map, &groups, &schemas);
    let names: Vec<&str> = map.node("schemas").map_or_else(Vec::new, |node| {
        context.named(node, "schemas").iter().map(|(name, _)| name.text.as_str()).collect()
    });
    let users = read_users(map, &names);
    let proxy = proxy::read(map, &groups);
    Some(Rules { version: LAST_VERSION.fetch_add(1, Ordering::Relaxed) + 1, proxy, users, groups, schemas })
}

/// Rules that name nobody and nothing serve nobody: something was forgotten.
fn check_not_empty(map: MapReader<'_>) {
    for key in ["users", "groups", "schemas"] {
        let is_empty = map.node(key).is_some_and(|node| match &node.value {
            Value::Map(entries) => entries.is_empty(),
            Value::List(entries) => entries.is_empty(),
            _ => false,
        });
        if is_empty {
            map.context.problem(map.place_of(key), format!("'{key}' is empty"), "name at least one");
        }
    }
}

fn read_groups(map: MapReader<'_>) -> Vec<Group> {
    let context = map.context;
    let Some(node) = map.node("groups") else { return Vec::new() };
    let entries = context.named(node, "groups by their names");
    if entries.len() > MAX_GROUPS {
        context.problem(&node.place, format!("{} groups", entries.len()), format!("use at most {MAX_GROUPS}"));
        return Vec::new();
    }
    let pool = map.map("pool", &keys::POOL);
    entries.iter().filter_map(|(name, node)| group::read(context, name, node, pool)).collect()
}

fn read_schemas(map: MapReader<'_>) -> BTreeMap<String, Arc<Schema>> {
    let context = map.context;
    // A group with a problem of its own is known by name all the same.
    let written = map.node("groups").map_or(&[][..], |node| match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    });
    let group_names: Vec<&str> = written.iter().map(|(name, _)| name.text.as_str()).collect();
    let known = schema::Groups { names: &group_names };
    let Some(node) = map.node("schemas") else { return BTreeMap::new() };
    let read = |(name, node): &(Name, Node)| schema::read(context, name, node, &known);
    let mut schemas: Vec<Schema> = context.named(node, "schemas by their names").iter().filter_map(read).collect();
    note_parts(&mut schemas);
    schemas.into_iter().map(|schema| (schema.name.to_string(), Arc::new(schema))).collect()
}

/// Parts of a table may stand in the physical schema of another logical schema. A whole table may be shared by two.
fn note_parts(schemas: &mut [Schema]) {
    let tables: Vec<(Arc<str>, Arc<Table>)> = schemas
        .iter()
        .flat_map(|schema| schema.tables.values().map(|table| (Arc::clone(&schema.name), Arc::clone(table))))
        .collect();
    for schema in schemas {
        for (owner, table) in &tables {
            if *owner == schema.name || table.is_sharded() {
                schema.note_parts(table);
            }
        }
    }
}

fn read_users(map: MapReader<'_>, schemas: &[&str]) -> Vec<User> {
    let context = map.context;
    let Some(node) = map.node("users") else { return Vec::new() };
    let mut users: Vec<User> = Vec::new();
    for node in context.entries(node) {
        let Some((user, place)) = user::read(context, node, schemas) else { continue };
        if users.iter().any(|known| known.name == user.name) {
            context.problem(place, format!("two users '{}'", user.name), "name each user once");
        }
        users.push(user);
    }
    users
}
