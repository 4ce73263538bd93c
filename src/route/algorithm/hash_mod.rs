//! `hash_mod`: a hash of the key modulo the number of targets.

use super::{Algorithm, HashFunction, RouteError, only};
use crate::route::key::KeyValue;

const NAME: &str = "hash_mod";

/// Keys of any kind, spread evenly by a hash.
///
/// With `hash: java` the data of ShardingSphere's `HASH_MOD` can stay where it is; texts are then hashed as they were
/// written, so that under a case-insensitive collation only inserts know their target and comparisons reach all.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: all targets.
#[derive(Debug)]
pub struct HashMod {
    hash: HashFunction,
    targets: usize,
}

impl HashMod {
    /// Over `targets` targets, at least one.
    pub fn new(hash: HashFunction, targets: usize) -> Self {
        Self { hash, targets: targets.max(1) }
    }
}

impl Algorithm for HashMod {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let hash = self.hash.hash(NAME, only(NAME, key)?)?;
        Ok(usize::try_from(hash % self.targets as u64).unwrap_or_default())
    }

    fn hashes_texts(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("hash_mod {} of {}", self.targets, self.hash.name())
    }

    fn takes_text_as_written(&self) -> bool {
        self.hash == HashFunction::Java
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, date, exact, int, moment, text};
    use super::*;

    #[test]
    fn golden() {
        let keys = [
            int(0),
            int(1),
            int(42),
            int(-1),
            int(i128::from(i64::MAX)),
            int(i128::from(u64::MAX)),
            text(""),
            text("ann"),
            text("Grüße"),
            bytes(&[0, 255]),
            date(2024, 2, 29),
            moment(2024, 2, 29, 12, 30, 15),
            KeyValue::Decimal("12.5".into()),
        ];
        let placed = |hash| {
            let by = HashMod::new(hash, 1000);
            keys.iter().map(|key| exact(&by, key.clone()).ok()).collect::<Vec<_>>()
        };
        assert_golden(&placed(HashFunction::Xxh3), GOLDEN_XXH3);
        assert_golden(&placed(HashFunction::Crc32), GOLDEN_CRC32);
        assert_golden(&placed(HashFunction::Murmur3), GOLDEN_MURMUR3);
        assert_golden(&placed(HashFunction::Java), GOLDEN_JAVA);
    }

    fn assert_golden(got: &[Option<usize>], golden: &[i32]) {
        let got: Vec<i32> = got.iter().map(|t| t.map_or(-1, |t| i32::try_from(t).unwrap())).collect();
        assert_eq!(got, golden);
    }

    // Checked against independent implementations; -1 is a refused key.
    const GOLDEN_XXH3: &[i32] = &[897, 78, 720, 627, 142, 627, 138, 888, 792, 83, 38, 807, 21];
    const GOLDEN_CRC32: &[i32] = &[209, 583, 288, 962, 462, 162, 0, 347, 97, 594, 830, 679, 169];
    const GOLDEN_MURMUR3: &[i32] = &[207, 939, 814, 458, 188, 611, 0, 358, 40, 428, 68, 742, 935];
    const GOLDEN_JAVA: &[i32] = &[0, 1, 42, 1, 648, 32, 0, 737, 351, -1, -1, -1, -1];
}
