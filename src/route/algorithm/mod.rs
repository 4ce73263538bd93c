//! Sharding algorithms: a key to one of `n` targets, a range of keys to a set of them.
//!
//! One algorithm per file; each says what `=`, `IN` and ranges reach. An algorithm is a pure function of the key and
//! of the rules. **Where a key leads is frozen** by golden vectors in its test: a release that moves keys to other
//! shards loses data.

mod error;
mod hash;
mod shard_set;
mod target;

mod complex;
mod consistent_hash;
mod hash_mod;
mod hint;
mod interval;
mod jump;
mod list;
mod modulo;
mod prefix;
mod range;
mod slice;
mod volume_range;

mod spec;

use std::fmt::Debug;
use std::ops::Bound;

pub use complex::Complex;
pub use consistent_hash::{ConsistentHash, DEFAULT_VIRTUAL_NODES};
pub use error::RouteError;
pub use hash::HashFunction;
pub use hash_mod::HashMod;
pub use hint::Hint;
pub use interval::{Interval, IntervalUnit};
pub use jump::Jump;
pub use list::List;
pub use modulo::Mod;
pub use prefix::Prefix;
pub use range::Range;
pub use shard_set::ShardSet;
pub use slice::Slice;
pub use spec::{AlgorithmSpec, Weights};
pub use target::{Target, Targets};
pub use volume_range::VolumeRange;

use super::key::KeyValue;

/// Leads a key to one of its targets.
pub trait Algorithm: Send + Sync + Debug {
    /// `type:` in the rules.
    fn name(&self) -> &'static str;

    /// How many targets there are.
    fn targets(&self) -> usize;

    /// Where `=` leads, and each member of `IN`: one value per column of the strategy, in its order. Always the same
    /// target for the same key; less than `targets()`.
    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError>;

    /// Where a key leads of which only some columns are known. All targets, unless the algorithm knows better.
    fn partial(&self, key: &[Option<KeyValue>]) -> ShardSet {
        let _ = key;
        ShardSet::all(self.targets())
    }

    /// What `<`, `<=`, `>`, `>=` and `BETWEEN` on the (only) column can reach: every target that may hold a key
    /// within the bounds. All targets, unless the algorithm keeps neighbours together.
    fn range(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> ShardSet {
        let _ = (low, high);
        ShardSet::all(self.targets())
    }

    /// The algorithm with all its settings. Two tables whose strategies are described alike keep equal keys together.
    fn describe(&self) -> String;

    /// Whether the value comes from a hint comment instead of a column.
    fn is_hint(&self) -> bool {
        false
    }

    /// Whether texts are placed exactly as they were written, without folding what the collation takes as equal.
    /// A comparison under a case-insensitive collation then reaches all targets.
    fn takes_text_as_written(&self) -> bool {
        false
    }

    /// Whether texts are hashed whole, so that it does not matter what letters beyond ASCII are folded to. Others compare
    /// them with texts of the rules, which are folded for ASCII only.
    fn hashes_texts(&self) -> bool {
        false
    }
}

/// The only value of a key of one column.
fn only<'a>(algorithm: &'static str, key: &'a [KeyValue]) -> Result<&'a KeyValue, RouteError> {
    match key {
        [value] => Ok(value),
        values => {
            Err(RouteError::WrongKind { algorithm, wanted: "one column", key: format!("{} columns", values.len()) })
        }
    }
}

/// A key as an integer: an integer, or a text that is one.
fn integer(algorithm: &'static str, key: &KeyValue) -> Result<i128, RouteError> {
    match key {
        KeyValue::Int(value) => Ok(*value),
        KeyValue::Text(text) => text.trim().parse().map_err(|_| wrong(algorithm, "an integer", key)),
        _ => Err(wrong(algorithm, "an integer", key)),
    }
}

fn wrong(algorithm: &'static str, wanted: &'static str, key: &KeyValue) -> RouteError {
    RouteError::WrongKind { algorithm, wanted, key: key.to_string() }
}

/// The lowest and the highest integer of a range of keys; `None` on a side without bound. `Err` when a bound is not
/// a number, so that nothing is known.
fn integer_bounds(low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> Result<(Option<i128>, Option<i128>), ()> {
    // A bound with a fraction is widened to the whole number below or above it, which can only reach more.
    let whole = |key: &KeyValue, up: bool| match key {
        KeyValue::Int(value) => Ok(*value),
        KeyValue::Decimal(text) => {
            let whole = text.split('.').next().unwrap_or(text).parse::<i128>().map_err(|_| ())?;
            Ok(if up { whole.saturating_add(1) } else { whole.saturating_sub(1) })
        }
        _ => Err(()),
    };
    let low = match low {
        Bound::Unbounded => None,
        Bound::Included(key) => Some(whole(key, false)?),
        Bound::Excluded(key @ KeyValue::Int(_)) => Some(whole(key, false)?.saturating_add(1)),
        Bound::Excluded(key) => Some(whole(key, false)?),
    };
    let high = match high {
        Bound::Unbounded => None,
        Bound::Included(key) => Some(whole(key, true)?),
        Bound::Excluded(key @ KeyValue::Int(_)) => Some(whole(key, true)?.saturating_sub(1)),
        Bound::Excluded(key) => Some(whole(key, true)?),
    };
    Ok((low, high))
}

#[cfg(test)]
mod testing;
