//! Edits to the text of a statement, also to another text of the same fingerprint.
//!
//! A plan rewrites by replacing byte ranges of the client's text: a table name, a row of VALUES, the LIMIT. Texts of
//! one fingerprint differ inside their literals only ([`super::digest`]), so a place is kept as *(the last literal that
//! begins before it, distance from that literal's end)*, and finds its offset in every such text.

use super::literal::Literal;
use std::ops::Range;

/// A place in a text and in all texts of its fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    /// The number of literals that begin before it.
    literals_before: u32,
    /// From the end of the last of them, or from the start of the text.
    distance: u32,
}

impl Anchor {
    fn at(offset: usize, literals: &[Literal]) -> Result<Self, SpliceError> {
        let before = literals.partition_point(|literal| (literal.start as usize) < offset);
        let base = before.checked_sub(1).map_or(0, |last| literals[last].end as usize);
        let distance = offset.checked_sub(base).ok_or(SpliceError::InsideLiteral(offset))?;
        Ok(Self { literals_before: before as u32, distance: distance as u32 })
    }

    fn offset(self, literals: &[Literal]) -> usize {
        let last = (self.literals_before as usize).checked_sub(1).and_then(|index| literals.get(index));
        last.map_or(0, |literal| literal.end as usize) + self.distance as usize
    }
}

/// A part of what replaces a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(Box<str>),
    /// A text that is known only when the plan runs: what the writer given to [`Splice::apply`] writes for this slot.
    Slot(u16),
    /// The original text of this range, with the edits inside it applied. An edit that only touches an end of the
    /// range is not inside.
    Copy(Range<usize>),
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// An edit: what stands in a range is replaced by pieces. An empty range inserts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    pieces: Vec<Piece>,
}

/// Why edits cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// Two edits want the same bytes.
    #[error("edits overlap at byte {0}")]
    Overlap(usize),
    /// A place in the middle of a literal has no place in other texts.
    #[error("an edit begins or ends inside the literal at byte {0}")]
    InsideLiteral(usize),
    /// A copied range holds, in the end, the edit that copies it.
    #[error("edit {0} copies itself")]
    CopiesItself(usize),
    /// A range that is none: it ends before it begins, or after the text.
    #[error("the range at byte {0} is outside of the text")]
    OutOfText(usize),
}

/// Collects the edits to one text.
#[derive(Debug, Clone, Default)]
pub struct SpliceBuilder {
    edits: Vec<Edit>,
}

impl SpliceBuilder {
    /// No edits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a range by pieces. Edits at the same place keep the order in which they were added. An edit may lie
    /// inside the range of another one; it then shows where that one copies the range.
    pub fn replace(&mut self, range: Range<usize>, pieces: impl IntoIterator<Item = Piece>) -> &mut Self {
        self.edits.push(Edit { range, pieces: pieces.into_iter().collect() });
        self
    }

    /// Replaces a range by a text.
    pub fn replace_text(&mut self, range: Range<usize>, text: &str) -> &mut Self {
        self.replace(range, [Piece::from(text)])
    }

    /// Inserts a text.
    pub fn insert(&mut self, at: usize, text: &str) -> &mut Self {
        self.replace(at..at, [Piece::from(text)])
    }

    /// Removes a range.
    pub fn delete(&mut self, range: Range<usize>) -> &mut Self {
        self.replace(range, [])
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The edits in the form that applies to every text of the fingerprint. `literals` are those of the text that the
    /// offsets belong to, `length` is its length.
    pub fn build(mut self, length: usize, literals: &[Literal]) -> Result<Splice, SpliceError> {
        // outer before inner; what is inserted where a range begins comes before it
        self.edits.sort_by_key(|edit| (edit.range.start, !edit.range.is_empty(), std::cmp::Reverse(edit.range.end)));
        for edit in &self.edits {
            let copies = edit.pieces.iter().filter_map(|piece| match piece {
                Piece::Copy(range) => Some(range),
                _ => None,
            });
            for range in copies.chain([&edit.range]) {
                if range.start > range.end || range.end > length {
                    return Err(SpliceError::OutOfText(range.start));
                }
            }
        }
        let mut splice = Splice { edits: Vec::with_capacity(self.edits.len()) };
        for (index, edit) in self.edits.iter().enumerate() {
            splice.edits.push(self.anchored(index, edit, literals)?);
        }
        splice.check_copies()?;
        Ok(splice)
    }

    fn anchored(&self, index: usize, edit: &Edit, literals: &[Literal]) -> Result<AnchoredEdit, SpliceError> {
        let after = index + 1;
        let nested = self.edits[after..].iter().take_while(|next| next.range.start < edit.range.end).count();
        let inner = &self.edits[after..after + nested];
        if inner.iter().any(|next| next.range.end > edit.range.end || next.range == edit.range) {
            return Err(SpliceError::Overlap(edit.range.start));
        }
        let pieces = edit.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Ok(AnchoredPiece::Text(text.clone())),
            Piece::Slot(slot) => Ok(AnchoredPiece::Slot(*slot)),
            Piece::Copy(range) => {
                if let Some(crossing) = self.edits.iter().find(|next| crosses(&next.range, range)) {
                    return Err(SpliceError::Overlap(crossing.range.start));
                }
                let is_inside = |next: &Edit| {
                    next.range.start >= range.start
                        && next.range.end <= range.end
                        && !(next.range.is_empty()
                            && (next.range.start == range.start || next.range.start == range.end))
                };
                let edits = (0..self.edits.len()).filter(|other| *other != index && is_inside(&self.edits[*other]));
                let first = edits.clone().next().unwrap_or(after);
                Ok(AnchoredPiece::Copy {
                    start: Anchor::at(range.start, literals)?,
                    end: Anchor::at(range.end, literals)?,
                    edits: first..first + edits.count(),
                })
            }
        });
        Ok(AnchoredEdit {
            start: Anchor::at(edit.range.start, literals)?,
            end: Anchor::at(edit.range.end, literals)?,
            pieces: pieces.collect::<Result<_, _>>()?,
            next: after + nested,
        })
    }
}

