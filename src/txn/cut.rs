//! One cut over all groups, for START TRANSACTION WITH CONSISTENT SNAPSHOT: a transaction shows on all groups or on none.
//!
//! Each group's snapshot is its own server's. They make one cut if no transaction over several groups has a commit on one
//! group before that group's snapshot and on another group after that one's. Commits of this proxy are kept out by a
//! barrier from their decision to their last branch. Commits of others are noticed: they have a branch prepared when the
//! cut begins, or they decide while it is made. Then the cut is made once more.
//!
//! Why nothing else is to be looked at: let a transaction commit on one group of the cut before its snapshot, and on another
//! one after. It was decided before the former, so before the second reading of the decisions. If it was not there at the
//! first reading, it is noticed as new. If it was, its branches had been prepared before, and the one that commits after the
//! snapshot was prepared still when the branches were listed, which is after the first reading.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::RwLockWriteGuard;
use tokio::time::timeout;

use super::coordinator::Coordinator;
use super::ledger::{self, Fingerprint};
use crate::backend::Backends;
use crate::config::GroupId;

/// How long a cut waits for commits of this proxy to end. New ones wait behind it meanwhile, so it is short.
const BARRIER_LIMIT: Duration = Duration::from_millis(500);

/// A cut in the making. As long as it is there, no transaction over several groups is decided by this proxy.
#[derive(Debug)]
pub struct Cut<'a> {
    coordinator: &'a Coordinator,
    backends: &'a Backends,
    before: Vec<Option<Fingerprint>>,
    _alone: RwLockWriteGuard<'a, ()>,
}

impl Coordinator {
    /// Begins a cut. Nothing if some transaction is between its decision and its end.
    pub async fn begin_cut<'a>(&'a self, backends: &'a Backends) -> Option<Cut<'a>> {
        let alone = timeout(BARRIER_LIMIT, self.barrier.write()).await.ok()?;
        let before = self.decisions(backends).await;
        let prepared = join_all(groups(backends).map(|group| ledger::prepared(backends, group))).await;
        // A group that gives no answer gives no snapshot either, if it takes part.
        let foreign = prepared.into_iter().flatten().flatten().any(|xid| !self.is_running(&xid.gtrid));
        (!foreign).then_some(Cut { coordinator: self, backends, before, _alone: alone })
    }

    /// What others have decided, as far as the groups answer.
    async fn decisions(&self, backends: &Backends) -> Vec<Option<Fingerprint>> {
        let own = self.instance();
        join_all(groups(backends).map(|group| async move { ledger::fingerprint(backends, group, own).await.ok() }))
            .await
    }
}

impl Cut<'_> {
    /// Whether the snapshots that were taken since it began make one cut.
    pub async fn holds(self) -> bool {
        self.coordinator.decisions(self.backends).await == self.before
    }
}

fn groups(backends: &Backends) -> impl Iterator<Item = GroupId> + use<> {
    (0..backends.groups().len()).filter_map(|index| u16::try_from(index).ok()).map(GroupId)
}
