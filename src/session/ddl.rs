//! DDL: the same statement on every data node, one after the other on each group, all groups at once.
//!
//! MySQL's DDL commits by itself and cannot be rolled back. So all nodes are tried, and if some fail, the error says which,
//! and how many have it done.

use std::sync::Arc;

use futures_util::future::join_all;

use super::run::{Input, request};
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::backend::KillHandle;
use crate::error::SqlError;
use crate::execute::lane::{Head, Outcome, Request};
use crate::execute::write::Info;
use crate::execute::{ExecuteError, Lane, Watch};
use crate::plan::{Bound, Plan};
use crate::protocol::OkPacket;
use crate::sql::ddl::DdlKind;

/// ER_UNKNOWN_ERROR: the number of the proxy's own warnings.
const UNKNOWN_ERROR: u16 = 1105;

/// One node's part: its label and the request, preceded by a change of schema where it needs one.
struct NodePart {
    label: String,
    request: Request,
}

impl Session {
    pub(super) async fn run_ddl(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        bound: Bound,
        input: Input<'_>,
    ) -> Result<(), Failure> {
        // DDL commits what is open, before and after itself.
        self.commit().await?;
        let mut lanes: Vec<Lane> = Vec::new();
        let mut parts: Vec<Vec<NodePart>> = Vec::new();
        for shard in &bound.shards {
            let known = lanes
                .iter()
                .zip(&parts)
                .position(|(lane, _)| lane.group() == shard.group && same_schema(lane, shard.schema.as_deref()));
            let index = match known {
                Some(index) => index,
                None => {
                    match self.lane_for(snapshot, plan, shard, crate::backend::Role::Primary).await {
                        Ok(lane) => lanes.push(lane),
                        Err(failure) => {
                            self.put_back(lanes, snapshot).await;
                            return Err(failure);
                        }
                    }
                    parts.push(Vec::new());
                    lanes.len() - 1
                }
            };
            parts[index].push(NodePart { label: shard.node.to_string(), request: request(shard, input, false) });
        }
        let total = bound.shards.len();
        let statements: Vec<KillHandle> = lanes.iter().filter_map(Lane::kill_handle).collect();
        let work =
            async { Ok(join_all(lanes.iter_mut().zip(parts).map(|(lane, parts)| run_nodes(lane, parts))).await) };
        // Nodes that were killed are told apart from those that have it done.
        let watch = Watch { entry: &self.entry };
        let results = match watch.guard_killing(&self.client, &statements, work).await {
            Ok(results) => results,
            Err(error) => return Err(self.lanes_failed(lanes, error, snapshot)),
        };
        let (mut warnings, mut affected_rows, mut info) = (0u16, 0u64, Info::default());
        let mut failures = Vec::new();
        for (outcomes, failed) in results {
            for outcome in outcomes {
                warnings = warnings.saturating_add(outcome.warnings);
                affected_rows = affected_rows.saturating_add(outcome.affected_rows);
                info.add(&outcome.info);
            }
            failures.extend(failed);
        }
        self.state.diagnostics.clear();
        if warnings > 0
            && let Some(lane) = lanes.iter_mut().find(|lane| lane.outcome().warnings > 0)
        {
            self.add_warnings(lane).await;
        }
        for mut lane in lanes {
            self.pin_for(plan, &mut lane);
            self.settle(lane, snapshot);
        }
        self.invalidate(plan, snapshot);
        self.restart_sequences(plan, input, snapshot).await;
        self.note_write();
        if let Some((_, error)) = failures.first() {
            return Err(failure_of(&failures, error, total).into());
        }
        // The nodes warn of the same things.
        let warnings = warnings.min(self.state.diagnostics.len() as u16) + plan.warnings.len() as u16;
        self.state.diagnostics.extend(plan.warnings.iter().map(|message| Diagnostic {
            level: "Warning".to_owned(),
            code: UNKNOWN_ERROR,
            message: message.clone(),
        }));
        let info = info.text(warnings);
        let ok =
            OkPacket { affected_rows, status: self.status(), warnings, info: info.as_bytes(), ..OkPacket::default() };
        self.client.put_ok(&ok);
        self.state.row_count = affected_rows as i64;
        Ok(())
    }
}

impl Session {
    /// The keys of tables that were made, dropped or emptied are counted anew, as their server would.
    async fn restart_sequences(&self, plan: &Plan, input: Input<'_>, snapshot: &Snapshot) {
        let emptied = match crate::sql::ddl::parse(input.sql(), self.state.lex_mode).map(|ddl| ddl.kind) {
            Some(DdlKind::CreateTable { temporary, .. } | DdlKind::DropTable { temporary, .. }) => !temporary,
            Some(DdlKind::Truncate | DdlKind::RenameTable) => true,
            _ => false,
        };
        for named in plan.tables.iter().filter(|_| emptied) {
            let Some(maker) = crate::plan::sequence_of(&snapshot.rules, &named.schema, &named.table) else { continue };
            if let Err(error) = self.shared.keys.restart(&maker, &snapshot.backends).await {
                tracing::warn!(table = %named.table, %error, "the keys of a table are not counted anew");
            }
        }
    }
}

fn same_schema(lane: &Lane, schema: Option<&str>) -> bool {
    lane.schema().as_deref() == schema
}

/// Runs all parts of a lane, also behind one that failed; gives what they came to, and what failed.
async fn run_nodes(lane: &mut Lane, parts: Vec<NodePart>) -> (Vec<Outcome>, Vec<(String, ExecuteError)>) {
    let mut outcomes = Vec::new();
    let mut failed = Vec::new();
    for part in parts {
        match run_node(lane, &part.request).await {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => failed.push((part.label, error)),
        }
    }
    (outcomes, failed)
}

async fn run_node(lane: &mut Lane, request: &Request) -> Result<Outcome, ExecuteError> {
    lane.send(request).await?;
    if let Head::Rows(_) = lane.read_head().await? {
        while lane.read_row().await?.is_some() {}
    }
    Ok(lane.outcome().clone())
}

/// The error of the first node that failed; which nodes failed, unless all did alike.
fn failure_of(failures: &[(String, ExecuteError)], first: &ExecuteError, total: usize) -> SqlError {
    let mut error = SqlError::from_report(first);
    if failures.len() < total {
        let nodes: Vec<&str> = failures.iter().map(|(label, _)| label.as_str()).collect();
        error.message = format!(
            "{} (failed on {} of {total} nodes: {}; done on the others)",
            error.message,
            failures.len(),
            nodes.join(", ")
        );
    }
    error
}
