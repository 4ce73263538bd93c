//! Deadlocks over several groups: no server sees the whole of one.
//!
//! Looked for only while a transaction over several groups has had a statement running for a while: then the groups that it
//! is on tell who waits for whom, and a cycle through several groups that is there twice in a row is ended by rolling back its
//! youngest transaction. Which connections belong to one transaction a proxy knows of its own. For those of other proxies
//! each proxy notes the connections of its waiting transactions on the groups that they are on ([`waiters`]): all see the same
//! graph, choose the same transaction, and the proxy that runs it ends it. The servers' lock wait timeout is the net below.

mod waiters;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::coordinator::{Coordinator, Running};
use super::xid::Gtrid;
use crate::backend::{BackendError, Backends, text};
use crate::config::GroupId;

/// A statement that has run for so long may wait for a lock.
const SUSPECT_AFTER: Duration = Duration::from_millis(400);
/// Between two looks at the transactions of this process. A deadlock is told after three: at the first the others are told
/// of the connections, at the second all see the cycle, at the third it is still there.
const INTERVAL: Duration = Duration::from_millis(300);
/// After so many looks a cycle whose youngest transaction is another proxy's is ended here: that one may be gone.
const PATIENCE: u32 = 10;

/// Who waits for whom, on MariaDB (*INNODB_LOCK_WAITS*) and on MySQL (*The data_lock_waits Table*).
const WAITS: [&str; 2] = [
    "SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM information_schema.INNODB_LOCK_WAITS w \
     JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id \
     JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id",
    "SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM performance_schema.data_lock_waits w \
     JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID \
     JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID",
];
/// ER_UNKNOWN_TABLE and ER_NO_SUCH_TABLE: the server is the other one.
const NO_TABLE: [u16; 2] = [1109, 1146];

/// Who waits, or is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Node {
    /// A transaction over several groups whose connections are known.
    Known(Gtrid),
    /// Any other connection to a group.
    Other(GroupId, u32),
}

/// One waits for another on a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Wait {
    waiting: Node,
    blocking: Node,
    group: GroupId,
}

/// Whose connections are whose.
type Owners = HashMap<(GroupId, u32), Gtrid>;

/// Looks for deadlocks for as long as `source` gives backends. `end` makes the session of a connection id roll back.
pub async fn run(coordinator: Arc<Coordinator>, source: impl Fn() -> Option<Arc<Backends>>, end: impl Fn(u32)) {
    let mut before: HashMap<Vec<Wait>, u32> = HashMap::new();
    while let Some(backends) = source() {
        let suspects = suspects(&coordinator);
        let mut now = HashMap::new();
        if !suspects.is_empty() {
            for cycle in cycles(&waits(&backends, &suspects).await) {
                let seen = before.get(&cycle).copied().unwrap_or(0) + 1;
                if seen > 1
                    && let Some(victim) = victim(&cycle, &suspects, seen)
                {
                    tracing::info!(gtrid = %victim.gtrid, "a deadlock over several groups: its youngest transaction is rolled back");
                    coordinator.metrics().deadlocks.inc();
                    end(victim.session);
                }
                now.insert(cycle, seen);
            }
        }
        before = now;
        drop(backends);
        tokio::time::sleep(INTERVAL).await;
    }
}

fn suspects(coordinator: &Coordinator) -> Vec<Arc<Running>> {
    let mut running = coordinator.running();
    running.retain(|running| running.busy_for().is_some_and(|busy| busy >= SUSPECT_AFTER));
    running
}

/// The youngest transaction of a cycle, if it is one of this process; after a while the youngest of this process.
fn victim<'a>(cycle: &[Wait], suspects: &'a [Arc<Running>], seen: u32) -> Option<&'a Arc<Running>> {
    let own = |gtrid: Gtrid| suspects.iter().find(|running| running.gtrid == gtrid);
    let known = cycle.iter().filter_map(|wait| match wait.waiting {
        Node::Known(gtrid) => Some(gtrid),
        Node::Other(..) => None,
    });
    // transactions of one process are begun in the order of their numbers, whatever its clock says
    let age = |gtrid: &Gtrid| (gtrid.begun_unix_ms, gtrid.instance, gtrid.number);
    let youngest = known.clone().max_by_key(age)?;
    match own(youngest) {
        None if seen > PATIENCE => known.filter(|gtrid| own(*gtrid).is_some()).max_by_key(age).and_then(own),
        found => found,
    }
}

