//! The table references of one query, read at one moment.
//!
//! One server reads all of a statement in one snapshot. A query over temporary tables is read in several parts, and outside of
//! a transaction each would see what is there when its turn comes: an order without its items, say. So it gets a transaction of
//! its own while it is read, in which each group has one snapshot (*Consistent Nonlocking Reads*).

use super::{Failure, Session, Snapshot};
use crate::backend::Role;
use crate::plan::types::ScratchBound;
use crate::plan::{self, Plan};
use crate::txn::{Access, Begin, Isolation};

impl Session {
    /// Begins a transaction for the reads of a query, if they need one: there are several, none is open, and they are not
    /// spread over replicas, which are at different moments anyway.
    pub(super) fn begin_reading(&mut self, snapshot: &Snapshot, plan: &Plan, scratch: &ScratchBound) -> bool {
        let reads = scratch.reads.iter().filter(|read| !read.shards.is_empty()).count();
        let is_held = self.txn.is_active() || !self.state.autocommit || self.pins.any();
        if reads < 2 || is_held {
            return false;
        }
        let mut shards = scratch.reads.iter().flat_map(|read| &read.shards);
        let has_replicas = shards.any(|shard| !snapshot.rules.group(shard.group).replicas.is_empty());
        if has_replicas && self.role(snapshot, plan) != Role::Primary {
            return false;
        }
        let isolation = self.state.next_isolation.unwrap_or(Isolation::RepeatableRead);
        let isolation = Some(match isolation {
            Isolation::Serializable => isolation,
            // a statement has one snapshot in these too
            _ => Isolation::RepeatableRead,
        });
        // locking reads count as writes
        let access = if plan.access == plan::Access::Read { Access::ReadOnly } else { Access::Default };
        let mode = self.transaction_mode();
        self.txn.begin(Begin { access, consistent_snapshot: false, isolation }, mode);
        true
    }

    /// Ends it. What was read stays read: a connection that is lost now does not matter.
    pub(super) async fn end_reading<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        let ended = if result.is_ok() { self.commit().await.is_ok() } else { self.txn.rollback(false).await.is_ok() };
        if !ended {
            self.txn.abandon();
        }
        result
    }
}
