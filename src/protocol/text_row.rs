//! Rows of the text protocol (`page_protocol_com_query_response_text_resultset_row.html`).

use bytes::BufMut;

use super::value::{IntText, Value};
use super::wire::{LENENC_NULL, Reader, put_lenenc_bytes};
use super::{ProtocolError, Result};

/// Where a cell stands in a row's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellSpan {
    /// First byte of the encoding, length prefix included.
    pub at: u32,
    /// First byte of the value.
    pub start: u32,
    /// Behind the value.
    pub end: u32,
    /// NULL.
    pub null: bool,
}

impl CellSpan {
    /// The bytes of the value, or `None` for NULL.
    #[inline]
    pub fn of<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        if self.null { None } else { payload.get(self.start as usize..self.end as usize) }
    }
}

/// Finds all cells of a row of `columns` columns. `spans` is cleared first, so that it can be used again.
pub fn index(payload: &[u8], columns: usize, spans: &mut Vec<CellSpan>) -> Result<()> {
    spans.clear();
    let mut reader = Reader::new(payload, "a text row");
    let position = |reader: &Reader<'_>| (payload.len() - reader.remaining().len()) as u32;
    for _ in 0..columns {
        let at = position(&reader);
        let cell = reader.lenenc_bytes_or_null()?;
        let end = position(&reader);
        spans.push(CellSpan { at, start: end - cell.map_or(0, |c| c.len() as u32), end, null: cell.is_none() });
    }
    if reader.is_empty() { Ok(()) } else { Err(ProtocolError::Malformed { what: "a text row has more cells" }) }
}

/// The cells of a row in turn.
pub fn cells(payload: &[u8]) -> impl Iterator<Item = Result<Option<&[u8]>>> {
    let mut reader = Reader::new(payload, "a text row");
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let cell = reader.lenenc_bytes_or_null();
        if cell.is_err() {
            reader.rest();
        }
        Some(cell)
    })
}

/// One cell of a row, counted from 0.
pub fn cell(payload: &[u8], column: usize) -> Result<Option<&[u8]>> {
    cells(payload).nth(column).unwrap_or(Err(ProtocolError::Truncated { what: "a text row" }))
}

/// Appends a cell.
#[inline]
pub fn put_cell(out: &mut impl BufMut, cell: Option<&[u8]>) {
    match cell {
        Some(bytes) => put_lenenc_bytes(out, bytes),
        None => out.put_u8(LENENC_NULL),
    }
}

/// Appends a cell that holds a signed integer.
pub fn put_int(out: &mut impl BufMut, value: i64) {
    put_lenenc_bytes(out, IntText::new(value).as_bytes());
}

/// Appends a cell that holds an unsigned integer.
pub fn put_uint(out: &mut impl BufMut, value: u64) {
    put_lenenc_bytes(out, IntText::unsigned(value).as_bytes());
}

/// Appends a cell that holds `value`; dates and times get `fraction_digits` of their fraction.
pub fn put_value(out: &mut impl BufMut, value: &Value<'_>, fraction_digits: u8) {
    let mut text = super::temporal::TemporalText::default();
    match value {
        Value::Null => out.put_u8(LENENC_NULL),
        Value::Int(v) => put_int(out, *v),
        Value::UInt(v) => put_uint(out, *v),
        Value::Float(v) => put_lenenc_bytes(out, v.to_string().as_bytes()),
        Value::Double(v) => put_lenenc_bytes(out, v.to_string().as_bytes()),
        Value::Bytes(v) => put_lenenc_bytes(out, v),
        Value::Date(v) => {
            v.date_text(&mut text);
            put_lenenc_bytes(out, text.as_bytes());
        }
        Value::DateTime(v) => {
            v.text(fraction_digits, &mut text);
            put_lenenc_bytes(out, text.as_bytes());
        }
        Value::Time(v) => {
            v.text(fraction_digits, &mut text);
            put_lenenc_bytes(out, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_where_they_stand() {
        let payload = b"\x01a\xfb\x00\xfc\x02\x00xy";
        let mut spans = Vec::new();
        index(payload, 4, &mut spans).unwrap();
        let values: Vec<_> = spans.iter().map(|span| span.of(payload)).collect();
        assert_eq!(values, [Some(&b"a"[..]), None, Some(b""), Some(b"xy")]);
        assert_eq!(spans[3].at, 4, "cutting here drops the last column");
        assert_eq!(cells(payload).map(Result::unwrap).collect::<Vec<_>>(), values);
        assert_eq!(cell(payload, 3), Ok(Some(&b"xy"[..])));
        assert!(cell(payload, 4).is_err());
        assert!(index(payload, 3, &mut spans).is_err());
        assert!(index(payload, 5, &mut spans).is_err());
        for cut in 0..payload.len() {
            assert!(index(&payload[..cut], 4, &mut spans).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn values_as_text() {
        let mut out = Vec::new();
        put_value(&mut out, &Value::Null, 0);
        put_value(&mut out, &Value::Int(-12), 0);
        put_value(&mut out, &Value::UInt(u64::MAX), 0);
        put_value(&mut out, &Value::Double(0.5), 0);
        put_cell(&mut out, Some(b"x"));
        assert_eq!(out, b"\xfb\x03-12\x1418446744073709551615\x030.5\x01x");
    }
}
