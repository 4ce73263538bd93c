//! LOAD DATA LOCAL INFILE: where the rows of a file go.

use std::ops::Range;
use std::sync::Arc;

use super::PlanContext;
use super::error::PlanError;
pub(crate) use super::insert::OwnKey;
use super::keys::key_type;
use super::place::{Place, locate};
use super::query::names_of;
use super::types::NameMap;
use super::unit::{Unit, quoted};
use crate::catalog::TableInfo;
use crate::id::{Key, KeyMaker, uuid};
use crate::route::condition::{Condition, KeyedTable, StoreError};
use crate::route::key::RawValue;
use crate::sql::load_data::{Field, Into, LoadData};

/// How a file is loaded into a table that the rules place.
#[derive(Debug, Clone)]
pub(crate) struct LoadPlan {
    /// The table.
    pub unit: Unit,
    /// What is loaded.
    pub load: LoadData,
    /// Where in a line each column of the sharding key stands; the generated one may be missing.
    keys: Vec<Option<usize>>,
    /// The column that is generated, and where it stands.
    generated: Option<(Arc<KeyMaker>, Option<usize>)>,
    /// In that column 0 counts as no value.
    zero_generates: bool,
    /// How many fields a line has.
    width: usize,
    /// The list of columns of a statement without one: a node whose columns are in another order takes each field for what
    /// the proxy takes it for.
    list: Option<String>,
    /// Names to restore in errors and warnings.
    pub names: Option<Arc<NameMap>>,
}

/// Charsets in which a byte of a character may look like a quote or a terminator.
const WIDE: &[&str] = &["big5", "cp932", "gbk", "gb18030", "sjis", "ucs2", "utf16", "utf16le", "utf32"];

/// Plans the loading of a file; `None` for a table that no rule places: its server reads the file.
pub(crate) fn plan(context: &PlanContext<'_>, load: LoadData) -> Result<Option<LoadPlan>, PlanError> {
    let schema = load.table.schema.as_ref().map(|name| name.text.as_str());
    super::views::refuse_target(context, schema, &load.table.table.text)?;
    let place = locate(context, load.table.schema.as_ref().map(|name| name.text.as_str()), &load.table.table.text)?;
    let Place::Ruled { .. } = &place else { return Ok(None) };
    let table = place.table().to_owned();
    let refused = |what: String, instead: &str| PlanError::not_supported(what, instead);
    if load.partition {
        return Err(refused(format!("LOAD DATA into partitions of '{table}'"), "leave PARTITION out"));
    }
    if load.set_reads {
        return Err(refused(format!("queries in SET of LOAD DATA into '{table}'"), "load first, then update the rows"));
    }
    if let Some(charset) = load.charset.as_deref().filter(|charset| WIDE.contains(charset)) {
        return Err(refused(format!("LOAD DATA of a file in {charset}"), "convert the file to UTF-8"));
    }
    let info = context.catalog.table(place.schema(), place.table());
    let columns = columns(&load, info.as_deref())
        .ok_or_else(|| refused(format!("LOAD DATA into '{table}', whose columns are not known"), "list the columns"))?;
    let position =
        |name: &str| columns.iter().position(|column| matches!(column, Into::Column(known) if known == name));
    let keyed = place.sharded().map(|table| {
        let types = table.key_columns().iter().map(|column| key_type(info.as_deref(), context, column)).collect();
        KeyedTable::new(Arc::clone(table), types, None)
    });
    let generator = keyed.as_ref().and_then(|keyed| {
        let default = || super::insert::default_generator(&place, info.as_deref());
        keyed.table.key_generator.clone().or_else(default)
    });
    let mut keys = Vec::new();
    for column in keyed.iter().flat_map(|keyed| &keyed.columns) {
        if load.assigned.iter().any(|assigned| **assigned == **column) {
            return Err(refused(
                format!("SET of the sharding key '{column}' in LOAD DATA"),
                "load the value from the file",
            ));
        }
        let is_generated = generator.as_ref().is_some_and(|generator| generator.column == *column);
        let at = position(column);
        if at.is_none() && !is_generated {
            return Err(PlanError::MissingKey(column.to_string()));
        }
        keys.push(at);
    }
    if let Some(generator) = &generator
        && load.assigned.iter().any(|assigned| **assigned == *generator.column)
    {
        return Err(refused(
            format!("SET of the generated column '{}' in LOAD DATA", generator.column),
            "load the value from the file, or leave the column out",
        ));
    }
    let numbers = generator.as_ref().is_some_and(|generator| {
        info.as_deref().and_then(|info| info.column(&generator.column)).is_some_and(|(_, column)| column.auto_increment)
    });
    let zero_generates = numbers && !context.mode.no_auto_value_on_zero;
    let generated = generator.map(|generator| {
        (Arc::new(super::insert::maker(&place, &generator, info.as_deref())), position(&generator.column))
    });
    if place.broadcast().is_some()
        && let Some(numbered) = info.as_deref().and_then(TableInfo::auto_increment)
        && position(&numbered.name.to_lowercase()).is_none()
    {
        return Err(refused(
            format!("rows of the broadcast table '{table}' without a value for their AUTO_INCREMENT column"),
            "since each server would number them in its own way: give the value",
        ));
    }
    let list = list(context, &load, info.as_deref());
    let unit = Unit::new(
        context.rules,
        place,
        load.table.schema.as_ref().map(|name| name.text.as_str()),
        &load.table.table.text,
        keyed,
        Condition::Any,
    );
    let names = names_of(std::slice::from_ref(&unit));
    Ok(Some(LoadPlan { unit, keys, generated, zero_generates, width: columns.len(), list, names, load }))
}

