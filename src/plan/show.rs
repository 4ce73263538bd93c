//! SHOW and DESCRIBE of tables: logical tables are shown, physical ones are not.
//!
//! What describes one table is asked on its first node. Lists of tables are queries over `information_schema`, whose plan
//! ([`super::system`]) knows what is shown.

use std::ops::Range;
use std::sync::Arc;

use super::action::Action;
use super::error::PlanError;
use super::given::{Given, GivenStatement};
use super::instead::Instead;
use super::keys::Keys;
use super::place::{self, Place};
use super::query::Subject;
use super::shape::Met;
use super::show_filter::check_show;
use super::system::{is_mariadb, literal};
use super::types::{LogicalTable, NameEntry, NameMap, StatementKind, ViewLabels, ViewName};
use super::unit::{Unit, quoted};
use super::{Plan, opaque};
use crate::config::{DataNode, Schema};
use crate::route::condition::Condition;
use crate::sql::names::{Name, TableName};
use crate::sql::session_statement::{Describe, Filter, Show, ShowCreate};

/// Plans a SHOW.
pub(crate) fn plan(subject: &Subject<'_>, show: &Show) -> Result<Plan, PlanError> {
    check_show(subject.sql, subject.context.mode)?;
    match show {
        Show::Tables { full, schema, filter } => match listed(subject, schema.as_ref())? {
            Some(schema) => tables(subject, schema, *full, filter),
            None => Ok(of_system(subject, schema.as_ref())),
        },
        Show::TableStatus { schema, filter } => match listed(subject, schema.as_ref())? {
            Some(schema) => table_status(subject, schema, filter),
            None => Ok(of_system(subject, schema.as_ref())),
        },
        Show::Triggers { schema, filter } => match listed(subject, schema.as_ref())? {
            Some(schema) => list(subject, schema, &TRIGGERS, &titled(TRIGGER_COLUMNS), filter),
            None => Ok(of_system(subject, schema.as_ref())),
        },
        Show::Events { schema, filter } => match listed(subject, schema.as_ref())? {
            Some(schema) => list(subject, schema, &EVENTS, &titled(EVENT_COLUMNS), filter),
            None => Ok(of_system(subject, schema.as_ref())),
        },
        Show::Columns { table, .. } => of_table(subject, table, false),
        Show::Index { table, .. } => of_table(subject, table, true),
        Show::Create { kind: ShowCreate::Table | ShowCreate::View | ShowCreate::Sequence, name } => {
            of_table(subject, name, true)
        }
        _ => Ok(opaque::home(subject, &[])),
    }
}

/// A list of what a schema has that every server has.
fn of_system(subject: &Subject<'_>, schema: Option<&Name>) -> Plan {
    opaque::home(subject, schema.map(std::slice::from_ref).unwrap_or_default())
}

/// Plans `DESCRIBE table`.
pub(crate) fn describe(subject: &Subject<'_>, describe: &Describe) -> Result<Plan, PlanError> {
    of_table(subject, &describe.table, false)
}

