//! COMMIT and ROLLBACK over all groups that take part.
//!
//! What can go wrong in a commit over several groups, and what then holds:
//!
//! - before the decision (a branch cannot be prepared): nothing was decided, so all roll back. A branch whose connection
//!   broke is rolled back by its server, or, if it was prepared already, by recovery: no *commit* row will ever come;
//! - at the decision (the anchor's connection breaks, or it answers with an error): the outcome is found out by writing an
//!   *abort* row ([`ledger::settle`]);
//! - after it: the transaction is committed, and the client reads OK. Branches that could not be told are committed by
//!   recovery.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::coordinator::{Coordinator, Phase};
use super::error::CommitError;
use super::ledger::{self, Decision};
use super::step::{Step, reached};
use super::transaction::Global;
use super::xid::Xid;
use crate::backend::BackendError;
use crate::error::SqlError;
use crate::execute::{ExecuteError, Lane};

/// How long one step of a commit over several groups may take on a server. A server that takes longer counts as gone: its
/// connection is closed and recovery does the rest. Longer than a busy disk needs for one sync, shorter than clients wait.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How long a coordinator tries to find out what was decided, when it lost the anchor while it decided.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// Between two tries.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// One group that takes part, or another connection that is held.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) lane: Lane,
    /// Of a branch.
    pub(super) xid: Option<Xid>,
    /// It may have changed rows.
    pub(super) wrote: bool,
}

/// What came of it, and the connections.
pub(super) type Ended = (Vec<Lane>, Result<(), CommitError>);

/// COMMIT where at most one group has changed rows: that one first.
pub(super) async fn plain(mut parts: Vec<Part>) -> Ended {
    parts.sort_by_key(|part| !part.wrote);
    let wrote = parts.iter().any(|part| part.wrote);
    let mut result = Ok(());
    for part in parts.iter_mut().filter(|part| part.lane.in_transaction()) {
        // A COMMIT that failed leaves nothing to commit on the others, which were only read.
        let statement = if result.is_ok() { b"COMMIT".as_slice() } else { b"ROLLBACK" };
        match part.lane.run(statement).await {
            Ok(()) => part.lane.set_in_transaction(false),
            Err(error) => {
                part.lane.discard();
                // What was only read has nothing to lose once the group that was written to has committed.
                if part.wrote || !wrote {
                    result = result.and(Err(error.into()));
                }
            }
        }
    }
    (lanes_of(parts), result)
}

/// COMMIT of a transaction that several groups have joined.
pub(super) async fn global(mut parts: Vec<Part>, global: &Global, coordinator: &Arc<Coordinator>) -> Ended {
    let writers = parts.iter().filter(|part| part.wrote).count();
    let result = match writers {
        0 | 1 => one_phase(&mut parts).await,
        _ => two_phase(&mut parts, global, coordinator).await,
    };
    (lanes_of(parts), result)
}

fn lanes_of(parts: Vec<Part>) -> Vec<Lane> {
    parts.into_iter().map(|part| part.lane).collect()
}

/// One group has changed rows, or none: its own commit is all that counts.
async fn one_phase(parts: &mut [Part]) -> Result<(), CommitError> {
    let results = join_all(parts.iter_mut().map(end_in_one_phase)).await;
    let wrote = parts.iter().any(|part| part.wrote);
    let mut decisive = parts.iter().zip(results).filter(|(part, _)| part.wrote || !wrote);
    decisive.try_for_each(|(_, result)| result).map_err(CommitError::Execute)
}

/// Commits one part for itself. A branch that was only read commits too, and is not rolled back: should a function that it
/// called have written after all, that is not lost.
async fn end_in_one_phase(part: &mut Part) -> Result<(), ExecuteError> {
    if !part.lane.in_transaction() {
        return Ok(());
    }
    let ended = match &part.xid {
        None => part.lane.run(b"COMMIT").await,
        Some(xid) => part.lane.run_then(&format!("XA END {xid}"), &format!("XA COMMIT {xid} ONE PHASE")).await,
    };
    note_end(&mut part.lane, &ended);
    ended
}

