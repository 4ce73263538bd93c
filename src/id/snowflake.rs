//! Snowflake ids: 64-bit integers that grow with time and need no coordination once a worker id is given.
//!
//! Layout, from the highest bit: 1 bit zero, 41 bits of milliseconds since the epoch, 10 bits of worker id, 12 bits of
//! sequence (the layout of Twitter's Snowflake, 2010).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Fault, Report};

const SEQUENCE_BITS: u32 = 12;
const WORKER_BITS: u32 = 10;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
/// The largest worker id.
pub const MAX_WORKER_ID: u16 = (1 << WORKER_BITS) - 1;
/// 2016-11-01T00:00:00Z, the epoch that ShardingSphere's Snowflake uses: ids go on growing after a migration.
pub const DEFAULT_EPOCH_MS: u64 = 1_477_958_400_000;
/// The default of how far the clock may lag behind the last id given before ids are refused. Up to there the generator
/// runs ahead on its own count, so that a small step back of the clock is not seen at all.
pub const DEFAULT_MAX_LAG_MS: u64 = 5_000;

/// Why no id could be given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// The clock went back further than the bound.
    #[error(
        "the clock is {lag_ms} ms behind the last generated id (limit {limit_ms} ms); check the time of the proxy's host"
    )]
    ClockBehind {
        /// Milliseconds between the clock and the last id.
        lag_ms: u64,
        /// The limit.
        limit_ms: u64,
    },
    /// 41 bits of milliseconds are used up, or the clock is before the epoch.
    #[error("the clock is outside of the 69 years that the key generator's epoch allows")]
    OutOfRange,
}

impl Report for IdError {
    fn errno(&self) -> u16 {
        1105
    }

    fn sqlstate(&self) -> &'static str {
        "HY000"
    }

    fn kind(&self) -> &'static str {
        "id_generator"
    }

    fn fault(&self) -> Fault {
        Fault::Proxy
    }

    fn retryable(&self) -> bool {
        matches!(self, Self::ClockBehind { .. })
    }
}

/// A generator for one worker id. Lock free; clones of the `Arc` around it may be used from any thread.
#[derive(Debug)]
pub struct Snowflake {
    worker: u64,
    epoch_ms: u64,
    max_lag_ms: u64,
    /// The next id without its worker part: milliseconds << 12 | sequence.
    next: AtomicU64,
}

impl Snowflake {
    /// A generator for `worker` (at most [`MAX_WORKER_ID`]; higher bits are cut off) that bridges a clock which
    /// lags by up to `max_lag_ms`.
    pub fn new(worker: u16, epoch_ms: u64, max_lag_ms: u64) -> Self {
        Self { worker: u64::from(worker & MAX_WORKER_ID), epoch_ms, max_lag_ms, next: AtomicU64::new(0) }
    }

    /// The next id. See [`Self::reserve`].
    pub fn next_id(&self) -> Result<u64, IdError> {
        self.reserve(1).map(|ids| ids.first())
    }

    /// Reserves `count` ids, growing in their order. When more than 4,096 ids a millisecond are asked for, the ids run
    /// ahead of the clock by up to the bound before they are refused.
    pub fn reserve(&self, count: u32) -> Result<IdBlock, IdError> {
        self.reserve_at(count, now_ms())
    }

    fn reserve_at(&self, count: u32, now_ms: u64) -> Result<IdBlock, IdError> {
        let now = now_ms.checked_sub(self.epoch_ms).ok_or(IdError::OutOfRange)?;
        let mut seen = self.next.load(Ordering::Relaxed);
        loop {
            let start = seen.max(now << SEQUENCE_BITS);
            let end = start + u64::from(count);
            let lag_ms = (end >> SEQUENCE_BITS).saturating_sub(now);
            if lag_ms > self.max_lag_ms {
                return Err(IdError::ClockBehind { lag_ms, limit_ms: self.max_lag_ms });
            }
            if end >> (SEQUENCE_BITS + 41) != 0 {
                return Err(IdError::OutOfRange);
            }
            match self.next.compare_exchange_weak(seen, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(IdBlock { worker: self.worker, at: start, end }),
                Err(other) => seen = other,
            }
        }
    }
}

/// A run of reserved ids.
#[derive(Debug, Clone)]
pub struct IdBlock {
    worker: u64,
    at: u64,
    end: u64,
}

impl IdBlock {
    /// The first id that is left, or the one after the last.
    pub fn first(&self) -> u64 {
        ((self.at >> SEQUENCE_BITS) << (SEQUENCE_BITS + WORKER_BITS))
            | self.worker << SEQUENCE_BITS
            | (self.at & SEQUENCE_MASK)
    }
}

impl Iterator for IdBlock {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let id = (self.at < self.end).then(|| self.first());
        self.at += 1;
        id
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_layout_is_milliseconds_worker_sequence() {
        let generator = Snowflake::new(5, 1_000, DEFAULT_MAX_LAG_MS);
        let id = generator.reserve_at(1, 1_007).unwrap().first();
        assert_eq!(id, 7 << 22 | 5 << 12);
        assert_eq!(generator.reserve_at(1, 1_007).unwrap().first(), id + 1);
    }

    #[test]
    fn ids_grow_and_never_repeat_over_workers_and_threads() {
        let ids: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..4u16)
                .map(|worker| {
                    scope.spawn(move || {
                        let generator = Snowflake::new(worker, DEFAULT_EPOCH_MS, DEFAULT_MAX_LAG_MS);
                        (0..2_000).flat_map(|_| generator.reserve(10).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            handles.into_iter().map(|h| h.join().unwrap()).collect()
        });
        for run in &ids {
            assert!(run.windows(2).all(|w| w[0] < w[1]));
        }
        let all: HashSet<u64> = ids.iter().flatten().copied().collect();
        assert_eq!(all.len(), 4 * 20_000);
    }

    #[test]
    fn a_clock_that_goes_back_is_bridged_then_refused() {
        let generator = Snowflake::new(1, 0, DEFAULT_MAX_LAG_MS);
        let first = generator.reserve_at(1, 100_000).unwrap().first();
        let bridged = generator.reserve_at(1, 99_000).unwrap().first();
        assert!(bridged > first);
        assert_eq!(
            generator.reserve_at(1, 90_000).unwrap_err(),
            IdError::ClockBehind { lag_ms: 10_000, limit_ms: 5_000 }
        );
    }
}
