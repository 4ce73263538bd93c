//! Rows of the binary protocol (`page_protocol_binary_resultset.html`): header 0x00, a NULL bitmap whose first two bits
//! are unused, then the values that are not NULL.

use super::text_row::CellSpan;
use super::types::{BinaryLayout, ColumnType};
use super::value::Value;
use super::wire::Reader;
use super::{ProtocolError, Result};

/// Unused bits in front of the NULL bitmap of a row.
const BITMAP_OFFSET: usize = 2;

/// Length of the NULL bitmap of a row.
pub const fn bitmap_len(columns: usize) -> usize {
    (columns + BITMAP_OFFSET).div_ceil(8)
}

/// Finds all cells of a row with columns of these types. `spans` is cleared first, so that it can be used again.
pub fn index(payload: &[u8], types: &[ColumnType], spans: &mut Vec<CellSpan>) -> Result<()> {
    spans.clear();
    let mut reader = Reader::new(payload, "a binary row");
    if reader.u8()? != 0 {
        return Err(ProtocolError::Malformed { what: "a binary row has another header" });
    }
    let bitmap = reader.bytes(bitmap_len(types.len()))?;
    let position = |reader: &Reader<'_>| (payload.len() - reader.remaining().len()) as u32;
    for (column, &kind) in types.iter().enumerate() {
        let at = position(&reader);
        let bit = column + BITMAP_OFFSET;
        if bitmap[bit / 8] & (1 << (bit % 8)) != 0 {
            spans.push(CellSpan { at, start: at, end: at, null: true });
            continue;
        }
        let len = match kind.binary_layout() {
            Some(BinaryLayout::Fixed(width)) => reader.bytes(width.into())?.len(),
            Some(BinaryLayout::LengthEncoded) => reader.lenenc_bytes()?.len(),
            Some(BinaryLayout::ShortLength) => {
                let len = reader.u8()?;
                reader.bytes(len.into())?.len()
            }
            Some(BinaryLayout::Nothing) => 0,
            None => return Err(ProtocolError::Malformed { what: "a value has an unknown type" }),
        };
        let end = position(&reader);
        spans.push(CellSpan { at, start: end - len as u32, end, null: false });
    }
    if reader.is_empty() { Ok(()) } else { Err(ProtocolError::Malformed { what: "a binary row has more cells" }) }
}

/// Decodes one cell that [`index`] found.
pub fn value<'a>(payload: &'a [u8], span: &CellSpan, kind: ColumnType, unsigned: bool) -> Result<Value<'a>> {
    if span.null {
        return Ok(Value::Null);
    }
    let wire = payload.get(span.at as usize..span.end as usize).unwrap_or_default();
    Value::decode(kind, unsigned, wire)
}

/// Writes rows: [`BinaryRow::begin`], one call per column, and the payload is whole.
#[derive(Debug)]
pub struct BinaryRow<'a> {
    out: &'a mut Vec<u8>,
    bitmap_at: usize,
    column: usize,
}

impl<'a> BinaryRow<'a> {
    /// Begins a row of `columns` columns at the end of `out`.
    pub fn begin(out: &'a mut Vec<u8>, columns: usize) -> Self {
        out.push(0);
        let bitmap_at = out.len();
        out.resize(bitmap_at + bitmap_len(columns), 0);
        Self { out, bitmap_at, column: 0 }
    }

    /// Appends a value in the layout of `kind`.
    pub fn value(&mut self, kind: ColumnType, value: &Value<'_>) {
        if *value == Value::Null {
            return self.null();
        }
        value.put(kind, self.out);
        self.column += 1;
    }

    /// Appends the encoding of a cell as another row holds it (`at..end` of its span).
    pub fn encoded(&mut self, wire: &[u8]) {
        self.out.extend_from_slice(wire);
        self.column += 1;
    }

    /// Appends NULL.
    pub fn null(&mut self) {
        let bit = self.column + BITMAP_OFFSET;
        // A column past those announced is a mistake of ours; the row would be wrong in any case.
        debug_assert!(self.bitmap_at + bit / 8 < self.out.len());
        if let Some(byte) = self.out.get_mut(self.bitmap_at + bit / 8) {
            *byte |= 1 << (bit % 8);
        }
        self.column += 1;
    }
}

/// Appends the first `keep` columns of a row that [`index`] has found the cells of: drops hidden columns.
pub fn put_prefix(payload: &[u8], spans: &[CellSpan], keep: usize, out: &mut Vec<u8>) {
    let keep = keep.min(spans.len());
    let values_at = 1 + bitmap_len(spans.len());
    let values_end = spans.get(keep).map_or(payload.len(), |span| span.at as usize);
    let mut row = BinaryRow::begin(out, keep);
    for span in &spans[..keep] {
        if span.null { row.null() } else { row.column += 1 }
    }
    out.extend_from_slice(payload.get(values_at..values_end).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [ColumnType; 8] = [
        ColumnType::LONG,
        ColumnType::VAR_STRING,
        ColumnType::DOUBLE,
        ColumnType::DATE,
        ColumnType::NEWDECIMAL,
        ColumnType::TINY,
        ColumnType::YEAR,
        ColumnType::BLOB,
    ];

    fn row() -> Vec<u8> {
        let day = super::super::temporal::DateTime { year: 2024, month: 2, day: 29, ..Default::default() };
        let mut out = Vec::new();
        let mut row = BinaryRow::begin(&mut out, TYPES.len());
        row.value(TYPES[0], &Value::Int(-5));
        row.value(TYPES[1], &Value::Bytes(b"abc"));
        row.null();
        row.value(TYPES[3], &Value::Date(day));
        row.value(TYPES[4], &Value::Bytes(b"1.50"));
        row.value(TYPES[5], &Value::Null);
        row.value(TYPES[6], &Value::UInt(1999));
        row.value(TYPES[7], &Value::Null);
        out
    }

    #[test]
    fn a_row_has_the_documented_bytes_and_is_read_back() {
        let payload = row();
        assert_eq!(payload, b"\x00\x90\x02\xfb\xff\xff\xff\x03abc\x04\xe8\x07\x02\x1d\x041.50\xcf\x07");
        let mut spans = Vec::new();
        index(&payload, &TYPES, &mut spans).unwrap();
        assert_eq!(value(&payload, &spans[0], TYPES[0], false), Ok(Value::Int(-5)));
        assert_eq!(spans[1].of(&payload), Some(&b"abc"[..]));
        assert_eq!(value(&payload, &spans[2], TYPES[2], false), Ok(Value::Null));
        assert_eq!(spans[4].of(&payload), Some(&b"1.50"[..]));
        assert_eq!(value(&payload, &spans[6], TYPES[6], true), Ok(Value::UInt(1999)));
        assert!(spans[7].null);
        for cut in 0..payload.len() {
            assert!(index(&payload[..cut], &TYPES, &mut spans).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn a_prefix_is_a_row_of_fewer_columns() {
        let payload = row();
        let mut spans = Vec::new();
        index(&payload, &TYPES, &mut spans).unwrap();
        for keep in 1..=TYPES.len() {
            let mut cut = Vec::new();
            put_prefix(&payload, &spans, keep, &mut cut);
            let mut cut_spans = Vec::new();
            index(&cut, &TYPES[..keep], &mut cut_spans).unwrap();
            for column in 0..keep {
                let kind = TYPES[column];
                assert_eq!(
                    value(&cut, &cut_spans[column], kind, false),
                    value(&payload, &spans[column], kind, false),
                    "column {column} of {keep}"
                );
            }
        }
    }
}
