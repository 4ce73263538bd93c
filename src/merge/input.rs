//! One shard's rows: what the caller pushed, and the next ones with their decoded keys.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::MergeError;
use super::key::{KeyValue, Keys, Row};
use super::row::{Cell, RowShape};

/// `int<3>` length and `int<1>` sequence id.
const HEADER_LEN: usize = 4;

/// What a caller pushed.
#[derive(Debug)]
enum Piece {
    /// One row's payload.
    Row(Bytes),
    /// Whole wire packets, one for each row.
    Packets(Bytes),
}

/// What came of the step to the next row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advance {
    /// There is a head row. `repeats`: its keys equal those of the row before it.
    Row { repeats: bool },
    /// Nothing was pushed.
    Empty,
    /// There are no more rows.
    End,
}

/// How many rows are decoded ahead of their turn. One after the other their bytes and branches are foreseen by a
/// processor; between matches of the tournament, whose ends nobody foresees, each would wait for the one before.
const BLOCK_ROWS: usize = 64;

/// A row whose keys are decoded.
#[derive(Debug)]
struct Decoded {
    /// [`Keys::prefix`].
    prefix: u64,
    /// Where it stands in the chunk.
    row: Range<usize>,
    visible_end: usize,
    repeats: bool,
}

#[derive(Debug, Default)]
pub(super) struct Input {
    pieces: VecDeque<Piece>,
    /// The bytes that hold the block's rows.
    chunk: Bytes,
    /// Where in the chunk the packets after the block begin.
    next_packet: usize,
    /// The rows that are decoded, and which of them is the head.
    block: Vec<Decoded>,
    at: usize,
    /// The keys of the block's rows, `width` for each.
    keys: Vec<KeyValue>,
    width: usize,
    /// The prefix of the head row; the greatest number when there is none.
    prefix: u64,
    ended: bool,
    /// Scratch, kept for its room.
    cells: Vec<Cell>,
}

/// The row before a block, which the block's first row must not come before.
struct Before {
    chunk: Bytes,
    row: Range<usize>,
    prefix: u64,
    keys: Vec<KeyValue>,
}

impl Input {
    /// For rows with these keys.
    pub(super) fn new(keys: &Keys) -> Self {
        Self { cells: vec![Cell::NULL; keys.cells()], width: keys.len(), ..Self::default() }
    }

    pub(super) fn push(&mut self, row: Bytes) {
        self.pieces.push_back(Piece::Row(row));
    }

    pub(super) fn push_packets(&mut self, packets: Bytes) {
        if !packets.is_empty() {
            self.pieces.push_back(Piece::Packets(packets));
        }
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether there is a head row.
    #[inline]
    pub(super) fn has_row(&self) -> bool {
        self.at < self.block.len()
    }

    /// The head row.
    #[inline]
    pub(super) fn head(&self) -> Row<'_> {
        self.decoded(self.at)
    }

    /// Orders heads before their keys are compared.
    #[inline]
    pub(super) fn prefix(&self) -> u64 {
        self.prefix
    }

    /// Where the head row's visible columns end.
    #[inline]
    pub(super) fn visible_end(&self) -> usize {
        self.block[self.at].visible_end
    }

    /// Steps to the next row and checks that it does not come before the last one.
    #[inline]
    pub(super) fn advance(&mut self, shape: &RowShape, keys: &Keys) -> Result<Advance, MergeError> {
        match self.block.get(self.at + 1) {
            Some(next) => {
                self.at += 1;
                self.prefix = next.prefix;
                Ok(Advance::Row { repeats: next.repeats })
            }
            None => self.next_block(shape, keys),
        }
    }

