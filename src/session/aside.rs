//! Questions that the session asks a backend on its own account.

use std::sync::Arc;

use super::{Failure, Session, Snapshot};
use crate::backend::{KillHandle, Role, Settings};
use crate::config::GroupId;
use crate::execute::own_query::{Cells, query_rows};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::protocol::column::ColumnDef;
use crate::sql::names::tables;
use crate::txn::Want;

impl Session {
    /// Where statements go that name no table: to a group that the session holds already, or home.
    pub(super) fn any_group(&self, snapshot: &Snapshot) -> GroupId {
        self.txn.held_groups().next().unwrap_or_else(|| self.home_group(snapshot))
    }

    /// Where the tables are that no rule places: the group of the session's schema, or the first.
    pub(super) fn home_group(&self, snapshot: &Snapshot) -> GroupId {
        let schema = self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name));
        schema.and_then(|schema| schema.home_group()).unwrap_or(GroupId(0))
    }

    /// The statement that gives a connection this session's user variables.
    pub(super) fn user_variables_prelude(&self) -> Option<String> {
        if self.state.user_vars.is_empty() {
            return None;
        }
        let assignments: Vec<String> =
            self.state.user_vars.iter().map(|(name, literal)| format!("{}={literal}", at_variable(name))).collect();
        Some(format!("SET {}", assignments.join(",")))
    }

    /// Runs `statement`, then `query`, on one connection with this session's variables, and gives the columns and the
    /// first row of the query.
    pub(super) async fn run_aside(&mut self, statement: &str, query: &str) -> Result<(Vec<ColumnDef>, Cells), Failure> {
        let snapshot = self.snapshot();
        let group = self.group_for(statement.as_bytes(), &snapshot);
        let mut lane = self.lane_aside(group, &snapshot).await?;
        let statements: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
        let watch = Watch { entry: &self.entry };
        let result = watch.guard_killing(&self.client, &statements, ask(&mut lane, statement, query)).await;
        if let Ok(conn) = lane.conn() {
            conn.mark_dirty();
        }
        match result {
            Ok(row) => {
                let told = std::mem::take(lane.diagnostics());
                if !told.is_empty() {
                    self.state.diagnostics = told;
                }
                self.settle(lane, &snapshot);
                Ok(row)
            }
            Err(error) => Err(self.lane_failed(lane, error, &snapshot)),
        }
    }

    /// A text that may name tables goes where these are.
    pub(super) fn group_for(&self, sql: &[u8], snapshot: &Snapshot) -> GroupId {
        const NAME_TABLES: [&str; 4] = ["SELECT", "LOAD", "LOCK", "TABLE"];
        let names = tables(sql, self.state.lex_mode);
        let home = names.iter().any(|name| NAME_TABLES.iter().any(|word| name.text.eq_ignore_ascii_case(word)));
        if home { self.home_group(snapshot) } else { self.any_group(snapshot) }
    }

    /// A lane to a group that has the user variables too.
    pub(super) async fn lane_aside(&mut self, group: GroupId, snapshot: &Arc<Snapshot>) -> Result<Lane, Failure> {
        let schema = self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name));
        let physical = schema.and_then(|schema| schema.physical_name_on(group));
        let settings = Settings::new(physical, Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let want = Want { group, role: Role::Primary, flavour, settings: (&settings).into(), strict: true };
        let mut lane = self.take_lane(snapshot, want).await?;
        if let Some(prelude) = self.user_variables_prelude() {
            lane.queue_prelude(prelude.as_bytes())?;
            lane.conn()?.mark_dirty();
        }
        Ok(lane)
    }

    /// Gives a lane back after its statement, and remembers the rules of a transaction that goes on.
    pub(super) fn settle(&mut self, mut lane: Lane, snapshot: &Arc<Snapshot>) {
        if let Ok(conn) = lane.conn() {
            self.shared.metrics.relayed_to_backend(conn.stream().take_sent_bytes());
        }
        self.txn.settle(lane, self.pins.any());
        if self.txn.holds_any() && self.snapshot.is_none() {
            self.snapshot = Some(Arc::clone(snapshot));
        }
    }
}

async fn ask(lane: &mut Lane, statement: &str, query: &str) -> Result<(Vec<ColumnDef>, Cells), ExecuteError> {
    lane.run(statement.as_bytes()).await?;
    lane.keep_warnings().await;
    let (columns, mut rows) = query_rows(lane, query, 1).await?;
    Ok((columns, rows.pop().unwrap_or_default()))
}

/// A user variable, as a statement names it.
pub(super) fn at_variable(name: &str) -> String {
    format!("@`{}`", name.replace('`', "``"))
}
