//! After a statement: what its connection knows and the session must keep, before the connection serves others.

use super::aside::at_variable;
use super::literal::literal_of;
use super::state::MAX_USER_VARIABLES;
use super::{Diagnostic, Session};
use crate::execute::diagnostics::MAX_DIAGNOSTICS;
use crate::execute::own_query::{Cells, query_rows};
use crate::execute::{ExecuteError, Lane};
use crate::plan::{Plan, Skipped};

/// The names of the user variables that the connection has.
const VARIABLES_OF_MARIADB: &str = "SELECT VARIABLE_NAME FROM information_schema.USER_VARIABLES";
const VARIABLES_OF_MYSQL: &str = "SELECT VARIABLE_NAME FROM performance_schema.user_variables_by_thread \
     JOIN performance_schema.threads USING (THREAD_ID) WHERE PROCESSLIST_ID = CONNECTION_ID()";

impl Session {
    /// A statement begins that does not ask for diagnostics: MySQL forgets those of the last one (*The MySQL Diagnostics
    /// Area*). MariaDB keeps them if it names no table, which its outcome tells.
    pub(super) fn forget_diagnostics(&mut self) {
        if !self.shared.is_mariadb() {
            self.state.earlier_diagnostics = std::mem::take(&mut self.state.diagnostics);
        }
    }

    /// Fetches the warnings of the statement that just ran, so that SHOW WARNINGS can show them later.
    pub(super) async fn fetch_warnings(&mut self, lane: &mut Lane) {
        self.state.diagnostics.clear();
        self.add_warnings(lane).await;
    }

    /// The warnings of the statement that just ran on several lanes, before anything else runs there.
    pub(super) async fn collect_warnings(&mut self, lanes: &mut [Lane]) -> Vec<Diagnostic> {
        self.state.diagnostics.clear();
        for lane in lanes {
            self.add_warnings(lane).await;
        }
        std::mem::take(&mut self.state.diagnostics)
    }

    /// Adds the warnings of a lane, those of earlier parts of the statement first.
    pub(super) async fn add_warnings(&mut self, lane: &mut Lane) {
        lane.keep_warnings().await;
        let room = MAX_DIAGNOSTICS.saturating_sub(self.state.diagnostics.len());
        let all = std::mem::take(lane.diagnostics());
        self.state.diagnostics.extend(all.into_iter().take(room));
    }

    /// Notes what FOUND_ROWS() gives after so many rows; whether only the server knows.
    pub(super) fn note_found(&mut self, rows: u64, skipped: Skipped) -> bool {
        let found = skipped.found(rows);
        self.state.found_rows = found.unwrap_or(rows);
        found.is_none()
    }

    /// Reads back what a statement left on its connection: the values of user variables, FOUND_ROWS() and
    /// LAST_INSERT_ID(). `counts`: the number of rows that came does not tell what FOUND_ROWS() gives.
    pub(super) async fn read_back(&mut self, lane: &mut Lane, plan: &Plan, counts: bool) {
        let assigned = &plan.assigned_variables;
        let counts = counts || plan.pins.found_rows;
        if !lane.is_usable() || !(plan.reads_back() || counts) {
            return;
        }
        let outcome = lane.outcome().clone();
        let mut parts: Vec<String> = assigned.iter().map(|name| at_variable(name)).collect();
        if counts {
            parts.insert(0, "FOUND_ROWS()".to_owned());
        }
        if plan.pins.insert_id {
            parts.insert(0, "LAST_INSERT_ID()".to_owned());
        }
        if !parts.is_empty()
            && let Ok((columns, rows)) = query_rows(lane, &format!("SELECT {} LIMIT 1", parts.join(", ")), 1).await
            && let Some(row) = rows.first()
        {
            let mut values = columns.iter().zip(row).map(|(column, cell)| literal_of(column, cell.as_deref()));
            if plan.pins.insert_id {
                self.state.last_insert_id = values.next().and_then(|value| value.parse().ok()).unwrap_or(0);
            }
            if counts {
                self.state.found_rows = values.next().and_then(|value| value.parse().ok()).unwrap_or(0);
            }
            for (name, literal) in assigned.iter().zip(values) {
                self.state.user_vars.insert(name.to_lowercase(), literal);
            }
        }
        if plan.pins.unknown {
            self.read_back_variables(lane, assigned).await;
        }
        lane.restore_outcome(outcome);
    }

    /// Gives a connection the session's LAST_INSERT_ID(), so that it can be told whether a statement sets it.
    pub(super) fn queue_insert_id(&self, lane: &mut Lane) -> Result<(), ExecuteError> {
        lane.queue_prelude(format!("SET last_insert_id = {}", self.state.last_insert_id).as_bytes())?;
        lane.conn()?.mark_dirty();
        Ok(())
    }

    /// What LAST_INSERT_ID() gives on that connection afterwards.
    pub(super) async fn insert_id_on(&mut self, lane: &mut Lane) -> u64 {
        let outcome = lane.outcome().clone();
        let asked = query_rows(lane, "SELECT LAST_INSERT_ID() LIMIT 1", 1).await;
        lane.restore_outcome(outcome);
        let cell = asked.ok().and_then(|(_, mut rows)| rows.pop()?.pop()?);
        let number = cell.and_then(|cell| String::from_utf8_lossy(&cell).parse().ok());
        number.unwrap_or(self.state.last_insert_id)
    }

    /// Reads back the user variables that a stored program has set without being told their names: those that the session
    /// had before and those that are new. On MySQL new ones are found only where `performance_schema` is on and the account
    /// may read it.
    async fn read_back_variables(&mut self, lane: &mut Lane, read: &[String]) {
        let list = if self.shared.is_mariadb() { VARIABLES_OF_MARIADB } else { VARIABLES_OF_MYSQL };
        // LIMIT, since the session may have set `sql_select_limit`
        let list = format!("{list} LIMIT {MAX_USER_VARIABLES}");
        let rows = query_rows(lane, &list, MAX_USER_VARIABLES).await.map(|(_, rows)| rows).unwrap_or_default();
        let text = |row: &Cells| {
            let name = row.first()?.as_deref()?;
            Some(String::from_utf8_lossy(name).to_lowercase())
        };
        let mut names: Vec<String> = rows.iter().filter_map(text).chain(self.state.user_vars.keys().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !read.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let reads: Vec<String> = names.iter().map(|name| at_variable(name)).collect();
        if reads.is_empty() {
            return;
        }
        if let Ok((columns, rows)) = query_rows(lane, &format!("SELECT {} LIMIT 1", reads.join(", ")), 1).await
            && let Some(row) = rows.first()
        {
            for ((name, column), cell) in names.into_iter().zip(&columns).zip(row) {
                if self.state.user_vars.len() < MAX_USER_VARIABLES || self.state.user_vars.contains_key(&name) {
                    self.state.user_vars.insert(name, literal_of(column, cell.as_deref()));
                }
            }
        }
    }

    /// Keeps the connection with the session when the statement left something on it that cannot be replayed.
    pub(super) fn pin_for(&mut self, plan: &Plan, lane: &mut Lane) {
        let pins = plan.pins;
        if pins.named_lock {
            self.pins.named_locks = true;
        }
        if pins.temporary_table {
            self.pins.temporary_tables = true;
        }
        if (pins.any() || self.pins.any())
            && let Ok(conn) = lane.conn()
        {
            conn.mark_dirty();
        }
    }
}
