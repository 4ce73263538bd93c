//! Rows that name tables (SHOW CREATE TABLE, SHOW INDEX): the physical names in them become logical ones.

use std::sync::Arc;

use super::names::restore_statement;
use super::run::Input;
use super::{Failure, Session, Snapshot};
use crate::backend::BackendError;
use crate::execute::gather::{Gather, Kept, Progress};
use crate::execute::relay::{Names, renamed};
use crate::execute::{ExecuteError, Watch};
use crate::merge::MergeSpec;
use crate::plan::types::{NameEntry, NameMap};
use crate::plan::{Bound, Plan};
use crate::protocol::{ColumnDef, StatusFlags, text_row};

impl Session {
    /// One target, whose few rows are read into memory and renamed.
    pub(super) async fn run_renamed(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: &Bound,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let none = Arc::new(NameMap::default());
        let names = bound.shards.first().and_then(|shard| shard.names.clone()).unwrap_or(none);
        let role = self.role(snapshot, plan);
        let (lanes, parts) = self.gather_lanes(snapshot, plan, bound, input, role).await?;
        let bounds = self.gather_bounds();
        let limit_bytes = bounds.held_bytes;
        let watch = Watch { entry: &self.entry };
        let spec = Arc::new(MergeSpec::default());
        let opening = async { Ok(Gather::open(lanes, parts, &spec, input.format(), bounds).await) };
        let mut gather = match watch.guard(&self.client, opening).await? {
            Ok(gather) => gather,
            Err((error, lanes)) => return Err(self.lanes_failed(lanes, with_names(error, &names), snapshot)),
        };
        let columns: Vec<ColumnDef> = gather.columns().iter().map(|c| renamed(c.view(), &*names).to_owned()).collect();
        let mut kept = Kept { limit_bytes, ..Kept::default() };
        let watch = Watch { entry: &self.entry };
        let full = match watch.guard(&self.client, gather.advance(&mut kept)).await {
            Ok(progress) => progress == Progress::SinkFull,
            Err(error) => return Err(self.lanes_failed(gather.into_lanes(), with_names(error, &names), snapshot)),
        };
        if full {
            let error = ExecuteError::TooLarge { limit_bytes };
            return Err(self.lanes_failed(gather.into_lanes(), error, snapshot));
        }
        let count = gather.rows_out();
        let (lanes, warnings) = gather.finish().await;
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        let status = self.status().without(StatusFlags::MORE_RESULTS_EXISTS);
        self.client.put_columns(columns.iter(), status);
        let mut out = Vec::new();
        let home = bound.shards.first().and_then(|shard| shard.schema.as_deref());
        for row in &kept.rows {
            match plan.is_explain() {
                true => restore_explained(row, &names, &mut out),
                false => restore_row(row, &names, home, &mut out),
            }
            self.client.put_row(&out).await?;
        }
        self.finish_rows(count, warnings, false);
        Ok(())
    }
}

/// An error of a server names tables too.
fn with_names(error: ExecuteError, names: &NameMap) -> ExecuteError {
    match error {
        ExecuteError::Backend(BackendError::Server(mut error)) => {
            error.message = names.restore_text(&error.message);
            ExecuteError::Backend(BackendError::Server(error))
        }
        other => other,
    }
}

/// The first cell is the table's name; the second one may be the statement that creates it.
fn restore_row(row: &[u8], names: &NameMap, home: Option<&str>, out: &mut Vec<u8>) {
    out.clear();
    for (index, cell) in text_row::cells(row).enumerate() {
        let text = cell.ok().flatten();
        match (index, text.map(std::str::from_utf8)) {
            (0, Some(Ok(name))) => {
                // the table asked for is the first entry
                let entry = names.entries.first().filter(|entry| *entry.physical_table == *name);
                text_row::put_cell(out, Some(entry.map_or(name, |entry| &entry.table).as_bytes()));
            }
            (1, Some(Ok(sql))) if sql.starts_with("CREATE ") => {
                text_row::put_cell(out, Some(restore_definition(sql, names, home).as_bytes()));
            }
            _ => text_row::put_cell(out, text),
        }
    }
}

/// EXPLAIN: a column of a row is a table's name, or its only column tells of all tables.
fn restore_explained(row: &[u8], names: &NameMap, out: &mut Vec<u8>) {
    out.clear();
    for cell in text_row::cells(row) {
        let text = cell.ok().flatten();
        match text.map(std::str::from_utf8) {
            Some(Ok(text)) => {
                let mut text = text.to_owned();
                for entry in &names.entries {
                    text = text.replace(&quoted(&entry.physical_table), &quoted(&entry.table));
                    text = restore_statement(&text, &entry.physical_table, &entry.table);
                }
                text_row::put_cell(out, Some(text.as_bytes()));
            }
            _ => text_row::put_cell(out, text),
        }
    }
}