/// Whether two ranges share bytes, but neither holds the other.
fn crosses(one: &Range<usize>, other: &Range<usize>) -> bool {
    let (first, second) = if one.start <= other.start { (one, other) } else { (other, one) };
    first.start < second.start && second.start < first.end && first.end < second.end
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AnchoredPiece {
    Text(Box<str>),
    Slot(u16),
    Copy { start: Anchor, end: Anchor, edits: Range<usize> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AnchoredEdit {
    start: Anchor,
    end: Anchor,
    pieces: Vec<AnchoredPiece>,
    /// The next edit that is not inside this one.
    next: usize,
}

/// Edits that apply to every text of one fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splice {
    edits: Vec<AnchoredEdit>,
}

/// What [`Splice::apply`] works on.
struct Job<'a> {
    sql: &'a [u8],
    literals: &'a [Literal],
    out: &'a mut Vec<u8>,
    write_slot: &'a mut dyn FnMut(u16, &mut Vec<u8>),
}

impl Splice {
    /// Whether it changes nothing, so that the client's own bytes can be sent.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Writes the edited text of `sql`, whose literals are `literals`, behind what `out` holds. `write_slot` writes
    /// the text of a slot.
    pub fn apply(
        &self,
        sql: &[u8],
        literals: &[Literal],
        out: &mut Vec<u8>,
        mut write_slot: impl FnMut(u16, &mut Vec<u8>),
    ) {
        let mut job = Job { sql, literals, out, write_slot: &mut write_slot };
        self.write(&mut job, 0..sql.len(), 0..self.edits.len());
    }

    /// [`Splice::apply`] for edits without slots.
    pub fn apply_fixed(&self, sql: &[u8], literals: &[Literal]) -> Vec<u8> {
        let mut out = Vec::with_capacity(sql.len() + 64);
        self.apply(sql, literals, &mut out, |_, _| {});
        out
    }

    /// Copies must come to an end: no edit may be reached from its own copies.
    fn check_copies(&self) -> Result<(), SpliceError> {
        let mut done = vec![false; self.edits.len()];
        for start in 0..self.edits.len() {
            let mut path = vec![(start, self.copied(start))];
            while let Some((edit, rest)) = path.last_mut() {
                let edit = *edit;
                let Some(next) = rest.pop().filter(|_| !done[edit]) else {
                    done[edit] = true;
                    path.pop();
                    continue;
                };
                if path.iter().any(|(above, _)| *above == next) {
                    return Err(SpliceError::CopiesItself(next));
                }
                path.push((next, self.copied(next)));
            }
        }
        Ok(())
    }

    /// The edits that the copies of an edit apply.
    fn copied(&self, edit: usize) -> Vec<usize> {
        let pieces = self.edits[edit].pieces.iter();
        pieces
            .filter_map(|piece| match piece {
                AnchoredPiece::Copy { edits, .. } => Some(edits.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Writes a range of the original with some of the edits.
    fn write(&self, job: &mut Job<'_>, range: Range<usize>, edits: Range<usize>) {
        let (sql, literals) = (job.sql, job.literals);
        let original = |range: Range<usize>| sql.get(range).unwrap_or_default();
        let mut at = range.start;
        let mut index = edits.start;
        while let Some(edit) = self.edits.get(index).filter(|_| index < edits.end) {
            job.out.extend_from_slice(original(at..edit.start.offset(literals)));
            at = edit.end.offset(literals);
            index = edit.next;
            for piece in &edit.pieces {
                match piece {
                    AnchoredPiece::Text(text) => job.out.extend_from_slice(text.as_bytes()),
                    AnchoredPiece::Slot(slot) => (job.write_slot)(*slot, job.out),
                    AnchoredPiece::Copy { start, end, edits } => {
                        self.write(job, start.offset(literals)..end.offset(literals), edits.clone());
                    }
                }
            }
        }
        job.out.extend_from_slice(original(at..range.end));
    }
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
