//! Definitions over several nodes: what is written down of them, so that a proxy that is lost in the middle leaves none that
//! nobody knows of.
//!
//! MySQL commits each definition by itself, so one over several nodes can end half done. Before the first node is touched,
//! its statements are written to the tables `definitions` and `definition_nodes` of the schema `shardloom` on one of its
//! groups ([`record`]), together with what each table looked like; each node is ticked off when it is done. Whoever runs it
//! holds a named lock (`GET_LOCK`) on each of its groups, on the connections that run the statements: while a server knows
//! such a lock, its proxy lives or the statement still runs. Every proxy looks at the records ([`watch`]); one that is
//! running and whose locks are free was left, and is resumed where that is safe, else reported ([`resume`]). What the
//! records tell also makes each proxy forget the columns of tables that another one has changed.

mod record;
mod resume;
mod watch;

pub use record::{Recording, begin, list, nodes, note_single, unfinished};
pub use resume::resume;
pub use watch::watch;

use std::sync::Arc;

/// A definition that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name: that of the proxy process, when it began, and a number.
    pub name: String,
    /// The logical tables, each with its schema.
    pub tables: Vec<(String, String)>,
    /// The client's statement.
    pub statement: Vec<u8>,
    /// The session's variables that it ran under: name and literal.
    pub settings: Vec<(String, String)>,
    /// Whether it may be carried on by another proxy: it loses no rows that were written meanwhile.
    pub is_resumable: bool,
    /// How far it has come.
    pub state: State,
    /// Why it went no further.
    pub message: String,
    /// Seconds since it began, by the server's clock.
    pub age_s: u64,
    /// Its statements.
    pub nodes: Vec<Node>,
}

/// One node's part of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The group's name.
    pub group: Arc<str>,
    /// The physical schema that the connection is in.
    pub schema: Option<Arc<str>>,
    /// The physical table, with its schema; none where it is not about a table.
    pub table: Option<(Arc<str>, Arc<str>)>,
    /// The statement.
    pub statement: Vec<u8>,
    /// What the table was before: a fingerprint, 0 for none.
    pub was: u64,
    /// How far it has come.
    pub state: NodeState,
}

impl Node {
    /// `g0.shop.orders_1`, or the group where it is about no table.
    pub fn label(&self) -> String {
        match &self.table {
            Some((schema, table)) => format!("{}.{schema}.{table}", self.group),
            None => self.group.to_string(),
        }
    }
}

/// How far a definition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It runs, or was left.
    Running,
    /// All nodes have it.
    Done,
    /// A server refused it on some nodes.
    Failed,
    /// It was left half done, and is not carried on by itself.
    Interrupted,
}

impl State {
    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Failed, Self::Interrupted].into_iter().find(|state| state.name() == name)
    }
}

/// How far a node has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Not known to be done.
    Waiting,
    /// It has it.
    Done,
    /// Its server refused it.
    Failed,
}

impl NodeState {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// The locks that are held while a definition of these tables runs on a group, on a connection in this schema: one for each
/// table, so that definitions wait for each other that have but one of them in common. In the order in which all take them.
pub fn lock_names(group: &str, schema: Option<&str>, tables: &[(String, String)]) -> Vec<String> {
    let connection = format!("{group}\0{}", schema.unwrap_or_default());
    let lock = |(schema, table): &(String, String)| {
        let text = format!("{connection}\0{}\0{}", schema.to_lowercase(), table.to_lowercase());
        format!("shardloom.{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    };
    let mut locks: Vec<String> = tables.iter().map(lock).collect();
    locks.sort();
    locks.dedup();
    locks
}

/// What tells one definition of a table from another, whatever the table is called on its node: its `SHOW CREATE TABLE`
/// without its name and without the next number. Never 0.
pub fn fingerprint(create: &str, table: &str) -> u64 {
    let mut text = create.replace(table, "");
    if let Some(at) = text.find(" AUTO_INCREMENT=") {
        let digits = text[at + 16..].bytes().take_while(u8::is_ascii_digit).count();
        text.replace_range(at..at + 16 + digits, "");
    }
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_one_definition_have_one_fingerprint() {
        let create = |table: &str, next: &str| {
            format!("CREATE TABLE `{table}` (\n  `id` int(11),\n  CONSTRAINT `{table}_ibfk_1`\n) ENGINE=InnoDB{next} X")
        };
        let one = fingerprint(&create("orders_0", ""), "orders_0");
        assert_eq!(one, fingerprint(&create("orders_1", " AUTO_INCREMENT=77"), "orders_1"));
        assert_ne!(one, fingerprint(&create("orders_1", " COMMENT='x'"), "orders_1"));
    }

    #[test]
    fn locks_tell_groups_schemas_and_tables_apart() {
        let tables = |name: &str| vec![("shop".to_owned(), name.to_owned())];
        let lock = lock_names("g0", Some("shop"), &tables("Orders"));
        assert!(lock.iter().all(|lock| lock.len() <= 64), "{lock:?}");
        assert_eq!(lock, lock_names("g0", Some("shop"), &tables("orders")));
        let both = [tables("items"), tables("orders")].concat();
        assert!(lock_names("g0", Some("shop"), &both).contains(&lock[0]));
        for other in [
            lock_names("g1", Some("shop"), &tables("orders")),
            lock_names("g0", Some("shop_1"), &tables("orders")),
            lock_names("g0", Some("shop"), &tables("items")),
        ] {
            assert_ne!(lock, other);
        }
    }
}
