//! The temporary table that stands for a table reference.

use std::fmt::Write as _;

use crate::catalog::{ColumnInfo, TableInfo};
use crate::plan::types::{CellText, ScratchTable};

/// What the names of temporary tables begin with.
const PREFIX: &str = "shardloom_scratch_";
/// How many bytes of a column InnoDB takes into an index (*InnoDB Limits*).
const KEY_BYTES: u64 = 3072;
/// The most bytes that a character takes.
const CHARACTER_BYTES: u64 = 4;
/// How many indexes a temporary table gets beside its primary key: each costs time for every row.
const MAX_KEYS: usize = 8;

/// A table with some columns of a definition. `keys` are those that it is joined on.
pub(super) fn table(number: usize, info: &TableInfo, columns: &[&ColumnInfo], keys: &[String]) -> ScratchTable {
    let name = format!("{PREFIX}{number}");
    let mut body: Vec<String> = columns.iter().map(|column| definition(column)).collect();
    let mut select: Vec<String> = columns.iter().map(|column| selected(column)).collect();
    let mut cells: Vec<CellText> = columns.iter().map(|column| cell_text(column)).collect();
    if columns.is_empty() {
        // only the number of rows matters
        body.push("`shardloom_row` tinyint".to_owned());
        select.push("1".to_owned());
        cells.push(CellText::Plain);
    }
    let primary_key = primary_key(info, columns).unwrap_or_default();
    let key = |column: &str| format!("KEY ({})", quoted(column));
    let keys: Vec<&str> = keys.iter().take(MAX_KEYS).filter_map(|name| key_column(columns, name)).collect();
    let statement = |keys: Vec<String>| {
        let body: Vec<&str> = body.iter().chain(&keys).map(String::as_str).collect();
        format!("CREATE TEMPORARY TABLE {} ({})", quoted(&name), body.join(", ")).into()
    };
    let without_unique = keys.iter().map(|column| key(column)).collect();
    // what begins with a column is an index of that column
    let beside = keys.iter().filter(|column| primary_key.first().is_none_or(|first| **first != ***column));
    let mut with_unique: Vec<String> = beside.map(|column| key(column)).collect();
    if !primary_key.is_empty() {
        let names: Vec<String> = primary_key.iter().map(|name| quoted(name)).collect();
        with_unique.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    ScratchTable {
        create: statement(with_unique),
        create_without_unique: statement(without_unique),
        primary_key,
        select: select.join(", ").into(),
        columns: columns.iter().map(|column| column.name.as_str().into()).collect(),
        cells,
        has_timestamp: columns.iter().any(|column| column.data_type == "timestamp"),
        needs_insert: columns.iter().any(|column| needs_insert(column)),
        name: name.into(),
    }
}

/// Backticks around a name.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A column of the temporary table. It has no default: a server tells by that whether a column of a result came straight
/// out of the table.
fn definition(column: &ColumnInfo) -> String {
    let mut text = format!("{} {}", quoted(&column.name), column.column_type);
    if let (Some(charset), Some(collation)) = (&column.charset, &column.collation) {
        let _ = write!(text, " CHARACTER SET {charset} COLLATE {collation}");
    }
    if column.invisible {
        text.push_str(" INVISIBLE");
    }
    // TIMESTAMP has a default of its own where neither is said
    text.push_str(if column.nullable || column.invisible { " NULL" } else { " NOT NULL" });
    if column.is_json_text {
        let _ = write!(text, " CHECK (json_valid({}))", quoted(&column.name));
    }
    text
}

/// The primary key, if its columns are all there, as they are.
fn primary_key(info: &TableInfo, columns: &[&ColumnInfo]) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    for name in &info.primary_key {
        let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))?;
        // a column that nobody sees may be NULL here, since it has no default
        if column.invisible || !can_be_key(column) {
            return None;
        }
        names.push(column.name.as_str().into());
    }
    Some(names)
}

