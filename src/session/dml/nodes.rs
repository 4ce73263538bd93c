//! Statements of the session's own for certain nodes of a table.

use std::sync::Arc;

use crate::backend::{Role, Settings};
use crate::config::GroupId;
use crate::execute::lane::{Outcome, Request};
use crate::execute::write::{Step, Written};
use crate::execute::{Lane, Watch, write};
use crate::plan::Plan;
use crate::plan::compose::Target;
use crate::session::{Diagnostic, Failure, Session, Snapshot};
use crate::txn::Want;

/// A statement for a node.
pub(super) struct NodeStatement {
    /// The node, as an index into those of the table.
    pub node: usize,
    /// The text.
    pub sql: Vec<u8>,
}

impl Session {
    /// Runs statements on nodes of a table, those of one group one after the other, and gives what they came to together.
    pub(super) async fn run_on_nodes(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        target: &Target,
        statements: Vec<NodeStatement>,
    ) -> Result<(Outcome, Vec<Diagnostic>), Failure> {
        // what is done to the copies of a broadcast table is told of the first one
        let first_copy = target.unit.place.broadcast().and(statements.first()).map(|statement| statement.node);
        let mut lanes: Vec<Lane> = Vec::new();
        let mut requests: Vec<Vec<Step>> = Vec::new();
        let mut groups: Vec<GroupId> =
            statements.iter().filter_map(|statement| Some(target.unit.node(statement.node)?.group)).collect();
        groups.sort();
        groups.dedup();
        self.check_write(snapshot, &groups)?;
        for &group in &groups {
            match self.node_lane(snapshot, plan, target, group).await {
                Ok(lane) => lanes.push(lane),
                Err(failure) => {
                    self.put_back(lanes, snapshot).await;
                    return Err(failure);
                }
            }
            requests.push(Vec::new());
        }
        for statement in statements {
            let group = target.unit.node(statement.node).map(|node| node.group);
            if let Some(index) = groups.iter().position(|known| Some(*known) == group) {
                let repeats = first_copy.is_some_and(|first| first != statement.node);
                requests[index].push(Step { repeats, ..Step::new(Request::Query(statement.sql.into())) });
            }
        }
        let handles: Vec<_> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let watch = Watch { entry: &self.entry };
        let held_bytes = self.shared.limits().max_buffered_bytes;
        let work = async { Ok(write::run(&mut lanes, requests, write::Sum::Added, held_bytes).await) };
        let written = watch.guard_killing(&self.client, &handles, work).await.and_then(|written| written);
        let Written { outcome, warnings, .. } = match written {
            Ok(written) => written,
            Err(error) => return Err(restored(self.lanes_failed(lanes, error, snapshot), target)),
        };
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        Ok((outcome, warnings))
    }

    /// A lane to a group, in the schema of the table's nodes there.
    pub(super) async fn node_lane(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        target: &Target,
        group: GroupId,
    ) -> Result<Lane, Failure> {
        let schema =
            target.unit.place.nodes().iter().find(|node| node.group == group).map(|node| Arc::clone(&node.schema));
        let settings = Settings::new(schema, Arc::clone(&self.state.vars));
        let flavour = self.flavour();
        let want = Want { group, role: Role::Primary, flavour, settings: (&settings).into(), strict: true };
        let mut lane = self.txn.lane(&snapshot.backends, want).await?;
        self.queue_user_variables(plan, &mut lane)?;
        Ok(lane)
    }
}

/// A failure with the logical names of a table.
pub(super) fn restored(failure: Failure, target: &Target) -> Failure {
    match &target.names {
        Some(names) => failure.renamed(&**names),
        None => failure,
    }
}
