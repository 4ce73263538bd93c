//! One statement, several places: all of it or nothing.
//!
//! Outside of a transaction such a statement gets one of its own, which commits as any transaction does. Inside of the
//! client's it runs behind a savepoint on every group that takes part, so that one that fails leaves no trace while the
//! transaction goes on.

use super::{Failure, Session, Snapshot};
use crate::config::GroupId;
use crate::txn::Begin;

/// Whose transaction a statement runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// One of its own.
    Own,
    /// The client's.
    Client,
}

impl Session {
    /// Refuses what an open transaction may not write, and notes what it writes to.
    pub(super) fn check_write(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<(), Failure> {
        if !self.txn.is_active() && self.state.autocommit {
            return Ok(());
        }
        let rules = &snapshot.rules;
        Ok(self.txn.note_write(groups, |group| rules.group(group).name.to_string())?)
    }

    /// Begins a write over several places.
    pub(super) fn begin_write(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<Within, Failure> {
        if self.txn.is_active() || !self.state.autocommit {
            if !self.txn.is_active() {
                self.begin_as_announced(true);
            }
            self.check_write(snapshot, groups)?;
            return Ok(Within::Client);
        }
        let mode = self.transaction_mode();
        self.txn.begin(Begin::default(), mode);
        if let Err(failure) = self.check_write(snapshot, groups) {
            self.txn.abandon();
            return Err(failure);
        }
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
    #[allow(dead_code)] // the statements that need it are on their way
    pub(super) async fn begin_steps(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<Within, Failure> {
        let within = self.begin_write(snapshot, groups)?;
        if within == Within::Client {
            let set = self.txn.begin_statement().await;
            self.after_transaction_step(set.map_err(Into::into))?;
        }
        Ok(within)
    }

    /// Ends what [`begin_steps`](Self::begin_steps) began: what was written stays, or is undone on all groups.
    #[allow(dead_code)] // as `begin_steps`
    pub(super) async fn end_steps<T>(&mut self, within: Within, result: Result<T, Failure>) -> Result<T, Failure> {
        match (within, result) {
            (Within::Own, Ok(done)) => self.commit().await.map(|()| done),
            (Within::Own, Err(failure)) => Err(self.fail_write(within, failure).await),
            (Within::Client, Ok(done)) => {
                let released = self.txn.end_statement().await;
                self.after_transaction_step(released.map_err(Into::into))?;
                Ok(done)
            }
            (Within::Client, Err(failure)) => {
                // Where the savepoint is gone, a server has rolled the transaction back.
                if self.txn.undo_statement().await.is_err() && self.txn.rollback(self.pins.any()).await.is_err() {
                    self.txn.abandon();
                }
                Err(failure)
            }
        }
    }
}
