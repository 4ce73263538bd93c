//! The connections that a statement runs on: where they come from, and where they go when it fails.

use std::sync::Arc;

use super::{Failure, Session, Snapshot};
use crate::backend::{Role, Settings, Wanted};
use crate::config::GroupId;
use crate::execute::{ExecuteError, Lane, Watch};
use crate::plan::{Access, Plan, ShardStatement};
use crate::txn::Want;

impl Session {
    /// Hands back the lanes of a statement that is not going to run.
    pub(super) async fn put_back(&mut self, lanes: Vec<Lane>, snapshot: &Arc<Snapshot>) {
        for mut lane in lanes {
            // Whatever cannot be handed back reports its loss.
            if lane.must_stay() && lane.run_preludes().await.is_err() {
                lane.break_off();
            }
            self.settle(lane, snapshot);
        }
    }

    /// A lane for a shard's statement, with all that must come before it.
    pub(super) async fn lane_for(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        shard: &ShardStatement,
        role: Role,
    ) -> Result<Lane, Failure> {
        let settings = Wanted { schema: shard.schema.as_ref(), vars: &self.state.vars };
        let strict = plan.access != Access::Read;
        let want = Want { group: shard.group, role, flavour: self.flavour(), settings, strict };
        let mut lane = match self.txn.lane_at_hand(&snapshot.backends, &want) {
            Ok(lane) => lane,
            Err(start) => {
                let watch = Watch { entry: &self.entry };
                let taking = self.txn.lane_from(&snapshot.backends, want, start);
                Box::pin(watch.guard(&self.client, taking)).await?
            }
        };
        self.queue_user_variables(plan, &mut lane)?;
        Ok(lane)
    }

    /// One more lane for another shard of the same read, if a connection is free.
    pub(super) async fn spare_lane(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        shard: &ShardStatement,
        role: Role,
    ) -> Result<Option<Lane>, Failure> {
        let settings = Wanted { schema: shard.schema.as_ref(), vars: &self.state.vars };
        let strict = plan.access != Access::Read;
        let want = Want { group: shard.group, role, flavour: self.flavour(), settings, strict };
        let Some(mut lane) = self.txn.spare_lane(&snapshot.backends, want).await? else { return Ok(None) };
        self.queue_user_variables(plan, &mut lane)?;
        Ok(Some(lane))
    }

    pub(super) fn queue_user_variables(&self, plan: &Plan, lane: &mut Lane) -> Result<(), ExecuteError> {
        if plan.pins.user_variables
            && let Some(prelude) = self.user_variables_prelude()
        {
            lane.queue_prelude(prelude.as_bytes())?;
            lane.conn()?.mark_dirty();
        }
        self.queue_session_values(plan, lane)
    }

    /// The lane to a group whose connection is held.
    pub(super) async fn held_lane(&mut self, group: GroupId, snapshot: &Arc<Snapshot>) -> Result<Lane, Failure> {
        let schema = self.txn.held_schema(group);
        let settings = Settings::new(schema, Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let want = Want { group, role: Role::Primary, flavour, settings: (&settings).into(), strict: true };
        self.take_lane(snapshot, want).await
    }

    /// A statement failed on a lane: what state is lost with it, and what the client reads.
    pub(super) fn lane_failed(&mut self, lane: Lane, error: ExecuteError, snapshot: &Arc<Snapshot>) -> Failure {
        self.lanes_failed(vec![lane], error, snapshot)
    }

    pub(super) fn lanes_failed(&mut self, lanes: Vec<Lane>, error: ExecuteError, snapshot: &Arc<Snapshot>) -> Failure {
        let mut lost_state = false;
        for lane in lanes {
            let held_state = lane.reports_loss();
            if lane.is_usable() {
                self.settle(lane, snapshot);
            } else {
                lost_state |= held_state;
                drop(lane);
            }
        }
        let failure = Failure::from(error);
        if lost_state {
            // On one server the client's connection would be gone with its transaction.
            self.txn.abandon();
            return failure.fatal();
        }
        failure
    }
}
