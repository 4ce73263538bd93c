//! A typed value: a cell of a binary row or a parameter of a prepared statement.

use bytes::BufMut;

use super::temporal::{DateTime, Time};
use super::types::{BinaryLayout, ColumnType};
use super::wire::{Reader, put_lenenc_bytes};
use super::{ProtocolError, Result};

/// A value as the binary protocol types it; strings, decimals and BLOBs borrow their bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width, and YEAR.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// Text, BLOB, DECIMAL, BIT, JSON, ENUM, SET, GEOMETRY.
    Bytes(&'a [u8]),
    /// DATE.
    Date(DateTime),
    /// DATETIME or TIMESTAMP.
    DateTime(DateTime),
    /// TIME.
    Time(Time),
}

impl<'a> Value<'a> {
    /// Decodes the wire bytes of one value of type `kind`: exactly those that [`skip`] passes over.
    pub fn decode(kind: ColumnType, unsigned: bool, wire: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(wire, "a binary value");
        let value = Self::read(kind, unsigned, &mut reader)?;
        if reader.is_empty() { Ok(value) } else { Err(ProtocolError::Malformed { what: "a binary value" }) }
    }

    /// Reads one value of type `kind`.
    pub fn read(kind: ColumnType, unsigned: bool, reader: &mut Reader<'a>) -> Result<Self> {
        Ok(match kind {
            ColumnType::NULL => Self::Null,
            ColumnType::TINY if unsigned => Self::UInt(reader.u8()?.into()),
            ColumnType::TINY => Self::Int(i8::from_le_bytes(reader.array()?).into()),
            ColumnType::YEAR => Self::UInt(reader.u16()?.into()),
            ColumnType::SHORT if unsigned => Self::UInt(reader.u16()?.into()),
            ColumnType::SHORT => Self::Int(i16::from_le_bytes(reader.array()?).into()),
            ColumnType::LONG | ColumnType::INT24 if unsigned => Self::UInt(reader.u32()?.into()),
            ColumnType::LONG | ColumnType::INT24 => Self::Int(i32::from_le_bytes(reader.array()?).into()),
            ColumnType::LONGLONG if unsigned => Self::UInt(reader.u64()?),
            ColumnType::LONGLONG => Self::Int(i64::from_le_bytes(reader.array()?)),
            ColumnType::FLOAT => Self::Float(f32::from_le_bytes(reader.array()?)),
            ColumnType::DOUBLE => Self::Double(f64::from_le_bytes(reader.array()?)),
            ColumnType::DATE => Self::Date(DateTime::read(short(reader)?)?),
            ColumnType::DATETIME | ColumnType::TIMESTAMP => Self::DateTime(DateTime::read(short(reader)?)?),
            ColumnType::TIME => Self::Time(Time::read(short(reader)?)?),
            other if other.binary_layout() == Some(BinaryLayout::LengthEncoded) => Self::Bytes(reader.lenenc_bytes()?),
            _ => return Err(ProtocolError::Malformed { what: "a value has an unknown type" }),
        })
    }

    /// Appends the value in the layout of `kind`. The value must be of a kind that this type can hold: integers of any
    /// width are cut to the type's width. NULL appends nothing (its bit stands elsewhere).
    pub fn put(&self, kind: ColumnType, out: &mut impl BufMut) {
        match (*self, kind.binary_layout()) {
            (Self::Null, _) => {}
            (Self::Int(v), Some(BinaryLayout::Fixed(width))) => put_int(kind, v as u64, v as f64, width, out),
            (Self::UInt(v), Some(BinaryLayout::Fixed(width))) => put_int(kind, v, v as f64, width, out),
            (Self::Float(v), _) if kind == ColumnType::DOUBLE => out.put_f64_le(v.into()),
            (Self::Float(v), _) => out.put_f32_le(v),
            (Self::Double(v), _) if kind == ColumnType::FLOAT => out.put_f32_le(v as f32),
            (Self::Double(v), _) => out.put_f64_le(v),
            (Self::Bytes(v), _) => put_lenenc_bytes(out, v),
            (Self::Date(v) | Self::DateTime(v), _) => v.put(out),
            (Self::Time(v), _) => v.put(out),
            (Self::Int(v), _) => put_lenenc_bytes(out, IntText::new(v).as_bytes()),
            (Self::UInt(v), _) => put_lenenc_bytes(out, IntText::unsigned(v).as_bytes()),
        }
    }
}

