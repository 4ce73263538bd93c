//! The background task of one server's pool: is the server there, and which connections have idled long enough?

use std::sync::{Arc, Weak};

use tokio::time::{MissedTickBehavior, interval};

use super::pool::Pool;
use super::server::Server;

/// Checks the server and tidies the pool until the pool is gone. Everything that decides whether a server may be used
/// belongs here: replication lag and GTIDs, and which server of a group is the primary, will be asked in the same beat.
pub(super) async fn run(server: Arc<Server>, pool: Weak<Pool>) {
    let limits = server.spec().limits.clone();
    let mut beat = interval(limits.health_interval);
    // A check that took long is not made up for by a burst of checks.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.control().health.query(&server, "SELECT 1", limits.health_timeout).await {
            Ok(_) => server.note_passed(),
            Err(error) => server.note_failure(&error),
        }
        pool.close_stale();
        pool.control().catalog.close_if_idle(limits.idle_timeout);
        pool.control().decisions.close_if_idle(limits.idle_timeout);
        pool.control().kill.close_if_idle(limits.idle_timeout);
    }
}