/// After a transaction's last statement its connection is free, or closed if that failed.
fn note_end(lane: &mut Lane, ended: &Result<(), ExecuteError>) {
    match ended {
        Ok(()) => lane.set_in_transaction(false),
        Err(_) => lane.discard(),
    }
}

/// ROLLBACK on all.
pub(super) async fn rollback(mut parts: Vec<Part>) -> Ended {
    let results = join_all(parts.iter_mut().map(roll_back)).await;
    let result = results.into_iter().collect::<Result<(), _>>().map_err(CommitError::Execute);
    (lanes_of(parts), result)
}

async fn roll_back(part: &mut Part) -> Result<(), ExecuteError> {
    if !part.lane.in_transaction() {
        return Ok(());
    }
    let ended = match &part.xid {
        None => part.lane.run(b"ROLLBACK").await,
        // A branch that was rolled back in a deadlock cannot be ended, only rolled back.
        Some(xid) => part.lane.run_then(&format!("XA END {xid}"), &format!("XA ROLLBACK {xid}")).await,
    };
    note_end(&mut part.lane, &ended);
    ended
}

/// Several groups have changed rows.
async fn two_phase(parts: &mut [Part], global: &Global, coordinator: &Arc<Coordinator>) -> Result<(), CommitError> {
    global.entry.set_phase(Phase::Preparing);
    reached(Step::BeforePrepare).await;
    if let Err((group, cause)) = prepare_all(parts, coordinator).await {
        undo(parts).await;
        let name = global.backends.group(group).name().to_string();
        return Err(CommitError::RolledBack { group: name, cause });
    }
    reached(Step::Prepared).await;
    // From the decision to the last commit no consistent snapshot may begin.
    let _cut = coordinator.barrier.read().await;
    global.entry.set_phase(Phase::Committing);
    decide(parts, global).await?;
    reached(Step::Decided).await;
    if commit_all(parts).await {
        reached(Step::Committed).await;
        coordinator.note_finished(global.entry.gtrid, global.anchor_tag);
    }
    Ok(())
}

/// Step 1: prepares all branches that wrote. The first error, and where it came from.
async fn prepare_all(
    parts: &mut [Part],
    coordinator: &Coordinator,
) -> Result<(), (crate::config::GroupId, ExecuteError)> {
    let branches = parts.iter_mut().filter(|part| part.wrote && part.xid.is_some());
    let prepared = join_all(branches.map(|part| async move {
        let group = part.lane.group();
        prepare(part).await.map_err(|error| (group, error))
    }));
    let prepared = prepared.await;
    let count = prepared.iter().filter(|result| result.is_ok()).count();
    coordinator.metrics().prepared.inc_by(count as u64);
    prepared.into_iter().collect()
}

async fn prepare(part: &mut Part) -> Result<(), ExecuteError> {
    let Some(xid) = part.xid else { return Ok(()) };
    let (end, prepare) = (format!("XA END {xid}"), format!("XA PREPARE {xid}"));
    let prepared = within_limit(part.lane.run_then(&end, &prepare)).await;
    if prepared.is_err() {
        // Its server rolls it back, or recovery does.
        part.lane.discard();
    }
    reached(Step::PreparedOne).await;
    prepared
}

async fn within_limit(work: impl Future<Output = Result<(), ExecuteError>>) -> Result<(), ExecuteError> {
    match timeout(STEP_LIMIT, work).await {
        Ok(result) => result,
        Err(_) => Err(ExecuteError::Backend(BackendError::Timeout {
            server: "of this transaction".into(),
            waited_ms: STEP_LIMIT.as_millis() as u64,
        })),
    }
}

