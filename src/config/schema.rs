//! What clients see: logical schemas and their tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::GroupId;
use crate::route::algorithm::{Algorithm, ShardSet};
use crate::route::key::KeyType;

/// One logical schema.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Its name.
    pub name: Arc<str>,
    /// Where tables live that no rule names: physical schema and table have the logical names.
    pub default_group: Option<GroupId>,
    /// Tables placed by rules, broadcast ones too, by their name in small letters.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// Binding groups: names (in small letters) of tables that are split alike.
    pub binding: Vec<Vec<Arc<str>>>,
    /// Whether a transaction may write to one group only.
    pub single_group_transactions: bool,
    /// Names (in small letters) of physical tables beside the tables that no rule names: parts of others. To clients they
    /// are not there.
    pub parts: BTreeSet<String>,
}

impl Schema {
    /// A table that the rules place, by its name in any case.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) || !name.is_ascii() {
            self.tables.get(&name.to_lowercase())
        } else {
            self.tables.get(name)
        }
    }

    /// Whether a name is that of a part of some table, and of nothing that clients see.
    pub fn is_part(&self, name: &str) -> bool {
        !self.parts.is_empty() && self.parts.contains(&name.to_lowercase())
    }

    /// The parts of a table that stand where the tables of this schema are that no rule names, under names which are not
    /// those of tables of this schema.
    pub(super) fn note_parts(&mut self, table: &Table) {
        let Some(group) = self.default_group else { return };
        let beside = table.nodes.iter().filter(|node| node.group == group && node.schema == self.name);
        let names = beside.map(|node| node.table.to_lowercase());
        let hidden: Vec<String> = names.filter(|name| !self.tables.contains_key(name)).collect();
        self.parts.extend(hidden);
    }

    /// All groups that the schema touches, ascending.
    pub fn groups(&self) -> Vec<GroupId> {
        let nodes = self.tables.values().flat_map(|table| table.nodes.iter().map(|node| node.group));
        let mut groups: Vec<GroupId> = nodes.chain(self.default_group).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// Where statements go that name no table: the default group, or the first one.
    pub fn home_group(&self) -> Option<GroupId> {
        self.default_group.or_else(|| self.groups().first().copied())
    }

    /// Whether all of its physical schemas have its name.
    pub fn has_physical_name(&self) -> bool {
        self.tables.values().all(|table| table.nodes.iter().all(|node| node.schema == self.name))
    }

    /// The physical schema that stands for this one on a group.
    pub fn physical_name_on(&self, group: GroupId) -> Option<Arc<str>> {
        if self.default_group == Some(group) {
            return Some(Arc::clone(&self.name));
        }
        let of_group = self.databases().into_iter().filter(|(here, _)| *here == group);
        of_group.map(|(_, schema)| schema).min_by_key(|schema| **schema != *self.name)
    }

    /// All physical schemas that hold tables of this one, each with its group.
    pub fn databases(&self) -> Vec<(GroupId, Arc<str>)> {
        let nodes = self.tables.values().flat_map(|t| t.nodes.iter().map(|n| (n.group, Arc::clone(&n.schema))));
        let mut databases: Vec<_> = nodes.chain(self.default_group.map(|g| (g, Arc::clone(&self.name)))).collect();
        databases.sort();
        databases.dedup();
        databases
    }

    /// Whether two tables are split alike, so that rows with equal sharding keys share a node index.
    pub fn are_bound(&self, a: &Table, b: &Table) -> bool {
        a.name == b.name || (a.binding.is_some() && a.binding == b.binding)
    }
}

/// One table that the rules place.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its logical name, as the rules write it.
    pub name: Arc<str>,
    /// Where its parts are; never empty. With two levels: all tables of the first database, then those of the second, …
    pub nodes: Vec<DataNode>,
    /// How a key chooses among them.
    pub strategy: Strategy,
    /// What fills a key that an insert leaves out.
    pub key_generator: Option<TableKey>,
    /// Index into [`Schema::binding`].
    pub binding: Option<usize>,
}

impl Table {
    /// Whether rows are split by a key.
    pub fn is_sharded(&self) -> bool {
        matches!(self.strategy, Strategy::OneLevel(_) | Strategy::TwoLevel { .. })
    }

    /// Whether every node holds all rows.
    pub fn is_broadcast(&self) -> bool {
        matches!(self.strategy, Strategy::Broadcast)
    }

