//! `information_schema`: logical tables in place of physical ones.

use std::fmt::Write as _;
use std::sync::Arc;

use super::PlanContext;
use super::error::PlanError;
use crate::catalog::TableInfo;
use crate::config::{DataNode, GroupId, Schema, Table};

/// A string as SQL text, whatever `sql_mode` says of backslashes and quotes.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        // a backslash means one thing or another by sql_mode; bytes are bytes
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        return format!("_utf8mb4 0x{hex}");
    }
    format!("'{}'", text.replace('\'', "''"))
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(literal).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

/// The node of a table that stands for it: the first one.
fn first(table: &Table) -> Option<&DataNode> {
    table.nodes.first()
}

/// The nodes of a table that are in a physical schema.
fn nodes_in<'a>(
    schema: &'a Schema,
    group: GroupId,
    physical: &'a str,
) -> impl Iterator<Item = (&'a Arc<Table>, &'a DataNode)> {
    schema.tables.values().flat_map(move |table| {
        let here = move |node: &&DataNode| node.group == group && *node.schema == *physical;
        table.nodes.iter().filter(here).map(move |node| (table, node))
    })
}

/// The physical schemas that show at least one table: those of the first nodes, and the home of unplaced tables.
pub(crate) fn showing(schema: &Schema) -> Vec<(GroupId, Arc<str>)> {
    let firsts = schema.tables.values().filter_map(|table| first(table));
    let mut places: Vec<(GroupId, Arc<str>)> = firsts.map(|node| (node.group, Arc::clone(&node.schema))).collect();
    places.extend(schema.default_group.map(|group| (group, Arc::clone(&schema.name))));
    places.sort();
    places.dedup();
    places
}

/// The condition that a physical table in a column is shown: it stands for a logical one, or is one itself.
pub(crate) fn visible_tables(schema: &Schema, group: GroupId, physical: &str, column: &str) -> String {
    let stands = |node: &DataNode, table: &Table| first(table).is_some_and(|first| first == node);
    let all: Vec<(&Arc<Table>, &DataNode)> = nodes_in(schema, group, physical).collect();
    let shown = list(all.iter().filter(|(table, node)| stands(node, table)).map(|(_, node)| &*node.table));
    let is_home = schema.default_group == Some(group) && *schema.name == *physical;
    if !is_home {
        return if shown.is_empty() { "FALSE".to_owned() } else { format!("{column} IN ({shown})") };
    }
    let hidden = list(all.iter().filter(|(table, node)| !stands(node, table)).map(|(_, node)| &*node.table));
    // a table that a rule places elsewhere is not shown from here, even if one of that name is left
    let logical = list(
        schema
            .tables
            .values()
            .filter(|table| !all.iter().any(|(_, node)| *node.table == *table.name))
            .map(|table| &*table.name),
    );
    let mut left_out: Vec<&str> =
        [hidden.as_str(), logical.as_str()].into_iter().filter(|names| !names.is_empty()).collect();
    left_out.dedup();
    if left_out.is_empty() { "TRUE".to_owned() } else { format!("{column} NOT IN ({})", left_out.join(", ")) }
}

/// The logical name of a physical table in a column.
pub(crate) fn logical_name(schema: &Schema, group: GroupId, physical: &str, column: &str) -> String {
    let mut cases = String::new();
    for (table, node) in nodes_in(schema, group, physical) {
        if first(table) == Some(node) && node.table != table.name {
            let _ = write!(cases, " WHEN {} THEN {}", literal(&node.table), literal(&table.name));
        }
    }
    if cases.is_empty() { column.to_owned() } else { format!("CASE {column}{cases} ELSE {column} END") }
}

/// A table of `information_schema` whose rows are about tables, and the columns that name them.
struct AboutTables {
    /// The table.
    name: &'static str,
    /// Pairs of columns: schema and table. The first one decides which rows are shown.
    names: &'static [(&'static str, &'static str)],
    /// More columns with a schema.
    schemas: &'static [&'static str],
}

const OWN: (&str, &str) = ("TABLE_SCHEMA", "TABLE_NAME");

