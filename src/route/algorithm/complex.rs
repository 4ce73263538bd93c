//! `complex`: several columns together.

use std::sync::Arc;

use super::hash::with_bytes;
use super::{Algorithm, RouteError, ShardSet, wrong};
use crate::route::key::KeyValue;

const NAME: &str = "complex";

/// Keys of several columns.
///
/// With `parts`, one algorithm per column, the targets form a grid: with parts of 2 and 4 targets, the key leads to
/// target `4 × first + second`. Without `parts` the columns are hashed together (XXH3 over each column's length and
/// bytes) modulo the number of targets.
///
/// - `=` or `IN` on all columns: one target for each combination.
/// - On some of the columns: with `parts` the row or column of the grid, else all targets.
/// - Ranges: all targets.
#[derive(Debug)]
pub struct Complex {
    parts: Vec<Arc<dyn Algorithm>>,
    targets: usize,
}

impl Complex {
    /// A hash over all columns.
    pub fn hashed(targets: usize) -> Self {
        Self { parts: Vec::new(), targets: targets.max(1) }
    }

    /// A grid of one algorithm per column.
    pub fn grid(parts: Vec<Arc<dyn Algorithm>>) -> Self {
        let targets = parts.iter().map(|part| part.targets()).product();
        Self { parts, targets }
    }

    fn hash(&self, key: &[KeyValue]) -> usize {
        let mut bytes = Vec::with_capacity(64);
        for value in key {
            with_bytes(value, |column| {
                bytes.extend_from_slice(&(column.len() as u64).to_le_bytes());
                bytes.extend_from_slice(column);
            });
        }
        usize::try_from(xxhash_rust::xxh3::xxh3_64(&bytes) % self.targets as u64).unwrap_or_default()
    }
}

impl Algorithm for Complex {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        if self.parts.is_empty() {
            return Ok(self.hash(key));
        }
        if key.len() != self.parts.len() {
            let columns = KeyValue::Text(format!("{} columns", key.len()));
            return Err(wrong(NAME, "one column for each of its parts", &columns));
        }
        self.parts
            .iter()
            .zip(key)
            .try_fold(0, |target, (part, value)| Ok(target * part.targets() + part.exact(std::slice::from_ref(value))?))
    }

    fn partial(&self, key: &[Option<KeyValue>]) -> ShardSet {
        let mut targets = vec![0];
        for (index, part) in self.parts.iter().enumerate() {
            let known =
                key.get(index).and_then(Option::as_ref).and_then(|value| part.exact(std::slice::from_ref(value)).ok());
            let choices = known.map_or(0..part.targets(), |target| target..target + 1);
            targets = targets
                .iter()
                .flat_map(|before| choices.clone().map(move |choice| before * part.targets() + choice))
                .collect();
        }
        if self.parts.is_empty() {
            return ShardSet::all(self.targets);
        }
        let mut reached = ShardSet::none(self.targets);
        targets.into_iter().for_each(|target| reached.insert(target));
        reached
    }

    fn hashes_texts(&self) -> bool {
        self.parts.iter().all(|part| part.hashes_texts())
    }

    fn describe(&self) -> String {
        if self.parts.is_empty() {
            return format!("complex hash {}", self.targets);
        }
        let parts: Vec<String> = self.parts.iter().map(|part| part.describe()).collect();
        format!("complex grid of ({})", parts.join("), ("))
    }

    fn takes_text_as_written(&self) -> bool {
        self.parts.iter().any(|part| part.takes_text_as_written())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, text};
    use super::super::{HashFunction, HashMod, Mod};
    use super::*;

    fn grid() -> Complex {
        Complex::grid(vec![Arc::new(Mod::new(2)), Arc::new(HashMod::new(HashFunction::Java, 4))])
    }

    #[test]
    fn golden() {
        let by = grid();
        assert_eq!(by.targets(), 8);
        assert_eq!(by.exact(&[int(3), int(6)]), Ok(4 + 2));
        assert_eq!(by.exact(&[int(2), text("hello")]), Ok(2));
        assert!(by.exact(&[int(2)]).is_err());
        let by = Complex::hashed(16);
        let placed: Vec<usize> = (0..8).map(|i| by.exact(&[int(i), text("ann")]).unwrap()).collect();
        assert_eq!(placed, [0, 12, 2, 7, 3, 4, 9, 14]);
        // The border between columns counts.
        assert_ne!(
            Complex::hashed(1 << 30).exact(&[text("ab"), text("c")]),
            Complex::hashed(1 << 30).exact(&[text("a"), text("bc")])
        );
    }

    #[test]
    fn some_columns_reach_a_row_or_a_column_of_the_grid() {
        let by = grid();
        let reach = |key: [Option<KeyValue>; 2]| by.partial(&key).iter().collect::<Vec<_>>();
        assert_eq!(reach([Some(int(1)), None]), [4, 5, 6, 7]);
        assert_eq!(reach([None, Some(int(3))]), [3, 7]);
        assert_eq!(reach([Some(int(1)), Some(int(3))]), [7]);
        assert_eq!(reach([None, None]).len(), 8);
        assert!(Complex::hashed(3).partial(&[Some(int(1)), None]).is_all());
    }
}
