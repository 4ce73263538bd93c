//! `mod`: the key modulo the number of targets.

use std::ops::Bound;

use super::{Algorithm, RouteError, ShardSet, integer, integer_bounds, only};
use crate::route::key::KeyValue;

const NAME: &str = "mod";

/// Integer keys, dealt out in turn: key `k` of `n` targets leads to target `k mod n`.
///
/// The remainder is never negative: of 4 targets, -1 leads to the last one. That is what ShardingSphere's `MOD` does
/// with its `BigInteger.mod`; an `INLINE` expression `t_${id % 4}` of ShardingSphere fails on negative keys instead.
/// A text that is an integer counts as that integer.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: fewer than `n` keys reach their targets only, wider and open ranges reach all.
#[derive(Debug)]
pub struct Mod {
    targets: usize,
}

impl Mod {
    /// Over `targets` targets, at least one.
    pub fn new(targets: usize) -> Self {
        Self { targets: targets.max(1) }
    }

    fn target(&self, value: i128) -> usize {
        // A division of 64 bits is several times faster than one of 128.
        let remainder = match (i64::try_from(value), i64::try_from(self.targets)) {
            (Ok(value), Ok(targets)) => i128::from(value.rem_euclid(targets)),
            _ => value.rem_euclid(self.targets as i128),
        };
        usize::try_from(remainder).unwrap_or_default()
    }
}

impl Algorithm for Mod {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        Ok(self.target(integer(NAME, only(NAME, key)?)?))
    }

    fn range(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> ShardSet {
        let Ok((Some(low), Some(high))) = integer_bounds(low, high) else {
            return ShardSet::all(self.targets);
        };
        if high < low {
            return ShardSet::none(self.targets);
        }
        if high.saturating_sub(low) >= self.targets as i128 - 1 {
            return ShardSet::all(self.targets);
        }
        let mut reached = ShardSet::none(self.targets);
        (low..=high).for_each(|value| reached.insert(self.target(value)));
        reached
    }

    fn describe(&self) -> String {
        format!("mod {}", self.targets)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exact, int, reach, text};
    use super::*;

    #[test]
    fn golden() {
        let by = Mod::new(4);
        let cases =
            [(0, 0), (1, 1), (7, 3), (-1, 3), (-4, 0), (-5, 3), (i128::from(u64::MAX), 3), (i128::from(i64::MIN), 0)];
        for (key, target) in cases {
            assert_eq!(exact(&by, int(key)), Ok(target), "{key}");
        }
        assert_eq!(exact(&by, text("42")), Ok(2));
        assert!(exact(&by, text("x")).is_err());
        assert!(exact(&by, KeyValue::Decimal("0.5".into())).is_err());
        assert_eq!(exact(&Mod::new(3), int(1_000_000_000_000)), Ok(1));
    }

    #[test]
    fn narrow_ranges_reach_their_keys_only() {
        let by = Mod::new(4);
        assert_eq!(reach(&by, Bound::Included(int(5)), Bound::Included(int(6))), [1, 2]);
        assert_eq!(reach(&by, Bound::Excluded(int(5)), Bound::Excluded(int(7))), [2]);
        assert_eq!(reach(&by, Bound::Included(int(3)), Bound::Excluded(int(5))), [0, 3]);
        assert_eq!(reach(&by, Bound::Included(int(3)), Bound::Included(int(6))), [0, 1, 2, 3]);
        assert_eq!(reach(&by, Bound::Included(int(6)), Bound::Included(int(5))), [0_usize; 0]);
        assert_eq!(reach(&by, Bound::Unbounded, Bound::Included(int(6))), [0, 1, 2, 3]);
        assert_eq!(reach(&by, Bound::Included(text("a")), Bound::Included(text("b"))), [0, 1, 2, 3]);
        let half = KeyValue::Decimal("5.5".into());
        assert!(reach(&by, Bound::Included(half.clone()), Bound::Included(half)).len() <= 3);
    }
}