const ABOUT_TABLES: &[AboutTables] = &[
    AboutTables { name: "TABLES", names: &[OWN], schemas: &[] },
    AboutTables { name: "COLUMNS", names: &[OWN], schemas: &[] },
    AboutTables { name: "VIEWS", names: &[OWN], schemas: &[] },
    AboutTables { name: "STATISTICS", names: &[OWN], schemas: &["INDEX_SCHEMA"] },
    AboutTables { name: "PARTITIONS", names: &[OWN], schemas: &[] },
    AboutTables { name: "TABLE_PRIVILEGES", names: &[OWN], schemas: &[] },
    AboutTables { name: "COLUMN_PRIVILEGES", names: &[OWN], schemas: &[] },
    AboutTables { name: "TABLE_CONSTRAINTS", names: &[OWN], schemas: &["CONSTRAINT_SCHEMA"] },
    AboutTables {
        name: "KEY_COLUMN_USAGE",
        names: &[OWN, ("REFERENCED_TABLE_SCHEMA", "REFERENCED_TABLE_NAME")],
        schemas: &["CONSTRAINT_SCHEMA"],
    },
    AboutTables {
        name: "REFERENTIAL_CONSTRAINTS",
        names: &[("CONSTRAINT_SCHEMA", "TABLE_NAME"), ("UNIQUE_CONSTRAINT_SCHEMA", "REFERENCED_TABLE_NAME")],
        schemas: &[],
    },
    AboutTables {
        name: "TRIGGERS",
        names: &[("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE")],
        schemas: &["TRIGGER_SCHEMA"],
    },
    AboutTables { name: "SCHEMATA", names: &[("SCHEMA_NAME", "")], schemas: &[] },
];

/// A physical schema on a group, and the logical one that it stands for.
struct Stand<'a> {
    physical: Arc<str>,
    schema: &'a Schema,
}

/// What stands in place of a table of `information_schema`: a query that shows logical names. `None` for tables that
/// are not about tables; `Err` if its columns are not known.
pub(crate) fn derived(
    context: &PlanContext<'_>,
    group: GroupId,
    table: &str,
    info: Option<&TableInfo>,
) -> Option<Result<String, PlanError>> {
    let about = ABOUT_TABLES.iter().find(|about| about.name.eq_ignore_ascii_case(table))?;
    let Some(info) = info else {
        return Some(Err(PlanError::not_supported(
            format!("information_schema.{table}, whose columns are not known"),
            "try again",
        )));
    };
    let stands = stands(context, group);
    let columns: Vec<String> =
        info.columns.iter().map(|column| shown_column(about, &stands, group, &column.name)).collect();
    let (schema, name) = about.names[0];
    let mut conditions: Vec<String> = stands
        .iter()
        .map(|stand| {
            let here = format!("{schema} = {}", literal(&stand.physical));
            match name {
                "" => here,
                name => format!("({here} AND {})", visible_tables(stand.schema, group, &stand.physical, name)),
            }
        })
        .collect();
    conditions.push(format!("{schema} = 'information_schema'"));
    Some(Ok(format!(
        "(SELECT {} FROM information_schema.{} WHERE {})",
        columns.join(", "),
        about.name,
        conditions.join(" OR ")
    )))
}

/// The physical schemas on a group that show something; each stands for one logical schema.
fn stands<'a>(context: &PlanContext<'a>, group: GroupId) -> Vec<Stand<'a>> {
    let mut all: Vec<Stand<'a>> = Vec::new();
    for schema in context.rules.schemas.values() {
        for (here, physical) in showing(schema) {
            if here == group && !all.iter().any(|stand| stand.physical == physical) {
                all.push(Stand { physical, schema });
            }
        }
    }
    all
}

/// A column of the derived table.
fn shown_column(about: &AboutTables, stands: &[Stand<'_>], group: GroupId, column: &str) -> String {
    let is = |name: &&str| name.eq_ignore_ascii_case(column);
    let is_schema = about.schemas.iter().any(|schema| is(schema)) || about.names.iter().any(|(schema, _)| is(schema));
    let shown = if is_schema {
        let mut cases = String::new();
        for stand in stands.iter().filter(|stand| *stand.physical != *stand.schema.name) {
            let _ = write!(cases, " WHEN {} THEN {}", literal(&stand.physical), literal(&stand.schema.name));
        }
        if cases.is_empty() { column.to_owned() } else { format!("CASE {column}{cases} ELSE {column} END") }
    } else if let Some((schema, _)) = about.names.iter().find(|(_, table)| is(table)) {
        let mut cases = String::new();
        for stand in stands {
            let name = logical_name(stand.schema, group, &stand.physical, column);
            if name != column {
                let _ = write!(cases, " WHEN {schema} = {} THEN {name}", literal(&stand.physical));
            }
        }
        if cases.is_empty() { column.to_owned() } else { format!("CASE{cases} ELSE {column} END") }
    } else {
        column.to_owned()
    };
    if shown == column { shown } else { format!("{shown} AS {column}") }
}
