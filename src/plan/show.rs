//! SHOW TABLES, TABLE STATUS, COLUMNS, INDEX, CREATE TABLE, and DESCRIBE.
//!
//! What is said of one table is asked of its first node, under the name it has there; lists of tables are queries over
//! `information_schema`, whose plan ([`super::system`]) knows what is shown.

use std::sync::Arc;

use bytes::Bytes;

use super::action::Action;
use super::error::PlanError;
use super::given::{Given, GivenStatement};
use super::instead::Instead;
use super::place::{self, Place, is_system_schema};
use super::query::Subject;
use super::system::literal;
use super::types::{Access, LogicalTable, NameEntry, NameMap, Needs, PinnedLiteral, Pins, StatementKind};
use super::unit::quoted;
use super::{Plan, opaque};
use crate::config::{DataNode, Schema};
use crate::sql::session_statement::{Describe, Filter, Show, ShowCreate, TableName};

/// Plans SHOW.
pub(crate) fn plan(subject: &Subject<'_>, show: &Show) -> Result<Plan, PlanError> {
    match show {
        Show::Tables { full, schema, filter } => match listed_schema(subject, schema.as_ref().map(|name| &*name.text))? {
            Some(schema) => tables(subject, &schema, *full, filter),
            None => opaque::plan(subject, "SHOW TABLES"),
        },
        Show::TableStatus { schema, filter } => match listed_schema(subject, schema.as_ref().map(|name| &*name.text))? {
            Some(schema) => table_status(subject, &schema, filter),
            None => opaque::plan(subject, "SHOW TABLE STATUS"),
        },
        Show::Columns { full, extended, table, filter } => {
            let words = format!("{}{}", if *extended { "EXTENDED " } else { "" }, if *full { "FULL " } else { "" });
            about(subject, table, "SHOW COLUMNS", false, &|name| {
                format!("SHOW {words}COLUMNS FROM {name}{}", filter_text(subject, filter))
            })
        }
        Show::Index { table, filter } => {
            about(subject, table, "SHOW INDEX", true, &|name| {
                format!("SHOW INDEX FROM {name}{}", filter_text(subject, filter))
            })
        }
        Show::Create { kind: kind @ (ShowCreate::Table | ShowCreate::View), name } => {
            let word = if *kind == ShowCreate::Table { "TABLE" } else { "VIEW" };
            about(subject, name, "SHOW CREATE", true, &|name| format!("SHOW CREATE {word} {name}"))
        }
        _ => opaque::plan(subject, "this SHOW"),
    }
}

/// Plans DESCRIBE.
pub(crate) fn describe(subject: &Subject<'_>, describe: &Describe) -> Result<Plan, PlanError> {
    about(subject, &describe.table, "DESCRIBE", false, &|name| match &describe.column {
        Some(column) => format!("DESCRIBE {name} {}", string(subject, column)),
        None => format!("DESCRIBE {name}"),
    })
}

/// The logical schema whose tables are listed; `None` for one that every server has.
fn listed_schema(subject: &Subject<'_>, written: Option<&str>) -> Result<Option<Arc<Schema>>, PlanError> {
    match written {
        Some(name) if is_system_schema(name) => Ok(None),
        written => place::schema_of(subject.context, written).map(|schema| schema.cloned()),
    }
}

/// A statement about one table, sent to its first node. `in_rows`: the answer's rows name the table too.
fn about(
    subject: &Subject<'_>,
    table: &TableName,
    what: &str,
    in_rows: bool,
    text: &dyn Fn(&str) -> String,
) -> Result<Plan, PlanError> {
    let written = table.schema.as_ref().map(|schema| &*schema.text);
    let place = place::locate(subject.context, written, &table.table.text)?;
    let Some(node) = place.nodes().first().cloned() else { return opaque::plan(subject, what) };
    let renamed = *node.table != *place.table();
    if in_rows && renamed && subject.context.prepared {
        return Err(PlanError::not_supported(format!("{what} as a prepared statement"), "send it as a text"));
    }
    let names = names_beside(subject, &place, &node);
    let sql = text(&format!("{}.{}", quoted(&node.schema), quoted(&node.table)));
    let label = format!("{}.{}.{}", subject.context.rules.group(node.group).name, node.schema, node.table);
    let statement = GivenStatement {
        label: label.into(),
        group: node.group,
        schema: Some(Arc::clone(&node.schema)),
        sql: Bytes::from(sql),
    };
    let given = Given { statements: vec![statement], merge: None, names, names_in_rows: in_rows && renamed };
    let named = LogicalTable { schema: place.schema().into(), table: place.table().into() };
    Ok(plan_of(subject, vec![named], Action::Given(given)))
}