/// What the fields of a line go into.
fn columns(load: &LoadData, info: Option<&TableInfo>) -> Option<Vec<Into>> {
    match &load.columns {
        Some((list, _)) => Some(list.clone()),
        None => Some(info?.visible_columns().map(|column| Into::Column(column.name.to_lowercase())).collect()),
    }
}

/// The list of all columns for a statement that has none. A server may take the field of a generated column only where no
/// list names it.
fn list(context: &PlanContext<'_>, load: &LoadData, info: Option<&TableInfo>) -> Option<String> {
    let info = info.filter(|info| load.columns.is_none() && !info.columns.iter().any(|column| column.generated))?;
    let names = info.visible_columns().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
    (context.text_is_utf8 || names.is_ascii()).then(|| format!(" ({names})"))
}

impl LoadPlan {
    /// What a line gives for the generated column; nothing where the table has none.
    pub fn own_key(&self, fields: &[Field]) -> Result<Option<OwnKey>, PlanError> {
        let Some((maker, at)) = &self.generated else { return Ok(None) };
        let value = match at.and_then(|at| fields.get(at)).map(|field| &field.value) {
            Some(Some(value)) => RawValue::Text(value.as_slice().into()),
            Some(None) | None => RawValue::Null,
        };
        match OwnKey::of_value(&value, self.zero_generates) {
            // an empty field is a 0
            OwnKey::NoNumber if matches!(&value, RawValue::Text(text) if text.is_empty()) => Ok(Some(OwnKey::None)),
            OwnKey::NoNumber | OwnKey::Unknown => Err(PlanError::UnknownKey(maker.column.to_string())),
            own => Ok(Some(own)),
        }
    }

    /// What makes the missing keys.
    pub fn maker(&self) -> Option<&Arc<KeyMaker>> {
        self.generated.as_ref().map(|(maker, _)| maker)
    }

