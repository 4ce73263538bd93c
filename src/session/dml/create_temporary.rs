//! The temporary table of CREATE TEMPORARY TABLE … SELECT: on the connection that stays with the session, and without a commit
//! (*Statements That Cause an Implicit Commit*).

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::Role;
use crate::execute::Watch;
use crate::session::query::Text;
use crate::session::{Failure, Session, Snapshot};
use crate::sql::scan;

impl Session {
    /// Makes or drops it. The warnings are the session's diagnostics then.
    pub(super) async fn define_temporary(&mut self, snapshot: &Arc<Snapshot>, sql: String) -> Result<(), Failure> {
        let outer = std::mem::take(&mut self.literals);
        let result = self.run_temporary(snapshot, sql.into()).await;
        self.literals = outer;
        result
    }

    async fn run_temporary(&mut self, snapshot: &Arc<Snapshot>, sql: Bytes) -> Result<(), Failure> {
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        let text = Text { sql };
        let plan = self.plan(&text, &scanned, snapshot, false).await?;
        let bound = self.bind(&plan, &text.sql, &[])?;
        let Some(shard) = bound.shards.first() else { return Ok(()) };
        let mut lane = self.lane_for(snapshot, &plan, shard, Role::Primary).await?;
        let handles: Vec<_> = lane.kill_handle().into_iter().collect();
        let watch = Watch { entry: &self.entry };
        let running = lane.run(shard.sql.bytes(&text.sql));
        let result = watch.guard_killing(&self.client, &handles, running).await;
        self.state.diagnostics.clear();
        match result {
            Ok(()) => {
                if lane.outcome().warnings > 0 {
                    self.add_warnings(&mut lane).await;
                }
                self.pin_for(&plan, &mut lane);
                self.note_temporary_tables(&plan);
                self.settle(lane, snapshot);
                Ok(())
            }
            Err(error) => Err(self.lane_failed(lane, error, snapshot)),
        }
    }
}
