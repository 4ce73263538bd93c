//! Sort keys: decoded once for each row, then compared.

use std::cmp::Ordering;

use super::row::{Cell, Locator, RowFormat, RowShape};
use super::temporal;
use super::{MergeError, Pad, SortKey, Weight, decimal, double};
use crate::protocol::temporal::{DateTime, Time};
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType, charset};

/// A decoded key. Numbers, dates and times are mapped to integers of the same order; text stays in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyValue {
    Null,
    Number(u64),
    Bytes(Cell),
}

/// How a column's cells are decoded and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Signed,
    Unsigned,
    /// The years from 1970 to 2069, of which two digits are shown.
    ShortYear,
    Float,
    Double,
    Decimal,
    DateTime,
    Time,
    Bit,
    Bytes(Pad),
    /// A column without a type: only NULLs.
    Null,
}

/// Decodes and compares the values of one column.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    kind: KeyKind,
    format: RowFormat,
    /// The name of the column that the statement orders by, for errors.
    name: String,
}

/// Whether text that the server rounded may be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounded {
    /// No: equal text may hide an order.
    Refused,
    /// Yes, for MIN and MAX: rounding keeps the order, and equal text is equal to the client.
    Allowed,
}

impl KeyColumn {
    /// For the column `column`, or its weight, or a refusal.
    pub(super) fn new(
        columns: &[ColumnDef],
        format: RowFormat,
        column: usize,
        weight: Option<&Weight>,
        rounded: Rounded,
    ) -> Result<Self, MergeError> {
        let missing = MergeError::Plan("it names a column that the shards do not send");
        let named = columns.get(column).ok_or(missing.clone())?;
        let compared = columns.get(weight.map_or(column, |weight| weight.column)).ok_or(missing)?;
        let name = String::from_utf8_lossy(&named.name).into_owned();
        let refuse = |why: &str| MergeError::NotSupported {
            what: format!("ordering rows of several shards by column '{name}' ({why})"),
            instead: "name the sharding key so that one shard is enough, or order by another column",
        };
        let unsigned = compared.flags.contains(ColumnFlags::UNSIGNED);
        let kind = match compared.kind {
            _ if compared.flags.contains(ColumnFlags::ENUM) || compared.flags.contains(ColumnFlags::SET) => {
                return Err(refuse("an ENUM or SET without its index"));
            }
            ColumnType::YEAR if compared.length == 2 => KeyKind::ShortYear,
            ColumnType::YEAR => KeyKind::Unsigned,
            kind if kind.is_integer() && unsigned => KeyKind::Unsigned,
            kind if kind.is_integer() => KeyKind::Signed,
            kind if kind.is_decimal() => KeyKind::Decimal,
            ColumnType::FLOAT | ColumnType::DOUBLE if rounded == Rounded::Refused && is_rounded(compared, format) => {
                return Err(refuse("floating point that is printed rounded"));
            }
            ColumnType::FLOAT => KeyKind::Float,
            ColumnType::DOUBLE => KeyKind::Double,
            ColumnType::DATE | ColumnType::NEWDATE | ColumnType::DATETIME => KeyKind::DateTime,
            ColumnType::TIMESTAMP => return Err(refuse("a TIMESTAMP without its UNIX_TIMESTAMP")),
            ColumnType::TIME => KeyKind::Time,
            ColumnType::BIT => KeyKind::Bit,
            ColumnType::NULL => KeyKind::Null,
            ColumnType::VARCHAR
            | ColumnType::VAR_STRING
            | ColumnType::STRING
            | ColumnType::TINY_BLOB
            | ColumnType::MEDIUM_BLOB
            | ColumnType::LONG_BLOB
            | ColumnType::BLOB => match weight {
                _ if compared.charset != charset::BINARY => return Err(refuse("text without its weight")),
                Some(weight) => KeyKind::Bytes(weight.pad),
                None => KeyKind::Bytes(Pad::None),
            },
            _ => return Err(refuse("its type has no order outside of a server")),
        };
        Ok(Self { kind, format, name })
    }