/// A statement about one table: on its first node.
fn of_table(subject: &Subject<'_>, table: &TableName, names_in_rows: bool) -> Result<Plan, PlanError> {
    let written = table.schema.as_ref().map(|schema| schema.text.as_str());
    let place = place::locate(subject.context, written, &table.table.text)?;
    let keys = Keys {
        units: vec![Unit::new(subject.context.rules, place.clone(), written, &table.table.text, None, Condition::Any)],
        refs: Vec::new(),
    };
    let unit = &keys.units[0];
    let home = subject.home();
    let (group, label, sql) = match unit.node(0) {
        Some(node) if !place.is_system() => {
            let name = format!("{}.{}", quoted(&node.schema), quoted(&node.table));
            (node.group, Arc::clone(&unit.labels[0]), renamed(subject, table, &name))
        }
        _ => (home.group, Arc::clone(&home.label), subject.sql.to_vec()),
    };
    let definition = subject.context.catalog.table(place.schema(), place.table()).and_then(|i| i.definition.clone());
    let node = unit.node(0).filter(|_| !place.is_system());
    let names = node.and_then(|node| names_beside(subject, &place, node, definition.is_some()));
    let is_renamed = unit.node(0).is_some_and(|node| *node.table != *place.table());
    let names_in_rows = names_in_rows && (is_renamed || (definition.is_some() && names.is_some()));
    if names_in_rows && subject.context.prepared {
        return Err(PlanError::not_supported("SHOW of a sharded table as a prepared statement", "send it as a text"));
    }
    let of_node = unit.node(0).filter(|_| !place.is_system()).map(|node| Arc::clone(&node.schema));
    let schema = of_node.or(home.schema);
    let given = Given {
        statements: vec![GivenStatement { label, group, schema, sql: sql.into() }],
        merge: None,
        names,
        names_in_rows,
    };
    let plan = subject.plan(StatementKind::Select, &Met::default(), &keys, Action::Given(given));
    Ok(subject.only_for_these_literals(plan))
}

/// The logical names of the table and of all others in its database: a foreign key may name them. A view may name those of
/// other databases too.
fn names_beside(subject: &Subject<'_>, place: &Place, node: &DataNode, is_view: bool) -> Option<Arc<NameMap>> {
    let entry = |node: &DataNode, schema: &str, table: &str| NameEntry {
        physical_schema: Arc::clone(&node.schema),
        physical_table: Arc::clone(&node.table),
        schema: schema.into(),
        table: table.into(),
    };
    let mut entries = vec![entry(node, place.schema(), place.table())];
    for schema in subject.context.rules.schemas.values() {
        for table in schema.tables.values() {
            let beside = table
                .nodes
                .iter()
                .filter(|other| other.group == node.group && (is_view || other.schema == node.schema));
            entries.extend(beside.filter(|other| *other != node).map(|node| entry(node, &schema.name, &table.name)));
        }
    }
    entries.retain(|entry| entry.physical_table != entry.table || entry.physical_schema != entry.schema);
    (!entries.is_empty()).then(|| Arc::new(NameMap { entries, views: Vec::new() }))
}

/// The text with another name of the table; `FROM schema` behind it is left out.
fn renamed(subject: &Subject<'_>, table: &TableName, name: &str) -> Vec<u8> {
    let sql = subject.sql;
    let text = |range: Range<usize>| sql.get(range).unwrap_or_default();
    let table_range = table.table.range.clone();
    let (before, after) = match &table.schema {
        Some(schema) if schema.range.start < table_range.start => (schema.range.start, table_range.end),
        _ => (table_range.start, table_range.end),
    };
    let mut out = text(0..before).to_vec();
    out.extend_from_slice(name.as_bytes());
    match &table.schema {
        Some(schema) if schema.range.start > table_range.end => {
            let word = subject.outline.index_at(schema.range.start).checked_sub(1);
            let start = word.and_then(|index| subject.outline.tokens().get(index)).map_or(after, |token| token.start);
            out.extend_from_slice(text(after..start));
            out.extend_from_slice(text(schema.range.end..sql.len()));
        }
        _ => out.extend_from_slice(text(after..sql.len())),
    }
    out
}

/// The schema that a list of tables is asked for; `None` for one that every server has.
fn listed<'a>(subject: &'a Subject<'_>, schema: Option<&Name>) -> Result<Option<&'a Arc<Schema>>, PlanError> {
    place::schema_of(subject.context, schema.map(|schema| schema.text.as_str()))
}

/// What MariaDB calls the view behind SHOW TABLES.
const TABLE_NAMES: &str = "TABLE_NAMES";

