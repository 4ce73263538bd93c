//! A table that is changed in steps: how its rows are known again, and the statements that change them on a node.

use std::sync::Arc;

use super::taker::Taker;
use crate::plan::anchor::Span;
use crate::plan::types::NameMap;
use crate::plan::unit::{Unit, quoted};

/// A table that is changed by the primary keys of its rows.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The table.
    pub unit: Unit,
    /// The name by which its columns are qualified in the client's text, as it is to be written.
    pub visible: Box<str>,
    /// The columns that tell a row: those of the primary key, then those of the sharding key that are not in it.
    pub identity: Vec<Box<str>>,
    /// Where in `identity` each column of the sharding key stands.
    pub key: Vec<usize>,
    /// What is assigned, where the values are read before; empty where the client's own list is kept.
    pub values: Vec<Assigned>,
    /// The sharding key is assigned: a row may have to be moved.
    pub moves: bool,
    /// The columns that a row is moved with: all but those that are computed.
    pub columns: Vec<Box<str>>,
    /// Names to restore in errors.
    pub names: Option<Arc<NameMap>>,
}

/// An assignment whose value is read before.
#[derive(Debug, Clone)]
pub(crate) struct Assigned {
    /// The column.
    pub column: Box<str>,
    /// Where its expression stands; `None` for `DEFAULT`.
    pub value: Option<Span>,
    /// What the column makes of a value.
    pub taker: Option<Taker>,
}

impl Target {
    /// The physical table on a node.
    pub fn table(&self, node: usize) -> String {
        self.unit
            .node(node)
            .map_or_else(String::new, |node| format!("{}.{}", quoted(&node.schema), quoted(&node.table)))
    }

    /// The condition that holds for these rows, each given by the literals of its identity.
    pub fn condition(&self, rows: &[&[Vec<u8>]]) -> Vec<u8> {
        let mut out = Vec::new();
        if let [column] = self.identity.as_slice() {
            out.extend_from_slice(quoted(column).as_bytes());
            out.extend_from_slice(b" IN (");
            for (index, row) in rows.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(row.first().map(Vec::as_slice).unwrap_or_default());
            }
            out.push(b')');
            return out;
        }
        for (index, row) in rows.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b" OR (" } else { b"(" });
            for (number, (column, literal)) in self.identity.iter().zip(row.iter()).enumerate() {
                if number > 0 {
                    out.extend_from_slice(b" AND ");
                }
                out.extend_from_slice(quoted(column).as_bytes());
                out.extend_from_slice(if literal.as_slice() == b"NULL" { b" IS " } else { b" = " });
                out.extend_from_slice(literal);
            }
            out.push(b')');
        }
        out
    }

    /// `DELETE` of these rows.
    pub fn delete(&self, node: usize, rows: &[&[Vec<u8>]], ignore: bool) -> Vec<u8> {
        let ignore = if ignore { "IGNORE " } else { "" };
        let mut out = format!("DELETE {ignore}FROM {} WHERE ", self.table(node)).into_bytes();
        out.extend_from_slice(&self.condition(rows));
        out
    }

    /// `UPDATE` of one row to values that were read; `values` are the literals of those that are.
    pub fn update_row(&self, node: usize, row: &[Vec<u8>], values: &[Vec<u8>], ignore: bool) -> Vec<u8> {
        let ignore = if ignore { "IGNORE " } else { "" };
        let mut out = format!("UPDATE {ignore}{} SET ", self.table(node)).into_bytes();
        let mut values = values.iter();
        for (index, assigned) in self.values.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(quoted(&assigned.column).as_bytes());
            out.extend_from_slice(b" = ");
            match assigned.value {
                Some(_) => out.extend_from_slice(values.next().map(Vec::as_slice).unwrap_or(b"NULL")),
                None => out.extend_from_slice(b"DEFAULT"),
            }
        }
        out.extend_from_slice(b" WHERE ");
        out.extend_from_slice(&self.condition(&[row]));
        out
    }

    /// The query for a row that is to be carried: its columns, then its identity.
    pub fn read_row(&self, node: usize, identity: &[Vec<u8>]) -> Vec<u8> {
        let items: Vec<String> = self.columns.iter().chain(&self.identity).map(|column| quoted(column)).collect();
        let mut out = format!("SELECT {} FROM {} WHERE ", items.join(", "), self.table(node)).into_bytes();
        out.extend_from_slice(&self.condition(&[identity]));
        out.extend_from_slice(b" FOR UPDATE");
        out
    }

    /// `INSERT` of a row that is carried.
    pub fn insert_row(&self, node: usize, literals: &[Vec<u8>]) -> Vec<u8> {
        let columns: Vec<String> = self.columns.iter().map(|column| quoted(column)).collect();
        let mut out = format!("INSERT INTO {} ({}) VALUES (", self.table(node), columns.join(", ")).into_bytes();
        out.extend_from_slice(&literals.join(&b", "[..]));
        out.push(b')');
        out
    }

    /// How many of the assigned values are read.
    pub fn read_values(&self) -> usize {
        self.values.iter().filter(|assigned| assigned.value.is_some()).count()
    }
}
