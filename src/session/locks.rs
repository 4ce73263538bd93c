//! LOCK TABLES, LOAD DATA and version comments.

use std::ops::Range;

use super::query::Text;
use super::{Failure, Flow, Session};
use crate::error::SqlError;
use crate::sql::scan;
use crate::sql::session_statement::{LockTable, TableName};

impl Session {
    /// LOCK TABLES: for tables that live on one group, whose connection then stays with the session.
    pub(super) async fn lock_tables(&mut self, tables: &[LockTable], text: &Text) -> Result<Flow, Failure> {
        for lock in tables {
            self.refuse_placed(&lock.table, "LOCK TABLES")?;
        }
        self.commit().await?;
        self.pins.locked_tables = true;
        let result = self.pass_through(&text.sql).await;
        if result.is_err() || !self.state.diagnostics.is_empty() {
            self.pins.locked_tables = false;
            self.txn.release_unpinned(self.pins.any());
        }
        result
    }

    /// UNLOCK TABLES.
    pub(super) async fn unlock_tables(&mut self, text: &Text) -> Result<Flow, Failure> {
        if !self.pins.locked_tables {
            self.answer_ok();
            return Ok(Flow::Continue);
        }
        let result = self.pass_through(&text.sql).await;
        self.pins.locked_tables = false;
        self.txn.release_unpinned(self.pins.any());
        result
    }

    /// LOAD DATA: into tables that live on one group.
    pub(super) async fn load_data(&mut self, local: bool, table: &TableName, text: &Text) -> Result<Flow, Failure> {
        if !local {
            return Err(SqlError::not_supported("LOAD DATA without LOCAL", "the file must come from the client").into());
        }
        let _ = table;
        if let Some(flow) = Box::pin(self.load_split(text)).await? {
            return Ok(flow);
        }
        let snapshot = self.snapshot();
        let group = self.home_group(&snapshot);
        self.check_write(&snapshot, &[group])?;
        self.note_write();
        self.pass_through(&text.sql).await
    }

    /// Refuses tables that the rules place: they are several tables, or under another name.
    fn refuse_placed(&self, table: &TableName, what: &str) -> Result<(), Failure> {
        let snapshot = self.shared.snapshot.load();
        let schema = table.schema.as_ref().map(|name| name.text.as_str()).or(self.state.schema.as_deref());
        let placed = schema
            .and_then(|name| snapshot.rules.schema(name))
            .is_some_and(|schema| schema.table(&table.table.text).is_some());
        if placed {
            return Err(SqlError::not_supported(
                format_args!("{what} on the sharded table '{}'", table.table.text),
                "use a transaction, or INSERT",
            )
            .into());
        }
        Ok(())
    }

    /// `/*!80000 … */` around a whole statement: it runs if the server that the proxy stands for has that version.
    pub(super) async fn versioned(
        &mut self,
        version: u32,
        content: Range<usize>,
        text: &Text,
    ) -> Result<Flow, Failure> {
        if version > self.shared.server_version_number() {
            self.answer_ok();
            return Ok(Flow::Continue);
        }
        let inner = text.slice(content);
        let scanned = scan(&inner.sql, self.state.lex_mode, &mut self.literals);
        Box::pin(self.statement(inner, scanned)).await
    }
}
