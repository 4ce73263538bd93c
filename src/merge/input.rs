//! One shard's rows: what the caller pushed, and the head row with its decoded keys.

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

#[derive(Debug, Default)]
pub(super) struct Input {
    pieces: VecDeque<Piece>,
    /// The bytes that hold the head row.
    chunk: Bytes,
    /// Where the head row stands in the chunk, and where the packets after it begin.
    row: Range<usize>,
    next_packet: usize,
    keys: Vec<KeyValue>,
    /// [`Keys::prefix`] of the head row; the greatest number when there is none.
    prefix: u64,
    visible_end: usize,
    has_row: bool,
    ended: bool,
    /// Scratch, kept for its room.
    cells: Vec<Cell>,
    decoded: Vec<KeyValue>,
}

impl Input {
    pub(super) fn new(cells: usize) -> Self {
        Self { cells: vec![Cell::NULL; cells], ..Self::default() }
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
        self.has_row
    }

    /// The head row.
    #[inline]
    pub(super) fn head(&self) -> Row<'_> {
        Row { bytes: &self.chunk[self.row.clone()], keys: &self.keys }
    }

    /// Orders heads before their keys are compared.
    #[inline]
    pub(super) fn prefix(&self) -> u64 {
        self.prefix
    }

    /// Where the head row's visible columns end.
    #[inline]
    pub(super) fn visible_end(&self) -> usize {
        self.visible_end
    }

    /// Steps to the next row and checks that it does not come before the last one.
    #[inline]
    pub(super) fn advance(&mut self, shape: &RowShape, keys: &Keys) -> Result<Advance, MergeError> {
        let mut earlier = None;
        let row = if self.next_packet < self.chunk.len() {
            next_packet(&self.chunk, self.next_packet)?
        } else {
            let Some(piece) = self.pieces.pop_front() else {
                if self.ended {
                    self.has_row = false;
                    self.prefix = u64::MAX;
                    self.chunk = Bytes::new();
                    self.next_packet = 0;
                    return Ok(Advance::End);
                }
                return Ok(Advance::Empty);
            };
            let (chunk, row) = match piece {
                Piece::Row(row) => {
                    let len = row.len();
                    (row, 0..len)
                }
                Piece::Packets(packets) => {
                    let row = next_packet(&packets, 0)?;
                    (packets, row)
                }
            };
            earlier = Some(std::mem::replace(&mut self.chunk, chunk));
            row
        };
        let bytes = &self.chunk[row.clone()];
        let visible_end = keys.decode(shape, bytes, &mut self.cells, &mut self.decoded)?;
        let prefix = keys.prefix(bytes, &self.decoded);
        let repeats = self.has_row && self.prefix >= prefix && keys.len() > 0 && {
            let last = Row { bytes: &earlier.as_ref().unwrap_or(&self.chunk)[self.row.clone()], keys: &self.keys };
            let next = Row { bytes, keys: &self.decoded };
            let order = keys.compare(last, next, keys.len());
            if order == Ordering::Greater && !keys.may_precede(last, next) {
                return Err(keys.out_of_order());
            }
            order == Ordering::Equal
        };
        self.prefix = prefix;
        self.visible_end = visible_end;
        self.next_packet = row.end;
        self.row = row;
        std::mem::swap(&mut self.keys, &mut self.decoded);
        self.has_row = true;
        Ok(Advance::Row { repeats })
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
