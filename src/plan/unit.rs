//! A table reference as a plan keeps it: where its rows can be, and how it is named there.

use std::sync::Arc;

use super::place::Place;
use crate::config::{DataNode, Rules};
use crate::route::algorithm::ShardSet;
use crate::route::condition::{Condition, KeyedTable};
use crate::route::values::Values;

/// One table reference of a statement.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// Where the table is.
    pub place: Place,
    /// The schema as written.
    pub written_schema: Option<Box<str>>,
    /// The name as written.
    pub written_name: Box<str>,
    /// The key, if the table is split by one.
    pub keyed: Option<KeyedTable>,
    /// What is known of the key.
    pub condition: Condition,
    /// What EXPLAIN ROUTE calls each node.
    pub labels: Vec<Arc<str>>,
    /// Its name on each node, as a statement writes it.
    quoted: Vec<Box<str>>,
}

impl Unit {
    /// A unit of a table named so.
    pub fn new(
        rules: &Rules,
        place: Place,
        written_schema: Option<&str>,
        written_name: &str,
        keyed: Option<KeyedTable>,
        condition: Condition,
    ) -> Self {
        let label = |node: &DataNode| format!("{}.{}.{}", rules.group(node.group).name, node.schema, node.table).into();
        let labels = place.nodes().iter().map(label).collect();
        let quoted = place.nodes().iter().map(|node| quoted(&node.table).into()).collect();
        Self {
            place,
            written_schema: written_schema.map(Into::into),
            written_name: written_name.into(),
            keyed,
            condition,
            labels,
            quoted,
        }
    }

    /// The nodes that its rows can be on.
    pub fn nodes(&self, values: &Values<'_>) -> ShardSet {
        match &self.keyed {
            Some(keyed) => keyed.nodes(&self.condition, values),
            None => ShardSet::all(self.place.nodes().len()),
        }
    }

    /// A node of it.
    pub fn node(&self, index: usize) -> Option<&DataNode> {
        self.place.nodes().get(index)
    }

    /// Whether the name in the text is the one on this node, for a connection in this schema.
    pub fn is_as_written(&self, index: usize, schema: &str) -> bool {
        let Some(node) = self.node(index) else { return true };
        *node.table == *self.written_name
            && match &self.written_schema {
                Some(written) => *node.schema == **written,
                None => *node.schema == *schema,
            }
    }

    /// Writes the name on this node.
    pub fn write_name(&self, index: usize, schema: &str, out: &mut Vec<u8>) {
        let Some(node) = self.node(index) else { return };
        if self.written_schema.is_some() || *node.schema != *schema {
            quote_name(&node.schema, out);
            out.push(b'.');
        }
        out.extend_from_slice(self.quoted.get(index).map(|name| name.as_bytes()).unwrap_or_default());
    }
}

/// Writes a name, in backticks where it needs them.
pub(crate) fn quote_name(name: &str, out: &mut Vec<u8>) {
    let mut underscored = false;
    let plain = name.bytes().all(|byte| {
        underscored |= byte == b'_';
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
    });
    if plain && underscored && name.as_bytes()[0].is_ascii_lowercase() {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    out.push(b'`');
    for byte in name.bytes() {
        if byte == b'`' {
            out.push(b'`');
        }
        out.push(byte);
    }
    out.push(b'`');
}

/// A name in backticks where it needs them.
pub(crate) fn quoted(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len() + 2);
    quote_name(name, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_quoted_unless_they_are_surely_no_keyword() {
        assert_eq!(quoted("orders_0"), "orders_0");
        assert_eq!(quoted("order"), "`order`");
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(quoted("Orders_0"), "`Orders_0`");
        assert_eq!(quoted("0_a"), "`0_a`");
    }
}
