//! What a statement says about the sharding key of one table, and the nodes that follow from it.
//!
//! A condition is a recipe: it names the constants by their [`Source`] and is evaluated for each execution. Where it
//! says nothing, all nodes are reached; it never leaves out a node that may hold a row that matters.

use std::ops::Bound;
use std::sync::Arc;

use super::algorithm::{RouteError, ShardSet};
use super::key::{Fold, KeyType, KeyValue, Normalised, RawValue, normalise, normalise_alone, normalise_stored};
use super::source::Source;
use super::values::Values;
use crate::config::{Level, Strategy, Table};

/// The most combinations of values that a key of several columns is looked up for; past it, all nodes.
const MAX_KEY_COMBINATIONS: usize = 1024;

/// A condition on the sharding key of a table. Columns are indexes into [`KeyedTable::columns`].
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Says nothing.
    Any,
    /// The column equals one of these; a NULL among them matches nothing.
    In {
        /// The column.
        column: usize,
        /// The values.
        values: Vec<Source>,
        /// They come from row values, which compare more loosely.
        of_rows: bool,
    },
    /// The column is `<=>` this: with NULL, it says nothing.
    NullSafeEqual {
        /// The column.
        column: usize,
        /// The value.
        value: Source,
    },
    /// The column lies between these.
    Range {
        /// The column.
        column: usize,
        /// From here on.
        low: Bound<Source>,
        /// Up to here.
        high: Bound<Source>,
    },
    /// A constant is true.
    Truth(Source),
    /// Two integers are ordered so: each is either to be `Less`, `Equal` or `Greater` if it is in the list.
    Constants {
        /// The left side.
        left: Source,
        /// Which orders make it true.
        orders: Vec<std::cmp::Ordering>,
        /// The right side.
        right: Source,
    },
    /// All of these.
    And(Vec<Condition>),
    /// At least one of these.
    Or(Vec<Condition>),
}

/// A sharded table and the types of its key columns.
#[derive(Debug, Clone)]
pub struct KeyedTable {
    /// The rule.
    pub table: Arc<Table>,
    /// The columns of the key, in lower case.
    pub columns: Vec<Arc<str>>,
    /// Their types.
    pub types: Vec<KeyType>,
    /// Their types as each level sees them.
    types_of_levels: Vec<Vec<KeyType>>,
    /// The value of a hint comment, for a strategy by hint.
    pub hint: Option<KeyValue>,
}

/// Why it is not known where a row is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The value of this column is NULL.
    Null(usize),
    /// What is stored for the value of this column is not exactly known.
    Unknown(usize),
    /// The table is placed by hint, and there is none.
    NoHint,
    /// The key leads nowhere.
    Route(RouteError),
}

impl From<RouteError> for StoreError {
    fn from(error: RouteError) -> Self {
        Self::Route(error)
    }
}

