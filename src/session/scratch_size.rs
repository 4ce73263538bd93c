//! How many rows table references are expected to bring: what their servers say of tables and indexes, and a guess for
//! conditions without one.

use std::sync::Arc;

use super::scratch_gate::{Deadline, KILLED};
use super::{Failure, Session, Snapshot};
use crate::backend::BackendError;
use crate::execute::own_query::query_rows;
use crate::execute::{ExecuteError, Watch};
use crate::plan::Plan;
use crate::plan::types::ScratchRead;

/// EXPLAIN of a statement that reads one table has one row, of a view few.
const MAX_EXPLAIN_ROWS: usize = 16;

impl Session {
    /// The rows that each reference is expected to bring, where their order matters: where one can leave out rows of another.
    pub(super) async fn expected_rows(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        reads: &[ScratchRead],
        deadline: Deadline,
    ) -> Result<Vec<Option<f64>>, Failure> {
        let mut expected = vec![None; reads.len()];
        if reads.iter().all(|read| read.links.is_empty()) {
            return Ok(expected);
        }
        for (slot, read) in expected.iter_mut().zip(reads) {
            let on_one = self.rows_on_a_shard(snapshot, plan, read, deadline).await?;
            *slot = on_one.map(|rows| rows * read.shards.len() as f64 * read.share);
        }
        Ok(expected)
    }

    /// What the server of the first shard expects; nothing if it does not say.
    async fn rows_on_a_shard(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Plan,
        read: &ScratchRead,
        deadline: Deadline,
    ) -> Result<Option<f64>, Failure> {
        let Some(shard) = read.shards.first() else { return Ok(None) };
        let Ok(sql) = std::str::from_utf8(shard.sql.bytes(b"")) else { return Ok(None) };
        let sql = format!("EXPLAIN FORMAT=TRADITIONAL {sql}");
        let role = self.role(snapshot, plan);
        let mut lane = self.lane_for(snapshot, plan, shard, role).await?;
        let handles: Vec<_> = lane.kill_handle().into_iter().collect();
        let watch = Watch { entry: &self.entry };
        let asking = deadline.watch(&handles, query_rows(&mut lane, &sql, MAX_EXPLAIN_ROWS));
        let asked = watch.guard_killing(&self.client, &handles, asking).await;
        self.settle(lane, snapshot);
        let (columns, rows) = match asked.map_err(|error| deadline.explain(error)) {
            Ok(answer) => answer,
            // what stands in the way of the read too is said by that; some views cannot be explained by those who read them
            Err(error) if error.is_backend_lost() || is_refused(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(at) = columns.iter().position(|column| column.name.eq_ignore_ascii_case(b"rows")) else {
            return Ok(None);
        };
        let number = |cell: &Option<bytes::Bytes>| std::str::from_utf8(cell.as_ref()?).ok()?.parse::<f64>().ok();
        Ok(rows.iter().filter_map(|row| number(row.get(at)?)).reduce(f64::max))
    }
}

/// Whether a server said no, but for being told to stop.
fn is_refused(error: &ExecuteError) -> bool {
    matches!(error, ExecuteError::Backend(BackendError::Server(error)) if error.errno != KILLED)
}
