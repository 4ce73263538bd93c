//! Writes that reach several nodes.
//!
//! Inside a transaction they must stay on one group; a savepoint around them undoes what the first nodes did when a later
//! one fails. Outside of one, each group gets a transaction of its own: all run, then all commit, or all roll back. Between
//! the commits of several groups lies a window that two-phase commit will close; when one of them fails there, the error
//! says which groups have committed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::prepared::Prepared;
use super::run::{Input, request};
use super::{Failure, Session, Snapshot};
use crate::backend::KillHandle;
use crate::config::GroupId;
use crate::execute::lane::{Outcome, Request};
use crate::execute::write::Sum;
use crate::execute::{ExecuteError, Lane, Watch, write};
use crate::plan::types::{ParamSource, StatementKind};
use crate::plan::{Bound, Plan};
use crate::protocol::OkPacket;
use crate::protocol::execute::{Param, put_execute};

/// The savepoint around a statement of several parts inside a transaction.
const SAVEPOINT: &[u8] = b"SAVEPOINT shardloom_statement";
const ROLLBACK_TO: &[u8] = b"ROLLBACK TO SAVEPOINT shardloom_statement";
const RELEASE: &[u8] = b"RELEASE SAVEPOINT shardloom_statement";

impl Session {
    /// Refuses what an open transaction may not write.
    pub(super) fn check_write(&mut self, snapshot: &Snapshot, groups: &[GroupId]) -> Result<(), Failure> {
        if !self.txn.is_active() && self.state.autocommit {
            return Ok(());
        }
        let rules = &snapshot.rules;
        Ok(self.txn.note_write(groups, |group| rules.group(group).name.to_string())?)
    }

