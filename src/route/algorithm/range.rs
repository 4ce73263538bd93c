//! `range`: boundaries between the targets.

use std::cmp::Ordering;
use std::ops::Bound;

use super::{Algorithm, RouteError, ShardSet, only, wrong};
use crate::route::key::KeyValue;

const NAME: &str = "range";

/// Keys that have an order, cut at boundaries: `n - 1` boundaries for `n` targets. Target 0 has the keys below the
/// first boundary, target `i` those from boundary `i - 1` on (included) to below boundary `i`, the last one the rest;
/// ShardingSphere's `BOUNDARY_RANGE`. Numbers, dates and times; texts are compared byte by byte after their ASCII
/// letters were made small.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: the targets between the bounds; of texts all, since their column may order them in another way.
#[derive(Debug)]
pub struct Range {
    boundaries: Vec<KeyValue>,
}

impl Range {
    /// The boundaries in ascending order, all of one kind.
    pub fn new(boundaries: Vec<KeyValue>) -> Result<Self, String> {
        for pair in boundaries.windows(2) {
            let [a, b] = pair else { continue };
            match order(a, b) {
                Some(Ordering::Less) => {}
                Some(_) => return Err(format!("boundary {b} does not come after {a}")),
                None => return Err(format!("boundaries {a} and {b} are of different kinds")),
            }
        }
        Ok(Self { boundaries })
    }

    /// How many boundaries are at or before the key.
    fn target(&self, key: &KeyValue) -> Option<usize> {
        if let Some(first) = self.boundaries.first() {
            order(first, key)?;
        }
        Some(self.boundaries.partition_point(|boundary| order(boundary, key).is_some_and(Ordering::is_le)))
    }

    fn end(&self, bound: Bound<&KeyValue>, open: usize) -> Option<usize> {
        match bound {
            Bound::Unbounded => Some(open),
            Bound::Included(KeyValue::Text(_)) | Bound::Excluded(KeyValue::Text(_)) => None,
            Bound::Included(key) | Bound::Excluded(key) => self.target(key),
        }
    }
}

impl Algorithm for Range {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.boundaries.len() + 1
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        self.target(key).ok_or_else(|| wrong(NAME, "a key of the kind of its boundaries", key))
    }

    fn range(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> ShardSet {
        let targets = self.targets();
        let (Some(first), Some(last)) = (self.end(low, 0), self.end(high, targets - 1)) else {
            return ShardSet::all(targets);
        };
        let mut reached = ShardSet::none(targets);
        (first..=last).for_each(|target| reached.insert(target));
        // `< boundary` does not reach the target that begins there.
        if let Bound::Excluded(key) = high
            && last > first
            && self.boundaries.get(last - 1).and_then(|boundary| order(boundary, key)) == Some(Ordering::Equal)
        {
            reached = ShardSet::none(targets);
            (first..last).for_each(|target| reached.insert(target));
        }
        reached
    }

    fn describe(&self) -> String {
        let boundaries: Vec<String> = self.boundaries.iter().map(ToString::to_string).collect();
        format!("range cut at {}", boundaries.join(", "))
    }
}

/// `None` for keys of different kinds.
fn order(a: &KeyValue, b: &KeyValue) -> Option<Ordering> {
    match (a, b) {
        (KeyValue::Text(a), KeyValue::Text(b)) => {
            let small = |text: &str| text.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>();
            Some(small(a).cmp(&small(b)))
        }
        _ => a.order(b),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{date, exact, int, moment, reach, text};
    use super::*;

    fn cut(boundaries: &[KeyValue]) -> Range {
        Range::new(boundaries.to_vec()).unwrap()
    }

    #[test]
    fn golden() {
        let by = cut(&[int(0), int(100), int(1000)]);
        for (key, target) in [(-1, 0), (0, 1), (99, 1), (100, 2), (999, 2), (1000, 3), (i128::from(u64::MAX), 3)] {
            assert_eq!(exact(&by, int(key)), Ok(target), "{key}");
        }
        assert_eq!(exact(&by, KeyValue::Decimal("99.5".into())), Ok(1));
        assert!(exact(&by, text("5")).is_err());
        let by = cut(&[date(2024, 1, 1), date(2024, 7, 1)]);
        assert_eq!(exact(&by, date(2023, 12, 31)), Ok(0));
        assert_eq!(exact(&by, moment(2024, 6, 30, 23, 59, 59)), Ok(1));
        assert_eq!(exact(&by, moment(2024, 7, 1, 0, 0, 0)), Ok(2));
        let by = cut(&[text("H"), text("p")]);
        assert_eq!(["Ann", "h", "Paul", "özil"].map(|key| exact(&by, text(key)).unwrap()), [0, 1, 2, 2]);
    }

    #[test]
    fn ranges_reach_what_lies_between() {
        let by = cut(&[int(0), int(100), int(1000)]);
        assert_eq!(reach(&by, Bound::Included(int(5)), Bound::Included(int(100))), [1, 2]);
        assert_eq!(reach(&by, Bound::Included(int(5)), Bound::Excluded(int(100))), [1]);
        assert_eq!(reach(&by, Bound::Unbounded, Bound::Excluded(int(0))), [0]);
        assert_eq!(reach(&by, Bound::Excluded(int(99)), Bound::Unbounded), [1, 2, 3]);
        assert_eq!(reach(&by, Bound::Included(int(500)), Bound::Included(int(5))), [0_usize; 0]);
        assert_eq!(reach(&by, Bound::Unbounded, Bound::Unbounded), [0, 1, 2, 3]);
        assert_eq!(reach(&by, Bound::Included(text("a")), Bound::Unbounded), [0, 1, 2, 3]);
        let by = cut(&[text("h")]);
        assert_eq!(reach(&by, Bound::Included(text("x")), Bound::Unbounded), [0, 1]);
    }

    #[test]
    fn boundaries_must_ascend() {
        assert!(Range::new(vec![int(1), int(1)]).is_err());
        assert!(Range::new(vec![int(2), int(1)]).is_err());
        assert!(Range::new(vec![int(2), text("a")]).is_err());
        assert_eq!(cut(&[]).targets(), 1);
    }
}