/// SHOW TABLES.
fn tables(subject: &Subject<'_>, schema: &Schema, full: bool, filter: &Filter) -> Result<Plan, PlanError> {
    let title = match filter {
        Filter::Like { pattern, .. } => format!("Tables_in_{} ({})", schema.name, String::from_utf8_lossy(pattern)),
        _ => format!("Tables_in_{}", schema.name),
    };
    // MariaDB's lists are of a view of their own
    let label = if is_mariadb(subject.context) { TABLE_NAMES } else { "TABLES" };
    let kind = if full { ", TABLE_TYPE AS `Table_type`" } else { "" };
    let title = name(&title);
    list(subject, schema, &Listing { label, title: &title, ..TABLES }, &format!("TABLE_NAME AS {title}{kind}"), filter)
}

/// Columns of SHOW TABLE STATUS (*SHOW TABLE STATUS Statement*), by those of `information_schema.TABLES`.
const STATUS_COLUMNS: &[(&str, &str)] = &[
    ("TABLE_NAME", "Name"),
    ("ENGINE", "Engine"),
    ("VERSION", "Version"),
    ("ROW_FORMAT", "Row_format"),
    ("TABLE_ROWS", "Rows"),
    ("AVG_ROW_LENGTH", "Avg_row_length"),
    ("DATA_LENGTH", "Data_length"),
    ("MAX_DATA_LENGTH", "Max_data_length"),
    ("INDEX_LENGTH", "Index_length"),
    ("DATA_FREE", "Data_free"),
    ("AUTO_INCREMENT", "Auto_increment"),
    ("CREATE_TIME", "Create_time"),
    ("UPDATE_TIME", "Update_time"),
    ("CHECK_TIME", "Check_time"),
    ("TABLE_COLLATION", "Collation"),
    ("CHECKSUM", "Checksum"),
    ("CREATE_OPTIONS", "Create_options"),
    ("TABLE_COMMENT", "Comment"),
    // MariaDB's own
    ("MAX_INDEX_LENGTH", "Max_index_length"),
    ("TEMPORARY", "Temporary"),
];

/// SHOW TABLE STATUS: the numbers of a sharded table are those of one of its parts.
fn table_status(subject: &Subject<'_>, schema: &Schema, filter: &Filter) -> Result<Plan, PlanError> {
    let info = subject.context.catalog.table("information_schema", "TABLES");
    let is_there = |column: &str| match &info {
        Some(info) => info.column(column).is_some(),
        None => !["MAX_INDEX_LENGTH", "TEMPORARY"].contains(&column),
    };
    let columns: Vec<(&str, &str)> = STATUS_COLUMNS.iter().filter(|(column, _)| is_there(column)).copied().collect();
    list(subject, schema, &TABLES, &titled(&columns), filter)
}

/// Columns of SHOW TRIGGERS (*SHOW TRIGGERS Statement*), by those of `information_schema.TRIGGERS`.
const TRIGGER_COLUMNS: &[(&str, &str)] = &[
    ("TRIGGER_NAME", "Trigger"),
    ("EVENT_MANIPULATION", "Event"),
    ("EVENT_OBJECT_TABLE", "Table"),
    ("ACTION_STATEMENT", "Statement"),
    ("ACTION_TIMING", "Timing"),
    ("CREATED", "Created"),
    ("SQL_MODE", "sql_mode"),
    ("DEFINER", "Definer"),
    ("CHARACTER_SET_CLIENT", "character_set_client"),
    ("COLLATION_CONNECTION", "collation_connection"),
    ("DATABASE_COLLATION", "Database Collation"),
];

