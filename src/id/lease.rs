//! Worker ids that are leased in a table of a group, so that proxies need none in their rules.
//!
//! `shardloom.workers` has a row per worker id that was ever leased: who holds it, until when by the server's clock, and how
//! far its ids had come by its own clock. A lease is renewed while it is used, long before it ends. A proxy that could
//! not renew gives out no ids past the end, counted from before it asked: another one may hold the worker id then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::snowflake::{MAX_WORKER_ID, Snowflake, now_ms};
use super::{IdError, SCHEMA};
use crate::backend::{Backends, text};
use crate::config::GroupId;

/// What a holder does not use of the end of its lease: a clock that runs 1 % slow loses less.
const MARGIN: u32 = 10;
/// How many candidates are tried when others take worker ids at the same time.
const MAX_ATTEMPTS: usize = 64;

/// A leased worker id and its generator.
#[derive(Debug)]
pub struct Lease {
    group: GroupId,
    ttl: Duration,
    epoch_ms: u64,
    max_backward_ms: u64,
    /// Who this proxy is, in the table.
    holder: String,
    held: Mutex<Option<Held>>,
    fetching: tokio::sync::Mutex<()>,
    renewing: AtomicBool,
}

#[derive(Debug)]
struct Held {
    worker: u16,
    generator: Snowflake,
    /// No id is given out from here on,
    until: Instant,
    /// nor from this moment on by the host's clock (milliseconds since 1970), which goes on while a machine is suspended.
    until_unix_ms: u64,
}

impl Held {
    fn lasts(&self) -> bool {
        Instant::now() < self.until && now_ms() < self.until_unix_ms
    }
}

impl Lease {
    /// No worker id yet. `holder` must differ among proxies.
    pub fn new(group: GroupId, ttl: Duration, epoch_ms: u64, max_backward_ms: u64, holder: String) -> Self {
        Self {
            group,
            ttl,
            epoch_ms,
            max_backward_ms,
            holder,
            held: Mutex::new(None),
            fetching: tokio::sync::Mutex::new(()),
            renewing: AtomicBool::new(false),
        }
    }

    /// The next `count` ids; [`IdError::NotReady`] without a lease that lasts.
    pub fn take(&self, count: u32) -> Result<Vec<u64>, IdError> {
        let held = self.held.lock();
        match &*held {
            Some(held) if held.lasts() => Ok(held.generator.reserve(count)?.collect()),
            _ => Err(IdError::NotReady),
        }
    }

    /// Whether it is time to renew, and nobody does. The caller then calls [`acquire`](Self::acquire).
    pub fn claims_renewal(&self) -> bool {
        let soon = self.ttl * 2 / 3;
        let held = self.held.lock();
        let due = held.as_ref().is_some_and(|held| held.until.saturating_duration_since(Instant::now()) < soon);
        due && !self.renewing.swap(true, Ordering::AcqRel)
    }

    /// The worker id, while it is held.
    pub fn worker(&self) -> Option<u16> {
        self.held.lock().as_ref().filter(|held| held.lasts()).map(|held| held.worker)
    }

    /// Renews the lease, or takes another one if it was lost.
    pub async fn acquire(&self, backends: &Backends, is_renewal: bool) -> Result<(), IdError> {
        let _turn = self.fetching.lock().await;
        if !is_renewal && self.worker().is_some() {
            return Ok(());
        }
        let result = self.renew_or_take(backends).await;
        self.renewing.store(false, Ordering::Release);
        result
    }

    async fn renew_or_take(&self, backends: &Backends) -> Result<(), IdError> {
        let held = self.held.lock().as_ref().map(|held| held.worker);
        if let Some(worker) = held {
            let asked = (Instant::now(), now_ms());
            let sql = format!(
                "UPDATE {SCHEMA}.workers SET expires = {}, last_ms = {} WHERE worker_id = {worker} AND holder = '{}'",
                self.expires(),
                now_ms(),
                self.holder
            );
            self.run(backends, &sql).await?;
            if self.holds(backends, worker).await? {
                if let Some(held) = &mut *self.held.lock() {
                    (held.until, held.until_unix_ms) = self.until(asked);
                }
                return Ok(());
            }
            tracing::warn!(worker, "the lease of a worker id was lost");
            *self.held.lock() = None;
        }
        self.take_one(backends).await
    }

