//! Places in a text that are found again in every text of its fingerprint.

use std::ops::Range;

use crate::sql::Literal;

/// A place: behind so many literals, so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    literals_before: usize,
    distance: usize,
}

impl Anchor {
    /// The anchor of an offset that lies in no literal.
    pub fn at(offset: usize, literals: &[Literal]) -> Self {
        let before = literals.partition_point(|literal| (literal.start as usize) < offset);
        let base = before.checked_sub(1).map_or(0, |last| literals[last].end as usize);
        Self { literals_before: before, distance: offset.saturating_sub(base) }
    }

    /// The offset in a text with these literals.
    pub fn offset(self, literals: &[Literal]) -> usize {
        let last = self.literals_before.checked_sub(1).and_then(|index| literals.get(index));
        last.map_or(0, |literal| literal.end as usize) + self.distance
    }
}

/// A range between two anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: Anchor,
    end: Anchor,
}

impl Span {
    /// The span of a range.
    pub fn of(range: &Range<usize>, literals: &[Literal]) -> Self {
        Self { start: Anchor::at(range.start, literals), end: Anchor::at(range.end, literals) }
    }

    /// The range in a text with these literals.
    pub fn range(self, literals: &[Literal]) -> Range<usize> {
        self.start.offset(literals)..self.end.offset(literals)
    }
}
