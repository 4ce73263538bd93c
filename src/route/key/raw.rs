//! What statements write, and what becomes of it.

use std::borrow::Cow;

use super::moment::{DateKey, DateTimeKey};
use super::value::KeyValue;

/// A literal or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue<'a> {
    /// `NULL`.
    Null,
    /// An integer literal or parameter; also `TRUE` and `FALSE`.
    Int(i128),
    /// A decimal literal or parameter, as written: `1.50`.
    Decimal(Cow<'a, str>),
    /// A float literal (`1e3`) or parameter.
    Float(f64),
    /// A text literal or parameter, **in UTF-8**: with another `character_set_client` or an introducer, give
    /// [`RawValue::Unknown`] unless it is ASCII.
    Text(Cow<'a, [u8]>),
    /// A number in hexadecimal or binary that counts as a number where numbers are meant: `0x2A`, `b'101010'`.
    Hex(Cow<'a, [u8]>),
    /// Bytes: a BLOB parameter, `_binary'…'`, and `x'2A'`, which MySQL takes as a number and MariaDB does not.
    Binary(Cow<'a, [u8]>),
    /// A date parameter, or `DATE '…'`.
    Date(DateKey),
    /// A date and time parameter, or `TIMESTAMP '…'`.
    DateTime(DateTimeKey),
    /// A time parameter in microseconds, or `TIME '…'`.
    Time(i64),
    /// Something else.
    Unknown,
}

/// A value as its column takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normalised {
    /// This key.
    Key(KeyValue),
    /// `NULL`: equals nothing; is refused as a sharding key.
    Null,
    /// No value of the column can equal it.
    NoMatch,
    /// Not exactly known.
    Anywhere,
}

impl Normalised {
    /// The key, when it is one.
    pub fn key(self) -> Option<KeyValue> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }
}

impl From<Option<KeyValue>> for Normalised {
    fn from(key: Option<KeyValue>) -> Self {
        key.map_or(Self::Anywhere, Self::Key)
    }
}
