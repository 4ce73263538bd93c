//! Statistics by digest: which statements cost the most. A bounded table.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

/// How much of a statement's text is kept.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The figures of one digest. Whoever holds a statement's plan holds this beside it, so that counting looks nothing up.
#[derive(Debug)]
pub struct DigestEntry {
    fingerprint: u128,
    text: Box<str>,
    in_table: AtomicBool,
    count: AtomicU64,
    errors: AtomicU64,
    rows: AtomicU64,
    total_us: AtomicU64,
    longest_us: AtomicU64,
}

/// The figures of one digest at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestRow {
    /// The fingerprint.
    pub fingerprint: u128,
    /// The text without its literals, cut to [`MAX_TEXT_BYTES`].
    pub text: Box<str>,
    /// How often it ran.
    pub count: u64,
    /// How often with an error.
    pub errors: u64,
    /// Rows sent or changed.
    pub rows: u64,
    /// Time over all, in microseconds.
    pub total_us: u64,
    /// The longest time, in microseconds.
    pub longest_us: u64,
}

impl DigestEntry {
    /// Counts one execution. `false` if the table has let go of this entry: the caller should ask
    /// [`Digests::entry`] again next time.
    #[inline]
    pub fn record(&self, duration: Duration, rows: u64, is_error: bool) -> bool {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
        if rows > 0 {
            self.rows.fetch_add(rows, Relaxed);
        }
        if is_error {
            self.errors.fetch_add(1, Relaxed);
        }
        // Most executions are not the longest one: reading first keeps the line shared among processors.
        if us > self.longest_us.load(Relaxed) {
            self.longest_us.fetch_max(us, Relaxed);
        }
        self.in_table.load(Relaxed)
    }

    fn row(&self) -> DigestRow {
        DigestRow {
            fingerprint: self.fingerprint,
            text: self.text.clone(),
            count: self.count.load(Relaxed),
            errors: self.errors.load(Relaxed),
            rows: self.rows.load(Relaxed),
            total_us: self.total_us.load(Relaxed),
            longest_us: self.longest_us.load(Relaxed),
        }
    }
}

/// Where a plan holds the entry under which its statement is counted. A copy of the plan begins with none.
#[derive(Debug, Default)]
pub struct DigestSlot(ArcSwapOption<DigestEntry>);

impl Clone for DigestSlot {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl DigestSlot {
    /// Counts one execution; `text` as for [`Digests::entry_of`].
    #[inline]
    pub fn record(&self, digests: &Digests, run: Execution, text: impl FnOnce() -> String) {
        if digests.limit == 0 {
            return;
        }
        if let Some(entry) = &*self.0.load() {
            if !entry.record(run.duration, run.rows, run.is_error) {
                self.0.store(None);
            }
            return;
        }
        let entry = digests.entry_of(text());
        entry.record(run.duration, run.rows, run.is_error);
        self.0.store(Some(entry));
    }
}

/// How one execution went.
#[derive(Debug, Clone, Copy)]
pub struct Execution {
    /// How long it took.
    pub duration: Duration,
    /// Rows sent or changed.
    pub rows: u64,
    /// Whether it ended with an error.
    pub is_error: bool,
}

/// The table. When it is full, the digest that took the least time makes way for a new one.
#[derive(Debug)]
pub struct Digests {
    limit: usize,
    entries: Mutex<HashMap<u128, Arc<DigestEntry>>>,
}

impl Digests {
    /// How many digests are kept if nothing else is said: more than most applications have; about 1 MiB.
    pub const DEFAULT_LIMIT: usize = 1000;

    /// For at most `limit` digests; for 0 nothing is counted.
    pub fn new(limit: usize) -> Self {
        Self { limit, entries: Mutex::default() }
    }

    /// The entry of a statement's text without its literals: statements that differ in their spacing share it.
    pub fn entry_of(&self, text: String) -> Arc<DigestEntry> {
        self.entry(xxh3_128(text.as_bytes()), || text)
    }

    /// The entry of a digest. `text` gives the statement without its literals; it is called for a new entry only.
    pub fn entry(&self, fingerprint: u128, text: impl FnOnce() -> String) -> Arc<DigestEntry> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(&fingerprint) {
            return entry.clone();
        }
        if entries.len() >= self.limit {
            // A scan of the table, but only for statements that were not seen before.
            let least =
                entries.values().min_by_key(|entry| entry.total_us.load(Relaxed)).map(|entry| entry.fingerprint);
            if let Some(evicted) = least.and_then(|least| entries.remove(&least)) {
                evicted.in_table.store(false, Relaxed);
            }
        }
        let mut text = text();
        text.truncate(character_boundary(&text, MAX_TEXT_BYTES));
        let entry = Arc::new(DigestEntry {
            fingerprint,
            text: text.into(),
            in_table: AtomicBool::new(true),
            count: AtomicU64::default(),
            errors: AtomicU64::default(),
            rows: AtomicU64::default(),
            total_us: AtomicU64::default(),
            longest_us: AtomicU64::default(),
        });
        entries.insert(fingerprint, entry.clone());
        entry
    }

    /// The digests that took the most time, the first of all first.
    pub fn top(&self, count: usize) -> Vec<DigestRow> {
        let mut rows: Vec<_> = self.entries.lock().values().map(|entry| entry.row()).collect();
        rows.sort_by(|a, b| b.total_us.cmp(&a.total_us).then(a.fingerprint.cmp(&b.fingerprint)));
        rows.truncate(count);
        rows
    }

    /// Forgets all figures.
    pub fn clear(&self) {
        for (_, entry) in self.entries.lock().drain() {
            entry.in_table.store(false, Relaxed);
        }
    }
}

impl Default for Digests {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

/// The last place not after `at` where a text may be cut.
fn character_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(digests: &Digests, fingerprint: u128, us: u64) -> Arc<DigestEntry> {
        let entry = digests.entry(fingerprint, || format!("SELECT {fingerprint}"));
        entry.record(Duration::from_micros(us), 2, us > 100);
        entry
    }

    #[test]
    fn the_costliest_come_first() {
        let digests = Digests::default();
        run(&digests, 1, 10);
        run(&digests, 2, 5);
        run(&digests, 2, 200);
        let top = digests.top(5);
        assert_eq!(top.len(), 2);
        let expected = DigestRow {
            fingerprint: 2,
            text: "SELECT 2".into(),
            count: 2,
            errors: 1,
            rows: 4,
            total_us: 205,
            longest_us: 200,
        };
        assert_eq!(top[0], expected);
        assert_eq!(digests.top(1).len(), 1);
        digests.clear();
        assert!(digests.top(5).is_empty());
    }

    #[test]
    fn a_full_table_lets_go_of_the_cheapest() {
        let digests = Digests::new(2);
        let cheap = run(&digests, 1, 1);
        run(&digests, 2, 50);
        run(&digests, 3, 20);
        let kept: Vec<_> = digests.top(5).iter().map(|row| row.fingerprint).collect();
        assert_eq!(kept, [2, 3]);
        assert!(!cheap.record(Duration::ZERO, 0, false), "its holder is told to ask again");
        assert!(run(&digests, 2, 1).record(Duration::ZERO, 0, false));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let digests = Digests::default();
        digests.entry(1, || format!("x{}", "é".repeat(MAX_TEXT_BYTES)));
        assert_eq!(digests.top(1)[0].text.len(), MAX_TEXT_BYTES - 1);
    }
}
