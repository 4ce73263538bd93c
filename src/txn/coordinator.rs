//! What the transactions of one proxy process share: their names, who is running, what waits to be cleaned up.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::RwLock;

use super::ledger;
use super::xid::{GroupTag, Gtrid};
use crate::backend::{BackendError, Backends};
use crate::config::GroupId;
use crate::observe::TransactionMetrics;

/// How many groups' tags are kept. Rules name fewer; past this, those of rules of the past are forgotten.
const TAGS_LIMIT: usize = 20_000;
/// How many decision rows may wait to be removed by the process that wrote them. What is beyond is left to the sweep of old
/// rows.
const FINISHED_LIMIT: usize = 200_000;

/// What the transactions of one proxy process share.
#[derive(Debug)]
pub struct Coordinator {
    instance: u64,
    next_number: AtomicU64,
    /// Tags of groups, by name and address of the primary.
    tags: Mutex<HashMap<String, GroupTag>>,
    running: Mutex<HashMap<Gtrid, Arc<Running>>>,
    finished: Mutex<VecDeque<Finished>>,
    /// Shared by commits from their decision to their end; taken alone where one cut over all groups is made.
    pub(super) barrier: RwLock<()>,
    metrics: Arc<TransactionMetrics>,
}

/// How far a transaction over several groups has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Its client sends statements.
    Active,
    /// Its branches are being prepared.
    Preparing,
    /// It is being decided, or decided and its branches end.
    Committing,
}

/// A transaction over several groups that this process runs.
#[derive(Debug)]
pub struct Running {
    /// Its name.
    pub gtrid: Gtrid,
    /// The connection id of its client.
    pub session: u32,
    /// When its second group joined.
    pub since: Instant,
    phase: AtomicU8,
    /// Since when a statement of it runs.
    busy_since: Mutex<Option<Instant>>,
    participants: Mutex<Vec<Participant>>,
}

/// A group that takes part in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Its name; that of the anchor comes first.
    pub group: Arc<str>,
    /// Its primary's label.
    pub server: Arc<str>,
    /// The server's id of the connection.
    pub thread_id: u32,
}

/// A transaction whose branches have all ended: nobody needs its decision any more.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    pub(super) gtrid: Gtrid,
    pub(super) anchor: GroupTag,
    pub(super) since: Instant,
}

impl Running {
    /// How far it has come.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Active,
            1 => Phase::Preparing,
            _ => Phase::Committing,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// For how long its statement has been running, if one is.
    pub fn busy_for(&self) -> Option<Duration> {
        self.busy_since.lock().map(|since| since.elapsed())
    }

    pub(super) fn set_busy(&self) {
        self.busy_since.lock().get_or_insert_with(Instant::now);
    }

    pub(super) fn set_idle(&self) {
        *self.busy_since.lock() = None;
    }

    /// Who takes part.
    pub fn participants(&self) -> Vec<Participant> {
        self.participants.lock().clone()
    }

    pub(super) fn joined(&self, participant: Participant) {
        self.participants.lock().push(participant);
    }
}

/// Keeps a transaction in the list of those that run, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    running: Arc<Running>,
    coordinator: Arc<Coordinator>,
}

impl std::ops::Deref for Entry {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.coordinator.running.lock().remove(&self.running.gtrid);
    }
}

impl Coordinator {
    /// For a process that starts. No other process has its number.
    pub fn new(metrics: Arc<TransactionMetrics>) -> Self {
        Self {
            instance: rand::random(),
            next_number: AtomicU64::new(1),
            tags: Mutex::default(),
            running: Mutex::default(),
            finished: Mutex::default(),
            barrier: RwLock::new(()),
            metrics,
        }
    }

    /// The number of this process in the names of its transactions.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    pub(super) fn metrics(&self) -> &TransactionMetrics {
        &self.metrics
    }

    /// A new transaction over several groups.
    pub(super) fn enter(self: &Arc<Self>, session: u32) -> Entry {
        let begun_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let running = Arc::new(Running {
            gtrid: Gtrid { instance: self.instance, begun_unix_ms, number },
            session,
            since: Instant::now(),
            phase: AtomicU8::new(Phase::Active as u8),
            busy_since: Mutex::new(Some(Instant::now())),
            participants: Mutex::default(),
        });
        self.running.lock().insert(running.gtrid, Arc::clone(&running));
        Entry { running, coordinator: Arc::clone(self) }
    }

    /// All transactions over several groups that this process runs, the oldest first.
    pub fn running(&self) -> Vec<Arc<Running>> {
        let mut all: Vec<Arc<Running>> = self.running.lock().values().map(Arc::clone).collect();
        all.sort_by_key(|running| running.gtrid.number);
        all
    }

    /// Whether a transaction is one of this process that still runs.
    pub fn is_running(&self, gtrid: &Gtrid) -> bool {
        gtrid.instance == self.instance && self.running.lock().contains_key(gtrid)
    }

    /// The tag of a group; the first time, its `shardloom` schema is looked at, and made where it is missing.
    pub async fn tag(&self, backends: &Backends, group: GroupId) -> Result<GroupTag, BackendError> {
        let key = key_of(backends, group);
        if let Some(tag) = self.tags.lock().get(&key).copied() {
            return Ok(tag);
        }
        let number = ledger::identity(backends, group).await?;
        Ok(self.remember_tag(backends, group, key, number))
    }

    /// The tag of a group, if it has a `shardloom` schema.
    pub async fn known_tag(&self, backends: &Backends, group: GroupId) -> Result<Option<GroupTag>, BackendError> {
        let key = key_of(backends, group);
        if let Some(tag) = self.tags.lock().get(&key).copied() {
            return Ok(Some(tag));
        }
        // It is not kept: whether the server does XA was not tried.
        let number = ledger::known_identity(backends, group).await?;
        Ok(number.map(|number| GroupTag::new(backends.group(group).name(), number)))
    }

    fn remember_tag(&self, backends: &Backends, group: GroupId, key: String, number: u64) -> GroupTag {
        let tag = GroupTag::new(backends.group(group).name(), number);
        let mut tags = self.tags.lock();
        if tags.len() >= TAGS_LIMIT {
            tags.clear();
        }
        tags.insert(key, tag);
        tag
    }

    pub(super) fn note_finished(&self, gtrid: Gtrid, anchor: GroupTag) {
        let mut finished = self.finished.lock();
        if finished.len() < FINISHED_LIMIT {
            finished.push_back(Finished { gtrid, anchor, since: Instant::now() });
        }
    }

    /// Takes out up to `limit` of the transactions that were finished before `before`.
    pub(super) fn take_finished(&self, before: Instant, limit: usize) -> Vec<Finished> {
        let mut finished = self.finished.lock();
        let count = finished.iter().take(limit).take_while(|one| one.since <= before).count();
        finished.drain(..count).collect()
    }
}

fn key_of(backends: &Backends, group: GroupId) -> String {
    let group = backends.group(group);
    format!("{}@{}", group.name(), group.primary().server().spec().address)
}
