//! Ends what was left prepared, by this proxy or by any other.
//!
//! A prepared branch whose coordinator is gone is asked about where its name says ([`ledger::settle`]), and ended
//! accordingly. Nothing is guessed, so any number of proxies may do so at the same time, also while the coordinator still
//! lives: whoever comes first decides. A grace time lets coordinators do it themselves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::coordinator::{Coordinator, Finished};
use super::ledger::{self, Decision};
use super::xid::{GroupTag, Gtrid, Xid};
use crate::backend::{BackendError, Backends};
use crate::config::{GroupId, Recovery as Settings};

/// How long the decision of a transaction that has ended everywhere is kept by the proxy that made it: longer than servers
/// that do not sync each commit may lose after a crash.
const FINISHED_AGE: Duration = Duration::from_secs(10);
/// How many decision rows one statement removes.
const DELETE_BATCH: usize = 500;
/// Between two looks for decision rows that proxies of the past have left.
const OLD_ROWS_INTERVAL: Duration = Duration::from_secs(60);

/// A prepared branch whose coordinator is no living transaction of this proxy.
#[derive(Debug, Clone)]
pub struct InDoubt {
    /// Its name.
    pub xid: Xid,
    /// The group that has it.
    pub group: Arc<str>,
    /// Its anchor's group; unknown when the rules have none of that tag, or it cannot be reached.
    pub anchor: Option<Arc<str>>,
    /// When this proxy saw it first.
    pub first_seen: Instant,
}

/// The recovery of one proxy process.
#[derive(Debug)]
pub struct Recovery {
    coordinator: Arc<Coordinator>,
    seen: Mutex<HashMap<Xid, Seen>>,
    in_doubt: Mutex<Vec<InDoubt>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    group: GroupId,
    since: Instant,
}

/// What the groups have prepared: for each the branches, or nothing where it could not be asked.
type Lists = Vec<(GroupId, Option<Vec<Xid>>)>;

impl Recovery {
    /// For the transactions of a coordinator and all others.
    pub fn new(coordinator: Arc<Coordinator>) -> Arc<Self> {
        Arc::new(Self { coordinator, seen: Mutex::default(), in_doubt: Mutex::default() })
    }

    /// The branches in doubt, as of the last look.
    pub fn in_doubt(&self) -> Vec<InDoubt> {
        self.in_doubt.lock().clone()
    }

    /// Looks at all groups again and again, for as long as `source` gives backends.
    pub async fn run(self: Arc<Self>, source: impl Fn() -> Option<(Arc<Backends>, Settings)>) {
        let mut old_rows_at = Instant::now();
        while let Some((backends, settings)) = source() {
            self.sweep(&backends, Duration::from_millis(settings.grace_ms)).await;
            self.remove_finished(&backends).await;
            if old_rows_at.elapsed() >= OLD_ROWS_INTERVAL {
                self.remove_old(&backends).await;
                old_rows_at = Instant::now();
            }
            drop(backends);
            tokio::time::sleep(Duration::from_millis(settings.interval_ms)).await;
        }
    }

    /// One look at all groups: ends what has been in doubt for longer than the grace time. Gives how many branches are
    /// in doubt still.
    pub async fn sweep(&self, backends: &Backends, grace: Duration) -> usize {
        let lists = list_all(backends).await;
        let doubtful = self.note_seen(&lists);
        if doubtful.is_empty() {
            self.show(Vec::new());
            return 0;
        }
        let anchors = self.tags(backends).await;
        let mut decisions: HashMap<Gtrid, Option<Decision>> = HashMap::new();
        let mut left = Vec::new();
        for (xid, seen) in doubtful {
            let anchor = anchors.get(&xid.anchor).copied();
            let ended = match anchor {
                Some(anchor) if seen.since.elapsed() >= grace => {
                    self.resolve(backends, anchor, xid, seen.group, &mut decisions).await
                }
                _ => false,
            };
            if !ended {
                let name = |group| Arc::clone(backends.group(group).name());
                let (group, anchor) = (name(seen.group), anchor.map(name));
                left.push(InDoubt { xid, group, anchor, first_seen: seen.since });
            }
        }
        let count = left.len();
        self.show(left);
        count
    }

    fn show(&self, in_doubt: Vec<InDoubt>) {
        self.coordinator.metrics().in_doubt.set(in_doubt.len() as i64);
        *self.in_doubt.lock() = in_doubt;
    }

    /// Remembers since when each branch is prepared, and gives those that no transaction of this process owns.
    fn note_seen(&self, lists: &Lists) -> Vec<(Xid, Seen)> {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        let silent: HashSet<GroupId> =
            lists.iter().filter(|(_, list)| list.is_none()).map(|(group, _)| *group).collect();
        let listed: HashSet<Xid> = lists.iter().flat_map(|(_, list)| list.iter().flatten()).copied().collect();
        seen.retain(|xid, seen| listed.contains(xid) || silent.contains(&seen.group));
        for (group, list) in lists {
            for xid in list.iter().flatten() {
                seen.entry(*xid).or_insert(Seen { group: *group, since: now });
            }
        }
        let mut doubtful: Vec<(Xid, Seen)> = seen
            .iter()
            .filter(|(xid, _)| !self.coordinator.is_running(&xid.gtrid))
            .map(|(xid, seen)| (*xid, *seen))
            .collect();
        doubtful.sort_by_key(|(xid, _)| *xid);
        doubtful
    }

