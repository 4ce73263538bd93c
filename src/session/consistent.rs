//! START TRANSACTION WITH CONSISTENT SNAPSHOT: one cut over all groups of the schema, taken at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Failure, Session, Snapshot};
use crate::config::GroupId;
use crate::error::{Fault, SqlError};
use crate::execute::{ExecuteError, Lane};
use crate::txn::{Begin, Mode};

/// How long a cut is tried. Transactions that another proxy has left in the middle of their commit stand in its way until
/// recovery has ended them.
const CUT_LIMIT: Duration = Duration::from_secs(30);
/// Between two tries.
const CUT_PAUSE: Duration = Duration::from_millis(5);

impl Session {
    /// Begins such a transaction. Unlike others it begins on all groups at once.
    pub(super) async fn begin_consistent(&mut self, begin: Begin, mode: Mode) -> Result<(), Failure> {
        let snapshot = self.snapshot();
        let deadline = Instant::now() + CUT_LIMIT;
        loop {
            self.txn.begin(begin.clone(), mode);
            match self.cut(&snapshot).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failure) => {
                    self.txn.abandon();
                    return Err(failure);
                }
            }
            let undone = self.txn.rollback(self.pins.any()).await;
            self.after_transaction_step(undone)?;
            if Instant::now() >= deadline {
                return Err(too_busy().into());
            }
            tokio::time::sleep(CUT_PAUSE).await;
        }
    }

    /// One try. False if a commit came between.
    async fn cut(&mut self, snapshot: &Arc<Snapshot>) -> Result<bool, Failure> {
        let groups = self.groups_of_schema(snapshot);
        let mut lanes: Vec<Lane> = Vec::with_capacity(groups.len());
        for group in groups {
            lanes.push(self.lane_aside(group, snapshot).await?);
        }
        let coordinator = Arc::clone(&self.shared.coordinator);
        // With one group there is nothing that could fall apart.
        let is_trivial = lanes.len() < 2;
        let cut = if is_trivial { None } else { coordinator.begin_cut(&snapshot.backends).await };
        open_all(&mut lanes).await?;
        let holds = match cut {
            Some(cut) => cut.holds().await,
            None => is_trivial,
        };
        for lane in lanes {
            self.settle(lane, snapshot);
        }
        Ok(holds)
    }

    fn groups_of_schema(&self, snapshot: &Snapshot) -> Vec<GroupId> {
        let schema = self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name));
        match schema {
            Some(schema) => schema.groups(),
            None => (0..snapshot.rules.groups.len()).filter_map(|i| u16::try_from(i).ok()).map(GroupId).collect(),
        }
    }
}

/// Sends what begins the transaction on each group; afterwards each has its snapshot.
async fn open_all(lanes: &mut [Lane]) -> Result<(), ExecuteError> {
    join_all(lanes.iter_mut().map(open)).await.into_iter().collect()
}

async fn open(lane: &mut Lane) -> Result<(), ExecuteError> {
    if lane.is_branch() {
        // XA START takes no snapshot; the first read of a table does.
        return lane.run(b"SELECT `number` FROM `shardloom`.`identity`").await;
    }
    lane.run_preludes().await
}

fn too_busy() -> SqlError {
    let message = format!(
        "No consistent snapshot over all groups could be taken within {} s: transactions of other proxies are being \
         committed; SHOW SHARDLOOM TRANSACTIONS lists those in doubt",
        CUT_LIMIT.as_secs()
    );
    SqlError { fault: Fault::Proxy, ..SqlError::client(1205, "HY000", message) }
}
