//! A set of shards: one bit per target.

use std::fmt;

const WORD_BITS: usize = 64;

/// A subset of the targets `0..len`. Up to 64 targets it needs no allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct ShardSet {
    len: usize,
    bits: Bits,
}

#[derive(Clone, PartialEq, Eq)]
enum Bits {
    One([u64; 1]),
    Many(Box<[u64]>),
}

impl ShardSet {
    /// The empty subset of `len` targets.
    pub fn none(len: usize) -> Self {
        let bits = if len <= WORD_BITS {
            Bits::One([0])
        } else {
            Bits::Many(vec![0; len.div_ceil(WORD_BITS)].into_boxed_slice())
        };
        Self { len, bits }
    }

    /// All `len` targets.
    pub fn all(len: usize) -> Self {
        let mut set = Self::none(len);
        let mut left = len;
        for word in set.words_mut() {
            let here = left.min(WORD_BITS);
            *word = if here == WORD_BITS { u64::MAX } else { (1 << here) - 1 };
            left -= here;
        }
        set
    }

    /// One target of `len`; the empty set when there is no such target.
    pub fn one(len: usize, target: usize) -> Self {
        let mut set = Self::none(len);
        set.insert(target);
        set
    }

    /// How many targets there are to choose from, not how many are chosen.
    pub fn universe(&self) -> usize {
        self.len
    }

    /// Adds a target; one that does not exist is ignored.
    pub fn insert(&mut self, target: usize) {
        if target < self.len
            && let Some(word) = self.words_mut().get_mut(target / WORD_BITS)
        {
            *word |= 1 << (target % WORD_BITS);
        }
    }

    /// Whether a target is chosen.
    pub fn contains(&self, target: usize) -> bool {
        self.words().get(target / WORD_BITS).is_some_and(|word| word & (1 << (target % WORD_BITS)) != 0)
    }

    /// How many targets are chosen.
    pub fn count(&self) -> usize {
        self.words().iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no target is chosen.
    pub fn is_empty(&self) -> bool {
        self.words().iter().all(|word| *word == 0)
    }

    /// Whether all targets are chosen.
    pub fn is_all(&self) -> bool {
        self.count() == self.len
    }

    /// The chosen target when it is exactly one.
    pub fn single(&self) -> Option<usize> {
        (self.count() == 1).then(|| self.first()).flatten()
    }

    /// The lowest chosen target.
    pub fn first(&self) -> Option<usize> {
        self.iter().next()
    }

    /// Keeps what `other` chose too (AND).
    pub fn intersect(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len, "sets of different tables");
        for (word, theirs) in self.words_mut().iter_mut().zip(other.words()) {
            *word &= theirs;
        }
    }

    /// Adds what `other` chose (OR).
    pub fn unite(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len, "sets of different tables");
        for (word, theirs) in self.words_mut().iter_mut().zip(other.words()) {
            *word |= theirs;
        }
    }

    /// The chosen targets, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words().iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    index * WORD_BITS + bit
                })
            })
        })
    }

    fn words(&self) -> &[u64] {
        match &self.bits {
            Bits::One(word) => word,
            Bits::Many(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match &mut self.bits {
            Bits::One(word) => word,
            Bits::Many(words) => words,
        }
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()?;
        write!(f, "/{}", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algebra_holds_below_at_and_above_a_word() {
        for len in [0, 1, 2, 63, 64, 65, 128, 200] {
            let all = ShardSet::all(len);
            assert_eq!(all.count(), len);
            assert!(all.is_all());
            assert_eq!(all.iter().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
            assert!(ShardSet::none(len).is_empty());
            let mut even = ShardSet::none(len);
            let mut odd = ShardSet::none(len);
            for target in 0..len {
                if target % 2 == 0 { even.insert(target) } else { odd.insert(target) }
            }
            let mut both = even.clone();
            both.unite(&odd);
            assert_eq!(both, all);
            even.intersect(&odd);
            assert!(even.is_empty());
        }
    }

    #[test]
    fn single_is_only_one() {
        assert_eq!(ShardSet::one(100, 70).single(), Some(70));
        assert_eq!(ShardSet::all(2).single(), None);
        assert_eq!(ShardSet::none(2).single(), None);
        assert!(ShardSet::one(3, 3).is_empty());
        assert!(!ShardSet::all(3).contains(3));
    }
}