    /// The groups by their tags, as far as they can be reached.
    async fn tags(&self, backends: &Backends) -> HashMap<GroupTag, GroupId> {
        let tags = join_all(group_ids(backends).map(|group| async move {
            match self.coordinator.known_tag(backends, group).await {
                Ok(tag) => tag.map(|tag| (tag, group)),
                Err(error) => {
                    tracing::debug!(group = %backends.group(group).name(), %error, "its schema shardloom is not read");
                    None
                }
            }
        }));
        tags.await.into_iter().flatten().collect()
    }

    /// Ends one branch. False if it is still there, as far as is known.
    async fn resolve(
        &self,
        backends: &Backends,
        anchor: GroupId,
        xid: Xid,
        group: GroupId,
        decisions: &mut HashMap<Gtrid, Option<Decision>>,
    ) -> bool {
        let decision = match decisions.get(&xid.gtrid) {
            Some(decision) => *decision,
            None => {
                let decision = ledger::settle(backends, anchor, xid.gtrid).await.unwrap_or_else(|error| {
                    tracing::warn!(gtrid = %xid.gtrid, %error, "what becomes of a transaction is not known yet");
                    None
                });
                decisions.insert(xid.gtrid, decision);
                decision
            }
        };
        let Some(decision) = decision else { return false };
        // A consistent snapshot must not begin between the commits of one transaction.
        let _cut = self.coordinator.barrier.read().await;
        let name = backends.group(group).name();
        match ledger::finish(backends, group, xid, decision).await {
            Ok(true) => {
                let metrics = self.coordinator.metrics();
                match decision {
                    Decision::Commit => metrics.resolved_commit.inc(),
                    Decision::Abort => metrics.resolved_abort.inc(),
                };
                tracing::info!(gtrid = %xid.gtrid, group = %name, ?decision, "a branch that was left prepared is ended");
                true
            }
            // It has ended, or the connection that prepared it still holds it: the next look tells.
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(gtrid = %xid.gtrid, group = %name, %error, "a branch that was left prepared could not be ended");
                false
            }
        }
    }

    /// Removes the decisions of this process that nobody needs any more.
    async fn remove_finished(&self, backends: &Backends) {
        let Some(before) = Instant::now().checked_sub(FINISHED_AGE) else { return };
        loop {
            let finished = self.coordinator.take_finished(before, DELETE_BATCH);
            if finished.is_empty() {
                return;
            }
            let tags = self.tags(backends).await;
            let mut by_group: HashMap<GroupId, Vec<Finished>> = HashMap::new();
            for one in finished {
                // Those of groups that left the rules stay where they are.
                if let Some(group) = tags.get(&one.anchor) {
                    by_group.entry(*group).or_default().push(one);
                }
            }
            for (group, finished) in by_group {
                let gtrids: Vec<Gtrid> = finished.iter().map(|one| one.gtrid).collect();
                if let Err(error) = ledger::remove(backends, group, &gtrids).await {
                    // The look for old rows finds them again.
                    tracing::debug!(group = %backends.group(group).name(), %error, "decisions are not removed");
                }
            }
        }
    }

    /// Removes decisions that proxies of the past have left, once no group has a branch of theirs any more.
    async fn remove_old(&self, backends: &Backends) {
        let tags = self.tags(backends).await;
        for &group in tags.values() {
            if let Err(error) = self.remove_old_on(backends, group, &tags).await {
                tracing::debug!(group = %backends.group(group).name(), %error, "old decisions are not removed");
            }
        }
    }

    async fn remove_old_on(
        &self,
        backends: &Backends,
        anchor: GroupId,
        tags: &HashMap<GroupTag, GroupId>,
    ) -> Result<(), BackendError> {
        ledger::remove_old_aborts(backends, anchor).await?;
        let rows = ledger::old_commits(backends, anchor).await?;
        if rows.is_empty() {
            return Ok(());
        }
        // All branches of a decided transaction were prepared before: what is not listed now has ended.
        let lists = list_all(backends).await;
        let answered: HashSet<GroupId> =
            lists.iter().filter(|(_, list)| list.is_some()).map(|(group, _)| *group).collect();
        let prepared: HashSet<Gtrid> =
            lists.iter().flat_map(|(_, list)| list.iter().flatten()).map(|xid| xid.gtrid).collect();
        let has_ended = |row: &ledger::OldCommit| {
            let all_known = row.participants.iter().all(|tag| tags.get(tag).is_some_and(|id| answered.contains(id)));
            all_known && !prepared.contains(&row.gtrid)
        };
        let ended: Vec<Gtrid> = rows.iter().filter(|row| has_ended(row)).map(|row| row.gtrid).collect();
        for batch in ended.chunks(DELETE_BATCH) {
            ledger::remove(backends, anchor, batch).await?;
        }
        Ok(())
    }
}

fn group_ids(backends: &Backends) -> impl Iterator<Item = GroupId> + use<> {
    (0..backends.groups().len()).filter_map(|index| u16::try_from(index).ok()).map(GroupId)
}

/// What all groups have prepared, asked at the same time.
async fn list_all(backends: &Backends) -> Lists {
    join_all(group_ids(backends).map(|group| async move {
        let list = ledger::prepared(backends, group).await;
        let list = list.inspect_err(|error| {
            tracing::debug!(group = %backends.group(group).name(), %error, "prepared branches cannot be listed");
        });
        (group, list.ok())
    }))
    .await
}
