//! Values as literals that give the same value again where they are assigned or compared.

use crate::protocol::column::ColumnDef;
use crate::protocol::temporal::TemporalText;
use crate::protocol::{ColumnFlags, ColumnType, Value, charset};
use crate::sql::LexMode;

/// How literals are written for a session.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    /// Whether a backslash escapes.
    pub mode: LexMode,
    /// Whether the session's texts are UTF-8.
    pub utf8: bool,
}

impl Writer {
    /// Writes a value of a result column.
    pub fn cell(&self, value: &Value<'_>, column: &ColumnDef, out: &mut Vec<u8>) {
        let decimals = if column.decimals > 6 { 6 } else { column.decimals };
        match value {
            Value::Int(_) | Value::UInt(_) if column.flags.contains(ColumnFlags::ZEROFILL) => {
                let width = usize::try_from(column.length).unwrap_or(0);
                let digits = match value {
                    Value::UInt(number) => number.to_string(),
                    Value::Int(number) => number.to_string(),
                    _ => String::new(),
                };
                out.extend_from_slice(format!("'{digits:0>width$}'").as_bytes());
            }
            Value::Date(date) => {
                let mut text = TemporalText::default();
                date.date_text(&mut text);
                quoted(text.as_bytes(), out);
            }
            Value::DateTime(moment) => {
                let mut text = TemporalText::default();
                moment.text(decimals, &mut text);
                quoted(text.as_bytes(), out);
            }
            Value::Time(time) => {
                let mut text = TemporalText::default();
                time.text(decimals, &mut text);
                quoted(text.as_bytes(), out);
            }
            Value::Bytes(bytes) if column.kind == ColumnType::BIT => {
                out.extend_from_slice(b"0x");
                hex(bytes, out);
            }
            Value::Bytes(bytes) if column.kind.is_decimal() => out.extend_from_slice(bytes),
            Value::Bytes(bytes) if column.charset == charset::BINARY && column.kind != ColumnType::JSON => {
                self.bytes(bytes, out);
            }
            value => self.plain(value, out),
        }
    }

    /// Writes a value of which no more is known than its type: a parameter of the client's.
    pub fn plain(&self, value: &Value<'_>, out: &mut Vec<u8>) {
        let mut text = TemporalText::default();
        match value {
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Value::UInt(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Value::Float(value) => out.extend_from_slice(format!("{:e}", f64::from(*value)).as_bytes()),
            Value::Double(value) => out.extend_from_slice(format!("{value:e}").as_bytes()),
            Value::Bytes(bytes) => self.text(bytes, out),
            Value::Date(date) => {
                date.date_text(&mut text);
                quoted(text.as_bytes(), out);
            }
            Value::DateTime(moment) => {
                moment.text(if moment.micros == 0 { 0 } else { 6 }, &mut text);
                quoted(text.as_bytes(), out);
            }
            Value::Time(time) => {
                time.text(if time.micros == 0 { 0 } else { 6 }, &mut text);
                quoted(text.as_bytes(), out);
            }
        }
    }

    /// Text in UTF-8.
    fn text(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let is_text = std::str::from_utf8(bytes).is_ok();
        if !is_text {
            return self.bytes(bytes, out);
        }
        if !self.utf8 && !bytes.is_ascii() {
            out.extend_from_slice(b"_utf8mb4 x'");
            hex(bytes, out);
            out.push(b'\'');
            return;
        }
        out.push(b'\'');
        for &byte in bytes {
            if byte == b'\'' || (byte == b'\\' && !self.mode.no_backslash_escapes) {
                out.push(byte);
            }
            out.push(byte);
        }
        out.push(b'\'');
    }

    /// Bytes that are no text.
    fn bytes(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.iter().all(|byte| (0x20..0x7F).contains(byte)) {
            return self.text(bytes, out);
        }
        // with the introducer it is a string wherever it stands, never a number
        out.extend_from_slice(b"_binary x'");
        hex(bytes, out);
        out.push(b'\'');
    }
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    out.extend_from_slice(text);
    out.push(b'\'');
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: &Value<'_>, mode: LexMode) -> String {
        let mut out = Vec::new();
        Writer { mode, utf8: true }.plain(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn literals_read_as_the_value_they_were() {
        let mode = LexMode::default();
        assert_eq!(plain(&Value::Int(-7), mode), "-7");
        assert_eq!(plain(&Value::Double(0.1), mode), "1e-1");
        assert_eq!(plain(&Value::Bytes(br"it's a\b"), mode), r"'it''s a\\b'");
        assert_eq!(plain(&Value::Bytes(br"a\b"), LexMode { no_backslash_escapes: true, ..mode }), r"'a\b'");
        assert_eq!(plain(&Value::Bytes(&[0xff, 0]), mode), "_binary x'ff00'");
        assert_eq!(plain(&Value::Null, mode), "NULL");
    }
}