    /// The name for errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its values are byte strings, as weights are.
    fn is_bytes(&self) -> bool {
        matches!(self.kind, KeyKind::Bytes(_))
    }

    /// Decodes the cell of a row.
    #[inline]
    pub(super) fn decode(&self, row: &[u8], cell: Cell) -> Result<KeyValue, MergeError> {
        self.value(row, cell).ok_or_else(|| self.bad_value())
    }

    /// The value of a cell, if it is one of the column's. Small enough to come back in registers.
    #[inline]
    fn value(&self, row: &[u8], cell: Cell) -> Option<KeyValue> {
        let Some(bytes) = cell.of(row) else { return Some(KeyValue::Null) };
        let number = match self.kind {
            KeyKind::Bytes(_) => return Some(KeyValue::Bytes(cell)),
            KeyKind::Decimal if decimal::is_decimal(bytes) => return Some(KeyValue::Bytes(cell)),
            KeyKind::Decimal | KeyKind::Null => None,
            KeyKind::Bit if bytes.len() <= 8 => Some(bytes.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte))),
            KeyKind::Bit => None,
            kind => match self.format {
                RowFormat::Text => number_from_text(kind, bytes),
                RowFormat::Binary => number_from_binary(kind, bytes),
            },
        };
        number.map(KeyValue::Number)
    }

    /// A number that orders as the values do, as far as it goes: equal numbers say nothing.
    #[inline]
    fn prefix(&self, row: &[u8], value: KeyValue) -> u64 {
        match (value, self.kind) {
            (KeyValue::Number(number), _) => number,
            (KeyValue::Bytes(cell), KeyKind::Bytes(pad)) => pad.prefix(cell.of(row).unwrap_or_default()),
            (KeyValue::Bytes(_), _) | (KeyValue::Null, _) => 0,
        }
    }

    /// Compares two decoded values; NULL is less than everything.
    #[inline]
    pub(super) fn compare(&self, a_row: &[u8], a: KeyValue, b_row: &[u8], b: KeyValue) -> Ordering {
        match (a, b) {
            (KeyValue::Number(a), KeyValue::Number(b)) => a.cmp(&b),
            (KeyValue::Bytes(a), KeyValue::Bytes(b)) => {
                // Cells that were decoded from these rows lie within them.
                let (a, b) = (a.of(a_row).unwrap_or_default(), b.of(b_row).unwrap_or_default());
                match self.kind {
                    KeyKind::Bytes(pad) => pad.compare(a, b),
                    _ => decimal::compare_text(a, b),
                }
            }
            (KeyValue::Null, KeyValue::Null) => Ordering::Equal,
            (KeyValue::Null, _) => Ordering::Less,
            (_, KeyValue::Null) => Ordering::Greater,
            // One column decodes to numbers or to bytes, never to both.
            (KeyValue::Number(_), KeyValue::Bytes(_)) => Ordering::Less,
            (KeyValue::Bytes(_), KeyValue::Number(_)) => Ordering::Greater,
        }
    }

    #[cold]
    fn bad_value(&self) -> MergeError {
        let expected = match self.kind {
            KeyKind::Signed | KeyKind::Unsigned | KeyKind::ShortYear => "an integer",
            KeyKind::Float | KeyKind::Double => "a floating point number",
            KeyKind::Decimal => "a decimal",
            KeyKind::DateTime => "a date",
            KeyKind::Time => "a time",
            KeyKind::Bit => "bits",
            KeyKind::Bytes(_) => "a byte string",
            KeyKind::Null => "NULL",
        };
        MergeError::BadValue { column: self.name.clone(), expected }
    }
}

/// Whether the text of a floating point column is not the value. FLOAT prints six digits; an expression of type
/// DOUBLE with a fixed number of decimals prints these only (a stored column with fixed decimals was rounded when it
/// was stored).
fn is_rounded(column: &ColumnDef, format: RowFormat) -> bool {
    format == RowFormat::Text
        && (column.kind == ColumnType::FLOAT || (column.decimals < double::NOT_FIXED && column.org_name.is_empty()))
}

