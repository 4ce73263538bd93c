//! Reads a table's definition from `information_schema`.

use std::sync::Arc;

use super::definition::readable;
use super::info::{ColumnInfo, TableInfo, TableKind, UniqueKey};
use super::place::Place;
use crate::backend::{BackendError, Backends, Row, text};
use crate::route::key::KeyType;

/// Loads a table; `None` if there is none of that name.
pub(super) async fn load(backends: &Backends, place: &Place) -> Result<Option<Arc<TableInfo>>, BackendError> {
    let condition = format!(
        "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal(&place.physical_schema),
        literal(&place.physical_table)
    );
    let query = async |select: &str, order: &str| {
        let sql = format!("SELECT {select} WHERE {condition} ORDER BY {order}");
        backends.query(place.group, &sql).await.map(|answer| answer.rows)
    };
    let tables = query(TABLES, "1").await?;
    let Some(table) = the_one(&tables, &place.physical_table) else { return Ok(None) };
    let name = text(table, 0).into_owned();
    let columns = query(COLUMNS, "ORDINAL_POSITION").await?;
    let keys = query(KEYS, "INDEX_NAME, SEQ_IN_INDEX").await?;
    let of_it = |row: &&Row| text(row, 0) == name;
    let mut info = TableInfo {
        kind: kind(&text(table, 1)),
        on_mysql: !text(table, 4).contains("MariaDB"),
        columns: columns.iter().filter(of_it).map(column).collect(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        engine: optional(table, 2),
        collation: optional(table, 3),
        definition: None,
    };
    if info.kind == TableKind::View {
        let views = query(VIEWS, "1").await?;
        info.definition = views.iter().find(of_it).and_then(|view| optional(view, 1)).filter(|text| !text.is_empty());
        info.definition = info.definition.map(readable);
    }
    if info.columns.is_empty() {
        return Ok(None); // dropped between the two queries
    }
    let may_have_json = info.kind == TableKind::Base && !info.on_mysql;
    if may_have_json && info.columns.iter().any(|column| column.data_type == "longtext") {
        let sql = format!(
            "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
             WHERE CONSTRAINT_SCHEMA = {} AND TABLE_NAME = {}",
            literal(&place.physical_schema),
            literal(&place.physical_table)
        );
        let checks = backends.query(place.group, &sql).await?.rows;
        for column in &mut info.columns {
            let clause = format!("json_valid(`{}`)", column.name.replace('`', "``"));
            column.is_json_text = checks.iter().filter(of_it).any(|row| text(row, 1) == clause);
        }
    }
    for key in unique_keys(keys.iter().filter(of_it)) {
        if key.name == "PRIMARY" {
            info.primary_key = key.columns;
        } else {
            info.unique_keys.push(key);
        }
    }
    Ok(Some(Arc::new(info)))
}

const TABLES: &str = "TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION, VERSION() FROM information_schema.TABLES";

const COLUMNS: &str = "TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, EXTRA, COLUMN_DEFAULT FROM information_schema.COLUMNS";

const VIEWS: &str = "TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS";

const KEYS: &str = "TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NON_UNIQUE FROM information_schema.STATISTICS";

/// A name as a literal that no sql_mode reads otherwise: neither quotes nor backslashes stand in it.
fn literal(name: &str) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("_utf8mb4 X'{digits}'")
}

/// `information_schema` compares names without case, yet on most servers two tables may differ in case alone.
fn the_one<'a>(tables: &'a [Row], name: &str) -> Option<&'a Row> {
    tables.iter().find(|row| text(row, 0) == name).or_else(|| tables.first())
}

fn kind(table_type: &str) -> TableKind {
    match table_type {
        "BASE TABLE" | "SYSTEM VERSIONED" => TableKind::Base,
        "VIEW" => TableKind::View,
        _ => TableKind::Other,
    }
}

fn optional(row: &Row, column: usize) -> Option<String> {
    row.get(column)?.as_ref().map(|cell| String::from_utf8_lossy(cell).into_owned())
}

fn column(row: &Row) -> ColumnInfo {
    let extra = text(row, 7).to_ascii_uppercase();
    ColumnInfo {
        name: text(row, 1).into_owned(),
        data_type: text(row, 2).to_ascii_lowercase(),
        column_type: text(row, 3).into_owned(),
        key_type: KeyType::of_column(&text(row, 3), optional(row, 5).as_deref()),
        charset: optional(row, 4),
        collation: optional(row, 5),
        nullable: text(row, 6) == "YES",
        auto_increment: extra.contains("AUTO_INCREMENT"),
        // Not DEFAULT_GENERATED, by which MySQL means a default that is an expression.
        generated: ["VIRTUAL", "STORED", "PERSISTENT"].iter().any(|word| extra.contains(word)),
        invisible: extra.contains("INVISIBLE"),
        is_json_text: false,
        default: optional(row, 8),
    }
}

fn unique_keys<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<UniqueKey> {
    let mut keys: Vec<UniqueKey> = Vec::new();
    for row in rows.filter(|row| text(row, 4) == "0") {
        let name = text(row, 1);
        if keys.last().is_none_or(|key| key.name != name) {
            keys.push(UniqueKey { name: name.into_owned(), columns: Vec::new(), is_whole: true });
        }
        let Some(key) = keys.last_mut() else { continue };
        let column = optional(row, 2);
        key.is_whole &= column.is_some() && optional(row, 3).is_none();
        key.columns.extend(column);
    }
    keys
}
