//! How many queries over temporary tables run at a time, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backend::{BackendError, KillHandle};
use crate::config::Scratch;
use crate::execute::ExecuteError;

/// ER_QUERY_INTERRUPTED.
pub(super) const KILLED: u16 = 1317;

/// Admits queries over temporary tables, and spreads them over the servers.
#[derive(Debug)]
pub struct ScratchGate {
    running: Arc<Semaphore>,
    /// The server that is next.
    pub(super) next: AtomicUsize,
    /// A scratch server of its own has the schema for temporary tables.
    pub(super) has_schema: AtomicBool,
}

impl ScratchGate {
    /// For so many queries at the same time.
    pub fn new(rules: &Scratch) -> Self {
        let permits = rules.max_concurrent.min(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(permits)),
            next: AtomicUsize::new(0),
            has_schema: AtomicBool::new(false),
        }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self, rules: &Scratch) -> Result<OwnedSemaphorePermit, ExecuteError> {
        let busy = ExecuteError::ScratchBusy { limit: rules.max_concurrent };
        let waited = tokio::time::timeout(limit(rules), Arc::clone(&self.running).acquire_owned()).await;
        waited.ok().and_then(Result::ok).ok_or(busy)
    }
}

fn limit(rules: &Scratch) -> Duration {
    Duration::from_millis(rules.timeout_ms)
}

/// Until when the temporary tables of a query must be filled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit_ms: u64,
}

impl Deadline {
    pub fn new(rules: &Scratch) -> Self {
        Self { at: Instant::now() + limit(rules), limit_ms: rules.timeout_ms }
    }

    /// Runs `work`; past the deadline its statements are killed, and it ends as they do.
    pub async fn watch<T>(&self, statements: &[KillHandle], work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout_at(self.at.into(), work.as_mut()).await {
            return done;
        }
        for statement in statements {
            if let Err(error) = statement.kill_query().await {
                tracing::debug!(%error, "a statement could not be stopped");
            }
        }
        work.await
    }

    /// What an error means that came in spite of the deadline, or because of it.
    pub fn explain(&self, error: ExecuteError) -> ExecuteError {
        let is_of_kill = matches!(&error, ExecuteError::Backend(BackendError::Server(error)) if error.errno == KILLED);
        if is_of_kill && Instant::now() >= self.at {
            return ExecuteError::ScratchTimeout { limit_ms: self.limit_ms };
        }
        error
    }
}
