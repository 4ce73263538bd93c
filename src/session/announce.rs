//! What a connection must be told before a statement, beside the session's variables: what `SET TRANSACTION` announced, and
//! the value that LAST_INSERT_ID(x) and procedures go on from.

use super::state::MAX_USER_VARIABLES;
use super::{Failure, Session};
use crate::error::SqlError;
use crate::execute::{ExecuteError, Lane};
use crate::plan::Plan;
use crate::txn::{Access, Begin};

/// ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION.
const READ_ONLY: u16 = 1792;

impl Session {
    /// `SET TRANSACTION` for a statement that is a transaction of its own, if one was announced. Statements without tables
    /// are none, and leave it to the next.
    pub(super) fn announcement(&self, plan: &Plan) -> Option<String> {
        let isolation = self.state.next_isolation;
        let access = self.state.next_access;
        if (isolation.is_none() && access == Access::Default)
            || !self.state.autocommit
            || self.txn.is_active()
            || plan.tables.iter().all(|table| table.table.is_empty())
        {
            return None;
        }
        Begin { access, isolation, consistent_snapshot: false }.announcement()
    }

    /// Whether a statement did not even begin a transaction: then what was announced holds for the next one.
    pub(super) fn was_refused_as_read_only<T>(&self, result: &Result<T, Failure>) -> bool {
        match result {
            Ok(_) => self.statement_failed && self.state.diagnostics.last().is_some_and(|last| last.code == READ_ONLY),
            Err(Failure::Sql(error) | Failure::Fatal(error)) => error.errno == READ_ONLY,
            Err(Failure::ClientGone) => false,
        }
    }

    /// What was announced has had its transaction.
    pub(super) fn forget_announcement(&mut self) {
        self.state.next_isolation = None;
        self.state.next_access = Access::Default;
    }

    /// Queues what the statement reads of the session on its connection.
    pub(super) fn queue_session_values(&self, plan: &Plan, lane: &mut Lane) -> Result<(), ExecuteError> {
        if plan.pins.insert_id {
            lane.queue_prelude(format!("SET last_insert_id={}", self.state.last_insert_id).as_bytes())?;
        }
        if let Some(announcement) = self.announcement(plan) {
            lane.queue_prelude(announcement.as_bytes())?;
            // If the statement fails before it begins a transaction, it would hold for somebody else's.
            lane.conn()?.mark_dirty();
        }
        Ok(())
    }

    /// Refuses a statement that would assign more user variables than a session may have.
    pub(super) fn check_user_variable_room(&self, plan: &Plan) -> Result<(), Failure> {
        let known = &self.state.user_vars;
        let new = plan.assigned_variables.iter().filter(|name| !known.contains_key(&name.to_lowercase())).count();
        if new > 0 && known.len() + new > MAX_USER_VARIABLES { Err(too_many_user_variables()) } else { Ok(()) }
    }
}

/// The error of a session that has [`MAX_USER_VARIABLES`].
pub(super) fn too_many_user_variables() -> Failure {
    SqlError::client(1105, "HY000", format!("More than {MAX_USER_VARIABLES} user variables in one session")).into()
}
