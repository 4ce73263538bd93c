//! One statement, several places: all of it or nothing.
//!
//! Outside of a transaction such a statement gets one of its own, which commits as any transaction does. Inside of the
//! client's it runs behind a savepoint on every group that takes part, so that one that fails leaves no trace while the
//! transaction goes on.

use super::{Failure, Session, Snapshot};
use crate::config::GroupId;
use crate::error::{Report as _, SqlError};
use crate::txn::{Begin, TransactionError};

/// Whose transaction a statement runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// One of its own.
    Own,
    /// The client's.
    Client,
    /// None: while tables are locked each group commits for itself.
    Locked,
}

impl Session {
    /// Refuses what an open transaction may not write, and notes what it writes to.
    pub(super) fn check_write(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<(), Failure> {
        if !self.txn.is_active() && self.state.autocommit {
            return Ok(());
        }
        let rules = &snapshot.rules;
        let noted = self.txn.note_write(groups, |group| rules.group(group).name.to_string());
        noted.map_err(|error| match error {
            // as MariaDB words it
            TransactionError::ReadOnly if self.shared.is_mariadb() => {
                let message = error.to_string();
                SqlError::client(error.errno(), "25006", message.trim_end_matches('.')).into()
            }
            error => error.into(),
        })
    }

    /// Begins a write over several places.
    pub(super) fn begin_write(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<Within, Failure> {
        if self.pins.locked_tables {
            // BEGIN would release the locks, and servers refuse XA START while there are any.
            return Err(SqlError::not_supported(
                "a statement that writes to several places while tables are locked",
                "unlock them first; a transaction locks the rows that it writes",
            )
            .into());
        }
        if self.txn.is_active() || !self.state.autocommit {
            if !self.txn.is_active() {
                self.begin_as_announced(true);
            }
            self.check_write(snapshot, groups)?;
            return Ok(Within::Client);
        }
        let mode = self.transaction_mode();
        let (isolation, access) = (self.state.next_isolation, self.state.next_access);
        self.txn.begin(Begin { access, consistent_snapshot: false, isolation }, mode);
        if let Err(failure) = self.check_write(snapshot, groups) {
            // What was announced holds for the next transaction, since this one did not begin.
            self.txn.abandon();
            return Err(failure);
        }
        self.forget_announcement();
        Ok(Within::Own)
    }

    /// Ends a transaction that [`begin_write`](Self::begin_write) began for a statement that has failed. All of its lanes
    /// were given back before.
    pub(super) async fn fail_write(&mut self, within: Within, failure: Failure) -> Failure {
        if within == Within::Own && self.txn.rollback(self.pins.any()).await.is_err() {
            self.txn.abandon();
        }
        failure
    }

    /// As [`begin_write`](Self::begin_write), for a statement that takes lanes and gives them back several times: in the
    /// client's transaction a savepoint is set on every group, those that join meanwhile included.
    pub(super) async fn begin_steps(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<Within, Failure> {
        let within = self.begin_write(snapshot, groups)?;
        if within == Within::Client {
            let set = self.txn.begin_statement().await;
            self.after_transaction_step(set.map_err(Into::into))?;
        }
        Ok(within)
    }

    /// Ends what [`begin_steps`](Self::begin_steps) began: what was written stays, or is undone on all groups.
    pub(super) async fn end_steps<T>(&mut self, within: Within, result: Result<T, Failure>) -> Result<T, Failure> {
        match (within, result) {
            (Within::Own, Ok(done)) => self.commit().await.map(|()| done),
            (Within::Own, Err(failure)) => Err(self.fail_write(within, failure).await),
            (Within::Locked, result) => result,
            (Within::Client, Ok(done)) => {
                let released = self.txn.end_statement().await;
                self.after_transaction_step(released.map_err(Into::into))?;
                Ok(done)
            }
            (Within::Client, Err(failure)) => {
                // After a deadlock, or where the savepoint is gone, a server has rolled the transaction back.
                let is_gone =
                    is_deadlock(&failure) || self.txn.has_lost_member() || self.txn.undo_statement().await.is_err();
                if is_gone && self.txn.rollback(self.pins.any()).await.is_err() {
                    self.txn.abandon();
                }
                Err(failure)
            }
        }
    }
}

/// ER_LOCK_DEADLOCK: a server has rolled its part of the transaction back.
pub(super) fn is_deadlock(failure: &Failure) -> bool {
    matches!(failure, Failure::Sql(error) if error.errno == 1213)
}
