//! Finding cells in a row without decoding it, and cutting the hidden columns off.
//!
//! A text row is a `string<lenenc>` or 0xFB for each column; a binary row is 0x00, a bitmap of NULLs (two bits in),
//! then the values that are not NULL (`page_protocol_com_query_response_text_resultset_row.html`,
//! `page_protocol_binary_resultset.html`).

use super::MergeError;
use crate::protocol::ColumnDef;
use crate::protocol::types::BinaryLayout;
use crate::protocol::wire::{LENENC_NULL, put_lenenc_bytes};

/// How rows are laid out: COM_QUERY's answers are text, COM_STMT_EXECUTE's binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Text rows.
    Text,
    /// Binary rows.
    Binary,
}

/// Where a cell's value stands in its row, without its length prefix: the start in the low half, the end in the high one. One
/// number, since what is stored in halves and loaded whole is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell(u64);

impl Cell {
    pub(super) const NULL: Self = Self(u64::MAX);

    /// The value, `None` for NULL.
    #[inline]
    pub(super) fn of(self, row: &[u8]) -> Option<&[u8]> {
        if self == Self::NULL { None } else { row.get(self.0 as u32 as usize..(self.0 >> 32) as usize) }
    }

    /// All of `bytes`.
    pub(super) fn whole(bytes: &[u8]) -> Result<Self, MergeError> {
        Self::at(0, bytes.len(), bytes)
    }

    /// Rows have less than 4 GiB: `max_allowed_packet` ends at 1 GiB.
    #[inline]
    fn at(start: usize, end: usize, row: &[u8]) -> Result<Self, MergeError> {
        if end > row.len() || end >= u32::MAX as usize || start > end {
            return Err(MergeError::MalformedRow);
        }
        Ok(Self((end as u64) << 32 | start as u64))
    }
}

/// The columns of the shards' rows.
#[derive(Debug, Clone)]
pub(super) struct RowShape {
    pub(super) format: RowFormat,
    layouts: Vec<BinaryLayout>,
    visible: usize,
}

impl RowShape {
    pub(super) fn new(format: RowFormat, columns: &[ColumnDef], hidden: usize) -> Result<Self, MergeError> {
        let visible = columns
            .len()
            .checked_sub(hidden)
            .filter(|&visible| visible > 0)
            .ok_or(MergeError::Plan("it hides more columns than there are"))?;
        let layouts = columns
            .iter()
            .map(|column| match (format, column.kind.binary_layout()) {
                (RowFormat::Text, _) => Ok(BinaryLayout::LengthEncoded),
                (RowFormat::Binary, Some(layout)) => Ok(layout),
                (RowFormat::Binary, None) => Err(MergeError::MalformedRow),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { format, layouts, visible })
    }

    pub(super) fn columns(&self) -> usize {
        self.layouts.len()
    }

    pub(super) fn visible(&self) -> usize {
        self.visible
    }

    pub(super) fn hides(&self) -> bool {
        self.visible < self.layouts.len()
    }

    /// The row as the client gets it. `visible_end` is what [`Locator::locate`] said.
    #[inline]
    pub(super) fn cut<'a>(&self, row: &'a [u8], visible_end: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match self.format {
            _ if !self.hides() => row,
            RowFormat::Text => &row[..visible_end],
            RowFormat::Binary => {
                scratch.clear();
                let bitmap = bitmap_len(self.visible);
                // The bitmap of fewer columns is the front of the longer one, without the hidden columns' bits.
                scratch.extend_from_slice(&row[..1 + bitmap]);
                let used_bits = (self.visible + 2) % 8;
                if used_bits > 0 {
                    scratch[bitmap] &= (1 << used_bits) - 1;
                }
                scratch.extend_from_slice(&row[1 + bitmap_len(self.columns())..visible_end]);
                scratch
            }
        }
    }

    /// Builds a row of the visible columns, the values given by `value`.
    pub(super) fn build<'v>(&self, out: &mut Vec<u8>, value: impl Fn(usize) -> Option<&'v [u8]>) {
        out.clear();
        if self.format == RowFormat::Binary {
            out.resize(1 + bitmap_len(self.visible), 0);
        }
        for column in 0..self.visible {
            match (value(column), self.format, self.layouts[column]) {
                (None, RowFormat::Text, _) => out.push(LENENC_NULL),
                (None, RowFormat::Binary, _) => {
                    let (byte, mask) = null_bit(column);
                    out[byte] |= mask;
                }
                (Some(bytes), _, BinaryLayout::LengthEncoded) => put_lenenc_bytes(out, bytes),
                (Some(bytes), _, BinaryLayout::ShortLength) => {
                    out.push(bytes.len() as u8);
                    out.extend_from_slice(bytes);
                }
                (Some(bytes), _, BinaryLayout::Fixed(_) | BinaryLayout::Nothing) => out.extend_from_slice(bytes),
            }
        }
    }
}

fn bitmap_len(columns: usize) -> usize {
    (columns + 7 + 2) / 8
}

/// The byte of a binary row and the bit in it that say whether a column is NULL.
fn null_bit(column: usize) -> (usize, u8) {
    let bit = column + 2;
    (1 + bit / 8, 1 << (bit % 8))
}

