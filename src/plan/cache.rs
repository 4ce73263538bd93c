//! Plans by fingerprint, within bounds.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::Plan;
use crate::sql::{LexMode, Literal};

/// How many parts the cache has, each with a lock of its own: sessions on different cores seldom meet.
const PARTS: usize = 16;

/// How many plans one fingerprint may have, for the values of the literals that plans look at. Statements that differ
/// in an ordinal of ORDER BY are few; more variants than this are planned each time.
const MAX_VARIANTS: usize = 8;

/// What a plan depends on beside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanKey {
    /// The fingerprint of the text.
    pub fingerprint: u128,
    /// The chosen schema.
    pub schema: Option<Arc<str>>,
    /// The version of the rules.
    pub rules_version: u64,
    /// The epoch of the catalog.
    pub catalog_epoch: u64,
    /// How the text was read.
    pub mode: LexMode,
    /// The client's texts are UTF-8.
    pub text_is_utf8: bool,
    /// For a prepared statement.
    pub prepared: bool,
}

impl Hash for PlanKey {
    /// The fingerprint is a hash already; what else there is seldom differs.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint as u64);
    }
}

/// Takes the hash that [`PlanKey`] brings.
#[derive(Debug, Clone, Copy, Default)]
struct Brought(u64);

impl Hasher for Brought {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[derive(Debug)]
struct Entry {
    plans: Vec<Arc<Plan>>,
    /// Used since the last time that room was made.
    used: AtomicBool,
}

type Plans = HashMap<PlanKey, Entry, BuildHasherDefault<Brought>>;

/// One part of the cache; on cache lines of its own, so that counting does not make cores wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    plans: RwLock<Plans>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

/// How a cache does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Plans found.
    pub hits: u64,
    /// Plans not found.
    pub misses: u64,
    /// Fingerprints dropped to make room.
    pub evictions: u64,
    /// Fingerprints kept.
    pub size: usize,
    /// The most that may be kept.
    pub limit: usize,
}

/// A bounded map from [`PlanKey`] to plans. Room is made by giving every plan that was used a second chance.
#[derive(Debug)]
pub struct PlanCache {
    parts: Vec<Part>,
    max_entries_per_part: usize,
    max_statement_bytes: usize,
}

impl PlanCache {
    /// A cache of so many fingerprints; texts that are longer are not kept.
    pub fn new(max_entries: usize, max_statement_bytes: usize) -> Self {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Self { parts, max_entries_per_part: max_entries.div_ceil(PARTS).max(1), max_statement_bytes }
    }

    /// The plan for a text, if one is kept that holds for its literals.
    pub fn get(&self, key: &PlanKey, sql: &[u8], literals: &[Literal]) -> Option<Arc<Plan>> {
        let part = self.part(key);
        let found = find(&part.plans.read(), key, sql, literals);
        let count = if found.is_some() { &part.hits } else { &part.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a plan.
    pub fn insert(&self, key: PlanKey, sql: &[u8], literals: &[Literal], plan: Arc<Plan>) {
        if sql.len() > self.max_statement_bytes {
            return;
        }
        let part = self.part(&key);
        let mut plans = part.plans.write();
        if let Some(entry) = plans.get_mut(&key) {
            entry.plans.retain(|known| !known.holds_for(sql, literals));
            if entry.plans.len() >= MAX_VARIANTS {
                entry.plans.remove(0);
            }
            entry.plans.push(plan);
            return;
        }
        if plans.len() >= self.max_entries_per_part {
            let dropped = make_room(&mut plans);
            part.evictions.fetch_add(dropped as u64, Ordering::Relaxed);
        }
        plans.insert(key, Entry { plans: vec![plan], used: AtomicBool::new(true) });
    }

    /// How many fingerprints are kept.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.plans.read().len()).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the cache does.
    pub fn stats(&self) -> CacheStats {
        let sum =
            |count: fn(&Part) -> &AtomicU64| self.parts.iter().map(|part| count(part).load(Ordering::Relaxed)).sum();
        CacheStats {
            hits: sum(|part| &part.hits),
            misses: sum(|part| &part.misses),
            evictions: sum(|part| &part.evictions),
            size: self.len(),
            limit: self.max_entries_per_part * PARTS,
        }
    }

    /// Forgets all plans.
    pub fn clear(&self) {
        self.parts.iter().for_each(|part| part.plans.write().clear());
    }

    fn part(&self, key: &PlanKey) -> &Part {
        // the low half of the fingerprint chooses within the part
        let index = (key.fingerprint >> 64) as usize % PARTS;
        &self.parts[index]
    }
}

fn find(plans: &Plans, key: &PlanKey, sql: &[u8], literals: &[Literal]) -> Option<Arc<Plan>> {
    let entry = plans.get(key)?;
    let plan = entry.plans.iter().find(|plan| plan.holds_for(sql, literals))?;
    if !entry.used.load(Ordering::Relaxed) {
        entry.used.store(true, Ordering::Relaxed);
    }
    Some(Arc::clone(plan))
}

/// Drops what was not used since the last time; if all was used, half of it. A part is walked once for each half of it
/// that is filled anew. Gives how many were dropped.
fn make_room(plans: &mut Plans) -> usize {
    let before = plans.len();
    plans.retain(|_, entry| entry.used.swap(false, Ordering::Relaxed));
    if plans.len() == before {
        let mut keep = false;
        plans.retain(|_, _| {
            keep = !keep;
            keep && before > 1
        });
    }
    before - plans.len()
}

impl Plan {
    /// Whether the literals that the plan looked at are the same in this text.
    pub fn holds_for(&self, sql: &[u8], literals: &[Literal]) -> bool {
        self.pinned
            .iter()
            .all(|pinned| literals.get(pinned.index).is_some_and(|literal| literal.bytes(sql) == &*pinned.text))
    }
}
