//! Writes that reach several nodes.
//!
//! Inside a transaction a savepoint around them undoes what the first nodes did when a later one fails. Outside of one
//! they get a transaction of their own (`atomic`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;

use super::atomic::{Within, is_deadlock};
use super::prepared::Prepared;
use super::run::{Input, request};
use super::{Failure, Session, Snapshot};
use crate::backend::KillHandle;
use crate::config::GroupId;
use crate::execute::lane::{Outcome, Request};
use crate::execute::own_query::query_rows;
use crate::execute::relay::renamed;
use crate::execute::write::{Returned, Step, Sum, Written};
use crate::execute::{ExecuteError, Lane, Watch, write};
use crate::plan::types::{ParamSource, StatementKind};
use crate::plan::{Bound, LastInsertId, Plan};
use crate::protocol::execute::{Param, put_execute};
use crate::protocol::{OkPacket, StatusFlags};

/// How often a statement with a transaction of its own is run again after a deadlock.
const MAX_DEADLOCK_RETRIES: usize = 3;
/// The savepoint around a statement of several parts inside a transaction.
const SAVEPOINT: &[u8] = b"SAVEPOINT shardloom_statement";
const ROLLBACK_TO: &[u8] = b"ROLLBACK TO SAVEPOINT shardloom_statement";
const RELEASE: &[u8] = b"RELEASE SAVEPOINT shardloom_statement";
/// While tables are locked: BEGIN would release the locks, and servers refuse XA START while there are any.
const HOLD: &[u8] = b"SET autocommit = 0";
/// Commits, and releases no table lock.
const COMMIT_HELD: &[u8] = b"SET autocommit = 1";

impl Session {
    pub(super) async fn run_write(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        mut bound: Bound,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        let announced = (self.state.next_isolation, self.state.next_access);
        let mut retries = 0;
        let (within, written) = loop {
            match self.write_parts(snapshot, plan, &mut bound, input).await {
                Ok(done) => break done,
                // One server takes the locks of such statements in one order, so they wait for each other instead.
                Err((Within::Own, failure)) if is_deadlock(&failure) && retries < MAX_DEADLOCK_RETRIES => {
                    retries += 1;
                    (self.state.next_isolation, self.state.next_access) = announced;
                }
                Err((_, failure)) => return Err(failure),
            }
        };
        if within == Within::Own {
            self.commit().await?;
        }
        let Written { outcome, warnings, returned } = written;
        match returned {
            Some(returned) => self.answer_returned(returned, &outcome, &bound).await?,
            None => self.answer_write(&outcome, &bound),
        }
        self.state.diagnostics = warnings;
        Ok(())
    }

    /// Runs the parts of a statement, up to the commit of a transaction of its own.
    async fn write_parts(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: &mut Bound,
        input: Input<'_>,
    ) -> Result<(Within, Written), (Within, Failure)> {
        let is_held = self.pins.locked_tables && self.state.autocommit && !self.txn.is_active();
        let within = match is_held {
            true => Within::Locked,
            false => self.begin_write(snapshot, &groups_of(bound)).map_err(|failure| (Within::Client, failure))?,
        };
        let written = self.write_within(within, snapshot, plan, bound, input).await;
        written.map(|written| (within, written)).map_err(|failure| (within, failure))
    }

    async fn write_within(
        &mut self,
        within: Within,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: &mut Bound,
        input: Input<'_>,
    ) -> Result<Written, Failure> {
        let (mut lanes, requests) = match self.write_lanes(snapshot, plan, bound, input).await {
            Ok(ready) => ready,
            Err(failure) => return Err(self.fail_write(within, failure).await),
        };
        if within == Within::Locked {
            for lane in &mut lanes {
                lane.queue_prelude(HOLD)?;
            }
        }
        if within == Within::Client {
            for lane in &mut lanes {
                lane.queue_prelude(SAVEPOINT)?;
                lane.set_in_transaction(true);
            }
        }
        let sum = match plan.kind {
            StatementKind::Insert => sum_of_rows(bound),
            _ => Sum::Added,
        };
        let watch = Watch { entry: &self.entry };
        let statements: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let held_bytes = self.shared.limits().max_buffered_bytes;
        let work = async { Ok(write::run(&mut lanes, requests, sum, held_bytes).await) };
        // Where the client is gone or was killed, connections in the middle of an answer are closed, and their servers
        // roll back.
        let written = match watch.guard_killing(&self.client, &statements, work).await.flatten() {
            Ok(written) => written,
            Err(error) => return Err(self.undo_and_fail(lanes, error, within, snapshot).await),
        };
        match first_inserted(&mut lanes, bound, &written.outcome).await {
            Ok(First::Row(id)) => bound.insert_id = Some(id),
            // rows that were there were changed: a server reports the number of the last one
            Ok(First::None) => (bound.insert_id, bound.keeps_last_insert_id) = (None, true),
            Ok(First::AsMade) => {}
            Err(error) => return Err(self.undo_and_fail(lanes, error, within, snapshot).await),
        }
        if bound.last_insert_id_after(written.outcome.insert_id) == LastInsertId::AsReported {
            // of the row that was there already
            (bound.insert_id, bound.answers_insert_id) = (None, false);
        }
        if let Within::Client | Within::Locked = within {
            let end = if within == Within::Client { RELEASE } else { COMMIT_HELD };
            let released = join_all(lanes.iter_mut().map(|lane| lane.run(end))).await;
            if let Err(error) = released.into_iter().collect::<Result<(), _>>() {
                return Err(self.lanes_failed(lanes, error, snapshot));
            }
        }
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        Ok(written)
    }

