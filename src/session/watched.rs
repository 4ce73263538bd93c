//! Waits that a client which goes away, a `KILL` or the end of the statement's time may end, and their bounds.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Session, Snapshot};
use crate::backend::KillHandle;
use crate::execute::gather::Bounds;
use crate::execute::{Lane, TimeLimit, Watch};
use crate::txn::{CommitError, Want};

/// How long telling a client why its session ends may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);

impl Session {
    /// A lane to a group. It may have to be waited for: until a connection is free, or its session state is set.
    pub(super) async fn take_lane(&mut self, snapshot: &Arc<Snapshot>, want: Want<'_>) -> Result<Lane, Failure> {
        let watch = Watch { entry: &self.entry };
        Ok(watch.guard(&self.client, self.txn.lane(&snapshot.backends, want)).await?)
    }

    /// COMMIT or ROLLBACK on all groups that take part. On one group it ends as it would on that server alone; over several
    /// it goes in steps that are not stopped.
    pub(super) async fn end_on_groups(&mut self, commit: bool) -> Result<(), CommitError> {
        let pinned = self.pins.any();
        let is_global = self.txn.is_global();
        let statements: Vec<KillHandle> = self.txn.kill_handles().collect();
        let watch = Watch { entry: &self.entry };
        let end = async { if commit { self.txn.commit(pinned).await } else { self.txn.rollback(pinned).await } };
        if is_global { end.await } else { watch.guard_end(&statements, end).await }
    }

    /// The rules' bounds of what a client may wait for and be waited for, from its next command on.
    pub(super) fn follow_limits(&mut self) {
        let snapshot = self.shared.snapshot.load();
        let limits = &snapshot.rules.proxy.limits;
        self.client.write_timeout = Duration::from_millis(limits.write_timeout_ms);
        self.statement_timeout = Duration::from_millis(limits.statement_timeout_ms);
    }

    /// The time of a statement begins.
    pub(super) fn start_clock(&self) {
        let limit = (!self.statement_timeout.is_zero())
            .then(|| TimeLimit { limit: self.statement_timeout, is_mariadb: self.shared.is_mariadb() });
        self.entry.start_clock(limit);
    }

    /// How much merging rows may hold in memory.
    pub(super) fn gather_bounds(&self) -> Bounds {
        let snapshot = self.shared.snapshot.load();
        let limits = &snapshot.rules.proxy.limits;
        Bounds { held_bytes: limits.max_buffered_bytes, ahead_bytes: limits.merge_buffer_bytes }
    }

    /// Tells the client why its session ends, if it is still there and reads.
    pub(super) async fn say_goodbye(&mut self, failure: Failure) {
        if let Failure::Sql(error) | Failure::Fatal(error) = failure {
            self.shared.note_error(&error);
            self.client.put_error(&error);
            // It is told on a best effort: the connection closes in any case.
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, self.client.flush()).await;
        }
    }

    /// Sends what is queued, unless the client does not read it, and closes the connection.
    pub(super) async fn hang_up(&mut self) {
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, self.client.stream.shutdown()).await;
    }
}
