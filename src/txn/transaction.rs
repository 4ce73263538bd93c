//! A client's transaction over the groups that it touches, and the connections that a session holds on to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;

use super::commit::{self, Part};
use super::coordinator::{Coordinator, Entry, Participant};
use super::error::{CommitError, TransactionError};
use super::xid::{GroupTag, Xid};
use super::{Access, Begin};
use crate::backend::{Backends, Chosen, Flavour, KillHandle, Lease, Role, Wanted};
use crate::config::GroupId;
use crate::execute::{ExecuteError, Lane};
use crate::protocol::StatusFlags;

/// How many savepoints a transaction may have. Each is sent again to every group that joins.
pub const MAX_SAVEPOINTS: usize = 1_000;
/// The savepoint around a statement that works in several steps.
const STATEMENT_SAVEPOINT: &str = "shardloom_steps";

/// A connection that stays with the session between statements.
#[derive(Debug)]
struct Held {
    group: GroupId,
    lease: Lease,
    /// The server has a transaction open on it.
    in_transaction: bool,
}

/// Over how many groups a transaction may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Over any number, by two-phase commit.
    #[default]
    TwoPhase,
    /// Over one; others may be read.
    Single,
}

/// The transaction of a session, and the connections it holds for that or for other state (pins).
#[derive(Debug)]
pub struct Transaction {
    coordinator: Arc<Coordinator>,
    /// The connection id of the client.
    session: u32,
    begun: Option<Begin>,
    mode: Mode,
    savepoints: Vec<Savepoint>,
    held: Vec<Held>,
    /// The groups that have it open, whether their connections are held or in use; the first to join comes first.
    members: Vec<Member>,
    /// The groups that were written to, or were about to be.
    writers: Vec<GroupId>,
    /// Once a second group has joined.
    global: Option<Global>,
    /// A server has ended its part by itself, as after a deadlock.
    lost_member: bool,
    /// Set by a lane that took state of this session down with it.
    loss: Arc<AtomicBool>,
}

/// A group that has the transaction open.
#[derive(Debug)]
struct Member {
    group: GroupId,
    /// Of a branch; a plain transaction has none.
    xid: Option<Xid>,
    /// The server's id of its connection.
    thread_id: u32,
}

/// A transaction over several groups.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) entry: Entry,
    pub(super) backends: Arc<Backends>,
    pub(super) anchor: GroupId,
    pub(super) anchor_tag: GroupTag,
    /// The groups of all branches.
    pub(super) branches: Vec<(GroupId, GroupTag)>,
    next_branch: u16,
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
    pub settings: Wanted<'a>,
    /// Whether the statement must not run when that state cannot be set: everything but plain reads.
    pub strict: bool,
}

/// What a lane begins with where it is not to be had at once.
#[derive(Debug)]
pub enum Start {
    /// A connection that is held, by its place.
    Held(usize),
    /// One from the pool.
    Lease(Lease),
    /// The server whose turn it is.
    Server(Chosen),
}

impl Transaction {
    /// For the session of a client.
    pub fn new(coordinator: Arc<Coordinator>, session: u32) -> Self {
        Self {
            coordinator,
            session,
            begun: None,
            mode: Mode::default(),
            savepoints: Vec::new(),
            held: Vec::new(),
            members: Vec::new(),
            writers: Vec::new(),
            global: None,
            lost_member: false,
            loss: Arc::default(),
        }
    }

    /// Whether BEGIN was given and neither COMMIT nor ROLLBACK since, or a server has one open (autocommit off).
    pub fn is_active(&self) -> bool {
        self.begun.is_some() || !self.members.is_empty()
    }