/// Nothing was decided, or *abort*: rolls back what can be reached.
async fn undo(parts: &mut [Part]) {
    // What cannot be reached is rolled back by its server, or by recovery.
    let ended = join_all(parts.iter_mut().map(|part| async move {
        let ended = within_limit(roll_back(part)).await;
        if ended.is_err() {
            part.lane.discard();
        }
    }));
    ended.await;
}

/// Step 2: the anchor's commit, with the decision in it.
async fn decide(parts: &mut [Part], global: &Global) -> Result<(), CommitError> {
    let tags: Vec<_> = global.branches.iter().map(|(_, tag)| *tag).collect();
    let insert = ledger::commit_row(global.entry.gtrid, &tags);
    let anchor = parts.iter_mut().find(|part| part.xid.is_none() && part.lane.in_transaction());
    let decided = match anchor {
        Some(part) => {
            let decided = within_limit(decide_on(&mut part.lane, &insert)).await;
            let has_ended =
                decided.is_ok() || (part.lane.is_usable() && within_limit(part.lane.run(b"ROLLBACK")).await.is_ok());
            if has_ended {
                part.lane.set_in_transaction(false)
            } else {
                part.lane.discard()
            }
            decided
        }
        // A procedure has ended the anchor's transaction; the branches are decided all the same.
        None => global.backends.decide(global.anchor, &insert).await.map(drop).map_err(ExecuteError::from),
    };
    let Err(cause) = decided else { return Ok(()) };
    match settle(global).await {
        Ok(Decision::Commit) => Ok(()),
        Ok(Decision::Abort) => {
            undo(parts).await;
            let overtaken = matches!(&cause, ExecuteError::Backend(BackendError::Server(error)) if error.errno == 1062);
            if overtaken {
                return Err(CommitError::Overtaken);
            }
            Err(CommitError::RolledBack { group: global.backends.group(global.anchor).name().to_string(), cause })
        }
        Err(error) => {
            // Prepared branches are free for recovery once nobody holds them.
            parts.iter_mut().for_each(|part| part.lane.discard());
            Err(error)
        }
    }
}

async fn decide_on(lane: &mut Lane, insert: &str) -> Result<(), ExecuteError> {
    lane.send_both(insert, "COMMIT").await?;
    reached(Step::DecisionSent).await;
    lane.read_both().await
}

/// What was decided, after the anchor was lost in the middle of it.
async fn settle(global: &Global) -> Result<Decision, CommitError> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let settled = ledger::settle(&global.backends, global.anchor, global.entry.gtrid).await;
        let cause = match settled {
            Ok(Some(decision)) => return Ok(decision),
            Ok(None) => "the decision is not there any more".to_owned(),
            Err(error) => SqlError::from_report(&error).message,
        };
        if Instant::now() >= deadline {
            let group = global.backends.group(global.anchor).name().to_string();
            return Err(CommitError::InDoubt { group, gtrid: global.entry.gtrid, cause });
        }
        tracing::debug!(gtrid = %global.entry.gtrid, cause, "what was decided is not known yet");
        sleep(SETTLE_PAUSE).await;
    }
}

/// Step 3: ends all branches. False if some could not be told, which recovery does.
async fn commit_all(parts: &mut [Part]) -> bool {
    let ended = join_all(parts.iter_mut().map(|part| async move {
        let wrote = part.wrote;
        let ended = within_limit(commit_one(part)).await;
        if let Err(error) = &ended {
            part.lane.discard();
            tracing::warn!(%error, "a branch of a committed transaction is left to recovery");
        }
        reached(Step::CommittedOne).await;
        ended.is_ok() || !wrote
    }));
    ended.await.into_iter().all(|ended| ended)
}

async fn commit_one(part: &mut Part) -> Result<(), ExecuteError> {
    match (&part.xid, part.wrote) {
        (Some(xid), true) => {
            part.lane.run(format!("XA COMMIT {xid}").as_bytes()).await?;
            part.lane.set_in_transaction(false);
            Ok(())
        }
        _ => end_in_one_phase(part).await,
    }
}