    /// The nodes that a line belongs to: one, or all of a broadcast table.
    pub fn nodes(&self, fields: &[Field], key: Option<Key>) -> Result<Range<usize>, PlanError> {
        let Some(keyed) = &self.unit.keyed else { return Ok(0..self.unit.place.nodes().len()) };
        let name = |column: usize| keyed.columns.get(column).map_or_else(String::new, ToString::to_string);
        let mut values: Vec<RawValue<'_>> = Vec::with_capacity(self.keys.len());
        for (column, at) in self.keys.iter().enumerate() {
            let generated = self.maker().is_some_and(|maker| *maker.column == *keyed.columns[column]);
            let field = at.and_then(|at| fields.get(at)).and_then(|field| field.value.as_deref());
            values.push(match (key.filter(|_| generated), field) {
                (Some(Key::Int(id)), _) => RawValue::Int(i128::from(id)),
                (Some(Key::Uuid(id)), _) => RawValue::Text(uuid::text(id).into_bytes().into()),
                (None, Some(value)) => RawValue::Text(value.into()),
                (None, None) => RawValue::Null,
            });
        }
        let node = keyed.stored(&values).map_err(|error| match error {
            StoreError::Null(column) => PlanError::NullKey(name(column)),
            StoreError::Unknown(column) => PlanError::UnknownKey(name(column)),
            StoreError::Route(error) => error.into(),
            StoreError::NoHint => PlanError::not_supported(
                format!("LOAD DATA into '{}', which is placed by hint", self.unit.place.table()),
                "insert the rows",
            ),
        })?;
        Ok(node..node + 1)
    }

    /// Appends a line to what a node gets, with its generated key if it has one. `line` is without its terminator.
    pub fn write(&self, line: &[u8], fields: &[Field], key: Option<Key>, out: &mut Vec<u8>) -> Result<(), PlanError> {
        let format = &self.load.format;
        out.extend_from_slice(&format.line_start);
        match (key, &self.generated) {
            (Some(key), Some((_, at))) => {
                let text = match key {
                    Key::Int(id) => id.to_string(),
                    Key::Uuid(id) => uuid::text(id),
                };
                match at.and_then(|at| fields.get(at)) {
                    Some(field) => {
                        out.extend_from_slice(&line[..field.range.start]);
                        out.extend_from_slice(text.as_bytes());
                        out.extend_from_slice(&line[field.range.end..]);
                    }
                    None if at.is_none() && fields.len() == self.width => {
                        out.extend_from_slice(line);
                        out.extend_from_slice(&format.field_end);
                        out.extend_from_slice(text.as_bytes());
                    }
                    None => return Err(PlanError::ColumnCount(0)),
                }
            }
            _ => out.extend_from_slice(line),
        }
        out.extend_from_slice(&format.line_end);
        Ok(())
    }

    /// The statement for a node: with its table, the generated column, and without the lines that are left out.
    pub fn statement(&self, sql: &[u8], node: usize) -> Vec<u8> {
        let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        let load = &self.load;
        let first = load.table.schema.as_ref().map_or(load.table.table.range.start, |schema| schema.range.start);
        let table = self
            .unit
            .node(node)
            .map_or_else(String::new, |node| format!("{}.{}", quoted(&node.schema), quoted(&node.table)));
        edits.push((first..load.table.table.range.end, table.into_bytes()));
        if let Some((_, range)) = &load.ignored {
            edits.push((range.clone(), Vec::new()));
        }
        if let Some(list) = &self.list {
            edits.push((load.columns_at.clone(), list.clone().into_bytes()));
        }
        // without a list all columns are loaded, the generated one among them
        if let (Some((maker, None)), Some((_, range))) = (&self.generated, &load.columns) {
            let column = format!(", {})", quoted(&maker.column));
            edits.push((range.end - 1..range.end, column.into_bytes()));
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(sql.len() + 64);
        let mut from = 0;
        for (range, text) in edits {
            out.extend_from_slice(sql.get(from..range.start).unwrap_or_default());
            out.extend_from_slice(&text);
            from = range.end;
        }
        out.extend_from_slice(sql.get(from..).unwrap_or_default());
        out
    }
}
