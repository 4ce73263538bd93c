//! An INSERT, bound: each row to its node.

use std::ops::Range;
use std::sync::Arc;

use super::on_duplicate::Setter;
use super::own_key::{self, OwnKey};
use crate::config::KeyGenerator;
use crate::id::{Key, KeyMaker, uuid};
use crate::plan::KeySource;
use crate::plan::anchor::Span;
use crate::plan::error::PlanError;
use crate::plan::template::{Filling, InsertFilling, Template};
use crate::plan::types::{Bound, NameMap, NoSession, ParamSource, SessionValues, ShardStatement, Told};
use crate::plan::unit::{Unit, quoted};
use crate::route::condition::StoreError;
use crate::route::key::{KeyType, RawValue};
use crate::route::source::Source;
use crate::route::values::Values;

/// An INSERT into a sharded table.
#[derive(Debug, Clone)]
pub(crate) struct InsertAction {
    /// The table.
    pub unit: Vec<Unit>,
    /// The text for all rows as they are.
    pub relay: Template,
    /// The text for some of the rows.
    pub split: Template,
    /// The rows.
    pub rows: Vec<Row>,
    /// The column that is generated.
    pub generated: Option<Generated>,
    /// There is an AUTO_INCREMENT column that is not generated: what is said if it has no value.
    pub numbered: Option<PlanError>,
    /// What in it may not be on several nodes.
    pub one_node_only: Option<&'static str>,
    /// Names to restore in what comes back.
    pub names: Option<Arc<NameMap>>,
    /// Rows are written `ROW(…)`.
    pub explicit_row: bool,
    /// It is VALUES, not SET.
    pub has_parentheses: bool,
    /// Its rows have no values, and no columns are listed: `INSERT INTO t () VALUES ()`.
    pub is_empty: bool,
    /// A row may be written as a query: it is VALUES without an alias.
    pub may_be_select: bool,
    /// A row that changes nothing was left out as a duplicate.
    pub unchanged_is_duplicate: bool,
    /// It is INSERT IGNORE.
    pub ignores: bool,
    /// Columns for which a row says DEFAULT.
    pub defaulted: Arc<[Box<str>]>,
    /// A row that is there already is updated (ON DUPLICATE KEY UPDATE).
    pub updates_duplicates: bool,
    /// ON DUPLICATE KEY UPDATE sets LAST_INSERT_ID().
    pub sets_last_insert_id: bool,
    /// LAST_INSERT_ID(x) is in it.
    pub setter: Option<Setter>,
    /// How the report of one row tells whether its generated key was inserted.
    pub told: Told,
    /// The server reports what it is to report: of one row with an AUTO_INCREMENT column, or where it knows better.
    pub reports_insert_id: bool,
}

/// A column that is generated where it has no value.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    /// Its index in the sharding key, if it is part of it.
    pub key: Option<usize>,
    /// What makes the values.
    pub maker: Arc<KeyMaker>,
    /// The column takes bytes, not text.
    pub is_binary: bool,
    /// It is in the list of columns.
    pub in_list: bool,
    /// 0 counts as no value.
    pub zero_generates: bool,
    /// `INSERT … SET`: its name in quotes.
    pub set: Option<Box<str>>,
}

impl Generated {
    /// Writes a key as a literal.
    fn write(&self, key: Key, out: &mut Vec<u8>) {
        let text = match key {
            Key::Int(id) => id.to_string(),
            Key::Uuid(id) if self.is_binary => format!("x'{id:032x}'"),
            Key::Uuid(id) => format!("'{}'", uuid::text(id)),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// There is none, or it is DEFAULT.
    Missing,
    /// This one.
    Value(Source),
}

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its sharding key.
    pub keys: Vec<Cell>,
    /// Its generated column.
    pub generated: Cell,
    /// Its AUTO_INCREMENT column that no generator fills.
    pub numbered: Option<Cell>,
    /// It has DEFAULT, which only VALUES may hold.
    pub has_default: bool,
    /// Its text, without parentheses.
    pub pieces: Vec<Piece>,
}

/// A part of a row's text, and the parameters in it.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// As it is.
    Text(Span, Range<u32>),
    /// The generated column: replaced where it has no value.
    Generated(Span, Range<u32>),
}