/// CREATE TABLE: its own name, those behind REFERENCES, and those of constraints that the server named after it.
fn restore_definition(sql: &str, names: &NameMap, home: Option<&str>) -> String {
    let mut text = sql.to_owned();
    if sql.contains(" VIEW `") {
        return restore_view(text, names, home);
    }
    for (index, entry) in names.entries.iter().enumerate() {
        let NameEntry { physical_schema, physical_table, schema, table } = entry;
        let (from, to) = (quoted(physical_table), quoted(table));
        if index == 0 {
            text = text.replacen(&format!("TABLE {from}"), &format!("TABLE {to}"), 1);
            for suffix in ["_ibfk_", "_chk_"] {
                let old = format!("CONSTRAINT {}{suffix}", from.trim_end_matches('`'));
                text = text.replace(&old, &format!("CONSTRAINT {}{suffix}", to.trim_end_matches('`')));
            }
        }
        text = text.replace(&format!("REFERENCES {from} "), &format!("REFERENCES {to} "));
        let (old, new) = (quoted(physical_schema), quoted(schema));
        text = text.replace(&format!("REFERENCES {old}.{from} "), &format!("REFERENCES {new}.{to} "));
    }
    text
}

/// CREATE VIEW: parts under an alias that is their table's name, and under others. `home`: the view's own database.
fn restore_view(mut text: String, names: &NameMap, home: Option<&str>) -> String {
    for entry in &names.entries {
        let (database, part) = (quoted(&entry.physical_schema), quoted(&entry.physical_table));
        let (schema, table) = (quoted(&entry.schema), quoted(&entry.table));
        let is_foreign = home.is_some_and(|home| *home != *entry.physical_schema);
        let elsewhere = if database == schema && !is_foreign { String::new() } else { format!("{schema}.") };
        text = text.replace(&format!("{database}.{part} {table}"), &format!("{elsewhere}{table}"));
        text = text.replace(&format!("{database}.{part} "), &format!("{elsewhere}{table} "));
        // names without a database are of the view's own
        if is_foreign {
            continue;
        }
        text = text.replace(&format!("{part} {table}"), &table);
        text = text.replace(&format!("{part} `"), &format!("{table} `"));
    }
    text
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> NameMap {
        let entry = |physical: &str, logical: &str| NameEntry {
            physical_schema: "shop".into(),
            physical_table: physical.into(),
            schema: "shop".into(),
            table: logical.into(),
        };
        NameMap { entries: vec![entry("orders_0", "orders"), entry("users_0", "users")], views: Vec::new() }
    }

    #[test]
    fn a_definition_shows_logical_tables_and_keeps_everything_else() {
        let sql = "CREATE TABLE `orders_0` (\n  `orders_0` int,\n  KEY `orders_0` (`orders_0`),\n  \
                   CONSTRAINT `orders_0_ibfk_1` FOREIGN KEY (`a`) REFERENCES `users_0` (`id`)\n)";
        let expected = "CREATE TABLE `orders` (\n  `orders_0` int,\n  KEY `orders_0` (`orders_0`),\n  \
                        CONSTRAINT `orders_ibfk_1` FOREIGN KEY (`a`) REFERENCES `users` (`id`)\n)";
        assert_eq!(restore_definition(sql, &names(), Some("shop")), expected);
    }

    #[test]
    fn a_view_shows_logical_tables() {
        let sql = "CREATE ALGORITHM=UNDEFINED VIEW `v` AS select `orders`.`a` AS `a`,`u`.`b` AS `orders_0` from \
                   (`orders_0` `orders` join `users_0` `u` on(`u`.`a` = `orders`.`a`))";
        let expected = "CREATE ALGORITHM=UNDEFINED VIEW `v` AS select `orders`.`a` AS `a`,`u`.`b` AS `orders_0` from \
                        (`orders` join `users` `u` on(`u`.`a` = `orders`.`a`))";
        assert_eq!(restore_definition(sql, &names(), Some("shop")), expected);
    }

    #[test]
    fn only_the_first_cell_is_a_table() {
        let mut row = Vec::new();
        for cell in [Some(&b"orders_0"[..]), Some(b"0"), Some(b"orders_0"), None] {
            text_row::put_cell(&mut row, cell);
        }
        let mut out = Vec::new();
        restore_row(&row, &names(), Some("shop"), &mut out);
        let cells: Vec<_> = text_row::cells(&out).map(Result::unwrap).collect();
        assert_eq!(cells, [Some(&b"orders"[..]), Some(b"0"), Some(b"orders_0"), None]);
    }
}
