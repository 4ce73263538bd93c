//! DROP TABLE on MySQL drops all of its tables or none (*Atomic Data Definition Statement Support*): where one of them is on no
//! server, nothing is dropped elsewhere.

use std::collections::{BTreeMap, HashSet};

use super::literal::quote;
use super::run::Input;
use super::{Failure, Session, Snapshot};
use crate::backend::text;
use crate::config::{DataNode, GroupId};
use crate::error::SqlError;
use crate::plan::Plan;
use crate::sql::ddl::{self, DdlKind};

/// ER_BAD_TABLE_ERROR.
const UNKNOWN_TABLE: u16 = 1051;

impl Session {
    /// Refuses to drop some of several tables. Temporary tables are known to their connection alone, so that nothing can be
    /// said beside those.
    pub(super) async fn check_dropped(
        &self,
        snapshot: &Snapshot,
        plan: &Plan,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let tables = plan.defined();
        if tables.len() < 2 || self.shared.is_mariadb() || self.has_temporary_tables() {
            return Ok(());
        }
        let Some(parsed) = ddl::parse(input.sql(), self.state.lex_mode) else { return Ok(()) };
        if !matches!(parsed.kind, DdlKind::DropTable { temporary: false, if_exists: false }) {
            return Ok(());
        }
        let mut asked: BTreeMap<GroupId, Vec<String>> = BTreeMap::new();
        for node in tables.iter().flat_map(|table| table.nodes) {
            asked.entry(node.group).or_default().push(format!(
                "({}, {})",
                quote(node.schema.as_bytes()),
                quote(node.table.as_bytes())
            ));
        }
        let mut there: HashSet<(GroupId, String, String)> = HashSet::new();
        for (group, names) in asked {
            let sql = format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({})",
                names.join(", ")
            );
            let answer = snapshot.backends.query(group, &sql).await?;
            there.extend(answer.rows.iter().map(|row| (group, text(row, 0).into_owned(), text(row, 1).into_owned())));
        }
        let is_there = |node: &DataNode| there.contains(&(node.group, node.schema.to_string(), node.table.to_string()));
        let missing = tables.iter().filter(|table| !table.nodes.iter().any(is_there));
        let missing: Vec<String> = missing.map(|table| format!("{}.{}", table.schema, table.table)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("Unknown table '{}'", missing.join(","));
        Err(SqlError::client(UNKNOWN_TABLE, "42S02", message).into())
    }
}
