//! `limits.statement_timeout_ms`: how long a statement may run, and what becomes of one that runs longer.
//!
//! Its statements on the shards are killed, and end with errors of their servers. Those that do not end within
//! [`KILL_GRACE`], because the server does not answer any more, are given up: their connections are closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::ExecuteError;

/// How long a server may take to end a statement that was killed.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

/// How long a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    /// From its beginning to the end of its answer.
    pub limit: Duration,
    /// Which server's error tells that it was too long.
    pub is_mariadb: bool,
}

/// The clock of one session's statement. Asking a clock that does not run costs one load.
#[derive(Debug, Default)]
pub struct Deadline {
    is_running: AtomicBool,
    clock: Mutex<Clock>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Clock {
    /// When the statement's time is up.
    end: Option<(Instant, bool)>,
    /// Why its shard statements were killed.
    stopped: Option<Cause>,
}

/// Why the shard statements of a statement were killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `KILL QUERY`.
    Killed,
    /// It ran for too long.
    TimeUp {
        /// Which server's error tells so.
        is_mariadb: bool,
    },
}

impl From<Cause> for ExecuteError {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Killed => Self::Interrupted,
            Cause::TimeUp { is_mariadb } => Self::TimeUp { is_mariadb },
        }
    }
}

impl Deadline {
    /// A statement begins (or, without a limit, has ended).
    pub(super) fn start(&self, limit: Option<TimeLimit>) {
        if limit.is_none() && !self.is_running.load(Ordering::Relaxed) {
            return;
        }
        let end = limit.map(|limit| (Instant::now() + limit.limit, limit.is_mariadb));
        *self.clock.lock() = Clock { end, stopped: None };
        self.is_running.store(end.is_some(), Ordering::Relaxed);
    }

    /// The cause, if the time is up and nobody was told so before.
    pub(super) fn take_time_up(&self) -> Option<Cause> {
        let is_mariadb = self.due(Instant::now())?;
        Some(Cause::TimeUp { is_mariadb })
    }

    fn due(&self, now: Instant) -> Option<bool> {
        if !self.is_running.load(Ordering::Relaxed) {
            return None;
        }
        let mut clock = self.clock.lock();
        let (_, is_mariadb) = clock.end.filter(|(at, _)| *at <= now)?;
        clock.end = None;
        Some(is_mariadb)
    }

    /// Waits until the time is up; for ever if there is no limit, or it was told before.
    pub(super) async fn time_up(&self) -> Cause {
        loop {
            if let Some(cause) = self.take_time_up() {
                return cause;
            }
            let end = if self.is_running.load(Ordering::Relaxed) { self.clock.lock().end } else { None };
            match end {
                Some((at, _)) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Notes that the shard statements were killed.
    pub(super) fn note_stopped(&self, cause: Cause) {
        self.clock.lock().stopped.get_or_insert(cause);
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// Why the shard statements were killed, if they were.
    pub fn stopped(&self) -> Option<Cause> {
        if self.is_running.load(Ordering::Relaxed) { self.clock.lock().stopped } else { None }
    }

    /// Resolves when a server has had [`KILL_GRACE`] to end a statement that was killed, counted from now; never, if
    /// none was.
    pub(super) async fn given_up(&self) -> Cause {
        match self.stopped() {
            Some(cause) => {
                tokio::time::sleep(KILL_GRACE).await;
                cause
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_statement_is_up_once() {
        let deadline = Deadline::default();
        assert_eq!(deadline.take_time_up(), None);
        deadline.start(Some(TimeLimit { limit: Duration::from_secs(3600), is_mariadb: true }));
        assert_eq!(deadline.take_time_up(), None);
        deadline.start(Some(TimeLimit { limit: Duration::from_millis(1), is_mariadb: true }));
        assert_eq!(deadline.time_up().await, Cause::TimeUp { is_mariadb: true });
        assert_eq!(deadline.take_time_up(), None);
    }

    #[test]
    fn the_next_statement_knows_nothing_of_a_kill() {
        let deadline = Deadline::default();
        deadline.note_stopped(Cause::Killed);
        assert_eq!(deadline.stopped(), Some(Cause::Killed));
        deadline.start(None);
        assert_eq!(deadline.stopped(), None);
    }
}