/// The column of a name, if it can stand in an index that finds all that equals.
fn key_column<'a>(columns: &[&'a ColumnInfo], name: &str) -> Option<&'a str> {
    let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))?;
    (can_be_key(column) && !has_empty_member(column)).then_some(column.name.as_str())
}

/// Whether a column can stand in an index as it is.
fn can_be_key(column: &ColumnInfo) -> bool {
    let no_index = ["blob", "text", "json", "geometry", "point", "linestring", "polygon", "collection", "vector"];
    let length = || column.column_type.split_once('(')?.1.split_once(')')?.0.parse::<u64>().ok();
    match column.data_type.as_str() {
        kind if no_index.iter().any(|suffix| kind.ends_with(suffix)) => false,
        kind if kind.starts_with("multi") => false,
        "char" | "varchar" => length().is_some_and(|length| length * CHARACTER_BYTES <= KEY_BYTES),
        "binary" | "varbinary" => length().is_some_and(|length| length <= KEY_BYTES),
        _ => true,
    }
}

/// What the shards are asked for, so that the text of the answer is the exact value.
fn selected(column: &ColumnInfo) -> String {
    match column.data_type.as_str() {
        // printed with six digits as it is; as a double with all. Not plus 0, which would lose the sign of -0.
        "float" => format!("{} * 1e0", quoted(&column.name)),
        // The text of no member is empty, as may be that of a member: the number tells them apart.
        "enum" if has_empty_member(column) => format!("{} + 0", quoted(&column.name)),
        _ => quoted(&column.name),
    }
}

/// Whether an ENUM may have `''` among its members. An index tells two numbers of one text apart, a comparison does not.
fn has_empty_member(column: &ColumnInfo) -> bool {
    column.column_type.contains("(''") || column.column_type.contains(",''")
}

/// How a cell of the answer, in the column's own character set, is written into an INSERT.
fn cell_text(column: &ColumnInfo) -> CellText {
    const NUMBERS: &[&str] =
        &["tinyint", "smallint", "mediumint", "int", "bigint", "integer", "decimal", "numeric", "dec", "fixed"];
    const UTF8: &[&str] = &["utf8", "utf8mb3", "utf8mb4", "ascii"];
    let kind = column.data_type.as_str();
    match &column.charset {
        _ if NUMBERS.contains(&kind) || kind == "enum" && has_empty_member(column) => CellText::Plain,
        Some(charset) if UTF8.contains(&charset.as_str()) => CellText::Quoted,
        Some(_) => CellText::Bytes,
        None if is_bytes(kind) => CellText::Bytes,
        None => CellText::Quoted,
    }
}

/// Whether LOAD DATA reads something else than an INSERT does.
fn needs_insert(column: &ColumnInfo) -> bool {
    let kind = column.data_type.as_str();
    let is_spatial =
        !["decimal", "bit"].contains(&kind) && is_bytes(kind) && !kind.ends_with("binary") && !kind.ends_with("blob");
    is_spatial || kind == "json" || (kind == "enum" && has_empty_member(column))
}

fn is_bytes(kind: &str) -> bool {
    const SPATIAL: &[&str] = &["geometry", "point", "linestring", "polygon", "geometrycollection", "geomcollection"];
    kind.ends_with("binary")
        || kind.ends_with("blob")
        || kind.starts_with("multi")
        || SPATIAL.contains(&kind)
        || kind == "bit"
        || kind == "vector"
}

/// A table whose columns are not known: for a plan that is only shown.
pub(super) fn unknown(number: usize) -> ScratchTable {
    ScratchTable {
        name: format!("{PREFIX}{number}").into(),
        create: "".into(),
        create_without_unique: "".into(),
        primary_key: Vec::new(),
        select: "*".into(),
        columns: Vec::new(),
        cells: Vec::new(),
        has_timestamp: false,
        needs_insert: false,
    }
}