fn biased(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// The year that two digits stand for, counted from 1970.
fn since_1970(digits: u64) -> u64 {
    (digits + 30) % 100
}

#[inline]
fn number_from_text(kind: KeyKind, bytes: &[u8]) -> Option<u64> {
    match kind {
        KeyKind::Unsigned => unsigned_from_text(bytes),
        KeyKind::ShortYear => unsigned_from_text(bytes).map(since_1970),
        KeyKind::Signed => signed_from_text(bytes).map(biased),
        KeyKind::Float | KeyKind::Double => {
            std::str::from_utf8(bytes).ok()?.parse::<f64>().ok().filter(|value| !value.is_nan()).map(double::order_bits)
        }
        KeyKind::DateTime => temporal::datetime_from_text(bytes),
        KeyKind::Time => temporal::time_from_text(bytes),
        KeyKind::Decimal | KeyKind::Bit | KeyKind::Bytes(_) | KeyKind::Null => None,
    }
}

#[inline]
fn number_from_binary(kind: KeyKind, bytes: &[u8]) -> Option<u64> {
    match kind {
        KeyKind::Unsigned => unsigned_from_binary(bytes),
        KeyKind::ShortYear => unsigned_from_binary(bytes).map(since_1970),
        KeyKind::Signed => signed_from_binary(bytes).map(biased),
        KeyKind::Float => bytes.try_into().ok().map(|bytes| double::order_bits(f32::from_le_bytes(bytes).into())),
        KeyKind::Double => bytes.try_into().ok().map(|bytes| double::order_bits(f64::from_le_bytes(bytes))),
        KeyKind::DateTime => DateTime::read(bytes).ok().map(temporal::datetime_key),
        KeyKind::Time => Time::read(bytes).ok().map(temporal::time_key),
        KeyKind::Decimal | KeyKind::Bit | KeyKind::Bytes(_) | KeyKind::Null => None,
    }
}

/// Digits, no sign.
#[inline]
pub(super) fn unsigned_from_text(bytes: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits cannot overflow; longer numbers (ZEROFILL pads to any width) are checked.
        value = if bytes.len() <= 19 {
            value * 10 + u64::from(digit)
        } else {
            value.checked_mul(10)?.checked_add(u64::from(digit))?
        };
    }
    if bytes.is_empty() { None } else { Some(value) }
}

/// Digits with a sign at most.
#[inline]
pub(super) fn signed_from_text(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(unsigned_from_text(digits)?),
        _ => i64::try_from(unsigned_from_text(bytes)?).ok(),
    }
}