/// No slot: the column is passed over.
const SKIP: u16 = u16::MAX;

/// Finds chosen columns' cells in one walk over a row.
#[derive(Debug, Clone)]
pub(super) struct Locator {
    /// For each column as far as the walk goes, the slot that its cell is stored in.
    slots: Vec<u16>,
    wanted: usize,
}

impl Locator {
    /// For the columns in `wanted` (each index is checked). With hidden columns the walk also finds where the visible
    /// ones end.
    pub(super) fn new(shape: &RowShape, wanted: impl IntoIterator<Item = usize>) -> Result<Self, MergeError> {
        let mut slots = vec![SKIP; if shape.hides() { shape.visible } else { 0 }];
        let mut count = 0;
        for column in wanted {
            // The protocol counts columns in 16 bits in practice (4096 is the server's limit), so slots fit.
            if column >= shape.columns() || count >= usize::from(SKIP) {
                return Err(MergeError::Plan("it names a column that the shards do not send"));
            }
            if slots.len() <= column {
                slots.resize(column + 1, SKIP);
            }
            if slots[column] == SKIP {
                slots[column] = count as u16;
                count += 1;
            }
        }
        Ok(Self { slots, wanted: count })
    }

    /// How many cells [`Self::locate`] finds.
    pub(super) fn len(&self) -> usize {
        self.wanted
    }

    /// The slot of a wanted column.
    pub(super) fn slot(&self, column: usize) -> usize {
        usize::from(self.slots[column])
    }

    /// Finds the cells; returns where the visible columns end (only if there are hidden ones).
    #[inline]
    pub(super) fn locate(&self, shape: &RowShape, row: &[u8], cells: &mut [Cell]) -> Result<usize, MergeError> {
        match shape.format {
            RowFormat::Text => self.locate_text(shape, row, cells),
            RowFormat::Binary => self.locate_binary(shape, row, cells),
        }
    }

    #[inline]
    fn locate_text(&self, shape: &RowShape, row: &[u8], cells: &mut [Cell]) -> Result<usize, MergeError> {
        let mut at = 0;
        let mut visible_end = 0;
        for (column, &slot) in self.slots.iter().enumerate() {
            if column == shape.visible {
                visible_end = at;
            }
            let (start, end) = lenenc(row, at)?;
            let is_null = start == usize::MAX;
            at = end;
            if slot != SKIP {
                cells[usize::from(slot)] = if is_null { Cell::NULL } else { Cell::at(start, end, row)? };
            }
        }
        if self.slots.len() == shape.visible {
            visible_end = at;
        }
        if at > row.len() { Err(MergeError::MalformedRow) } else { Ok(visible_end) }
    }

    #[inline]
    fn locate_binary(&self, shape: &RowShape, row: &[u8], cells: &mut [Cell]) -> Result<usize, MergeError> {
        let mut at = 1 + bitmap_len(shape.columns());
        if row.len() < at || row[0] != 0 {
            return Err(MergeError::MalformedRow);
        }
        let mut visible_end = 0;
        for (column, (&slot, &layout)) in self.slots.iter().zip(&shape.layouts).enumerate() {
            if column == shape.visible {
                visible_end = at;
            }
            let (byte, mask) = null_bit(column);
            let cell = if row[byte] & mask != 0 {
                Cell::NULL
            } else {
                let (start, end) = match layout {
                    BinaryLayout::Nothing => (at, at),
                    BinaryLayout::Fixed(width) => (at, at + usize::from(width)),
                    BinaryLayout::ShortLength => {
                        let len = *row.get(at).ok_or(MergeError::MalformedRow)?;
                        (at + 1, at + 1 + usize::from(len))
                    }
                    BinaryLayout::LengthEncoded => lenenc(row, at)?,
                };
                at = end;
                Cell::at(start, end, row)?
            };
            if slot != SKIP {
                cells[usize::from(slot)] = cell;
            }
        }
        if self.slots.len() == shape.visible {
            visible_end = at;
        }
        Ok(visible_end)
    }
}

/// The start and end of the `string<lenenc>` at `at`; a start of `usize::MAX` is NULL. The end may lie past the row.
#[inline]
fn lenenc(row: &[u8], at: usize) -> Result<(usize, usize), MergeError> {
    let &first = row.get(at).ok_or(MergeError::MalformedRow)?;
    let (prefix, len) = match first {
        0..=0xFA => return Ok((at + 1, at + 1 + usize::from(first))),
        LENENC_NULL => return Ok((usize::MAX, at + 1)),
        0xFC => (3, integer::<2>(row, at + 1)?),
        0xFD => (4, integer::<3>(row, at + 1)?),
        0xFE => (9, integer::<8>(row, at + 1)?),
        0xFF => return Err(MergeError::MalformedRow),
    };
    let end = usize::try_from(len).ok().and_then(|len| len.checked_add(at + prefix));
    Ok((at + prefix, end.filter(|&end| end <= row.len()).ok_or(MergeError::MalformedRow)?))
}

fn integer<const N: usize>(row: &[u8], at: usize) -> Result<u64, MergeError> {
    let bytes = row.get(at..at + N).ok_or(MergeError::MalformedRow)?;
    Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