/// The logical names of the table and of all others in its database: a foreign key may name them.
fn names_beside(subject: &Subject<'_>, place: &Place, node: &DataNode) -> Option<Arc<NameMap>> {
    let entry = |node: &DataNode, schema: &str, table: &str| NameEntry {
        physical_schema: Arc::clone(&node.schema),
        physical_table: Arc::clone(&node.table),
        schema: schema.into(),
        table: table.into(),
    };
    let mut entries = vec![entry(node, place.schema(), place.table())];
    for schema in subject.context.rules.schemas.values() {
        for table in schema.tables.values() {
            let beside = table.nodes.iter().filter(|other| other.group == node.group && other.schema == node.schema);
            entries.extend(beside.filter(|other| *other != node).map(|node| entry(node, &schema.name, &table.name)));
        }
    }
    entries.retain(|entry| entry.physical_table != entry.table || entry.physical_schema != entry.schema);
    (!entries.is_empty()).then(|| Arc::new(NameMap { entries }))
}

fn tables(subject: &Subject<'_>, schema: &Schema, full: bool, filter: &Filter) -> Result<Plan, PlanError> {
    let title = match filter {
        Filter::Like { pattern, .. } => format!("Tables_in_{} ({})", schema.name, String::from_utf8_lossy(pattern)),
        _ => format!("Tables_in_{}", schema.name),
    };
    let kind = if full { ", TABLE_TYPE AS `Table_type`" } else { "" };
    list(subject, schema, &format!("TABLE_NAME AS {}{kind}", name(&title)), filter)
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

fn table_status(subject: &Subject<'_>, schema: &Schema, filter: &Filter) -> Result<Plan, PlanError> {
    let info = subject.context.catalog.table("information_schema", "TABLES");
    let is_there = |column: &str| match &info {
        Some(info) => info.column(column).is_some(),
        None => !["MAX_INDEX_LENGTH", "TEMPORARY"].contains(&column),
    };
    let items: Vec<String> = STATUS_COLUMNS
        .iter()
        .filter(|(column, _)| is_there(column))
        .map(|(column, title)| format!("{column} AS `{title}`"))
        .collect();
    list(subject, schema, &items.join(", "), filter)
}

/// A query over the tables of a schema.
fn list(subject: &Subject<'_>, schema: &Schema, items: &str, filter: &Filter) -> Result<Plan, PlanError> {
    let condition = format!("TABLE_SCHEMA = {}", literal(&schema.name));
    let sql = match filter {
        Filter::Where(range) => {
            let given = String::from_utf8_lossy(subject.sql.get(range.clone()).unwrap_or_default());
            format!(
                "SELECT * FROM (SELECT {items} FROM information_schema.TABLES WHERE {condition}) AS `TABLES` \
                 WHERE {given} ORDER BY 1"
            )
        }
        Filter::Like { range, .. } => {
            let pattern = String::from_utf8_lossy(subject.sql.get(range.clone()).unwrap_or_default());
            // names differ in case, as on most servers
            format!(
                "SELECT {items} FROM information_schema.TABLES WHERE {condition} \
                 AND CAST(TABLE_NAME AS BINARY) LIKE {pattern} ORDER BY 1"
            )
        }
        Filter::None => format!("SELECT {items} FROM information_schema.TABLES WHERE {condition} ORDER BY 1"),
    };
    let instead = Instead::new(subject.context, sql)?;
    let named = LogicalTable { schema: Arc::clone(&schema.name), table: "".into() };
    Ok(plan_of(subject, vec![named], Action::Instead(instead)))
}

/// A plan that holds for this very text.
fn plan_of(subject: &Subject<'_>, tables: Vec<LogicalTable>, action: Action) -> Plan {
    let pinned = subject.literals.iter().enumerate().map(|(index, literal)| PinnedLiteral {
        index,
        text: literal.bytes(subject.sql).into(),
    });
    Plan {
        kind: StatementKind::Select,
        access: Access::Read,
        pins: Pins::default(),
        needs: Needs::default(),
        server_hint: subject.hints.server,
        pinned: pinned.collect(),
        tables,
        assigned_variables: Vec::new(),
        mode: subject.context.mode,
        action,
    }
}

fn filter_text(subject: &Subject<'_>, filter: &Filter) -> String {
    let text = |range: &std::ops::Range<usize>| {
        String::from_utf8_lossy(subject.sql.get(range.clone()).unwrap_or_default()).into_owned()
    };
    match filter {
        Filter::None => String::new(),
        Filter::Like { range, .. } => format!(" LIKE {}", text(range)),
        Filter::Where(range) => format!(" WHERE {}", text(range)),
    }
}

/// A name in backticks, whatever it is.
fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string as this session's sql_mode reads it.
fn string(subject: &Subject<'_>, text: &str) -> String {
    let text = text.replace('\'', "''");
    let text = if subject.context.mode.no_backslash_escapes { text } else { text.replace('\\', "\\\\") };
    format!("'{text}'")
}