    /// The rows of RETURNING.
    async fn answer_returned(&mut self, returned: Returned, outcome: &Outcome, bound: &Bound) -> Result<(), Failure> {
        let mut columns = returned.columns;
        if let Some(names) = bound.shards.first().and_then(|shard| shard.names.as_deref()) {
            columns = columns.iter().map(|column| renamed(column.view(), names).to_owned()).collect();
        }
        self.note_outcome(outcome, bound.last_insert_id(), true);
        self.note_write();
        let status = self.status().without(StatusFlags::MORE_RESULTS_EXISTS);
        self.client.put_columns(columns.iter(), status);
        for row in &returned.rows {
            self.client.put_row(row).await?;
        }
        self.client.put_end(self.status(), outcome.warnings);
        Ok(())
    }

    fn answer_write(&mut self, outcome: &Outcome, bound: &Bound) {
        let affected_rows = outcome.affected_rows;
        // of rows that all were there already none was inserted
        let none = bound.answers_insert_id && outcome.affected_rows == 0;
        let last_insert_id = if none { LastInsertId::Kept } else { bound.last_insert_id() };
        let insert_id = if none { 0 } else { bound.insert_id.unwrap_or(outcome.insert_id) };
        self.note_outcome(outcome, last_insert_id, true);
        self.note_write();
        let ok = OkPacket {
            affected_rows,
            last_insert_id: insert_id,
            status: self.status(),
            warnings: outcome.warnings,
            info: outcome.info.as_bytes(),
            session_state: &[],
        };
        self.client.put_ok(&ok);
    }

    /// One lane per group, and what each runs in order.
    pub(super) async fn write_lanes(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        bound: &Bound,
        input: Input<'_>,
    ) -> Result<(Vec<Lane>, Vec<Vec<Step>>), Failure> {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut requests: Vec<Vec<Step>> = Vec::new();
        // The schema that each lane is in once its requests so far have run.
        let mut schemas: Vec<Option<Arc<str>>> = Vec::new();
        for (number, shard) in bound.shards.iter().enumerate() {
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
                requests[index].push(Step::new(Request::UseSchema(Arc::clone(schema))));
                schemas[index] = Some(Arc::clone(schema));
            }
            let repeats = bound.same_rows && number > 0;
            requests[index].push(Step { request: request(shard, input, false), rows: shard.rows.clone(), repeats });
        }
        Ok((lanes, requests))
    }

    /// Undoes what the lanes have done, and says why.
    async fn undo_and_fail(
        &mut self,
        mut lanes: Vec<Lane>,
        error: ExecuteError,
        within: Within,
        snapshot: &Arc<Snapshot>,
    ) -> Failure {
        if within == Within::Own {
            let lost = lanes.iter().any(|lane| !lane.is_usable());
            for lane in lanes {
                self.settle(lane, snapshot);
            }
            if lost {
                // Their servers roll back, and nothing was committed anywhere.
                self.txn.abandon();
            }
            return self.fail_write(within, error.into()).await;
        }
        if within == Within::Locked {
            let undone = lanes.iter_mut().filter(|lane| lane.is_usable()).map(|lane| async move {
                let undone = lane.run(b"ROLLBACK").await.is_ok() && lane.run(COMMIT_HELD).await.is_ok();
                if !undone {
                    lane.break_off();
                }
            });
            join_all(undone).await;
            return self.lanes_failed(lanes, error, snapshot);
        }
        // A deadlock has rolled everything back on its server, savepoint included.
        let mut is_gone = error.is_deadlock();
        let undone = join_all(lanes.iter_mut().filter(|lane| lane.is_usable()).map(|lane| async move {
            let undone = lane.in_transaction() && lane.run(ROLLBACK_TO).await.is_ok();
            if !undone && lane.is_busy() {
                lane.break_off();
            }
            undone
        }));
        is_gone |= undone.await.contains(&false);
        let failure = self.lanes_failed(lanes, error, snapshot);
        if is_gone && self.txn.rollback(self.pins.any()).await.is_err() {
            self.txn.abandon();
        }
        failure
    }
}

/// The first generated key whose row is there.
enum First {
    /// All rows are there.
    AsMade,
    /// This one.
    Row(u64),
    /// None is: all rows were there before.
    None,
}

/// Looks for the first generated key whose row is there, of an INSERT some of whose rows were duplicates.
async fn first_inserted(lanes: &mut [Lane], bound: &Bound, outcome: &Outcome) -> Result<First, ExecuteError> {
    let duplicates = write::number_after(&outcome.info, "Duplicates").unwrap_or(0);
    // with CLIENT_FOUND_ROWS a row that ON DUPLICATE KEY UPDATE left as it was looks like one that was inserted
    let is_open = !bound.unchanged_is_duplicate || duplicates > 0;
    if bound.first_inserted.is_empty() || outcome.affected_rows == 0 || !is_open {
        return Ok(First::AsMade);
    }
    let mut first: Option<u64> = None;
    for (shard, question) in bound.shards.iter().zip(&bound.first_inserted) {
        let Some(lane) = lanes.iter_mut().find(|lane| lane.group() == shard.group) else { continue };
        let (_, rows) = query_rows(lane, question, 1).await?;
        let cell = rows.first().and_then(|row| row.first().cloned().flatten());
        let id = cell.and_then(|cell| std::str::from_utf8(&cell).ok()?.parse::<u64>().ok());
        first = first.into_iter().chain(id).min();
    }
    Ok(first.map_or(First::None, First::Row))
}

/// How the reports of an INSERT become one.
pub(super) fn sum_of_rows(bound: &Bound) -> Sum {
    Sum::OfRows { unchanged_is_duplicate: bound.unchanged_is_duplicate, defaulted: Arc::clone(&bound.defaulted) }
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