    /// Takes a worker id that nobody has leased, or whose lease has ended.
    async fn take_one(&self, backends: &Backends) -> Result<(), IdError> {
        self.run(backends, &format!("CREATE DATABASE IF NOT EXISTS {SCHEMA}")).await?;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS {SCHEMA}.workers (worker_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY, holder \
             VARCHAR(64) CHARACTER SET ascii NOT NULL, expires DATETIME(6) NOT NULL, last_ms BIGINT UNSIGNED NOT NULL) \
             ENGINE=InnoDB"
        );
        self.run(backends, &table).await?;
        for _ in 0..MAX_ATTEMPTS {
            let Some(worker) = self.candidate(backends).await? else {
                return Err(IdError::NoWorkerId(MAX_WORKER_ID + 1));
            };
            let asked = (Instant::now(), now_ms());
            // Run twice, both do nothing more than once.
            let insert = format!(
                "INSERT IGNORE INTO {SCHEMA}.workers VALUES ({worker}, '{}', {}, 0)",
                self.holder,
                self.expires()
            );
            self.run(backends, &insert).await?;
            let update = format!(
                "UPDATE {SCHEMA}.workers SET holder = '{}', expires = {} WHERE worker_id = {worker} AND expires < \
                 UTC_TIMESTAMP(6)",
                self.holder,
                self.expires()
            );
            self.run(backends, &update).await?;
            if !self.holds(backends, worker).await? {
                continue;
            }
            let sql = format!("SELECT last_ms FROM {SCHEMA}.workers WHERE worker_id = {worker}");
            let answer = self.run(backends, &sql).await?;
            let last_ms: u64 = answer.rows.first().and_then(|row| text(row, 0).parse().ok()).unwrap_or(0);
            // Its last holder may have gone on until its lease ended, by a clock of its own.
            let floor = if last_ms == 0 { 0 } else { last_ms + self.ttl.as_millis() as u64 + self.max_backward_ms };
            let generator = Snowflake::new(worker, self.epoch_ms, self.max_backward_ms);
            generator.start_behind(floor);
            tracing::info!(worker, "leased a worker id");
            let (until, until_unix_ms) = self.until(asked);
            *self.held.lock() = Some(Held { worker, generator, until, until_unix_ms });
            return Ok(());
        }
        Err(IdError::NoWorkerId(MAX_WORKER_ID + 1))
    }

    /// The first worker id that was never leased, else the one whose lease ended first.
    async fn candidate(&self, backends: &Backends) -> Result<Option<u16>, IdError> {
        let sql = format!("SELECT worker_id, expires < UTC_TIMESTAMP(6) FROM {SCHEMA}.workers ORDER BY worker_id");
        let answer = self.run(backends, &sql).await?;
        let used: Vec<u16> = answer.rows.iter().filter_map(|row| text(row, 0).parse().ok()).collect();
        if let Some(free) = (0..=MAX_WORKER_ID).find(|worker| used.binary_search(worker).is_err()) {
            return Ok(Some(free));
        }
        let sql = format!(
            "SELECT worker_id FROM {SCHEMA}.workers WHERE expires < UTC_TIMESTAMP(6) ORDER BY expires, worker_id LIMIT 1"
        );
        let answer = self.run(backends, &sql).await?;
        Ok(answer.rows.first().and_then(|row| text(row, 0).parse().ok()))
    }

    async fn holds(&self, backends: &Backends, worker: u16) -> Result<bool, IdError> {
        let sql = format!(
            "SELECT holder = '{}' AND expires > UTC_TIMESTAMP(6) FROM {SCHEMA}.workers WHERE worker_id = {worker}",
            self.holder
        );
        let answer = self.run(backends, &sql).await?;
        Ok(answer.rows.first().is_some_and(|row| text(row, 0) == "1"))
    }

    fn expires(&self) -> String {
        format!("UTC_TIMESTAMP(6) + INTERVAL {} MICROSECOND", self.ttl.as_micros())
    }

    fn until(&self, (asked, asked_unix_ms): (Instant, u64)) -> (Instant, u64) {
        let lasts = self.ttl - self.ttl / MARGIN;
        (asked + lasts, asked_unix_ms.saturating_add(lasts.as_millis() as u64))
    }

    async fn run(&self, backends: &Backends, sql: &str) -> Result<crate::backend::Answer, IdError> {
        backends.query(self.group, sql).await.map_err(|error| IdError::Unavailable(error.to_string()))
    }
}
