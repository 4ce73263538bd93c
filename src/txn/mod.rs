//! A client's transaction over the groups that it touches, and the connections that a session holds on to.
//!
//! A transaction begins lazily: `BEGIN` is answered by the proxy, and goes out to a group in front of the first statement
//! that reaches it. It may write to one group; further groups may be read. So it ends with one plain COMMIT that matters,
//! and costs nothing.

mod begin;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

pub use begin::{Access, Begin, Isolation};

use crate::backend::{Backends, Flavour, KillHandle, Lease, Role, Settings};
use crate::config::GroupId;
use crate::error::{Fault, Report};
use crate::execute::{ExecuteError, Lane};
use crate::protocol::StatusFlags;

/// How many savepoints a transaction may have. Each is sent again to every group that joins.
pub const MAX_SAVEPOINTS: usize = 1_000;

/// Why a transaction refuses a statement.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// A second group would be written to.
    #[error(
        "Shardloom does not support a transaction that writes to a second group yet (it has written to '{first}', and this \
         statement writes to '{second}'); commit first, or keep the transaction's rows on one group by their sharding key"
    )]
    SecondGroup {
        /// The group written to first.
        first: String,
        /// The group that the statement would write to.
        second: String,
    },
    /// One statement of a transaction would write to several groups.
    #[error(
        "Shardloom does not support a statement that writes to several groups ({groups}) inside a transaction yet; run it \
         outside of the transaction, or add the sharding key to its condition"
    )]
    SeveralGroups {
        /// The groups, in a list.
        groups: String,
    },
    /// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`.
    #[error("Cannot execute statement in a READ ONLY transaction.")]
    ReadOnly,
    /// `ER_SP_DOES_NOT_EXIST`, as the server words it for savepoints.
    #[error("SAVEPOINT {name} does not exist")]
    NoSavepoint {
        /// The name.
        name: String,
    },
    /// [`MAX_SAVEPOINTS`] was reached.
    #[error("More than {MAX_SAVEPOINTS} savepoints in one transaction; release some")]
    TooManySavepoints,
}

impl Report for TransactionError {
    fn errno(&self) -> u16 {
        match self {
            Self::SecondGroup { .. } | Self::SeveralGroups { .. } => 1235,
            Self::ReadOnly => 1792,
            Self::NoSavepoint { .. } => 1305,
            Self::TooManySavepoints => 1105,
        }
    }

    fn sqlstate(&self) -> &str {
        match self {
            Self::ReadOnly => "25006",
            Self::TooManySavepoints => "HY000",
            _ => "42000",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::SecondGroup { .. } | Self::SeveralGroups { .. } => "multi_group_transaction",
            Self::ReadOnly => "read_only_transaction",
            Self::NoSavepoint { .. } | Self::TooManySavepoints => "savepoint",
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}

/// A connection that stays with the session between statements.
#[derive(Debug)]
struct Held {
    group: GroupId,
    lease: Lease,
    /// The server has a transaction open on it.
    in_transaction: bool,
}

/// The transaction of a session, and the connections it holds for that or for other state (pins).
#[derive(Debug, Default)]
pub struct Transaction {
    begun: Option<Begin>,
    savepoints: Vec<Savepoint>,
    held: Vec<Held>,
    writer: Option<GroupId>,
    /// Set by a lane that took state of this session down with it.
    loss: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    statement: Bytes,
}

/// What a lane is wanted for.
#[derive(Debug, Clone)]
pub struct Want<'a> {
    /// The group.
    pub group: GroupId,
    /// Primary, or any replica. A held connection is used in any case.
    pub role: Role,
    /// How the client wants its bytes.
    pub flavour: Flavour,
    /// The session state that the connection must have.
    pub settings: &'a Settings,
    /// Whether the statement must not run when that state cannot be set: everything but plain reads.
    pub strict: bool,
}

impl Transaction {
    /// Whether BEGIN was given and neither COMMIT nor ROLLBACK since, or a server has one open (autocommit off).
    pub fn is_active(&self) -> bool {
        self.begun.is_some() || self.held.iter().any(|held| held.in_transaction)
    }

