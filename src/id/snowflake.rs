//! Snowflake ids: 64-bit integers that grow with time and need no coordination once a worker id is given.
//!
//! Layout, from the highest bit: 1 bit zero, 41 bits of milliseconds since the epoch, 10 bits of worker id, 12 bits of
//! sequence (the layout of Twitter's Snowflake, 2010).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::IdError;

const SEQUENCE_BITS: u32 = 12;
const WORKER_BITS: u32 = 10;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
/// The largest worker id.
pub const MAX_WORKER_ID: u16 = (1 << WORKER_BITS) - 1;
/// 2016-11-01T00:00:00Z, the epoch that ShardingSphere's Snowflake uses: ids go on growing after a migration.
pub const DEFAULT_EPOCH_MS: u64 = 1_477_958_400_000;
/// How far ids may run ahead of the clock before the next ones wait for it. A proxy that is started again takes longer
/// than this, so that it cannot give the same ids once more.
pub const MAX_AHEAD_MS: u64 = 20;

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
    /// A generator for `worker` (at most [`MAX_WORKER_ID`]; higher bits are cut off). A clock that goes back by up to
    /// `max_lag_ms` is waited for.
    pub fn new(worker: u16, epoch_ms: u64, max_lag_ms: u64) -> Self {
        Self { worker: u64::from(worker & MAX_WORKER_ID), epoch_ms, max_lag_ms, next: AtomicU64::new(0) }
    }

    /// Gives out no ids up to this moment (milliseconds since 1970): another holder of the worker id may have.
    pub fn start_behind(&self, unix_ms: u64) {
        let first = (unix_ms + 1).saturating_sub(self.epoch_ms) << SEQUENCE_BITS;
        self.next.fetch_max(if unix_ms == 0 { 0 } else { first }, Ordering::Relaxed);
    }

    /// The next id. See [`Self::reserve`].
    pub fn next_id(&self) -> Result<u64, IdError> {
        self.reserve(1).map(|ids| ids.first())
    }

    /// Reserves `count` ids, growing in their order. Ids run ahead of the clock when more than 4,096 a millisecond are asked
    /// for, or it goes back. [`IdError::TooEarly`] once they are more than [`MAX_AHEAD_MS`] ahead: the caller waits.
    /// [`IdError::ClockBehind`] past the bound.
    pub fn reserve(&self, count: u32) -> Result<IdBlock, IdError> {
        self.reserve_at(count, now_ms())
    }

    fn reserve_at(&self, count: u32, now_ms: u64) -> Result<IdBlock, IdError> {
        let now = now_ms.checked_sub(self.epoch_ms).ok_or(IdError::OutOfRange)?;
        let mut seen = self.next.load(Ordering::Relaxed);
        loop {
            let start = seen.max(now << SEQUENCE_BITS);
            let end = start + u64::from(count);
            let lag_ms = (start >> SEQUENCE_BITS) - now;
            if lag_ms > self.max_lag_ms.max(MAX_AHEAD_MS) {
                return Err(IdError::ClockBehind { lag_ms, limit_ms: self.max_lag_ms });
            }
            if lag_ms > MAX_AHEAD_MS {
                return Err(IdError::TooEarly(lag_ms - MAX_AHEAD_MS));
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

/// Milliseconds since 1970 by the host's clock.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_layout_is_milliseconds_worker_sequence() {
        let generator = Snowflake::new(5, 1_000, 5_000);
        let id = generator.reserve_at(1, 1_007).unwrap().first();
        assert_eq!(id, 7 << 22 | 5 << 12);
        assert_eq!(generator.reserve_at(1, 1_007).unwrap().first(), id + 1);
    }

    /// So many ids of each of so many workers, waiting where the generator says so.
    fn never_repeats(workers: u16, ids_each: usize) {
        let all: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let run = |worker: u16| {
                let generator = Snowflake::new(worker, DEFAULT_EPOCH_MS, 5_000);
                let mut ids: Vec<u64> = Vec::with_capacity(ids_each);
                while ids.len() < ids_each {
                    match generator.reserve(100) {
                        Ok(block) => ids.extend(block),
                        Err(IdError::TooEarly(_)) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
                ids
            };
            let handles: Vec<_> = (0..workers).map(|worker| scope.spawn(move || run(worker))).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        for run in &all {
            assert!(run.windows(2).all(|pair| pair[0] < pair[1]), "ids of one worker grow");
        }
        let count: usize = all.iter().map(Vec::len).sum();
        let mut ids: Vec<u64> = all.into_iter().flatten().collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id was given twice");
    }

    #[test]
    fn ids_grow_and_never_repeat_over_workers_and_threads() {
        never_repeats(8, 50_000);
    }

    #[test]
    #[ignore = "100 million ids take minutes and a gigabyte; cargo test --release --lib id:: -- --ignored"]
    fn no_duplicate_in_100_million_ids_of_8_workers() {
        never_repeats(8, 12_500_000);
    }

    #[test]
    fn threads_that_share_a_worker_share_no_id() {
        let generator = Snowflake::new(3, DEFAULT_EPOCH_MS, 5_000);
        let ids: Vec<u64> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut ids = Vec::new();
                        while ids.len() < 20_000 {
                            ids.extend(generator.reserve(7).into_iter().flatten());
                        }
                        ids
                    })
                })
                .collect();
            handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
        });
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn a_clock_that_goes_back_is_bridged_then_waited_for_then_refused() {
        let generator = Snowflake::new(1, 0, 5_000);
        let first = generator.reserve_at(1, 100_000).unwrap().first();
        let bridged = generator.reserve_at(1, 99_990).unwrap().first();
        assert!(bridged > first);
        assert_eq!(generator.reserve_at(1, 99_000).unwrap_err(), IdError::TooEarly(980));
        assert_eq!(
            generator.reserve_at(1, 90_000).unwrap_err(),
            IdError::ClockBehind { lag_ms: 10_000, limit_ms: 5_000 }
        );
    }

    #[test]
    fn a_worker_id_that_another_held_begins_behind_its_ids() {
        let generator = Snowflake::new(1, 0, 5_000);
        generator.start_behind(100_000);
        assert_eq!(generator.reserve_at(1, 99_990).unwrap().first() >> 22, 100_001);
        assert!(matches!(generator.reserve_at(1, 99_000), Err(IdError::TooEarly(_))));
    }
}
