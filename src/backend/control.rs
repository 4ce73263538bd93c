//! The proxy's own connections to a server: for health checks, for the catalog, for `KILL`, for what becomes of
//! transactions. Apart from the pool, so that they work when the pool is used up, and opened the same way, so that a check
//! sees what traffic would see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::conn::BackendConn;
use super::connect;
use super::error::BackendError;
use super::flavour::Flavour;
use super::kill::KILLS_WAITING;
use super::response::Answer;
use super::server::{Place, Server};

/// The proxy's own connections to one server. Up to four, which count on top of `max_connections`.
#[derive(Debug)]
pub(super) struct ControlSet {
    pub(super) health: Control,
    pub(super) catalog: Control,
    pub(super) decisions: Control,
    pub(super) kill: Control,
    pub(super) kills_waiting: Arc<Semaphore>,
}

impl Default for ControlSet {
    fn default() -> Self {
        Self {
            health: Control::default(),
            catalog: Control::default(),
            decisions: Control::default(),
            kill: Control::default(),
            kills_waiting: Arc::new(Semaphore::new(KILLS_WAITING)),
        }
    }
}

/// One connection of the proxy's own, opened when it is needed. Its users take turns.
#[derive(Debug, Default)]
pub(super) struct Control {
    conn: Mutex<Option<BackendConn>>,
}

impl Control {
    /// Runs one statement, all waits together within `limit`. A connection that was closed meanwhile is opened again once:
    /// statements sent here may be run twice.
    pub(super) async fn query(&self, server: &Arc<Server>, sql: &str, limit: Duration) -> Result<Answer, BackendError> {
        self.query_all(server, &[sql], limit).await
    }

    /// As [`query`](Self::query), for statements that belong together: all on the same connection, up to the first that
    /// fails. Gives the last answer.
    pub(super) async fn query_all(
        &self,
        server: &Arc<Server>,
        sql: &[&str],
        limit: Duration,
    ) -> Result<Answer, BackendError> {
        match timeout(limit, self.query_unbounded(server, sql)).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(BackendError::Timeout { server: server.label().clone(), waited_ms: limit.as_millis() as u64 })
            }
        }
    }

    async fn query_unbounded(&self, server: &Arc<Server>, sql: &[&str]) -> Result<Answer, BackendError> {
        let mut slot = self.conn.lock().await;
        // Out of its slot while it is used: if this future is dropped, so is the connection.
        if let Some(mut conn) = slot.take()
            && conn.looks_alive()
        {
            match run_all(&mut conn, sql).await {
                Err(error) if error.is_lost() => {}
                answer => {
                    *slot = conn.give_back().then_some(conn);
                    return answer;
                }
            }
        }
        let mut conn = connect::open(server, Flavour::OWN, Place::outside_the_pool()).await?;
        let answer = run_all(&mut conn, sql).await;
        *slot = conn.give_back().then_some(conn);
        answer
    }

    /// Closes the connection if it has been idle for this long.
    pub(super) fn close_if_idle(&self, limit: Duration) {
        if let Ok(mut slot) = self.conn.try_lock()
            && slot.as_ref().is_some_and(|conn| conn.idle_for(Instant::now()) > limit)
        {
            *slot = None;
        }
    }
}

async fn run_all(conn: &mut BackendConn, sql: &[&str]) -> Result<Answer, BackendError> {
    let mut last = Answer::default();
    for sql in sql {
        last = conn.query(sql).await?;
    }
    Ok(last)
}
