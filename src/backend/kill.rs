//! Stopping statements that run on a backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::BackendError;
use super::pool::Pool;

/// How many abandoned statements of one server may wait to be killed. Past this they run until they notice that nobody
/// reads their answer; a thousand clients that vanish at once are all covered.
pub const KILLS_WAITING: usize = 1024;

/// How long a statement may take to begin before it is left alone, and how often that is looked at.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Whether statements of the proxy's own, BEGIN say, are under way in front of a client's statement that was sent along with
/// them. A `KILL QUERY` that met one of those would leave the statement to run all the same, and outside of its transaction.
///
/// It counts: an odd number says that they are under way.
#[derive(Debug, Default)]
pub struct Beginning(AtomicU64);

impl Beginning {
    /// They are sent.
    pub fn begin(&self) {
        self.0.fetch_or(1, Ordering::AcqRel);
    }

    /// All have been answered, or the first error has.
    pub fn end(&self) {
        if self.is_under_way() {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether they are under way.
    pub fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Acquire) % 2 == 1
    }

    /// Waits until those that are under way have been answered. False if they are not, or if others are under way since.
    async fn over(&self) -> bool {
        let at = self.0.load(Ordering::Acquire);
        if at.is_multiple_of(2) {
            return true;
        }
        let deadline = Instant::now() + BEGINS_WITHIN;
        while self.0.load(Ordering::Acquire) == at && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
        self.0.load(Ordering::Acquire) == at + 1
    }
}

/// Addresses one connection of a server, to stop what runs on it.
#[derive(Debug, Clone)]
pub struct KillHandle {
    pool: Arc<Pool>,
    thread_id: u32,
    beginning: Option<Arc<Beginning>>,
}

impl KillHandle {
    pub(super) fn new(pool: Arc<Pool>, thread_id: u32, beginning: Option<Arc<Beginning>>) -> Self {
        Self { pool, thread_id, beginning }
    }

    /// Stops the statement, as `KILL QUERY` does: its connection gets error 1317. Runs on a connection of the proxy's own,
    /// which works when the pool is used up. A statement that is over already is no error. Waits until the statement has
    /// begun: meanwhile the connection must be read.
    pub async fn kill_query(&self) -> Result<(), BackendError> {
        if let Some(beginning) = &self.beginning
            && !beginning.over().await
        {
            return Ok(());
        }
        self.run("KILL QUERY").await
    }

    /// Whether [`kill_query`](Self::kill_query) would wait.
    pub fn must_wait(&self) -> bool {
        self.beginning.as_ref().is_some_and(|beginning| beginning.is_under_way())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kill_waits_until_the_statement_has_begun() {
        let beginning = Arc::new(Beginning::default());
        assert!(beginning.over().await, "nothing is under way");
        beginning.begin();
        beginning.begin();
        let waiting = tokio::spawn({
            let beginning = Arc::clone(&beginning);
            async move { beginning.over().await }
        });
        sleep(LOOK_EVERY * 5).await;
        assert!(!waiting.is_finished());
        beginning.end();
        beginning.end();
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_kill_is_for_no_later_statement() {
        let beginning = Arc::new(Beginning::default());
        beginning.begin();
        let waiting = tokio::spawn({
            let beginning = Arc::clone(&beginning);
            async move { beginning.over().await }
        });
        sleep(LOOK_EVERY * 5).await;
        beginning.end();
        beginning.begin();
        assert!(!waiting.await.unwrap(), "another statement begins");
    }
}
