//! An algorithm as the rules describe it, before it is given its targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Algorithm, Complex, ConsistentHash, HashFunction, HashMod, Hint, Interval, IntervalUnit, Jump, List, Mod, Prefix,
    Range, Slice, Targets, VolumeRange,
};
use crate::route::key::{DateTimeKey, KeyValue};

/// Weights of the shards of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weights {
    /// 1 for each.
    Equal,
    /// One for each target, in their order.
    ByPosition(Vec<u32>),
    /// One for each group; a group that is not named has 1.
    ByGroup(BTreeMap<String, u32>),
}

/// The settings of an algorithm. The same settings serve tables with different targets.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields are those of the algorithms' constructors
pub enum AlgorithmSpec {
    Mod,
    HashMod { hash: HashFunction },
    ConsistentHash { virtual_nodes: u32, weights: Weights },
    Range { boundaries: Vec<KeyValue> },
    VolumeRange { lower: i64, upper: i64, volume: u64 },
    Interval { lower: DateTimeKey, upper: Option<DateTimeKey>, suffix_pattern: String, amount: u32, unit: IntervalUnit },
    List { values: Vec<Vec<KeyValue>>, default: Option<usize> },
    Prefix { values: Vec<Vec<String>>, default: Option<usize> },
    Slice { start: i32, length: Option<u32>, hash: Option<HashFunction> },
    Jump,
    Complex { parts: Vec<(AlgorithmSpec, usize)> },
    Hint,
}

impl AlgorithmSpec {
    /// Gives the algorithm its targets. The error says what does not fit.
    pub fn build(&self, targets: &Targets) -> Result<Arc<dyn Algorithm>, String> {
        let count = targets.len();
        let algorithm: Arc<dyn Algorithm> = match self {
            Self::Mod => Arc::new(Mod::new(count)),
            Self::HashMod { hash } => Arc::new(HashMod::new(*hash, count)),
            Self::ConsistentHash { virtual_nodes, weights } => {
                Arc::new(ConsistentHash::new(targets, *virtual_nodes, &weights.of(targets)?)?)
            }
            Self::Range { boundaries } => Arc::new(Range::new(boundaries.clone())?),
            Self::VolumeRange { lower, upper, volume } => Arc::new(VolumeRange::new(*lower, *upper, *volume)?),
            Self::Interval { lower, upper, suffix_pattern, amount, unit } => {
                Arc::new(Interval::new(targets, *lower, *upper, suffix_pattern, *amount, *unit)?)
            }
            Self::List { values, default } => Arc::new(List::new(values, *default)?),
            Self::Prefix { values, default } => Arc::new(Prefix::new(values, *default)?),
            Self::Slice { start, length, hash } => Arc::new(Slice::new(*start, *length, *hash, count)),
            Self::Jump => Arc::new(Jump::new(count)),
            Self::Complex { parts } if parts.is_empty() => Arc::new(Complex::hashed(count)),
            Self::Complex { parts } => Arc::new(Complex::grid(build_parts(parts)?)),
            Self::Hint => Arc::new(Hint::new(targets)),
        };
        if algorithm.targets() == count {
            Ok(algorithm)
        } else {
            Err(format!("the settings make {} shards and the table has {count}", algorithm.targets()))
        }
    }

    /// How many columns a strategy with this algorithm names: `(least, most)`.
    pub fn columns(&self) -> (usize, usize) {
        match self {
            Self::Hint => (0, 0),
            Self::Complex { parts } if parts.is_empty() => (1, usize::MAX),
            Self::Complex { parts } => (parts.len(), parts.len()),
            _ => (1, 1),
        }
    }
}

fn build_parts(parts: &[(AlgorithmSpec, usize)]) -> Result<Vec<Arc<dyn Algorithm>>, String> {
    let build = |(spec, count): &(AlgorithmSpec, usize)| {
        let targets = Targets::nameless(*count).ok_or("a part of 0 shards")?;
        spec.build(&targets)
    };
    parts.iter().map(build).collect()
}

impl Weights {
    fn of(&self, targets: &Targets) -> Result<Vec<u32>, String> {
        match self {
            Self::Equal => Ok(vec![1; targets.len()]),
            Self::ByPosition(weights) => Ok(weights.clone()),
            Self::ByGroup(weights) => {
                let known = |name: &String| targets.iter().any(|target| target.group.as_deref() == Some(name));
                if let Some(unknown) = weights.keys().find(|name| !known(name)) {
                    return Err(format!("a weight for '{unknown}', which is none of the shards' groups"));
                }
                let weight = |group: Option<&str>| group.and_then(|group| weights.get(group)).copied().unwrap_or(1);
                Ok(targets.iter().map(|target| weight(target.group.as_deref())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{groups, int};
    use super::*;

    #[test]
    fn counts_must_agree() {
        let two = groups(&["a", "b"]);
        let range = AlgorithmSpec::Range { boundaries: vec![int(1), int(2)] };
        assert_eq!(range.build(&two).unwrap_err(), "the settings make 3 shards and the table has 2");
        let grid = AlgorithmSpec::Complex { parts: vec![(AlgorithmSpec::Mod, 2), (AlgorithmSpec::Jump, 2)] };
        assert!(grid.build(&two).is_err());
        assert_eq!(grid.columns(), (2, 2));
        assert!(grid.build(&groups(&["a", "b", "c", "d"])).is_ok());
    }

    #[test]
    fn weights_by_group() {
        let weights = |pairs: &[(&str, u32)]| Weights::ByGroup(pairs.iter().map(|(n, w)| ((*n).into(), *w)).collect());
        let targets = groups(&["a", "b", "a"]);
        assert_eq!(weights(&[("a", 3)]).of(&targets), Ok(vec![3, 1, 3]));
        assert!(weights(&[("c", 3)]).of(&targets).unwrap_err().contains("'c'"));
    }
}