impl InsertAction {
    /// Makes the statements of one execution.
    pub fn bind(
        &self,
        values: &Values<'_>,
        session: &dyn SessionValues,
        ids: KeySource<'_>,
    ) -> Result<Bound, PlanError> {
        self.check_numbered(values)?;
        let is_lenient = self.ignores || !session.is_strict();
        let generated = self.generate(values, ids, is_lenient)?;
        if let Some(setter) = &self.setter {
            setter.check(self.rows.len(), generated.iter().any(Option::is_some), session)?;
        }
        let unit = &self.unit[0];
        let mut by_node: Vec<Vec<usize>> = vec![Vec::new(); unit.place.nodes().len()];
        for (index, row) in self.rows.iter().enumerate() {
            let node = self.node_of(row, index, generated.get(index).copied().flatten(), values)?;
            by_node.get_mut(node).ok_or(PlanError::Internal("a node that the table does not have"))?.push(index);
        }
        let used: Vec<usize> = (0..by_node.len()).filter(|node| !by_node[*node].is_empty()).collect();
        if let (Some(what), true) = (self.one_node_only, used.len() > 1) {
            return Err(PlanError::not_supported(
                format!("INSERT into several shards with {what}"),
                "insert the rows of each shard one by one",
            ));
        }
        let as_it_is = used.len() == 1 && generated.iter().all(Option::is_none) && !session.writes_read_rows();
        let template = if as_it_is { &self.relay } else { &self.split };
        let shards = used.iter().map(|node| {
            let rows = &by_node[*node];
            // non-strict, a server converts a NULL for a NOT NULL column in one of several rows, yet refuses it in a single
            // one; under IGNORE it leaves out one of several that a CHECK forbids, yet refuses a single one
            let is_of_several = self.rows.len() > 1 || session.writes_read_rows();
            let alone = rows.len() == 1 && is_of_several && is_lenient && self.may_be_select;
            let as_select = alone && !self.rows[rows[0]].has_default;
            let filling = Rows { action: self, rows, generated: &generated, values, as_select };
            let number = |row: &usize| u32::try_from(row + 1).unwrap_or(u32::MAX);
            let numbers = (used.len() > 1).then(|| rows.iter().map(number).collect());
            self.statement(template, *node, values, session, Some(&filling), numbers)
        });
        let insert_id = generated.iter().flatten().find_map(|key| key.int());
        let may_leave_out = self.rows.len() > 1 && (self.unchanged_is_duplicate || self.updates_duplicates);
        let first_inserted = match insert_id {
            Some(_) if may_leave_out => {
                used.iter().map(|node| self.first_inserted(*node, &by_node, &generated)).collect()
            }
            _ => Vec::new(),
        };
        Ok(Bound {
            first_inserted,
            shards: shards.collect(),
            insert_id,
            given_key: self.given_key(values),
            unchanged_is_duplicate: self.unchanged_is_duplicate,
            defaulted: Arc::clone(&self.defaulted),
            // the proxy makes all keys that are made: what a server reports was in the statement
            keeps_last_insert_id: insert_id.is_none() && !self.sets_last_insert_id,
            answers_insert_id: insert_id.is_some() && !self.reports_insert_id,
            told: self.told,
            ..Bound::default()
        })
    }

    /// The question which of the generated keys of a node's rows is there.
    fn first_inserted(&self, node: usize, by_node: &[Vec<usize>], generated: &[Option<Key>]) -> String {
        let unit = &self.unit[0];
        let rows = by_node.get(node).into_iter().flatten();
        let ids: Vec<String> =
            rows.filter_map(|row| Some(generated.get(*row).copied().flatten()?.int()?.to_string())).collect();
        let column = self.generated.as_ref().map_or_else(String::new, |generated| quoted(&generated.maker.column));
        let (schema, table) = unit.node(node).map_or(("", ""), |node| (&node.schema, &node.table));
        let ids = if ids.is_empty() { "NULL".to_owned() } else { ids.join(", ") };
        format!("SELECT MIN({column}) FROM {}.{} WHERE {column} IN ({ids})", quoted(schema), quoted(table))
    }

    /// The statement for some node, whatever the values.
    pub fn sample(&self, values: &Values<'_>) -> Result<ShardStatement, PlanError> {
        Ok(self.statement(&self.relay, 0, values, &NoSession, None, None))
    }