/// Columns of SHOW EVENTS (*SHOW EVENTS Statement*), by those of `information_schema.EVENTS`.
const EVENT_COLUMNS: &[(&str, &str)] = &[
    ("EVENT_SCHEMA", "Db"),
    ("EVENT_NAME", "Name"),
    ("DEFINER", "Definer"),
    ("TIME_ZONE", "Time zone"),
    ("EVENT_TYPE", "Type"),
    ("EXECUTE_AT", "Execute at"),
    ("INTERVAL_VALUE", "Interval value"),
    ("INTERVAL_FIELD", "Interval field"),
    ("STARTS", "Starts"),
    ("ENDS", "Ends"),
    ("STATUS", "Status"),
    ("ORIGINATOR", "Originator"),
    ("CHARACTER_SET_CLIENT", "character_set_client"),
    ("COLLATION_CONNECTION", "collation_connection"),
    ("DATABASE_COLLATION", "Database Collation"),
];

fn titled(columns: &[(&str, &str)]) -> String {
    columns.iter().map(|(column, title)| format!("{column} AS `{title}`")).collect::<Vec<_>>().join(", ")
}

/// What a list is read from.
struct Listing<'a> {
    /// The view of `information_schema`.
    view: &'a str,
    /// What it is said to be from.
    label: &'a str,
    /// The view's column with the schema.
    schema: &'a str,
    /// The view's column that LIKE looks at, and that orders the list.
    name: &'a str,
    /// The title of that column, as it is written in a statement.
    title: &'a str,
}

const TABLES: Listing<'static> =
    Listing { view: "TABLES", label: "TABLES", schema: "TABLE_SCHEMA", name: "TABLE_NAME", title: "`Name`" };
const TRIGGERS: Listing<'static> = Listing {
    view: "TRIGGERS",
    label: "TRIGGERS",
    schema: "EVENT_OBJECT_SCHEMA",
    name: "EVENT_OBJECT_TABLE",
    title: "`Table`",
};
const EVENTS: Listing<'static> =
    Listing { view: "EVENTS", label: "EVENTS", schema: "EVENT_SCHEMA", name: "EVENT_NAME", title: "`Name`" };

/// A query that lists what is in a schema.
fn list(
    subject: &Subject<'_>,
    schema: &Schema,
    listing: &Listing<'_>,
    items: &str,
    filter: &Filter,
) -> Result<Plan, PlanError> {
    let Listing { view, label, name, title, .. } = listing;
    let condition = format!("{} = {}", listing.schema, literal(&schema.name));
    // servers list tables in the order of the bytes of their names
    let order = format!("ORDER BY CAST({name} AS BINARY)");
    let sql = match filter {
        Filter::Where(range) => {
            let given = String::from_utf8_lossy(subject.sql.get(range.clone()).unwrap_or_default());
            format!(
                "SELECT * FROM (SELECT {items} FROM information_schema.{view} WHERE {condition}) AS {label} \
                 WHERE {given} ORDER BY CAST({title} AS BINARY)"
            )
        }
        Filter::Like { range, .. } => {
            let pattern = String::from_utf8_lossy(subject.sql.get(range.clone()).unwrap_or_default());
            // names differ in case, as on most servers
            format!(
                "SELECT {items} FROM information_schema.{view} AS {label} WHERE {condition} \
                 AND CAST({name} AS BINARY) LIKE {pattern} {order}"
            )
        }
        Filter::None => format!("SELECT {items} FROM information_schema.{view} AS {label} WHERE {condition} {order}"),
    };
    let mut instead = Instead::new(subject.context, sql)?;
    if *label == TABLE_NAMES {
        let label = ViewName {
            visible: TABLE_NAMES.into(),
            view: TABLE_NAMES.into(),
            labels: ViewLabels::System { prefixed_names: true },
        };
        instead.names = Some(Arc::new(NameMap { entries: Vec::new(), views: vec![label] }));
    }
    let named = LogicalTable { schema: Arc::clone(&schema.name), table: "".into() };
    let keys = Keys { units: Vec::new(), refs: Vec::new() };
    let mut plan = subject.plan(StatementKind::Select, &Met::default(), &keys, Action::Instead(instead));
    plan.tables = vec![named];
    Ok(subject.only_for_these_literals(plan))
}

/// A name in backticks, whatever it is.
fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