fn put_int(kind: ColumnType, bits: u64, float: f64, width: u8, out: &mut impl BufMut) {
    match kind {
        ColumnType::FLOAT => out.put_f32_le(float as f32),
        ColumnType::DOUBLE => out.put_f64_le(float),
        _ => out.put_slice(&bits.to_le_bytes()[..usize::from(width).min(8)]),
    }
}

fn short<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let len = reader.u8()?;
    reader.bytes(len.into())
}

/// Passes over one value of type `kind`.
#[inline]
pub fn skip(kind: ColumnType, reader: &mut Reader<'_>) -> Result<()> {
    match kind.binary_layout() {
        Some(BinaryLayout::Nothing) => {}
        Some(BinaryLayout::Fixed(width)) => drop(reader.bytes(width.into())?),
        Some(BinaryLayout::ShortLength) => drop(short(reader)?),
        Some(BinaryLayout::LengthEncoded) => drop(reader.lenenc_bytes()?),
        None => return Err(ProtocolError::Malformed { what: "a value has an unknown type" }),
    }
    Ok(())
}

/// The decimal text of an integer, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct IntText {
    bytes: [u8; 20],
    from: usize,
}

impl IntText {
    /// Of a signed integer.
    pub fn new(value: i64) -> Self {
        let mut text = Self::unsigned(value.unsigned_abs());
        if value < 0 {
            // 19 digits at most, so there is room for the sign.
            text.from -= 1;
            text.bytes[text.from] = b'-';
        }
        text
    }

    /// Of an unsigned integer.
    pub fn unsigned(value: u64) -> Self {
        let mut text = Self { bytes: [0; 20], from: 20 };
        let mut rest = value;
        loop {
            text.from -= 1;
            text.bytes[text.from] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return text;
            }
        }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_text() {
        for value in [0, 7, -7, i64::MIN, i64::MAX] {
            assert_eq!(IntText::new(value).as_bytes(), value.to_string().as_bytes());
        }
        assert_eq!(IntText::unsigned(u64::MAX).as_bytes(), u64::MAX.to_string().as_bytes());
    }

    #[test]
    fn every_type_reads_what_it_put_and_skips_the_same_bytes() {
        let day = DateTime { year: 2024, month: 2, day: 29, ..Default::default() };
        let cases = [
            (ColumnType::TINY, false, Value::Int(-1)),
            (ColumnType::TINY, true, Value::UInt(255)),
            (ColumnType::SHORT, false, Value::Int(-2)),
            (ColumnType::YEAR, false, Value::UInt(2155)),
            (ColumnType::INT24, false, Value::Int(-8_388_608)),
            (ColumnType::LONG, true, Value::UInt(u32::MAX.into())),
            (ColumnType::LONGLONG, false, Value::Int(i64::MIN)),
            (ColumnType::LONGLONG, true, Value::UInt(u64::MAX)),
            (ColumnType::FLOAT, false, Value::Float(1.5)),
            (ColumnType::DOUBLE, false, Value::Double(-0.1)),
            (ColumnType::DATE, false, Value::Date(day)),
            (ColumnType::TIMESTAMP, false, Value::DateTime(DateTime { micros: 5, ..day })),
            (ColumnType::TIME, false, Value::Time(Time { negative: true, hours: 1, ..Default::default() })),
            (ColumnType::NEWDECIMAL, false, Value::Bytes(b"-12.340")),
            (ColumnType::BIT, false, Value::Bytes(&[1])),
            (ColumnType::LONG_BLOB, false, Value::Bytes(&[0, 1, 2])),
            (ColumnType::JSON, false, Value::Bytes(b"{}")),
            (ColumnType::VECTOR, false, Value::Bytes(&[0; 8])),
        ];
        for (kind, unsigned, value) in cases {
            let mut wire = Vec::new();
            value.put(kind, &mut wire);
            assert_eq!(Value::decode(kind, unsigned, &wire), Ok(value), "{kind:?}");
            let mut reader = Reader::new(&wire, "test");
            skip(kind, &mut reader).unwrap();
            assert!(reader.is_empty());
            for cut in 0..wire.len() {
                assert!(Value::decode(kind, unsigned, &wire[..cut]).is_err(), "{kind:?} cut to {cut}");
            }
        }
        assert!(Value::decode(ColumnType(200), false, &[1]).is_err());
    }
}
