//! The columns of a result over temporary tables, as one server with all rows describes them.

use std::sync::Arc;

use bytes::Bytes;

use super::gather::PART_KEY;
use super::scratch_reread::{Evaluation, of_query};
use crate::execute::relay::renamed;
use crate::plan::TableCopy;
use crate::plan::types::{NameMap, ScratchBound, ScratchRead};
use crate::protocol::{ColumnDef, ColumnFlags};

/// Flags of a column that comes straight out of its table, and that the temporary table's does not have.
const OF_TABLE: ColumnFlags = ColumnFlags::PRIMARY_KEY
    .with(ColumnFlags::UNIQUE_KEY)
    .with(ColumnFlags::MULTIPLE_KEY)
    .with(PART_KEY)
    .with(ColumnFlags::AUTO_INCREMENT)
    .with(ColumnFlags::TIMESTAMP)
    .with(ColumnFlags::ON_UPDATE_NOW);

/// What was read into a temporary table.
#[derive(Clone)]
pub(super) struct Brought {
    /// The temporary table.
    physical: Box<[u8]>,
    /// The logical schema.
    schema: Arc<str>,
    /// The logical table.
    table: Arc<str>,
    /// Its columns as the shards describe them.
    columns: Vec<ColumnDef>,
    /// The columns of its primary key, if it has one.
    primary_key: Vec<Box<str>>,
}

impl Brought {
    pub fn new(read: &ScratchRead, columns: Vec<ColumnDef>) -> Self {
        Self {
            physical: read.table.name.as_bytes().into(),
            schema: Arc::clone(&read.schema),
            table: Arc::clone(&read.name),
            columns,
            primary_key: read.table.primary_key.clone(),
        }
    }

    /// The same rows in a copy of the table.
    fn copied(&self, copy: &TableCopy) -> Self {
        Self { physical: copy.name.as_bytes().into(), ..self.clone() }
    }

    /// A column that comes out of the temporary table, as one server with all rows describes it. `is_direct`: it comes
    /// straight out of it.
    fn restored(&self, column: &ColumnDef, is_direct: bool) -> ColumnDef {
        let mut restored = column.clone();
        // a derived table's column has no schema
        if !column.schema.is_empty() {
            restored.schema = Bytes::copy_from_slice(self.schema.as_bytes());
        }
        restored.org_table = Bytes::copy_from_slice(self.table.as_bytes());
        if column.table == column.org_table {
            restored.table = restored.org_table.clone();
        }
        let Some(defined) = self.columns.iter().find(|defined| defined.name == column.org_name) else {
            return restored;
        };
        // temporary tables have no defaults
        let no_default = ColumnFlags::NO_DEFAULT_VALUE;
        if column.flags.contains(no_default) && !defined.flags.contains(no_default) {
            restored.flags = restored.flags.without(no_default);
        }
        if is_direct {
            restored.flags = restored.flags.with(ColumnFlags(defined.flags.0 & OF_TABLE.0));
        }
        restored
    }
}

/// What the columns of a result may come from.
pub(super) struct Sources {
    /// Temporary tables.
    pub read: Vec<Brought>,
    /// Queries of WITH that were evaluated first.
    pub evaluations: Vec<Evaluation>,
}

impl Sources {
    /// The columns of a result as one server with all rows describes them.
    pub fn restored(&self, columns: &[ColumnDef]) -> Vec<ColumnDef> {
        let columns: Vec<ColumnDef> = columns.iter().map(|column| of_query(&self.evaluations, column)).collect();
        let of = |column: &ColumnDef| self.read.iter().find(|read| *read.physical == *column.org_table);
        // A key shows as one only where rows come straight out of their tables; where a server sorts them in a table of
        // its own, columns lose what `OF_TABLE` says. Without a key to see, the first is likelier.
        let is_key = |column: &&ColumnDef| {
            of(column).is_some_and(|read| read.primary_key.iter().any(|key| key.as_bytes() == column.org_name))
        };
        let is_direct = columns.iter().filter(is_key).all(|column| column.flags.contains(ColumnFlags::PRIMARY_KEY));
        let restore =
            |column: &ColumnDef| of(column).map_or_else(|| column.clone(), |read| read.restored(column, is_direct));
        columns.iter().map(restore).collect()
    }
}

/// The columns of a result as a server labels those of views.
pub(super) fn labelled(columns: Vec<ColumnDef>, scratch: &ScratchBound) -> Vec<ColumnDef> {
    if scratch.views.is_empty() {
        return columns;
    }
    let names = NameMap { entries: Vec::new(), views: scratch.views.clone() };
    columns.iter().map(|column| renamed(column.view(), &names).to_owned()).collect()
}

/// What is read, and the copies of it.
pub(super) fn with_copied(mut read: Vec<Brought>, copies: &[TableCopy]) -> Vec<Brought> {
    let of = |copy: &TableCopy| Some(read.iter().find(|read| *read.physical == *copy.of.as_bytes())?.copied(copy));
    let copied: Vec<Brought> = copies.iter().filter_map(of).collect();
    read.extend(copied);
    read
}
