//! SHOW and DESCRIBE of tables: logical tables are shown, physical ones are not.
//!
//! What describes one table is asked on its first node. Lists of tables are read from `information_schema` of the groups
//! that the schema touches, with physical names mapped and the other nodes of a table left out.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::action::Action;
use super::error::PlanError;
use super::given::{Given, GivenStatement};
use super::keys::Keys;
use super::place;
use super::query::{Subject, name_map};
use super::shape::Met;
use super::system;
use super::types::{LogicalTable, StatementKind};
use super::unit::{Unit, quoted};
use super::{Plan, opaque};
use crate::config::{GroupId, Schema};
use crate::merge::{MergeSpec, SortKey};
use crate::route::condition::Condition;
use crate::sql::names::{Name, TableName};
use crate::sql::session_statement::{Describe, Filter, Show, ShowCreate};

/// Plans a SHOW.
pub(crate) fn plan(subject: &Subject<'_>, show: &Show) -> Result<Plan, PlanError> {
    match show {
        Show::Tables { full, schema, filter } => tables(subject, *full, schema.as_ref(), filter),
        Show::TableStatus { schema, filter } => table_status(subject, schema.as_ref(), filter),
        Show::Columns { table, .. } => of_table(subject, table, false),
        Show::Index { table, .. } => of_table(subject, table, true),
        Show::Create { kind: ShowCreate::Table | ShowCreate::View | ShowCreate::Sequence, name } => {
            of_table(subject, name, true)
        }
        _ => Ok(opaque::home(subject, &[])),
    }
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
    let names = name_map(&keys);
    let names_in_rows = names_in_rows && names.is_some();
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

/// The schema that a list of tables is asked for.
fn schema_of<'a>(subject: &'a Subject<'_>, schema: Option<&Name>) -> Result<Option<&'a Arc<Schema>>, PlanError> {
    place::schema_of(subject.context, schema.map(|schema| schema.text.as_str()))
}

/// LIKE and WHERE, as a condition on the columns of the answer.
fn condition(subject: &Subject<'_>, filter: &Filter, column: &str) -> String {
    let text =
        |range: &Range<usize>| String::from_utf8_lossy(subject.sql.get(range.clone()).unwrap_or_default()).into_owned();
    match filter {
        Filter::None => String::new(),
        Filter::Like { range, .. } => format!(" WHERE {column} LIKE {}", text(range)),
        Filter::Where(range) => format!(" WHERE {}", text(range)),
    }
}

/// SHOW TABLES.
fn tables(subject: &Subject<'_>, full: bool, schema: Option<&Name>, filter: &Filter) -> Result<Plan, PlanError> {
    let Some(schema) = schema_of(subject, schema)? else { return Ok(opaque::home(subject, &[])) };
    let title = match filter {
        Filter::Like { pattern, .. } => {
            format!("Tables_in_{} ({})", schema.name, String::from_utf8_lossy(pattern))
        }
        _ => format!("Tables_in_{}", schema.name),
    };
    // WHERE names the column as it would be titled without LIKE
    let column = quoted(&format!("Tables_in_{}", schema.name));
    let condition = condition(subject, filter, &column);
    let list = |group: GroupId, physical: &str| {
        let name = system::logical_name(schema, group, physical, "TABLE_NAME");
        let visible = system::visible_tables(schema, group, physical, "TABLE_NAME");
        let kind = if full { ", TABLE_TYPE AS `Table_type`" } else { "" };
        format!(
            "SELECT {name} AS {column}{kind} FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND {visible}",
            system::literal(physical)
        )
    };
    let kind = if full { ", `Table_type`" } else { "" };
    let outer = format!("SELECT {column} AS {}{kind}", quoted(&title));
    lists(subject, schema, &list, &outer, &column, &condition, if full { 2 } else { 1 })
}

/// SHOW TABLE STATUS: the numbers of a sharded table are those of its first node.
fn table_status(subject: &Subject<'_>, schema: Option<&Name>, filter: &Filter) -> Result<Plan, PlanError> {
    let Some(schema) = schema_of(subject, schema)? else { return Ok(opaque::home(subject, &[])) };
    const COLUMNS: &[(&str, &str)] = &[
        ("Engine", "ENGINE"),
        ("Version", "VERSION"),
        ("Row_format", "ROW_FORMAT"),
        ("Rows", "TABLE_ROWS"),
        ("Avg_row_length", "AVG_ROW_LENGTH"),
        ("Data_length", "DATA_LENGTH"),
        ("Max_data_length", "MAX_DATA_LENGTH"),
        ("Index_length", "INDEX_LENGTH"),
        ("Data_free", "DATA_FREE"),
        ("Auto_increment", "AUTO_INCREMENT"),
        ("Create_time", "CREATE_TIME"),
        ("Update_time", "UPDATE_TIME"),
        ("Check_time", "CHECK_TIME"),
        ("Collation", "TABLE_COLLATION"),
        ("Checksum", "CHECKSUM"),
        ("Create_options", "CREATE_OPTIONS"),
        ("Comment", "TABLE_COMMENT"),
    ];
    let list = |group: GroupId, physical: &str| {
        let name = system::logical_name(schema, group, physical, "TABLE_NAME");
        let visible = system::visible_tables(schema, group, physical, "TABLE_NAME");
        let mut columns = format!("{name} AS `Name`");
        for (shown, column) in COLUMNS {
            let _ = write!(columns, ", {column} AS `{shown}`");
        }
        format!(
            "SELECT {columns} FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND {visible}",
            system::literal(physical)
        )
    };
    let condition = condition(subject, filter, "`Name`");
    lists(subject, schema, &list, "SELECT *", "`Name`", &condition, COLUMNS.len() + 1)
}

/// A list of tables: one statement for each physical schema that shows some of them, merged in the order of the names.
fn lists(
    subject: &Subject<'_>,
    schema: &Arc<Schema>,
    list: &dyn Fn(GroupId, &str) -> String,
    outer: &str,
    column: &str,
    condition: &str,
    width: usize,
) -> Result<Plan, PlanError> {
    let rules = subject.context.rules;
    let places = system::showing(schema);
    let several = places.len() > 1;
    let hidden = if several { format!(", CAST({column} AS BINARY)") } else { String::new() };
    let statements = places
        .into_iter()
        .map(|(group, physical)| {
            let inner = list(group, &physical);
            let sql =
                format!("{outer}{hidden} FROM ({inner}) AS `TABLES`{condition} ORDER BY CAST({column} AS BINARY)");
            let label = format!("{}.{physical}", rules.group(group).name).into();
            GivenStatement { label, group, schema: None, sql: sql.into() }
        })
        .collect();
    let merge = several.then(|| {
        Arc::new(MergeSpec { order: vec![SortKey::ascending(width)], hidden_columns: 1, ..MergeSpec::default() })
    });
    let given = Given { statements, merge, names: None, names_in_rows: false };
    let keys = Keys { units: Vec::new(), refs: Vec::new() };
    let mut plan = subject.plan(StatementKind::Select, &Met::default(), &keys, Action::Given(given));
    plan.tables = vec![LogicalTable { schema: Arc::clone(&schema.name), table: "".into() }];
    Ok(subject.only_for_these_literals(plan))
}