    /// Decodes the next rows, the first of which becomes the head.
    #[inline(never)]
    fn next_block(&mut self, shape: &RowShape, keys: &Keys) -> Result<Advance, MergeError> {
        if self.next_packet >= self.chunk.len() && self.pieces.is_empty() {
            if !self.ended {
                return Ok(Advance::Empty);
            }
            self.block.clear();
            self.keys.clear();
            self.chunk = Bytes::new();
            self.next_packet = 0;
            self.prefix = u64::MAX;
            return Ok(Advance::End);
        }
        let before = self.block.last().map(|last| Before {
            chunk: self.chunk.clone(),
            row: last.row.clone(),
            prefix: last.prefix,
            keys: self.keys[self.keys.len() - self.width..].to_vec(),
        });
        self.block.clear();
        self.keys.clear();
        self.at = 0;
        if self.next_packet < self.chunk.len() {
            self.decode_packets(shape, keys, before.as_ref())?;
        } else {
            match self.pieces.pop_front() {
                Some(Piece::Packets(packets)) => {
                    self.chunk = packets;
                    self.next_packet = 0;
                    self.decode_packets(shape, keys, before.as_ref())?;
                }
                Some(Piece::Row(row)) => {
                    self.next_packet = row.len();
                    self.chunk = row;
                    self.decode(0..self.next_packet, shape, keys, before.as_ref())?;
                }
                None => {}
            }
        }
        let Some(head) = self.block.first() else { return Ok(Advance::Empty) };
        self.prefix = head.prefix;
        Ok(Advance::Row { repeats: head.repeats })
    }

    /// Decodes rows as far as the chunk and the block go.
    fn decode_packets(&mut self, shape: &RowShape, keys: &Keys, before: Option<&Before>) -> Result<(), MergeError> {
        while self.block.len() < BLOCK_ROWS && self.next_packet < self.chunk.len() {
            let decoded = next_packet(&self.chunk, self.next_packet).and_then(|row| {
                let end = row.end;
                self.decode(row, shape, keys, before).map(|()| end)
            });
            match decoded {
                Ok(end) => self.next_packet = end,
                // LIMIT may end the answer before it is this row's turn.
                Err(_) if !self.block.is_empty() => {
                    self.keys.truncate(self.block.len() * self.width);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Decodes one row of the chunk into the block.
    #[inline]
    fn decode(
        &mut self,
        row: Range<usize>,
        shape: &RowShape,
        keys: &Keys,
        before: Option<&Before>,
    ) -> Result<(), MergeError> {
        let bytes = &self.chunk[row.clone()];
        let first_key = self.keys.len();
        let visible_end = keys.decode(shape, bytes, &mut self.cells, &mut self.keys)?;
        let prefix = keys.prefix(bytes, &self.keys[first_key..]);
        let last_prefix = self.block.last().map(|last| last.prefix).or(before.map(|before| before.prefix));
        let mut repeats = false;
        if self.width > 0 && last_prefix.is_some_and(|last| last >= prefix) {
            let last = match (self.block.len(), before) {
                (0, Some(before)) => Row { bytes: &before.chunk[before.row.clone()], keys: &before.keys },
                (decoded, _) => self.decoded(decoded - 1),
            };
            let next = Row { bytes, keys: &self.keys[first_key..] };
            let order = keys.compare(last, next, self.width);
            if order == Ordering::Greater && !keys.may_precede(last, next) {
                return Err(keys.out_of_order());
            }
            repeats = order == Ordering::Equal;
        }
        self.block.push(Decoded { prefix, row, visible_end, repeats });
        Ok(())
    }

    /// A row of the block.
    #[inline]
    fn decoded(&self, index: usize) -> Row<'_> {
        let keys = index * self.width..(index + 1) * self.width;
        Row { bytes: &self.chunk[self.block[index].row.clone()], keys: &self.keys[keys] }
    }
}

/// The payload of the packet at `at`.
#[inline]
fn next_packet(packets: &[u8], at: usize) -> Result<Range<usize>, MergeError> {
    let Some(&[a, b, c, _]) = packets[at..].first_chunk::<HEADER_LEN>() else { return Err(MergeError::MalformedRow) };
    let start = at + HEADER_LEN;
    let end = start + (usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16);
    if end > packets.len() || end - start == 0xFF_FFFF { Err(MergeError::MalformedRow) } else { Ok(start..end) }
}
