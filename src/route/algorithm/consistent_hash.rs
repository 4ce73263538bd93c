//! `consistent_hash`: a ring of virtual nodes.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashring::HashRing;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::hash::with_bytes;
use super::{Algorithm, RouteError, Targets, only};
use crate::route::key::KeyValue;

const NAME: &str = "consistent_hash";

/// Virtual nodes per unit of weight, when the rules name no other number. With 1024 the share of a shard is off by
/// about 3% (one standard deviation) and a ring of 16 shards takes half a megabyte.
pub const DEFAULT_VIRTUAL_NODES: u32 = 1024;

/// The most virtual nodes of one ring: a bound on its memory (some 40 MiB).
pub const MAX_RING_NODES: u64 = 1 << 20;

/// Keys of any kind on a ring: a shard that joins takes its share from all others, and no key moves between those.
///
/// Each shard stands on the ring as many times as `virtual_nodes` × its weight. A key belongs to the first virtual
/// node at or after its own hash. The hash of a virtual node is XXH3 of `group/index` (`group#1/index` for a second
/// node in the same group, and so on); that of a key is XXH3 of the eight little-endian bytes of an integer and of
/// the text of everything else.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: all targets.
pub struct ConsistentHash {
    ring: HashRing<VirtualNode, FixedState>,
    targets: usize,
    settings: String,
}

impl ConsistentHash {
    /// Over these targets; `weights` has one entry per target, not all of them 0.
    pub fn new(targets: &Targets, virtual_nodes: u32, weights: &[u32]) -> Result<Self, String> {
        if weights.len() != targets.len() {
            return Err(format!("{} weights for {} shards", weights.len(), targets.len()));
        }
        let nodes: u64 = weights.iter().map(|weight| u64::from(*weight) * u64::from(virtual_nodes)).sum();
        if nodes == 0 {
            return Err("no shard has a weight above 0".into());
        }
        if nodes > MAX_RING_NODES {
            return Err(format!("{nodes} virtual nodes, more than {MAX_RING_NODES}"));
        }
        let labels = targets.ring_labels();
        let mut ring = HashRing::with_hasher(FixedState);
        let mut all = Vec::new();
        for (target, (label, weight)) in labels.iter().zip(weights).enumerate() {
            let shard: Arc<str> = Arc::from(label.as_str());
            let target = u32::try_from(target).map_err(|_| "too many shards".to_owned())?;
            let count = virtual_nodes.saturating_mul(*weight);
            all.extend((0..count).map(|index| VirtualNode { shard: Arc::clone(&shard), index, target }));
        }
        ring.batch_add(all);
        let settings = format!("{virtual_nodes} virtual nodes, shards {}, weights {weights:?}", labels.join(" "));
        Ok(Self { ring, targets: targets.len(), settings })
    }
}

impl Algorithm for ConsistentHash {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        let node = self.ring.get(&RingKey(key)).ok_or_else(|| RouteError::NoTarget { key: key.to_string() })?;
        Ok(usize::try_from(node.target).unwrap_or_default())
    }

    fn hashes_texts(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("consistent_hash with {}", self.settings)
    }
}

impl std::fmt::Debug for ConsistentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsistentHash").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One place of a shard on the ring.
#[derive(Debug, Clone)]
struct VirtualNode {
    shard: Arc<str>,
    index: u32,
    target: u32,
}

impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(format!("{}/{}", self.shard, self.index).as_bytes());
    }
}

/// A key, as the ring hashes it.
struct RingKey<'a>(&'a KeyValue);

impl Hash for RingKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        with_bytes(self.0, |bytes| state.write(bytes));
    }
}

/// XXH3 where `Hash` implementations write all their bytes at once. Unlike std's hashers it is the same in every
/// process, on every machine, in every release.
#[derive(Debug, Clone, Copy, Default)]
struct FixedState;

impl BuildHasher for FixedState {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher(0)
    }
}

struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{date, exact, groups, int, tables, text};
    use super::*;

    fn ring(names: &[&str], weights: &[u32]) -> ConsistentHash {
        ConsistentHash::new(&groups(names), DEFAULT_VIRTUAL_NODES, weights).unwrap()
    }

    #[test]
    fn golden() {
        let by = ring(&["g0", "g1", "g2", "g3"], &[1, 1, 1, 1]);
        let placed: Vec<usize> = (0..32).map(|key| exact(&by, int(key)).unwrap()).collect();
        assert_eq!(
            placed,
            [1, 1, 2, 3, 2, 2, 1, 1, 2, 1, 0, 1, 0, 0, 2, 0, 1, 0, 3, 1, 2, 1, 2, 2, 0, 1, 0, 2, 2, 3, 2, 1]
        );
        let others = [int(-1), int(i128::from(u64::MAX)), text("ann"), text(""), text("Grüße"), date(2024, 2, 29)];
        let placed: Vec<usize> = others.into_iter().map(|key| exact(&by, key).unwrap()).collect();
        assert_eq!(placed, [0, 0, 3, 0, 3, 1]);
        // Several tables per group.
        let by = ConsistentHash::new(&tables(&["t_0", "t_1", "t_2"]), 64, &[1, 2, 1]).unwrap();
        let placed: Vec<usize> = (1000..1016).map(|key| exact(&by, int(key)).unwrap()).collect();
        assert_eq!(placed, [0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn binding_tables_agree() {
        let orders = ConsistentHash::new(&tables(&["orders_0", "orders_1"]), 16, &[1, 1]).unwrap();
        let items = ConsistentHash::new(&tables(&["items_0", "items_1"]), 16, &[1, 1]).unwrap();
        assert_eq!(orders.describe(), items.describe());
        assert!((0..1000).all(|key| exact(&orders, int(key)) == exact(&items, int(key))));
    }

    #[test]
    fn bad_settings_are_refused() {
        let two = groups(&["g0", "g1"]);
        assert!(ConsistentHash::new(&two, 1024, &[1]).is_err());
        assert!(ConsistentHash::new(&two, 1024, &[0, 0]).is_err());
        assert!(ConsistentHash::new(&two, 0, &[1, 1]).is_err());
        assert!(ConsistentHash::new(&two, u32::MAX, &[1, 1]).is_err());
        assert!(ConsistentHash::new(&two, 1024, &[1, 0]).is_ok());
    }

    /// Of a million keys no shard is more than 10% off its share, with equal weights and with others.
    #[test]
    fn shares_follow_the_weights() {
        for weights in [[1, 1, 1, 1], [1, 2, 3, 4]] {
            let by = ring(&["g0", "g1", "g2", "g3"], &weights);
            let total: u32 = weights.iter().sum();
            let mut counts = [0_u32; 4];
            (0..1_000_000).for_each(|key| counts[exact(&by, int(key)).unwrap()] += 1);
            for (count, weight) in counts.iter().zip(weights) {
                let share = 1_000_000.0 * f64::from(weight) / f64::from(total);
                let off = (f64::from(*count) - share).abs() / share;
                assert!(off <= 0.10, "weights {weights:?}: {counts:?}, off by {:.1}%", off * 100.0);
            }
            eprintln!("weights {weights:?}: {counts:?}");
        }
    }

    /// A fifth shard takes at most 23% of the keys, and no key moves between the other four.
    #[test]
    fn a_new_shard_takes_its_share_and_nothing_else_moves() {
        let four = ring(&["g0", "g1", "g2", "g3"], &[1; 4]);
        let five = ring(&["g0", "g1", "g2", "g3", "g4"], &[1; 5]);
        let mut moved = 0;
        for key in 0..1_000_000 {
            let (before, after) = (exact(&four, int(key)).unwrap(), exact(&five, int(key)).unwrap());
            if before != after {
                assert_eq!(after, 4, "key {key} moved from {before} to {after}");
                moved += 1;
            }
        }
        eprintln!("moved {moved} of 1000000");
        assert!((150_000..=230_000).contains(&moved), "{moved}");
    }
}
