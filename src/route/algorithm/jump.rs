//! `jump`: jump consistent hash.

use super::hash::xxh3;
use super::{Algorithm, RouteError, only};
use crate::route::key::KeyValue;

const NAME: &str = "jump";

/// Keys of any kind, spread evenly by Lamping and Veach's jump consistent hash over XXH3 of the key (*A Fast, Minimal
/// Memory, Consistent Hash Algorithm*, 2014): from `n` to `n + 1` targets only the least number of keys moves, all
/// to the new last one. No memory and no weights; targets join and leave at the end only.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: all targets.
#[derive(Debug)]
pub struct Jump {
    targets: usize,
}

impl Jump {
    /// Over `targets` targets, at least one.
    pub fn new(targets: usize) -> Self {
        Self { targets: targets.max(1) }
    }
}

impl Algorithm for Jump {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        Ok(jump(xxh3(only(NAME, key)?), self.targets))
    }

    fn describe(&self) -> String {
        format!("jump {}", self.targets)
    }
}

/// The last jump that still lands among the targets. Each jump goes from `last` to a later target with the chance
/// that a key moves when that target is added.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn jump(mut state: u64, targets: usize) -> usize {
    let mut last = 0_u64;
    let mut next = 0_u64;
    while next < targets as u64 {
        last = next;
        state = state.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((last + 1) as f64 * ((1_u64 << 31) as f64 / ((state >> 33) + 1) as f64)) as u64;
    }
    usize::try_from(last).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exact, int, text};
    use super::*;

    #[test]
    fn golden() {
        // From the paper's reference code.
        assert_eq!([jump(0, 1), jump(1, 1), jump(0xDEAD_10CC, 1)], [0, 0, 0]);
        assert_eq!([jump(256, 1024), jump(0xDEAD_10CC, 666)], [520, 361]);
        let by = Jump::new(8);
        let placed: Vec<usize> = (0..16).map(|key| exact(&by, int(key)).unwrap()).collect();
        assert_eq!(placed, [1, 3, 4, 2, 4, 5, 6, 1, 5, 7, 3, 6, 1, 2, 3, 7]);
        assert_eq!([exact(&by, text("ann")), exact(&by, text("Grüße"))], [Ok(0), Ok(3)]);
    }

    #[test]
    fn keys_move_only_to_the_new_target() {
        let (seven, eight) = (Jump::new(7), Jump::new(8));
        let mut moved = 0;
        for key in 0..100_000 {
            let (before, after) = (exact(&seven, int(key)).unwrap(), exact(&eight, int(key)).unwrap());
            if before != after {
                assert_eq!(after, 7);
                moved += 1;
            }
        }
        assert!((11_500..13_500).contains(&moved), "{moved}");
    }
}