/// A little-endian integer of 1, 2, 4 or 8 bytes.
#[inline]
pub(super) fn unsigned_from_binary(bytes: &[u8]) -> Option<u64> {
    Some(match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        _ => u64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// The same, signed.
#[inline]
pub(super) fn signed_from_binary(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [a] => i8::from_le_bytes([a]).into(),
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => i64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// How many bytes of a text or binary sort key a server compares (`max_sort_length`, its default).
pub const MAX_SORT_LENGTH: usize = 1024;

#[derive(Debug, Clone)]
struct Key {
    column: KeyColumn,
    slot: usize,
    /// The visible column's slot where a WEIGHT_STRING stands in for it.
    visible_slot: Option<usize>,
    descending: bool,
}

/// All keys of an order.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    keys: Vec<Key>,
    locator: Locator,
}

impl Keys {
    pub(super) fn new(order: &[SortKey], columns: &[ColumnDef], shape: &RowShape) -> Result<Self, MergeError> {
        let locator = Locator::new(shape, order.iter().flat_map(|key| [key.compared_column(), key.column]))?;
        let keys = order
            .iter()
            .map(|key| {
                let column = KeyColumn::new(columns, shape.format, key.column, key.weight.as_ref(), Rounded::Refused)?;
                let stands_in = key.weight.is_some() && column.is_bytes() && key.compared_column() != key.column;
                Ok(Key {
                    slot: locator.slot(key.compared_column()),
                    visible_slot: stands_in.then(|| locator.slot(key.column)),
                    column,
                    descending: key.descending,
                })
            })
            .collect::<Result<_, MergeError>>()?;
        Ok(Self { keys, locator })
    }

    /// How many cells [`Self::decode`] needs room for.
    pub(super) fn cells(&self) -> usize {
        self.locator.len()
    }

    /// Appends a row's decoded keys; returns where its visible columns end.
    #[inline]
    pub(super) fn decode(
        &self,
        shape: &RowShape,
        row: &[u8],
        cells: &mut [Cell],
        into: &mut Vec<KeyValue>,
    ) -> Result<usize, MergeError> {
        let visible_end = self.locator.locate(shape, row, cells)?;
        for key in &self.keys {
            let value = key.column.decode(row, cells[key.slot])?;
            if let (KeyValue::Null, Some(visible)) = (value, key.visible_slot)
                && cells[visible] != Cell::NULL
            {
                // The server gives NULL for a weight that is longer than max_allowed_packet.
                return Err(MergeError::NotSupported {
                    what: format!("ordering rows of several shards by very long text in column '{}'", key.column.name),
                    instead: "order by LEFT(column, n), or raise max_allowed_packet",
                });
            }
            into.push(value);
        }
        Ok(visible_end)
    }

    /// Orders rows by their first key as far as one number can: where two rows' numbers are equal, compare the keys.
    #[inline]
    pub(super) fn prefix(&self, row: &[u8], values: &[KeyValue]) -> u64 {
        match (self.keys.first(), values.first()) {
            (Some(key), Some(&value)) if key.descending => !key.column.prefix(row, value),
            (Some(key), Some(&value)) => key.column.prefix(row, value),
            _ => 0,
        }
    }

    /// Compares the first `count` keys of two rows.
    #[inline]
    pub(super) fn compare(&self, a: Row<'_>, b: Row<'_>, count: usize) -> Ordering {
        for ((key, &a_value), &b_value) in self.keys.iter().zip(a.keys).zip(b.keys).take(count) {
            let order = key.column.compare(a.bytes, a_value, b.bytes, b_value);
            if order != Ordering::Equal {
                return if key.descending { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }

    /// Whether `earlier`, which came first, may stand before `later` as far as a server sorts: text is sorted by its
    /// first bytes only.
    #[cold]
    pub(super) fn may_precede(&self, earlier: Row<'_>, later: Row<'_>) -> bool {
        for ((key, &a), &b) in self.keys.iter().zip(earlier.keys).zip(later.keys) {
            let order = key.column.compare(earlier.bytes, a, later.bytes, b);
            let is_past_sort_length = match (a, b, key.column.kind) {
                (KeyValue::Bytes(a), KeyValue::Bytes(b), KeyKind::Bytes(pad)) => {
                    let (a, b) = (a.of(earlier.bytes).unwrap_or_default(), b.of(later.bytes).unwrap_or_default());
                    let (a, b) = (&a[..a.len().min(MAX_SORT_LENGTH)], &b[..b.len().min(MAX_SORT_LENGTH)]);
                    pad.compare(a, b) == Ordering::Equal
                }
                _ => false,
            };
            match if key.descending { order.reverse() } else { order } {
                _ if is_past_sort_length => {}
                Ordering::Equal => {}
                order => return order == Ordering::Less,
            }
        }
        true
    }

    /// The error for rows that came in another order.
    #[cold]
    pub(super) fn out_of_order(&self) -> MergeError {
        MergeError::OutOfOrder { column: self.keys.first().map(|key| key.column.name().to_owned()).unwrap_or_default() }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// A row beside its decoded keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) keys: &'a [KeyValue],
}