/// The waits on all groups that the suspects are on.
async fn waits(backends: &Backends, suspects: &[Arc<Running>]) -> Vec<Wait> {
    let mut owners = Owners::new();
    for running in suspects {
        for participant in running.participants() {
            let index = backends.groups().iter().position(|group| *group.name() == participant.group);
            if let Some(group) = index.and_then(|index| u16::try_from(index).ok()).map(GroupId) {
                owners.insert((group, participant.thread_id), running.gtrid);
            }
        }
    }
    let groups: BTreeSet<GroupId> = owners.keys().map(|(group, _)| *group).collect();
    let asked = join_all(groups.iter().map(|&group| async move {
        let pairs = waits_on(backends, group).await.unwrap_or_else(|error| {
            tracing::debug!(group = %backends.group(group).name(), %error, "its lock waits cannot be read");
            Vec::new()
        });
        (group, pairs)
    }));
    let asked = asked.await;
    let waiting: HashSet<Gtrid> = asked
        .iter()
        .flat_map(|(group, pairs)| pairs.iter().filter_map(|(waiting, _)| owners.get(&(*group, *waiting)).copied()))
        .collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    waiters::note(backends, owners.iter().filter(|(_, owner)| waiting.contains(owner))).await;
    owners.extend(
        waiters::of_others(backends, &groups)
            .await
            .into_iter()
            .filter(|(place, _)| !owners.contains_key(place))
            .collect::<Vec<_>>(),
    );
    let node = |group, thread| owners.get(&(group, thread)).map_or(Node::Other(group, thread), |own| Node::Known(*own));
    let pairs = asked.into_iter().flat_map(|(group, pairs)| pairs.into_iter().map(move |pair| (group, pair)));
    pairs
        .map(|(group, (waiting, blocking))| Wait {
            waiting: node(group, waiting),
            blocking: node(group, blocking),
            group,
        })
        .filter(|wait| wait.waiting != wait.blocking)
        .collect()
}

async fn waits_on(backends: &Backends, group: GroupId) -> Result<Vec<(u32, u32)>, BackendError> {
    let answer = match backends.query(group, WAITS[0]).await {
        Err(BackendError::Server(error)) if NO_TABLE.contains(&error.errno) => backends.query(group, WAITS[1]).await?,
        answer => answer?,
    };
    let pair = |row| Some((text(row, 0).parse().ok()?, text(row, 1).parse().ok()?));
    Ok(answer.rows.iter().filter_map(pair).collect())
}

/// The cycles through more than one group; those on one, its server ends itself. Each begins with its least wait, so that a
/// cycle is equal to itself.
fn cycles(waits: &[Wait]) -> Vec<Vec<Wait>> {
    let mut by_waiting: HashMap<Node, Vec<Wait>> = HashMap::new();
    for wait in waits {
        by_waiting.entry(wait.waiting).or_default().push(*wait);
    }
    let mut found = BTreeSet::new();
    let mut done: HashSet<Node> = HashSet::new();
    for &start in by_waiting.keys() {
        let mut path: Vec<Wait> = Vec::new();
        walk(start, &by_waiting, &mut path, &mut done, &mut found);
    }
    found.into_iter().collect()
}

/// Depth first: a node that is met again on the path closes a cycle. A node is left once all beyond it was seen.
fn walk(
    node: Node,
    by_waiting: &HashMap<Node, Vec<Wait>>,
    path: &mut Vec<Wait>,
    done: &mut HashSet<Node>,
    found: &mut BTreeSet<Vec<Wait>>,
) {
    if let Some(start) = path.iter().position(|wait| wait.waiting == node) {
        let mut cycle = path[start..].to_vec();
        let least = (0..cycle.len()).min_by_key(|&index| cycle[index]).unwrap_or(0);
        cycle.rotate_left(least);
        if cycle.iter().any(|wait| wait.group != cycle[0].group) {
            found.insert(cycle);
        }
        return;
    }
    if done.contains(&node) {
        return;
    }
    for wait in by_waiting.get(&node).into_iter().flatten() {
        path.push(*wait);
        walk(wait.blocking, by_waiting, path, done, found);
        path.pop();
    }
    done.insert(node);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(number: u64) -> Node {
        Node::Known(Gtrid { instance: 1, begun_unix_ms: 1, number })
    }

    fn wait(waiting: Node, blocking: Node, group: u16) -> Wait {
        Wait { waiting, blocking, group: GroupId(group) }
    }

    #[test]
    fn cycles_over_groups_are_found_and_others_are_not() {
        let (a, b, c) = (known(1), known(2), known(3));
        assert!(cycles(&[wait(a, b, 0), wait(b, c, 1), wait(a, c, 1)]).is_empty(), "nobody waits for itself");
        assert!(cycles(&[wait(a, b, 0), wait(b, a, 0)]).is_empty(), "its server ends that one");
        let two = [wait(a, b, 0), wait(b, a, 1)];
        assert_eq!(cycles(&two), [two.to_vec()]);
        let turned = [two[1], two[0], wait(c, a, 0)];
        assert_eq!(cycles(&turned), [two.to_vec()], "however it is listed");
        // Through a connection that nothing is known of.
        let other = Node::Other(GroupId(0), 9);
        let three = [wait(a, other, 0), wait(other, b, 0), wait(b, a, 1)];
        assert_eq!(cycles(&three).len(), 1);
    }
}
