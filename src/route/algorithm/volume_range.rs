//! `volume_range`: blocks of equal size.

use std::ops::Bound;

use super::{Algorithm, RouteError, ShardSet, integer, integer_bounds, only};
use crate::route::key::KeyValue;

const NAME: &str = "volume_range";

/// Integer keys in blocks of `volume` from `lower` up to `upper`, as ShardingSphere's `VOLUME_RANGE`: target 0 has what
/// is below `lower`, then one target for each block (the last one may be shorter), then one for `upper` and above.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: the targets between the bounds.
#[derive(Debug)]
pub struct VolumeRange {
    lower: i128,
    upper: i128,
    volume: i128,
    blocks: usize,
}

impl VolumeRange {
    /// Blocks of `volume` keys between `lower` (included) and `upper` (not included).
    pub fn new(lower: i64, upper: i64, volume: u64) -> Result<Self, String> {
        let (lower, upper, volume) = (i128::from(lower), i128::from(upper), i128::from(volume));
        if upper <= lower {
            return Err(format!("upper {upper} is not above lower {lower}"));
        }
        if volume == 0 {
            return Err("a volume of 0".into());
        }
        let blocks = (upper - lower + volume - 1) / volume;
        let blocks = usize::try_from(blocks).map_err(|_| "too many blocks".to_owned())?;
        Ok(Self { lower, upper, volume, blocks })
    }

    fn target(&self, value: i128) -> usize {
        if value < self.lower {
            0
        } else if value >= self.upper {
            self.blocks + 1
        } else {
            usize::try_from((value - self.lower) / self.volume).unwrap_or_default() + 1
        }
    }
}

impl Algorithm for VolumeRange {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.blocks.saturating_add(2)
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        Ok(self.target(integer(NAME, only(NAME, key)?)?))
    }

    fn range(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> ShardSet {
        let Ok((low, high)) = integer_bounds(low, high) else {
            return ShardSet::all(self.targets());
        };
        let mut reached = ShardSet::none(self.targets());
        if let (Some(low), Some(high)) = (low, high)
            && high < low
        {
            return reached;
        }
        let first = low.map_or(0, |low| self.target(low));
        let last = high.map_or(self.blocks + 1, |high| self.target(high));
        (first..=last).for_each(|target| reached.insert(target));
        reached
    }

    fn describe(&self) -> String {
        format!("volume_range of {} from {} to {}", self.volume, self.lower, self.upper)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exact, int, reach, text};
    use super::*;

    #[test]
    fn golden() {
        let by = VolumeRange::new(10, 45, 10).unwrap();
        assert_eq!(by.targets(), 6);
        for (key, target) in [(-5, 0), (9, 0), (10, 1), (19, 1), (20, 2), (40, 4), (44, 4), (45, 5), (1 << 70, 5)] {
            assert_eq!(exact(&by, int(key)), Ok(target), "{key}");
        }
        assert!(exact(&by, text("x")).is_err());
    }

    #[test]
    fn ranges_reach_what_lies_between() {
        let by = VolumeRange::new(10, 45, 10).unwrap();
        assert_eq!(reach(&by, Bound::Included(int(15)), Bound::Excluded(int(20))), [1]);
        assert_eq!(reach(&by, Bound::Included(int(15)), Bound::Included(int(20))), [1, 2]);
        assert_eq!(reach(&by, Bound::Unbounded, Bound::Excluded(int(10))), [0]);
        assert_eq!(reach(&by, Bound::Excluded(int(44)), Bound::Unbounded), [5]);
        assert_eq!(reach(&by, Bound::Included(int(2)), Bound::Included(int(1))), [0_usize; 0]);
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(VolumeRange::new(10, 10, 1).is_err());
        assert!(VolumeRange::new(0, 10, 0).is_err());
        assert!(VolumeRange::new(i64::MIN, i64::MAX, 1).is_ok_and(|by| by.targets() > 1 << 40));
    }
}
