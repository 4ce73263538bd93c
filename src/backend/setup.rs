//! Bringing a connection to the settings of the session that uses it next.
//!
//! The commands that do it (`COM_RESET_CONNECTION`, `COM_INIT_DB`, `SET`) are queued, and where that is safe the statement is
//! queued right behind them, so that all of it is one round trip. But the server runs what stands behind a command that
//! failed: a statement would run in the schema or under the variables of the session before. Therefore:
//!
//! - a step whose exact value this server never accepted is waited for before anything follows it;
//! - a change of schema is waited for before a write, since another client may have dropped that schema; before a read it
//!   is not: the answer of a read that ran in the wrong schema is thrown away together with its connection;
//! - everything else (a reset, values that were accepted before) goes out in one write with the statement.

use std::collections::VecDeque;
use std::sync::Arc;

use super::settings::{Variables, Wanted, same_schema};

/// A command that is queued or sent and whose answer is not read yet, with what to go back to if it fails.
#[derive(Debug)]
pub(super) enum Step {
    /// `COM_RESET_CONNECTION`: variables, user variables, locks, temporary tables, transaction, prepared statements.
    Reset,
    /// `COM_CHANGE_USER` to the same user without a schema: there is no other way to be in no schema.
    LeaveSchema { previous_schema: Option<Arc<str>>, previous_vars: Arc<Variables> },
    /// `COM_INIT_DB`.
    Schema { previous: Option<Arc<str>>, name: Arc<str> },
    /// One `SET`. `unsent` holds it back where it follows a step whose answer is a conversation.
    Set { previous: Arc<Variables>, want: Arc<Variables>, unsent: Option<String> },
}

/// What a connection's session state is once all pending steps have succeeded.
#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) schema: Option<Arc<str>>,
    pub(super) vars: Arc<Variables>,
    pub(super) pending: VecDeque<Step>,
}

impl SessionState {
    /// The state of a fresh connection.
    pub(super) fn fresh() -> Self {
        Self { schema: None, vars: Variables::none(), pending: VecDeque::new() }
    }

    /// Whether nothing has to be done for a session with these settings.
    #[inline]
    pub(super) fn is_ready_for(&self, want: Wanted<'_>) -> bool {
        self.pending.is_empty()
            && Variables::same(&self.vars, want.vars)
            && same_schema(self.schema.as_ref(), want.schema)
    }

    /// A reset was queued. The schema outlives it (that of MySQL and of MariaDB does).
    pub(super) fn reset(&mut self) {
        self.vars = Variables::none();
        self.pending.push_back(Step::Reset);
    }

    /// The schema of the settings is chosen unless it is already. Returns the command to send.
    pub(super) fn choose_schema(&mut self, want: Option<&Arc<str>>) -> Option<SchemaCommand> {
        if same_schema(self.schema.as_ref(), want) {
            return None;
        }
        match want {
            Some(name) => {
                let previous = self.schema.replace(name.clone());
                self.pending.push_back(Step::Schema { previous, name: name.clone() });
                Some(SchemaCommand::InitDb(name.clone()))
            }
            None => {
                let previous_schema = self.schema.take();
                let previous_vars = std::mem::replace(&mut self.vars, Variables::none());
                self.pending.push_back(Step::LeaveSchema { previous_schema, previous_vars });
                Some(SchemaCommand::ChangeUser)
            }
        }
    }

    /// The variables of the settings are set by `sql`. Returns the statement if it is to be sent now.
    pub(super) fn choose_vars(&mut self, want: &Arc<Variables>, sql: String) -> Option<String> {
        let previous = std::mem::replace(&mut self.vars, want.clone());
        let waits = matches!(self.pending.back(), Some(Step::LeaveSchema { .. }));
        let (now, unsent) = if waits { (None, Some(sql)) } else { (Some(sql), None) };
        self.pending.push_back(Step::Set { previous, want: want.clone(), unsent });
        now
    }

    /// A step failed: the state is what it was before that step.
    pub(super) fn undo(&mut self, step: Step) {
        match step {
            Step::Reset => {}
            Step::LeaveSchema { previous_schema, previous_vars } => {
                self.schema = previous_schema;
                self.vars = previous_vars;
            }
            Step::Schema { previous, .. } => self.schema = previous,
            Step::Set { previous, .. } => self.vars = previous,
        }
    }
}

/// How a schema is chosen.
#[derive(Debug)]
pub(super) enum SchemaCommand {
    /// `COM_INIT_DB`.
    InitDb(Arc<str>),
    /// `COM_CHANGE_USER` without a schema.
    ChangeUser,
}

/// What could go wrong with the queued steps; ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Risk {
    /// Nothing that did not go right before.
    None,
    /// The schema could have been dropped.
    Schema,
    /// Something is asked of this server for the first time.
    Untried,
}

/// What [`queue_settings`](super::BackendConn::queue_settings) has queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the answers of the setup must be read, and some setups must be waited for"]
pub struct Setup {
    /// How many answers come before that of the statement; `read_setup` reads them.
    pub steps: usize,
    pub(super) risk: Risk,
}

impl Setup {
    /// Nothing to do.
    pub(super) const READY: Self = Self { steps: 0, risk: Risk::None };

    /// Whether the statement may be queued behind the setup in the same write. If not: flush, `read_setup`, then queue it.
    /// `is_write` is for everything that a wrong schema could do harm with: writes, DDL, locking reads, calls.
    #[inline]
    pub fn may_pipeline(self, is_write: bool) -> bool {
        match self.risk {
            Risk::None => true,
            Risk::Schema => !is_write,
            Risk::Untried => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    #[test]
    fn a_failed_step_leaves_the_state_before_it() {
        let mut state = SessionState::fresh();
        let want = Settings::new(Some("a".into()), Variables::none().with("autocommit", Some("0")));
        assert!(!state.is_ready_for((&want).into()));
        assert!(state.choose_schema(want.schema.as_ref()).is_some());
        state.choose_vars(&want.vars, String::new());
        assert_eq!(state.pending.len(), 2);
        let step = state.pending.pop_front().unwrap();
        state.undo(step);
        assert_eq!(state.schema, None);
        let step = state.pending.pop_front().unwrap();
        state.undo(step);
        assert!(state.is_ready_for((&Settings::none()).into()));
    }

    #[test]
    fn what_was_never_tried_is_waited_for_and_a_schema_before_writes() {
        let of = |risk| Setup { steps: 1, risk };
        assert!(of(Risk::None).may_pipeline(true));
        assert!(of(Risk::Schema).may_pipeline(false) && !of(Risk::Schema).may_pipeline(true));
        assert!(!of(Risk::Untried).may_pipeline(false));
    }
}