    /// The levels of its strategy: none, one, or database and table.
    pub fn levels(&self) -> impl Iterator<Item = &Level> {
        let (first, second) = match &self.strategy {
            Strategy::Single | Strategy::Broadcast => (None, None),
            Strategy::OneLevel(level) => (Some(level), None),
            Strategy::TwoLevel { database, table } => (Some(database), Some(table)),
        };
        first.into_iter().chain(second)
    }

    /// The columns that decide where a row is, in small letters, without repetition.
    pub fn key_columns(&self) -> Vec<Arc<str>> {
        let mut columns: Vec<Arc<str>> = Vec::new();
        for column in self.levels().flat_map(|level| &level.columns) {
            if !columns.contains(column) {
                columns.push(Arc::clone(column));
            }
        }
        columns
    }

    /// The nodes that a set of targets per level stands for, in the order of `levels()`. Without levels: all nodes.
    pub fn combine(&self, targets: &[ShardSet]) -> ShardSet {
        match (&self.strategy, targets) {
            (Strategy::OneLevel(_), [nodes]) => nodes.clone(),
            (Strategy::TwoLevel { table, .. }, [databases, tables]) => {
                let mut nodes = ShardSet::none(self.nodes.len());
                let width = table.algorithm.targets();
                for database in databases.iter() {
                    tables.iter().for_each(|table| nodes.insert(database * width + table));
                }
                nodes
            }
            _ => ShardSet::all(self.nodes.len()),
        }
    }

    /// The node of one target per level.
    pub fn node_index(&self, targets: &[usize]) -> usize {
        match (&self.strategy, targets) {
            (Strategy::TwoLevel { table, .. }, [database, of_database]) => {
                database * table.algorithm.targets() + of_database
            }
            (_, [node, ..]) => *node,
            _ => 0,
        }
    }
}

/// One physical table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataNode {
    /// The group that holds it.
    pub group: GroupId,
    /// Physical schema.
    pub schema: Arc<str>,
    /// Physical table.
    pub table: Arc<str>,
}

/// How a key chooses among the nodes of a table.
#[derive(Debug, Clone)]
pub enum Strategy {
    /// There is one node.
    Single,
    /// Every node holds all rows.
    Broadcast,
    /// The key chooses a node.
    OneLevel(Level),
    /// One key chooses the database (group and physical schema), one the table there.
    TwoLevel {
        /// Chooses the database.
        database: Level,
        /// Chooses the table of it.
        table: Level,
    },
}

/// Columns, and what leads them to a target.
#[derive(Debug, Clone)]
pub struct Level {
    /// The sharding key, in small letters; empty when a hint decides.
    pub columns: Vec<Arc<str>>,
    /// What leads the key to a target.
    pub algorithm: Arc<dyn Algorithm>,
}

impl Level {
    /// The type by which values of a column are made keys for this level: that of the column, unless the algorithm places
    /// texts as they are written, or knows ASCII only.
    pub fn key_type(&self, of_column: &KeyType) -> KeyType {
        if self.algorithm.takes_text_as_written() {
            of_column.as_written()
        } else if self.algorithm.hashes_texts() {
            of_column.clone()
        } else {
            of_column.of_ascii()
        }
    }
}

/// The column that a key generator fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableKey {
    /// The column, in small letters.
    pub column: Arc<str>,
    /// The name of the generator in its schema.
    pub name: Arc<str>,
    /// The generator.
    pub generator: KeyGenerator,
}

/// What makes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyGenerator {
    /// 41 bits of milliseconds since an epoch, 10 bits of worker, 12 bits of sequence.
    Snowflake {
        /// Where the worker id comes from.
        worker: Worker,
        /// The epoch, in milliseconds since 1970 (UTC).
        epoch_ms: i64,
        /// How far back the clock may go.
        max_backward_ms: u64,
    },
    /// A sequence that a table of a group counts; proxies take blocks of it.
    AutoSegment {
        /// The group.
        group: GroupId,
        /// How many keys a proxy takes at once.
        block: u32,
    },
    /// UUIDs of version 7.
    UuidV7,
}

/// Where a worker id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Worker {
    /// The rules: 0 to 1023.
    Fixed(u16),
    /// A lease in a table of a group.
    Leased {
        /// The group.
        group: GroupId,
        /// How long a lease lasts that is not renewed.
        lease_ms: u64,
    },
}