    fn statement(
        &self,
        template: &Template,
        node: usize,
        values: &Values<'_>,
        session: &dyn SessionValues,
        insert: Option<&dyn InsertFilling>,
        rows: Option<Arc<[u32]>>,
    ) -> ShardStatement {
        let unit = &self.unit[0];
        let data_node = &unit.place.nodes()[node];
        let schema = Arc::clone(&data_node.schema);
        let filling = Filling {
            units: &self.unit,
            nodes: &[node],
            schema: &schema,
            session,
            limit_count: 0,
            insert,
            chosen: None,
            several: false,
            renamed: false,
            inline: false,
        };
        let (sql, params) = template.fill(values, &filling);
        ShardStatement {
            node: Arc::clone(&unit.labels[node]),
            group: data_node.group,
            schema: Some(schema),
            sql,
            params,
            names: self.names.clone(),
            rows,
        }
    }

    /// The greatest key that the statement gives itself, where that matters to the generator.
    fn given_key(&self, values: &Values<'_>) -> Option<(Arc<KeyMaker>, u64)> {
        let generated = self.generated.as_ref()?;
        if !matches!(generated.maker.generator, KeyGenerator::AutoSegment { .. }) {
            return None;
        }
        let key = own_key::greatest(&self.rows, values);
        (key > 0).then(|| (Arc::clone(&generated.maker), key))
    }

    /// The generated key of each row that has none of its own.
    fn generate(
        &self,
        values: &Values<'_>,
        ids: KeySource<'_>,
        is_lenient: bool,
    ) -> Result<Vec<Option<Key>>, PlanError> {
        let Some(generated) = &self.generated else { return Ok(Vec::new()) };
        let own = |row: &Row| OwnKey::of(&row.generated, generated.zero_generates, values);
        let own: Vec<OwnKey> = self.rows.iter().map(own).collect();
        let lacks = |own: &OwnKey| *own == OwnKey::None;
        let may_lack = |own: &OwnKey| match own {
            OwnKey::Unknown => true,
            OwnKey::NoNumber => is_lenient,
            _ => false,
        };
        if own.iter().any(may_lack) {
            return Err(PlanError::not_supported(
                format!("a value that is not plain for the generated column '{}'", generated.maker.column),
                "give a plain value of the column's type, or none",
            ));
        }
        let missing = own.iter().filter(|own| lacks(own)).count();
        if missing == 0 {
            return Ok(Vec::new());
        }
        if !generated.in_list && missing != self.rows.len() {
            return Err(PlanError::Internal("rows of different shapes"));
        }
        let count = u32::try_from(missing).map_err(|_| PlanError::not_supported("so many rows", "split them"))?;
        // a server counts on from what a row before has given
        let last = own.iter().rposition(lacks).unwrap_or_default();
        let before = own_key::greatest(&self.rows[..last], values);
        let mut made = ids(&generated.maker, count, before)?.into_iter();
        own.iter()
            .map(|own| match lacks(own) {
                true => made.next().map(Some).ok_or(PlanError::Internal("too few generated keys")),
                false => Ok(None),
            })
            .collect()
    }

    /// Where a row belongs.
    fn node_of(
        &self,
        row: &Row,
        number: usize,
        generated: Option<Key>,
        values: &Values<'_>,
    ) -> Result<usize, PlanError> {
        let unit = &self.unit[0];
        let keyed = unit.keyed.as_ref().ok_or(PlanError::Internal("a sharded table without a key"))?;
        let name = |column: usize| keyed.columns.get(column).map_or_else(String::new, ToString::to_string);
        let mut key: Vec<RawValue<'_>> = Vec::with_capacity(row.keys.len());
        for (column, cell) in row.keys.iter().enumerate() {
            let is_generated = self.generated.as_ref().is_some_and(|generated| generated.key == Some(column));
            key.push(match (generated, cell) {
                (Some(Key::Int(id)), _) if is_generated => RawValue::Int(i128::from(id)),
                (Some(Key::Uuid(id)), _) if is_generated => match self.generated.as_ref() {
                    Some(generated) if generated.is_binary => RawValue::Binary(id.to_be_bytes().to_vec().into()),
                    _ => RawValue::Text(uuid::text(id).into_bytes().into()),
                },
                (_, Cell::Missing) => return Err(PlanError::MissingKey(name(column))),
                (_, Cell::Value(source)) => values.get(source),
            });
        }
        keyed.stored(&key).map_err(|error| match error {
            StoreError::Null(column) => PlanError::NullKey(name(column)),
            StoreError::Unknown(column) => match (keyed.types.get(column), key.get(column)) {
                // whole numbers are stored as they are, unless the column is too small
                (Some(KeyType::Int { .. }), Some(RawValue::Int(_))) => {
                    PlanError::OutOfRange { column: name(column), row: number + 1 }
                }
                _ => PlanError::UnknownKey(name(column)),
            },
            StoreError::Route(error) => error.into(),
            StoreError::NoHint => PlanError::Hint {
                hint: "shard_value".to_owned(),
                problem: format!(
                    "the table '{}' is placed by hint; say /* shardloom: shard_value=… */",
                    unit.place.table()
                ),
            },
        })
    }

