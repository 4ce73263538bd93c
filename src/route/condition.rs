//! What a statement says about the sharding key of one table, and the nodes that follow from it.
//!
//! A condition is a recipe: it names the constants by their [`Source`] and is evaluated for each execution. Where it
//! says nothing, all nodes are reached; it never leaves out a node that may hold a row that matters.

use std::ops::Bound;
use std::sync::Arc;

use super::algorithm::{RouteError, ShardSet};
use super::key::KeyValue;
use super::key_stub::{KeyType, Normalised, RawValue, normalise};
use super::source::Source;
use super::values::Values;
use crate::config::{Level, Table};

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
    /// The value of a hint comment, for a strategy by hint.
    pub hint: Option<KeyValue>,
}

impl KeyedTable {
    /// The nodes that can hold rows which satisfy a condition.
    pub fn nodes(&self, condition: &Condition, values: &Values<'_>) -> ShardSet {
        let mut nodes = self.evaluate(condition, values);
        if self.hint.is_some() {
            nodes.intersect(&self.hinted());
        }
        nodes
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
            Condition::In { column, values: sources } => {
                let mut nodes = self.members(*column, sources, values);
                self.narrow_by_combinations(std::slice::from_ref(condition), values, &mut nodes);
                nodes
            }
            Condition::NullSafeEqual { column, value } => match values.get(value) {
                Some(RawValue::Null) => self.all(),
                _ => self.members(*column, std::slice::from_ref(value), values),
            },
            Condition::Range { column, low, high } => self.range(*column, low, high, values),
            Condition::Truth(source) => match values.get(source) {
                Some(RawValue::Null | RawValue::Int(0)) => self.none(),
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
            (Some(RawValue::Null), _) | (_, Some(RawValue::Null)) => self.none(),
            (Some(RawValue::Int(left)), Some(RawValue::Int(right))) if !orders.contains(&left.cmp(&right)) => self.none(),
            _ => self.all(),
        }
    }

    /// The nodes of the values of one column, by the levels that this column alone decides.
    fn members(&self, column: usize, sources: &[Source], values: &Values<'_>) -> ShardSet {
        let mut targets: Vec<ShardSet> = Vec::new();
        for level in self.table.levels() {
            let targets_of_level = level.algorithm.targets();
            if !self.is_alone(level, column) {
                targets.push(ShardSet::all(targets_of_level));
                continue;
            }
            let mut reached = ShardSet::none(targets_of_level);
            for source in sources {
                match self.key(column, source, values) {
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

    fn key(&self, column: usize, source: &Source, values: &Values<'_>) -> Normalised {
        match (self.types.get(column), values.get(source)) {
            (Some(key_type), Some(value)) => normalise(key_type, &value),
            _ => Normalised::Anywhere,
        }
    }

    /// Whether a level is decided by this column and no other.
    fn is_alone(&self, level: &Level, column: usize) -> bool {
        matches!(level.columns.as_slice(), [only] if self.columns.get(column) == Some(only))
    }

    fn range(&self, column: usize, low: &Bound<Source>, high: &Bound<Source>, values: &Values<'_>) -> ShardSet {
        let (Some(low), Some(high)) = (self.bound(column, low, values), self.bound(column, high, values)) else {
            return self.none();
        };
        let mut targets: Vec<ShardSet> = Vec::new();
        for level in self.table.levels() {
            targets.push(if self.is_alone(level, column) {
                level.algorithm.range(low.as_ref(), high.as_ref())
            } else {
                ShardSet::all(level.algorithm.targets())
            });
        }
        self.table.combine(&targets)
    }

    /// A bound of a range; `None` for NULL, which nothing is less or greater than.
    fn bound(&self, column: usize, bound: &Bound<Source>, values: &Values<'_>) -> Option<Bound<KeyValue>> {
        let (source, included) = match bound {
            Bound::Unbounded => return Some(Bound::Unbounded),
            Bound::Included(source) => (source, true),
            Bound::Excluded(source) => (source, false),
        };
        Some(match self.key(column, source, values) {
            Normalised::Key(key) if included => Bound::Included(key),
            Normalised::Key(key) => Bound::Excluded(key),
            Normalised::Null => return None,
            // it lies somewhere between the keys
            Normalised::NoMatch | Normalised::Anywhere => Bound::Unbounded,
        })
    }

    /// Levels that several columns decide together: looks up every combination of the values that are known.
    fn narrow_by_combinations(&self, all: &[Condition], values: &Values<'_>, nodes: &mut ShardSet) {
        let levels: Vec<&Level> = self.table.levels().collect();
        for (index, level) in levels.iter().enumerate() {
            if level.columns.len() < 2 {
                continue;
            }
            let known: Vec<Option<Vec<KeyValue>>> =
                level.columns.iter().map(|column| self.known_values(column, all, values)).collect();
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
    fn known_values(&self, name: &Arc<str>, all: &[Condition], values: &Values<'_>) -> Option<Vec<KeyValue>> {
        let column = self.columns.iter().position(|column| column == name)?;
        all.iter().find_map(|condition| match condition {
            Condition::In { column: of, values: sources } if *of == column => {
                let mut keys = Vec::with_capacity(sources.len());
                for source in sources {
                    match self.key(column, source, values) {
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
            level.algorithm.exact(std::slice::from_ref(hint)).map_or_else(|_| ShardSet::none(count), |t| ShardSet::one(count, t))
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