/// Whether values are compared one by one with the column (see [`normalise_alone`]).
fn is_alone(values: &[RawValue<'_>], of_rows: bool) -> bool {
    let text = |value: &RawValue<'_>| matches!(value, RawValue::Text(_) | RawValue::Null);
    !of_rows && (values.len() == 1 || values.iter().all(text))
}

/// Whether a level is decided by this column and no other.
fn is_decided_by(level: &Level, column: Option<&Arc<str>>) -> bool {
    matches!((level.columns.as_slice(), column), ([only], Some(column)) if only == column)
}

impl KeyedTable {
    /// A table whose key columns are of these types.
    pub fn new(table: Arc<Table>, types: Vec<KeyType>, hint: Option<KeyValue>) -> Self {
        let columns = table.key_columns();
        let of_level = |level: &Level| types.iter().map(|of_column| level.key_type(of_column)).collect();
        let types_of_levels = table.levels().map(of_level).collect();
        Self { table, columns, types, types_of_levels, hint }
    }

    /// The nodes that can hold rows which satisfy a condition.
    pub fn nodes(&self, condition: &Condition, values: &Values<'_>) -> ShardSet {
        let mut nodes = self.evaluate(condition, values);
        if self.hint.is_some() {
            nodes.intersect(&self.hinted());
        }
        nodes
    }

    /// Whether a node can hold rows whose key column is equal to a value, which is compared by itself or with others of
    /// its kind.
    pub fn may_hold(&self, column: usize, value: &Source, values: &Values<'_>, node: usize) -> bool {
        let nodes = self.only_member(column, value, values);
        nodes.unwrap_or_else(|| self.members(column, std::slice::from_ref(value), false, values)).contains(node)
    }

    fn all(&self) -> ShardSet {
        ShardSet::all(self.table.nodes.len())
    }

    fn none(&self) -> ShardSet {
        ShardSet::none(self.table.nodes.len())
    }

    fn evaluate(&self, condition: &Condition, values: &Values<'_>) -> ShardSet {
        match condition {
            Condition::Any => self.all(),
            Condition::In { column, values: sources, of_rows } => {
                if let ([source], false) = (sources.as_slice(), *of_rows)
                    && let Some(node) = self.only_member(*column, source, values)
                {
                    return node;
                }
                let mut nodes = self.members(*column, sources, *of_rows, values);
                self.narrow_by_combinations(std::slice::from_ref(condition), values, &mut nodes);
                nodes
            }
            Condition::NullSafeEqual { column, value } => match values.get(value) {
                RawValue::Null => self.all(),
                _ => self.members(*column, std::slice::from_ref(value), false, values),
            },
            Condition::Range { column, low, high } => self.range(*column, low, high, values),
            Condition::Truth(source) => match values.get(source) {
                RawValue::Null | RawValue::Int(0) => self.none(),
                _ => self.all(),
            },
            Condition::Constants { left, orders, right } => self.constants(left, orders, right, values),
            Condition::And(all) => {
                let mut nodes = self.all();
                for one in all {
                    nodes.intersect(&self.evaluate(one, values));
                }
                self.narrow_by_combinations(all, values, &mut nodes);
                nodes
            }
            Condition::Or(any) => {
                let mut nodes = self.none();
                for one in any {
                    nodes.unite(&self.evaluate(one, values));
                }
                nodes
            }
        }
    }

    fn constants(&self, left: &Source, orders: &[std::cmp::Ordering], right: &Source, values: &Values<'_>) -> ShardSet {
        match (values.get(left), values.get(right)) {
            (RawValue::Null, _) | (_, RawValue::Null) => self.none(),
            (RawValue::Int(left), RawValue::Int(right)) if !orders.contains(&left.cmp(&right)) => self.none(),
            _ => self.all(),
        }
    }

    /// The node of `key = value`, the most common condition by far, without a detour.
    fn only_member(&self, column: usize, source: &Source, values: &Values<'_>) -> Option<ShardSet> {
        let Strategy::OneLevel(level) = &self.table.strategy else { return None };
        if !is_decided_by(level, self.columns.get(column)) {
            return None;
        }
        match self.compared(level, column, &values.get(source), true) {
            Normalised::Key(key) => {
                let target = level.algorithm.exact(std::slice::from_ref(&key)).ok()?;
                Some(ShardSet::one(self.table.nodes.len(), target))
            }
            _ => None,
        }
    }

    /// The nodes of the values of one column, by the levels that this column alone decides.
    fn members(&self, column: usize, sources: &[Source], of_rows: bool, values: &Values<'_>) -> ShardSet {
        let raw: Vec<RawValue<'_>> = sources.iter().map(|source| values.get(source)).collect();
        let alone = is_alone(&raw, of_rows);
        let mut targets: Vec<ShardSet> = Vec::new();
        for level in self.table.levels() {
            let targets_of_level = level.algorithm.targets();
            if !is_decided_by(level, self.columns.get(column)) {
                targets.push(ShardSet::all(targets_of_level));
                continue;
            }
            let mut reached = ShardSet::none(targets_of_level);
            for value in &raw {
                match self.compared(level, column, value, alone) {
                    Normalised::Key(key) => match level.algorithm.exact(std::slice::from_ref(&key)) {
                        Ok(target) => reached.insert(target),
                        // no row can have this key
                        Err(RouteError::NoTarget { .. }) => {}
                        Err(RouteError::WrongKind { .. }) => reached = ShardSet::all(targets_of_level),
                    },
                    Normalised::Null | Normalised::NoMatch => {}
                    Normalised::Anywhere => reached = ShardSet::all(targets_of_level),
                }
            }
            targets.push(reached);
        }
        self.table.combine(&targets)
    }

    /// What a value is when the column is compared with it.
    fn compared(&self, level: &Level, column: usize, value: &RawValue<'_>, alone: bool) -> Normalised {
        let normalise = if alone { normalise_alone } else { normalise };
        self.type_at(level, column).map_or(Normalised::Anywhere, |key_type| normalise(key_type, value))
    }

    /// The type of a column, as a level sees it.
    fn type_at(&self, level: &Level, column: usize) -> Option<&KeyType> {
        let number = self.table.levels().position(|other| std::ptr::eq(other, level))?;
        self.types_of_levels.get(number)?.get(column)
    }

    /// The node where a row is stored; the values are those of [`Self::columns`]. `Err` with the column whose value
    /// is NULL or cannot be known.
    pub fn stored(&self, row: &[RawValue<'_>]) -> Result<usize, StoreError> {
        let mut targets = Vec::with_capacity(2);
        for level in self.table.levels() {
            if level.algorithm.is_hint() {
                let hint = self.hint.as_ref().ok_or(StoreError::NoHint)?;
                targets.push(level.algorithm.exact(std::slice::from_ref(hint))?);
                continue;
            }
            let mut key = Vec::with_capacity(level.columns.len());
            for name in &level.columns {
                let column = self.columns.iter().position(|column| column == name).unwrap_or(usize::MAX);
                let value = row.get(column).unwrap_or(&RawValue::Unknown);
                let key_type = self.type_at(level, column).unwrap_or(&KeyType::Unknown);
                match normalise_stored(key_type, value) {
                    Normalised::Key(value) => key.push(value),
                    Normalised::Null => return Err(StoreError::Null(column)),
                    Normalised::NoMatch | Normalised::Anywhere => return Err(StoreError::Unknown(column)),
                }
            }
            targets.push(level.algorithm.exact(&key)?);
        }
        Ok(self.table.node_index(&targets))
    }

    /// Whether a condition says that a column of the key is what a value would make it.
    pub fn is_unchanged(
        &self,
        condition: &Condition,
        column: usize,
        value: &RawValue<'_>,
        values: &Values<'_>,
    ) -> bool {
        let conditions = match condition {
            Condition::And(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        conditions.iter().any(|condition| match condition {
            Condition::In { column: of, values: sources, of_rows } if *of == column => {
                let [source] = sources.as_slice() else { return false };
                self.table.levels().filter(|level| level.columns.contains(&self.columns[column])).all(|level| {
                    let was = self.compared(level, column, &values.get(source), !of_rows);
                    let becomes = self.type_at(level, column).map(|key_type| normalise_stored(key_type, value));
                    matches!((was, becomes), (Normalised::Key(was), Some(Normalised::Key(becomes))) if was == becomes)
                })
            }
            _ => false,
        })
    }

    /// Whether keys that the columns take as equal are on one node. Not so where texts are placed as they are written
    /// but compared without regard to case.
    pub fn equal_keys_meet(&self) -> bool {
        let loose =
            |key_type: Option<&KeyType>| matches!(key_type, Some(KeyType::Text(text)) if text.fold != Fold::Exact);
        self.table.levels().all(|level| {
            !level.algorithm.takes_text_as_written()
                || level.columns.iter().all(|name| {
                    let column = self.columns.iter().position(|column| column == name);
                    !loose(column.and_then(|column| self.types.get(column)))
                })
        })
    }

    fn range(&self, column: usize, low: &Bound<Source>, high: &Bound<Source>, values: &Values<'_>) -> ShardSet {
        let mut targets: Vec<ShardSet> = Vec::new();
        for level in self.table.levels() {
            let count = level.algorithm.targets();
            if !is_decided_by(level, self.columns.get(column)) {
                targets.push(ShardSet::all(count));
                continue;
            }
            let (low, high) = (self.bound(level, column, low, values), self.bound(level, column, high, values));
            targets.push(match (low, high) {
                (Some(low), Some(high)) => level.algorithm.range(low.as_ref(), high.as_ref()),
                _ => ShardSet::none(count),
            });
        }
        self.table.combine(&targets)
    }

    /// A bound of a range; `None` for NULL, which nothing is less or greater than.
    fn bound(
        &self,
        level: &Level,
        column: usize,
        bound: &Bound<Source>,
        values: &Values<'_>,
    ) -> Option<Bound<KeyValue>> {
        let (source, included) = match bound {
            Bound::Unbounded => return Some(Bound::Unbounded),
            Bound::Included(source) => (source, true),
            Bound::Excluded(source) => (source, false),
        };
        Some(match self.compared(level, column, &values.get(source), false) {
            Normalised::Key(key) if included => Bound::Included(key),
            Normalised::Key(key) => Bound::Excluded(key),
            Normalised::Null => return None,
            // it lies somewhere between the keys
            Normalised::NoMatch | Normalised::Anywhere => Bound::Unbounded,
        })
    }

    /// Levels that several columns decide together: looks up every combination of the values that are known.
    fn narrow_by_combinations(&self, all: &[Condition], values: &Values<'_>, nodes: &mut ShardSet) {
        if self.table.levels().all(|level| level.columns.len() < 2) {
            return;
        }
        let levels: Vec<&Level> = self.table.levels().collect();
        for (index, level) in levels.iter().enumerate() {
            if level.columns.len() < 2 {
                continue;
            }
            let known: Vec<Option<Vec<KeyValue>>> =
                level.columns.iter().map(|column| self.known_values(level, column, all, values)).collect();
            if known.iter().all(Option::is_none) {
                continue;
            }
            if let Some(reached) = combinations(level, &known) {
                let targets = levels.iter().enumerate().map(|(other, level)| {
                    if other == index { reached.clone() } else { ShardSet::all(level.algorithm.targets()) }
                });
                nodes.intersect(&self.table.combine(&targets.collect::<Vec<_>>()));
            }
        }
    }

    /// The values that a column can have, if a condition lists them all.
    fn known_values(
        &self,
        level: &Level,
        name: &Arc<str>,
        all: &[Condition],
        values: &Values<'_>,
    ) -> Option<Vec<KeyValue>> {
        let column = self.columns.iter().position(|column| column == name)?;
        all.iter().find_map(|condition| match condition {
            Condition::In { column: of, values: sources, of_rows } if *of == column => {
                let mut keys = Vec::with_capacity(sources.len());
                let raw: Vec<RawValue<'_>> = sources.iter().map(|source| values.get(source)).collect();
                let alone = is_alone(&raw, *of_rows);
                for value in &raw {
                    match self.compared(level, column, value, alone) {
                        Normalised::Key(key) => keys.push(key),
                        Normalised::Null | Normalised::NoMatch => {}
                        Normalised::Anywhere => return None,
                    }
                }
                Some(keys)
            }
            _ => None,
        })
    }

    /// The nodes that the hint comment leads to.
    fn hinted(&self) -> ShardSet {
        let Some(hint) = &self.hint else { return self.all() };
        let targets = self.table.levels().map(|level| {
            let count = level.algorithm.targets();
            if !level.algorithm.is_hint() {
                return ShardSet::all(count);
            }
            level
                .algorithm
                .exact(std::slice::from_ref(hint))
                .map_or_else(|_| ShardSet::none(count), |t| ShardSet::one(count, t))
        });
        self.table.combine(&targets.collect::<Vec<_>>())
    }
}

/// The targets of all combinations; `None` if there are too many, or one cannot be placed.
fn combinations(level: &Level, known: &[Option<Vec<KeyValue>>]) -> Option<ShardSet> {
    let count: usize = known.iter().flatten().map(Vec::len).try_fold(1_usize, |total, len| total.checked_mul(len))?;
    if count > MAX_KEY_COMBINATIONS {
        return None;
    }
    let mut reached = ShardSet::none(level.algorithm.targets());
    for number in 0..count {
        let mut rest = number;
        let key: Vec<Option<KeyValue>> = known
            .iter()
            .map(|values| {
                let values = values.as_ref()?;
                let value = values.get(rest % values.len()).cloned();
                rest /= values.len();
                value
            })
            .collect();
        match key.iter().cloned().collect::<Option<Vec<KeyValue>>>() {
            Some(key) => match level.algorithm.exact(&key) {
                Ok(target) => reached.insert(target),
                Err(RouteError::NoTarget { .. }) => {}
                Err(RouteError::WrongKind { .. }) => return None,
            },
            None => reached.unite(&level.algorithm.partial(&key)),
        }
    }
    Some(reached)
}