    /// Whether it has written, or was about to.
    pub fn has_written(&self) -> bool {
        !self.writers.is_empty()
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

    /// Whether it is over several groups: then its end goes in steps that nothing may come between.
    pub fn is_global(&self) -> bool {
        self.global.is_some()
    }

    /// The default schema of the connection that is held to a group.
    pub fn held_schema(&self, group: GroupId) -> Option<Arc<str>> {
        self.held.iter().find(|held| held.group == group).and_then(|held| held.lease.settings().schema)
    }

    /// Begins. What was active must have been committed before.
    pub fn begin(&mut self, begin: Begin, mode: Mode) {
        self.begun = Some(begin);
        self.mode = mode;
        self.savepoints.clear();
        self.writers.clear();
    }

    /// How it began.
    pub fn begun(&self) -> Option<&Begin> {
        self.begun.as_ref()
    }

    /// The mode of a transaction that a server opens by itself (autocommit off).
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Notes that a statement is about to write to `groups`. `name` gives a group's name.
    pub fn note_write(&mut self, groups: &[GroupId], name: impl Fn(GroupId) -> String) -> Result<(), TransactionError> {
        if self.begun.as_ref().is_some_and(|begin| begin.access == Access::ReadOnly) {
            return Err(TransactionError::ReadOnly);
        }
        if groups.is_empty() {
            return Ok(());
        }
        if self.mode == Mode::Single {
            self.check_single(groups, name)?;
        }
        for group in groups {
            if !self.writers.contains(group) {
                self.writers.push(*group);
            }
        }
        Ok(())
    }

    fn check_single(&mut self, groups: &[GroupId], name: impl Fn(GroupId) -> String) -> Result<(), TransactionError> {
        let [group] = groups else {
            let groups = groups.iter().map(|&group| name(group)).collect::<Vec<_>>().join(", ");
            return Err(TransactionError::SeveralGroups { groups });
        };
        // A group that was to be written to and gave no connection has nothing to commit.
        let members = &self.members;
        self.writers.retain(|writer| members.iter().any(|member| member.group == *writer));
        match self.writers.first() {
            Some(&first) if first != *group => {
                Err(TransactionError::SecondGroup { first: name(first), second: name(*group) })
            }
            _ => Ok(()),
        }
    }

    /// Notes a statement that may have written, as far as its text tells.
    pub fn note_possible_write(&mut self, group: GroupId) {
        if self.mode == Mode::TwoPhase && !self.writers.contains(&group) {
            self.writers.push(group);
        }
    }

    /// A lane to a group: the held connection, or one from the pool. What must come before the statement (session
    /// state, BEGIN, savepoints) is queued on it, or done where the statement depends on it.
    pub async fn lane(&mut self, backends: &Arc<Backends>, want: Want<'_>) -> Result<Lane, ExecuteError> {
        match self.lane_at_hand(backends, &want) {
            Ok(lane) => Ok(lane),
            Err(start) => Box::pin(self.lane_from(backends, want, start)).await,
        }
    }

    /// A lane, if that needs neither waiting nor preparing: the way of most statements. Else what there is to begin with.
    pub fn lane_at_hand(&mut self, backends: &Backends, want: &Want<'_>) -> Result<Lane, Start> {
        if let Some(index) = self.held.iter().position(|held| held.group == want.group) {
            let held = &self.held[index];
            let must_join = self.is_active() && !held.in_transaction;
            if must_join || !held.lease.has_settings(want.settings) {
                return Err(Start::Held(index));
            }
            return Ok(self.held_lane(index));
        }
        let lease = backends.at_hand(want.group, want.role, want.flavour).map_err(Start::Server)?;
        if self.is_active() || !lease.has_settings(want.settings) {
            return Err(Start::Lease(lease));
        }
        Ok(Lane::new(want.group, lease, false))
    }

    fn held_lane(&mut self, index: usize) -> Lane {
        if let Some(global) = &self.global {
            global.entry.set_busy();
        }
        let held = self.held.swap_remove(index);
        self.lane_of(held.group, held.lease, held.in_transaction)
    }

    /// As [`lane`](Self::lane), from what there is to begin with.
    pub async fn lane_from(
        &mut self,
        backends: &Arc<Backends>,
        want: Want<'_>,
        start: Start,
    ) -> Result<Lane, ExecuteError> {
        if let Some(global) = &self.global {
            global.entry.set_busy();
        }
        let was_held = matches!(start, Start::Held(_));
        let mut lane = match start {
            Start::Held(index) => self.held_lane(index),
            Start::Lease(lease) => Lane::new(want.group, lease, false),
            Start::Server(chosen) => {
                let lease = backends.checkout_from(chosen, want.group, want.role, want.flavour).await?;
                Lane::new(want.group, lease, false)
            }
        };
        let in_transaction = lane.in_transaction();
        let prepared = match lane.settle_settings(want.settings, want.strict).await {
            Ok(()) if self.is_active() && !in_transaction => self.join(backends, &mut lane).await,
            Ok(()) => Ok(false),
            Err(error) => Err(error),
        };
        match prepared {
            Ok(true) => Ok(lane.reporting_loss(&self.loss)),
            Ok(false) => Ok(lane),
            Err(error) => {
                // A schema that is not there must not cost the transaction.
                self.settle(lane, was_held);
                Err(error)
            }
        }
    }

    /// A lane over a connection that was held.
    fn lane_of(&self, group: GroupId, lease: Lease, in_transaction: bool) -> Lane {
        let lane = Lane::new(group, lease, in_transaction).reporting_loss(&self.loss);
        let is_branch = in_transaction && self.xid_of(group).is_some();
        if is_branch { lane.as_branch() } else { lane }
    }

    fn xid_of(&self, group: GroupId) -> Option<Xid> {
        self.members.iter().find(|member| member.group == group).and_then(|member| member.xid)
    }

    /// Queues what makes a group take part. True if it does.
    async fn join(&mut self, backends: &Arc<Backends>, lane: &mut Lane) -> Result<bool, ExecuteError> {
        let group = lane.group();
        let begin = self.begun.clone().unwrap_or_default();
        let is_first = self.members.is_empty() && self.global.is_none();
        let is_plain = is_first || self.mode == Mode::Single || begin.access == Access::ReadOnly;
        if is_first && self.begun.is_none() {
            return Ok(false);
        }
        let xid = if is_plain { None } else { Some(self.new_branch(backends, lane).await?) };
        let statements = match &xid {
            None => begin.statements(),
            Some(xid) => begin.branch_statements(xid),
        };
        for statement in statements {
            lane.queue_prelude(statement.as_bytes())?;
        }
        for savepoint in &self.savepoints {
            lane.queue_prelude(&savepoint.statement)?;
        }
        lane.set_in_transaction(true);
        if xid.is_some() {
            lane.set_branch();
        }
        self.members.push(Member { group, xid, thread_id: lane.thread_id() });
        Ok(true)
    }

    /// The name of the branch of a group that joins. The first time, the transaction gets its own name.
    async fn new_branch(&mut self, backends: &Arc<Backends>, lane: &Lane) -> Result<Xid, ExecuteError> {
        let group = lane.group();
        let tag = self.coordinator.tag(backends, group).await?;
        if self.global.is_none() {
            let anchor = self.members.first().map_or(group, |member| member.group);
            let anchor_tag = self.coordinator.tag(backends, anchor).await?;
            let entry = self.coordinator.enter(self.session);
            entry.joined(participant(backends, anchor, self.members.first().map_or(0, |member| member.thread_id)));
            self.global = Some(Global {
                entry,
                backends: Arc::clone(backends),
                anchor,
                anchor_tag,
                branches: Vec::new(),
                next_branch: 1,
            });
        }
        let Some(global) = &mut self.global else { unreachable!("it was just made") };
        let xid = Xid { gtrid: global.entry.gtrid, anchor: global.anchor_tag, branch: global.next_branch };
        global.next_branch += 1;
        global.branches.push((group, tag));
        global.entry.joined(participant(backends, group, lane.thread_id()));
        Ok(xid)
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

    /// Whether a server has ended its part of the transaction by itself.
    pub fn has_lost_member(&self) -> bool {
        self.lost_member
    }

    /// Gives a lane back after its statement: held while it has a transaction open or the session is pinned to it, else
    /// back to the pool.
    pub fn settle(&mut self, lane: Lane, pinned: bool) {
        if let Some(global) = &self.global {
            global.entry.set_idle();
        }
        let (group, in_transaction) = (lane.group(), lane.in_transaction());
        let member = self.members.iter().position(|member| member.group == group);
        match member {
            // A statement has committed, or the server has rolled back.
            Some(member) if !in_transaction => {
                self.members.remove(member);
                self.lost_member = true;
            }
            // Without autocommit, the statement began a transaction.
            None if in_transaction => self.members.push(Member { group, xid: None, thread_id: lane.thread_id() }),
            _ => {}
        }
        if let Some((lease, group)) = lane.into_lease().filter(|_| in_transaction || pinned) {
            self.held.push(Held { group, lease, in_transaction });
        }
    }

    /// COMMIT on all that take part. Afterwards no transaction is active, whatever the result; connections that the session
    /// is pinned to stay.
    pub async fn commit(&mut self, pinned: bool) -> Result<(), CommitError> {
        let (parts, global) = self.take_parts();
        let (lanes, result) = match global {
            None => commit::plain(parts).await,
            Some(global) => commit::global(parts, &global, &self.coordinator).await,
        };
        self.settle_all(lanes, pinned);
        result
    }

    /// ROLLBACK on all that take part.
    pub async fn rollback(&mut self, pinned: bool) -> Result<(), CommitError> {
        let (parts, _global) = self.take_parts();
        let (lanes, result) = commit::rollback(parts).await;
        self.settle_all(lanes, pinned);
        result
    }

    /// Takes the transaction apart: what takes part in it, and other connections that are held.
    fn take_parts(&mut self) -> (Vec<Part>, Option<Global>) {
        let parts = std::mem::take(&mut self.held).into_iter().map(|held| {
            let xid = self.xid_of(held.group).filter(|_| held.in_transaction);
            let wrote = held.in_transaction && self.writers.contains(&held.group);
            let lane = Lane::new(held.group, held.lease, held.in_transaction);
            Part { lane: if xid.is_some() { lane.as_branch() } else { lane }, xid, wrote }
        });
        let parts = parts.collect();
        self.forget();
        (parts, self.global.take())
    }

    fn settle_all(&mut self, lanes: Vec<Lane>, pinned: bool) {
        for lane in lanes {
            self.settle(lane, pinned);
        }
    }

    fn forget(&mut self) {
        self.begun = None;
        self.mode = Mode::default();
        self.lost_member = false;
        self.members.clear();
        self.writers.clear();
        self.savepoints.clear();
    }

    /// Drops all connections and forgets the transaction: the servers roll back. For a lost connection, or a client
    /// that is gone.
    pub fn abandon(&mut self) {
        for held in self.held.drain(..) {
            held.lease.discard();
        }
        self.forget();
        self.global = None;
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

    /// Sets a savepoint of the proxy's own around one statement of the client's, also on groups that it makes join.
    pub async fn begin_statement(&mut self) -> Result<(), ExecuteError> {
        let statement = Bytes::from_static(b"SAVEPOINT shardloom_steps");
        self.savepoint(STATEMENT_SAVEPOINT, statement).await
    }

    /// Releases it: what the statement did stays.
    pub async fn end_statement(&mut self) -> Result<(), ExecuteError> {
        self.drop_statement_savepoint();
        self.on_all(b"RELEASE SAVEPOINT shardloom_steps").await
    }

    /// Undoes what the statement did, on all groups.
    pub async fn undo_statement(&mut self) -> Result<(), ExecuteError> {
        self.drop_statement_savepoint();
        self.on_all(b"ROLLBACK TO SAVEPOINT shardloom_steps").await
    }

    fn drop_statement_savepoint(&mut self) {
        self.savepoints.retain(|savepoint| savepoint.name != STATEMENT_SAVEPOINT);
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
        let held = std::mem::take(&mut self.held);
        let mut lanes: Vec<Lane> =
            held.into_iter().map(|held| self.lane_of(held.group, held.lease, held.in_transaction)).collect();
        let members = lanes.iter_mut().filter(|lane| lane.in_transaction());
        let results = join_all(members.map(|lane| lane.run(statement))).await;
        self.settle_all(lanes, true);
        results.into_iter().collect()
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

/// A group that takes part, as others see it.
fn participant(backends: &Backends, group: GroupId, thread_id: u32) -> Participant {
    let server = backends.group(group);
    Participant { group: Arc::clone(server.name()), server: Arc::clone(server.primary().server().label()), thread_id }
}
