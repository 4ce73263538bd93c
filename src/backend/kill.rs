//! Stopping statements that run on a backend.

use std::sync::Arc;

use super::error::BackendError;
use super::pool::Pool;

/// How many abandoned statements of one server may wait to be killed. Past this they run until they notice that nobody
/// reads their answer; a thousand clients that vanish at once are all covered.
pub const KILLS_WAITING: usize = 1024;

/// Addresses one connection of a server, to stop what runs on it.
#[derive(Debug, Clone)]
pub struct KillHandle {
    pool: Arc<Pool>,
    thread_id: u32,
}

impl KillHandle {
    pub(super) fn new(pool: Arc<Pool>, thread_id: u32) -> Self {
        Self { pool, thread_id }
    }

    /// Stops the statement, as `KILL QUERY` does: its connection gets error 1317. Runs on a connection of the proxy's own,
    /// which works when the pool is used up. A statement that is over already is no error.
    pub async fn kill_query(&self) -> Result<(), BackendError> {
        self.run("KILL QUERY").await
    }

    /// Closes the connection on the server, as `KILL` does.
    pub async fn kill_connection(&self) -> Result<(), BackendError> {
        self.run("KILL").await
    }

    async fn run(&self, verb: &str) -> Result<(), BackendError> {
        let limit = self.pool.server().spec().limits.connect_timeout;
        match self.pool.control().kill.query(self.pool.server(), &format!("{verb} {}", self.thread_id), limit).await {
            Ok(_) => Ok(()),
            // ER_NO_SUCH_THREAD
            Err(BackendError::Server(error)) if error.errno == 1094 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Kills in the background; dropped when too many wait already.
    pub(super) fn kill_connection_later(self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Ok(permit) = self.pool.control().kills_waiting.clone().try_acquire_owned() else { return };
        runtime.spawn(async move {
            if let Err(error) = self.kill_connection().await {
                tracing::debug!(server = %self.pool.server().label(), %error, "an abandoned statement was not killed");
            }
            drop(permit);
        });
    }
}