    fn check_numbered(&self, values: &Values<'_>) -> Result<(), PlanError> {
        let Some(refusal) = &self.numbered else { return Ok(()) };
        let may_lack = |cell: &Cell| !matches!(OwnKey::of(cell, true, values), OwnKey::Number(_) | OwnKey::Other);
        let lacks = |row: &Row| row.numbered.as_ref().is_some_and(may_lack);
        if self.rows.iter().any(lacks) { Err(refusal.clone()) } else { Ok(()) }
    }
}

/// The rows of one node.
struct Rows<'r, 'v> {
    action: &'r InsertAction,
    rows: &'r [usize],
    generated: &'r [Option<Key>],
    values: &'r Values<'v>,
    /// The row is written as a query.
    as_select: bool,
}

impl InsertFilling for Rows<'_, '_> {
    fn rows(&self, out: &mut Vec<u8>, params: &mut Vec<ParamSource>) {
        let set = self.action.generated.as_ref().and_then(|generated| generated.set.as_deref());
        let is_set = !self.action.has_parentheses;
        match is_set {
            true => {}
            false if self.action.is_empty => self.head_of_empty(out),
            false if self.as_select => out.extend_from_slice(b"SELECT "),
            false => out.extend_from_slice(b"VALUES "),
        }
        for (count, index) in self.rows.iter().enumerate() {
            if count > 0 {
                out.extend_from_slice(b", ");
            }
            if self.action.explicit_row && !self.as_select {
                out.extend_from_slice(b"ROW");
            }
            if !is_set && !self.as_select {
                out.push(b'(');
            }
            let id = self.generated.get(*index).copied().flatten();
            for piece in &self.action.rows[*index].pieces {
                self.piece(piece, id, out, params);
            }
            if let (Some(id), Some(generated)) = (id, &self.action.generated)
                && !generated.in_list
            {
                let comma = if self.action.is_empty { "" } else { ", " };
                let name = set.map(|set| format!("{set} = ")).unwrap_or_default();
                out.extend_from_slice(format!("{comma}{name}").as_bytes());
                generated.write(id, out);
            }
            if self.as_select {
                out.extend_from_slice(b" FROM DUAL");
            } else if !is_set {
                out.push(b')');
            }
        }
    }
}

impl Rows<'_, '_> {
    /// What stands in front of rows that have nothing but a generated value, or none at all.
    fn head_of_empty(&self, out: &mut Vec<u8>) {
        let column = self.action.generated.as_ref().map(|generated| quoted(&generated.maker.column));
        out.extend_from_slice(format!(" ({}) VALUES ", column.unwrap_or_default()).as_bytes());
    }

    fn piece(&self, piece: &Piece, id: Option<Key>, out: &mut Vec<u8>, params: &mut Vec<ParamSource>) {
        let (span, numbers) = match (piece, id) {
            (Piece::Generated(..), Some(id)) => {
                if let Some(generated) = &self.action.generated {
                    generated.write(id, out);
                }
                return;
            }
            (Piece::Text(span, numbers) | Piece::Generated(span, numbers), _) => (span, numbers),
        };
        out.extend_from_slice(self.values.sql.get(span.range(self.values.literals)).unwrap_or_default());
        params.extend(numbers.clone().map(ParamSource::Param));
    }
}