    pub(super) async fn run_write(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let groups = groups_of(&bound);
        self.check_write(snapshot, &groups)?;
        let in_transaction = self.txn.is_active() || !self.state.autocommit;
        let (mut lanes, requests) = self.write_lanes(snapshot, plan, &bound, input).await?;
        let opening = if in_transaction { SAVEPOINT } else { b"BEGIN".as_slice() };
        for lane in &mut lanes {
            lane.queue_prelude(opening)?;
            lane.set_in_transaction(true);
        }
        let sum = match plan.kind {
            _ if bound.same_rows => Sum::Same,
            StatementKind::Insert => Sum::OfRows,
            _ => Sum::Added,
        };
        let watch = Watch { entry: &self.entry };
        let statements: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let work = async { Ok(write::run(&mut lanes, requests, sum).await) };
        let written = watch.guard_killing(&self.client, &statements, work).await;
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                // The client is gone or was killed: connections in the middle of an answer are closed, and
                // their servers roll back.
                return Err(self.undo_and_fail(lanes, error, in_transaction, snapshot).await);
            }
        };
        let outcome = match written {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.undo_and_fail(lanes, error, in_transaction, snapshot).await),
        };
        let warnings = self.collect_warnings(&mut lanes).await;
        if in_transaction {
            for index in 0..lanes.len() {
                if let Err(error) = lanes[index].run(RELEASE).await {
                    return Err(self.lanes_failed(lanes, error, snapshot));
                }
            }
        } else {
            self.commit_all(&mut lanes, snapshot).await?;
        }
        self.finish_write(lanes, outcome, &bound, snapshot).await?;
        self.state.diagnostics = warnings;
        Ok(())
    }

    async fn finish_write(
        &mut self,
        lanes: Vec<Lane>,
        outcome: Outcome,
        bound: &Bound,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Failure> {
        let affected_rows = outcome.affected_rows;
        self.note_outcome(&outcome, bound.insert_id, true);
        self.note_write();
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        let ok = OkPacket {
            affected_rows,
            last_insert_id: bound.insert_id.unwrap_or(outcome.insert_id),
            status: self.status(),
            warnings: outcome.warnings,
            info: outcome.info.as_bytes(),
            session_state: &[],
        };
        self.client.put_ok(&ok);
        Ok(())
    }

    /// One lane per group, and what each runs in order.
    pub(super) async fn write_lanes(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        bound: &Bound,
        input: Input<'_>,
    ) -> Result<(Vec<Lane>, Vec<Vec<Request>>), Failure> {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut requests: Vec<Vec<Request>> = Vec::new();
        // The schema that each lane is in once its requests so far have run.
        let mut schemas: Vec<Option<Arc<str>>> = Vec::new();
        for shard in &bound.shards {
            let index = match lanes.iter().position(|lane| lane.group() == shard.group) {
                Some(index) => index,
                None => {
                    match self.lane_for(snapshot, plan, shard, crate::backend::Role::Primary).await {
                        Ok(lane) => lanes.push(lane),
                        Err(failure) => {
                            self.put_back(lanes, snapshot).await;
                            return Err(failure);
                        }
                    }
                    requests.push(Vec::new());
                    schemas.push(shard.schema.clone());
                    lanes.len() - 1
                }
            };
            if let Some(schema) = shard.schema.as_ref().filter(|schema| schemas[index].as_ref() != Some(schema)) {
                requests[index].push(Request::UseSchema(Arc::clone(schema)));
                schemas[index] = Some(Arc::clone(schema));
            }
            requests[index].push(request(shard, input, false));
        }
        Ok((lanes, requests))
    }

    /// COMMIT on all lanes at once. Once one has committed, a failure of another cannot be undone.
    async fn commit_all(&mut self, lanes: &mut [Lane], snapshot: &Snapshot) -> Result<(), Failure> {
        let results = futures_util::future::join_all(lanes.iter_mut().map(|lane| lane.run(b"COMMIT"))).await;
        for lane in lanes.iter_mut() {
            lane.set_in_transaction(false);
        }
        let name = |lane: &Lane| snapshot.rules.group(lane.group()).name.to_string();
        let (mut committed, mut failed, mut first) = (Vec::new(), Vec::new(), None);
        for (lane, result) in lanes.iter_mut().zip(results) {
            match result {
                Ok(()) => committed.push(name(lane)),
                Err(error) => {
                    failed.push(name(lane));
                    first.get_or_insert(error);
                    lane.discard();
                }
            }
        }
        match first {
            None => Ok(()),
            Some(error) if committed.is_empty() => Err(error.into()),
            Some(ExecuteError::Backend(cause)) => {
                Err(ExecuteError::PartialCommit { committed: committed.join(", "), failed: failed.join(", "), cause }
                    .into())
            }
            Some(error) => Err(error.into()),
        }
    }

    /// Undoes what the lanes have done, and says why.
    async fn undo_and_fail(
        &mut self,
        mut lanes: Vec<Lane>,
        error: ExecuteError,
        in_transaction: bool,
        snapshot: &Arc<Snapshot>,
    ) -> Failure {
        let undo: &[u8] = if in_transaction { ROLLBACK_TO } else { b"ROLLBACK" };
        for lane in lanes.iter_mut().filter(|lane| lane.is_usable()) {
            // A deadlock has rolled everything back, savepoint included.
            if !lane.in_transaction() {
                continue;
            }
            match lane.run(undo).await {
                Ok(()) if !in_transaction => lane.set_in_transaction(false),
                Ok(()) => {}
                Err(_) => lane.break_off(),
            }
        }
        let deadlock = in_transaction && lanes.iter().any(|lane| lane.is_usable() && !lane.in_transaction());
        let failure = self.lanes_failed(lanes, error, snapshot);
        if deadlock && self.txn.rollback(self.pins.any()).await.is_err() {
            self.txn.abandon();
        }
        failure
    }
}

pub(super) fn groups_of(bound: &Bound) -> Vec<GroupId> {
    let mut groups: Vec<GroupId> = bound.shards.iter().map(|shard| shard.group).collect();
    groups.sort();
    groups.dedup();
    groups
}

/// COM_STMT_EXECUTE with other parameters than the client's: some of them, in another order, or computed.
pub(super) fn execute_payload_of(sources: &[ParamSource], flag: u8, prepared: &Prepared, payload: &Bytes) -> Bytes {
    let constants: Vec<[u8; 8]> = sources
        .iter()
        .map(|source| match source {
            ParamSource::Const(value) => value.to_le_bytes(),
            ParamSource::Param(_) => [0; 8],
        })
        .collect();
    let params = sources.iter().zip(&constants).map(|(source, constant)| match source {
        ParamSource::Param(index) => prepared.params.param(*index as usize, payload, &prepared.long_data),
        ParamSource::Const(_) => Param::int64(constant),
    });
    let mut out = BytesMut::with_capacity(payload.len());
    put_execute(0, flag, params, &mut out);
    out.freeze()
}