    /// Whether it has written, or was about to.
    pub fn has_written(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether BEGIN was given.
    pub fn is_explicit(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether it holds connections.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// The groups whose connections are held.
    pub fn held_groups(&self) -> impl Iterator<Item = GroupId> {
        self.held.iter().map(|held| held.group)
    }

    /// What it takes to stop what runs on the connections that are held.
    pub fn kill_handles(&self) -> impl Iterator<Item = KillHandle> {
        self.held.iter().map(|held| held.lease.kill_handle())
    }

    /// The default schema of the connection that is held to a group.
    pub fn held_schema(&self, group: GroupId) -> Option<Arc<str>> {
        self.held.iter().find(|held| held.group == group).and_then(|held| held.lease.settings().schema)
    }

    /// Begins. What was active must have been committed before.
    pub fn begin(&mut self, begin: Begin) {
        self.begun = Some(begin);
        self.savepoints.clear();
        self.writer = None;
    }

    /// How it began.
    pub fn begun(&self) -> Option<&Begin> {
        self.begun.as_ref()
    }

    /// Notes that a statement is about to write to `groups`; refuses a second group. `name` gives a group's name.
    pub fn note_write(&mut self, groups: &[GroupId], name: impl Fn(GroupId) -> String) -> Result<(), TransactionError> {
        if self.begun.as_ref().is_some_and(|begin| begin.access == Access::ReadOnly) {
            return Err(TransactionError::ReadOnly);
        }
        let [group] = groups else {
            let groups = groups.iter().map(|&group| name(group)).collect::<Vec<_>>().join(", ");
            return Err(TransactionError::SeveralGroups { groups });
        };
        // A group that was to be written to and gave no connection has nothing to commit.
        let took_part = |group| self.held.iter().any(|held| held.group == group && held.in_transaction);
        match self.writer {
            Some(first) if first != *group && took_part(first) => {
                Err(TransactionError::SecondGroup { first: name(first), second: name(*group) })
            }
            _ => {
                self.writer = Some(*group);
                Ok(())
            }
        }
    }

    /// A lane to a group: the held connection, or one from the pool. What must come before the statement (session
    /// state, BEGIN, savepoints) is queued on it, or done where the statement depends on it.
    pub async fn lane(&mut self, backends: &Backends, want: Want<'_>) -> Result<Lane, ExecuteError> {
        let held = self.held.iter().position(|held| held.group == want.group);
        let (mut lane, in_transaction) = match held.map(|index| self.held.swap_remove(index)) {
            Some(held) => {
                let lane = Lane::new(want.group, held.lease, held.in_transaction).reporting_loss(&self.loss);
                (lane, held.in_transaction)
            }
            None => {
                let lease = backends.checkout(want.group, want.role, want.flavour).await?;
                (Lane::new(want.group, lease, false), false)
            }
        };
        if let Err(error) = lane.settle_settings(want.settings, want.strict).await {
            // A schema that is not there must not cost the transaction.
            self.settle(lane, held.is_some());
            return Err(error);
        }
        if let Some(begin) = self.begun.as_ref().filter(|_| !in_transaction) {
            for statement in begin.statements() {
                lane.queue_prelude(statement.as_bytes())?;
            }
            for savepoint in &self.savepoints {
                lane.queue_prelude(&savepoint.statement)?;
            }
            lane.set_in_transaction(true);
            lane = lane.reporting_loss(&self.loss);
        }
        Ok(lane)
    }

    /// One more lane to a group for a read outside of a transaction, if a connection is free.
    pub async fn spare_lane(&self, backends: &Backends, want: Want<'_>) -> Result<Option<Lane>, ExecuteError> {
        let Some(lease) = backends.checkout_free(want.group, want.role, want.flavour).await else { return Ok(None) };
        let mut lane = Lane::new(want.group, lease, false);
        lane.settle_settings(want.settings, want.strict).await?;
        Ok(Some(lane))
    }

    /// Whether a connection went down, since the last call, with state of this session on it.
    pub fn take_loss(&mut self) -> bool {
        self.loss.swap(false, Ordering::Relaxed)
    }

    /// Gives a lane back after its statement: held while it has a transaction open or the session is pinned to it, else
    /// back to the pool.
    pub fn settle(&mut self, lane: Lane, pinned: bool) {
        let in_transaction = lane.in_transaction();
        if let Some(lease) = lane.into_lease().filter(|_| in_transaction || pinned) {
            let (lease, group) = lease;
            self.held.push(Held { group, lease, in_transaction });
        }
    }

    /// COMMIT on all that take part, the group that was written to first. Afterwards no transaction is active, whatever
    /// the result; connections that the session is pinned to stay.
    pub async fn commit(&mut self, pinned: bool) -> Result<(), ExecuteError> {
        let writer = self.writer;
        self.held.sort_by_key(|held| Some(held.group) != writer);
        self.end(b"COMMIT", pinned).await
    }

    /// ROLLBACK on all that take part.
    pub async fn rollback(&mut self, pinned: bool) -> Result<(), ExecuteError> {
        self.end(b"ROLLBACK", pinned).await
    }

    async fn end(&mut self, statement: &'static [u8], pinned: bool) -> Result<(), ExecuteError> {
        self.begun = None;
        let writer = self.writer.take();
        self.savepoints.clear();
        let mut result = Ok(());
        let writer = writer.filter(|writer| self.held.iter().any(|held| held.group == *writer));
        for held in std::mem::take(&mut self.held) {
            let mut lane = Lane::new(held.group, held.lease, held.in_transaction);
            if held.in_transaction {
                // A COMMIT that failed leaves nothing to commit on the others, which were only read.
                let statement = if result.is_ok() { statement } else { b"ROLLBACK" };
                if let Err(error) = lane.run(statement).await {
                    lane.discard();
                    // What was only read has nothing to lose once the group that was written to has committed.
                    if writer.is_none_or(|writer| writer == held.group) {
                        result = result.and(Err(error));
                    }
                    continue;
                }
                lane.set_in_transaction(false);
            }
            self.settle(lane, pinned);
        }
        result
    }

    /// Drops all connections and forgets the transaction: the servers roll back. For a lost connection, or a client
    /// that is gone.
    pub fn abandon(&mut self) {
        for held in self.held.drain(..) {
            held.lease.discard();
        }
        self.begun = None;
        self.writer = None;
        self.savepoints.clear();
        // A lane that is still out reports to nobody.
        self.loss = Arc::default();
    }

    /// SAVEPOINT: on all that take part, and on each that joins later.
    pub async fn savepoint(&mut self, name: &str, statement: Bytes) -> Result<(), ExecuteError> {
        self.on_all(&statement).await?;
        self.savepoints.retain(|savepoint| !savepoint.name.eq_ignore_ascii_case(name));
        self.savepoints.push(Savepoint { name: name.to_owned(), statement });
        Ok(())
    }

    /// Whether one more savepoint of this name may be set.
    pub fn check_savepoint_room(&self) -> Result<(), TransactionError> {
        if self.savepoints.len() >= MAX_SAVEPOINTS { Err(TransactionError::TooManySavepoints) } else { Ok(()) }
    }

    /// The place of a savepoint, or the server's error.
    pub fn find_savepoint(&self, name: &str) -> Result<usize, TransactionError> {
        self.savepoints
            .iter()
            .position(|savepoint| savepoint.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| TransactionError::NoSavepoint { name: name.to_owned() })
    }

    /// ROLLBACK TO: later savepoints are gone, this one stays.
    pub async fn rollback_to(&mut self, index: usize, statement: &[u8]) -> Result<(), ExecuteError> {
        self.savepoints.truncate(index + 1);
        self.on_all(statement).await
    }

    /// RELEASE SAVEPOINT: this one and the later ones are gone.
    pub async fn release(&mut self, index: usize, statement: &[u8]) -> Result<(), ExecuteError> {
        self.savepoints.truncate(index);
        self.on_all(statement).await
    }

    async fn on_all(&mut self, statement: &[u8]) -> Result<(), ExecuteError> {
        let mut all = Ok(());
        for held in std::mem::take(&mut self.held) {
            let mut lane = Lane::new(held.group, held.lease, held.in_transaction).reporting_loss(&self.loss);
            let result = if held.in_transaction { lane.run(statement).await } else { Ok(()) };
            self.settle(lane, true);
            all = all.and(result);
        }
        all
    }

    /// Gives back the connections that nothing holds any more.
    pub fn release_unpinned(&mut self, pinned: bool) {
        if !pinned {
            self.held.retain(|held| held.in_transaction);
        }
    }

    /// Closes a prepared statement, and its cursor, on the connection that is held to a group. No answer comes.
    pub fn close_statement(&mut self, group: GroupId, statement_id: u32) {
        if let Some(held) = self.held.iter_mut().find(|held| held.group == group) {
            held.lease.forget(statement_id);
            held.lease.queue_close(statement_id);
        }
    }

    /// The status flags of an answer that the proxy gives itself.
    pub fn status(&self, autocommit: bool) -> StatusFlags {
        let mut status = StatusFlags::NONE;
        if autocommit {
            status = status.with(StatusFlags::AUTOCOMMIT);
        }
        if self.is_active() {
            status = status.with(StatusFlags::IN_TRANSACTION);
            if self.begun.as_ref().is_some_and(|begin| begin.access == Access::ReadOnly) {
                status = status.with(StatusFlags::IN_READ_ONLY_TRANSACTION);
            }
        }
        status
    }
}
