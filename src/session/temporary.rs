//! Temporary tables: they are on the connection that the session holds, and on no other server.

use super::{Failure, Session};
use crate::error::SqlError;
use crate::plan::{LogicalTable, Plan};
use crate::sql::ddl::{self, Role};
use crate::sql::session_statement::TableName;

impl Session {
    /// Remembers a temporary table that was made, and forgets those that were dropped. There are as many as the server keeps for
    /// the session.
    pub(super) fn note_temporary_tables(&mut self, plan: &Plan) {
        if plan.pins.drops_tables {
            let is_dropped = |known: &LogicalTable| plan.tables.iter().any(|table| is_same(known, table));
            return self.temporary_tables.retain(|known| !is_dropped(known));
        }
        if !plan.pins.temporary_table {
            return;
        }
        for table in &plan.tables {
            if !self.temporary_tables.iter().any(|known| is_same(known, table)) {
                self.temporary_tables.push(table.clone());
            }
        }
    }

    /// Remembers temporary tables by the names that a definition has given them.
    pub(super) fn note_renamed_tables(&mut self, sql: &[u8]) {
        if self.temporary_tables.is_empty() {
            return;
        }
        let tables = ddl::parse(sql, self.state.lex_mode).map(|ddl| ddl.tables).unwrap_or_default();
        let logical = |name: &TableName| {
            let schema = name.schema.as_ref().map(|schema| schema.text.as_str()).or(self.state.schema.as_deref());
            LogicalTable { schema: schema.unwrap_or_default().into(), table: name.table.text.as_str().into() }
        };
        // in ALTER TABLE the references of foreign keys may stand between the two
        let mut target = None;
        for table in tables {
            match table.role {
                Role::Target => target = Some(logical(&table.name)),
                Role::NewName => {
                    if let Some(old) = target.take()
                        && let Some(known) = self.temporary_tables.iter_mut().find(|known| is_same(known, &old))
                    {
                        *known = logical(&table.name);
                    }
                }
                _ => {}
            }
        }
    }

    /// A query over temporary tables of the proxy's own reads each of its tables where the rules say, by the definition that
    /// the catalog knows: it must not name a table that only this session sees.
    pub(super) fn check_temporary_tables(&self, plan: &Plan) -> Result<(), Failure> {
        let is_temporary = |table: &&LogicalTable| self.temporary_tables.iter().any(|known| is_same(known, table));
        match plan.tables.iter().find(is_temporary) {
            Some(table) => Err(beside_others(&table.table)),
            None => Ok(()),
        }
    }

    /// Whether the session has made any.
    pub(super) fn has_temporary_tables(&self) -> bool {
        !self.temporary_tables.is_empty()
    }

    /// What is said of a table that is not there for the proxy, but may be there for the session.
    pub(super) fn may_be_temporary(&self, table: &str) -> Option<Failure> {
        let is_known = |known: &LogicalTable| known.table.eq_ignore_ascii_case(table);
        self.temporary_tables.iter().any(is_known).then(|| beside_others(table))
    }
}

fn is_same(a: &LogicalTable, b: &LogicalTable) -> bool {
    a.schema == b.schema && a.table.eq_ignore_ascii_case(&b.table)
}

fn beside_others(table: &str) -> Failure {
    let what = format!("the temporary table '{table}' beside tables of several shards");
    SqlError::not_supported(what, "make it a table, or read its rows first").into()
}
