//! What a row gives for the column that is generated where it has no value.

use super::action::{Cell, Row};
use crate::route::key::RawValue;
use crate::route::source::Source;
use crate::route::values::Values;

/// What a row gives for a generated column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnKey {
    /// Nothing: a key is made.
    None,
    /// This number.
    Number(u64),
    /// Something that is stored as it is, or refused by the server.
    Other,
    /// A text that is no number: refused by a strict server, 0 to a lenient one.
    NoNumber,
    /// Perhaps nothing: only a server can tell.
    Unknown,
}

impl OwnKey {
    /// Of a cell. `zero_generates`: the column holds numbers, and 0 counts as no value.
    pub fn of(cell: &Cell, zero_generates: bool, values: &Values<'_>) -> Self {
        match cell {
            Cell::Missing => Self::None,
            Cell::Value(source) => Self::of_source(source, zero_generates, values),
        }
    }

    /// Of what a value comes from.
    pub fn of_source(source: &Source, zero_generates: bool, values: &Values<'_>) -> Self {
        match values.get(source) {
            // a constant that is only not read here is not NULL
            RawValue::Unknown if !zero_generates && may_be_unread(source) => Self::Other,
            value => Self::of_value(&value, zero_generates),
        }
    }

    /// Of a value, rounded as the column rounds it.
    pub fn of_value(value: &RawValue<'_>, zero_generates: bool) -> Self {
        let other = if zero_generates { Self::Unknown } else { Self::Other };
        let number = match value {
            RawValue::Null => return Self::None,
            RawValue::Unknown => return Self::Unknown,
            RawValue::Int(number) => Some(*number),
            RawValue::Decimal(text) => rounded(text),
            RawValue::Float(number) => Some(number.round_ties_even() as i128),
            RawValue::Text(text) => match std::str::from_utf8(text).ok().and_then(|text| rounded(text.trim())) {
                Some(number) => Some(number),
                None if zero_generates => return Self::NoNumber,
                None => return Self::Other,
            },
            RawValue::Hex(bytes) => bytes.iter().try_fold(0_i128, |sum, byte| {
                let sum = sum.checked_mul(256)?;
                sum.checked_add(i128::from(*byte))
            }),
            RawValue::Binary(_) | RawValue::Date(_) | RawValue::DateTime(_) | RawValue::Time(_) => return other,
        };
        match number {
            Some(0) if zero_generates => Self::None,
            Some(number) => u64::try_from(number).map_or(Self::Other, Self::Number),
            None => Self::Other,
        }
    }
}

fn may_be_unread(source: &Source) -> bool {
    matches!(source, Source::Literal { .. } | Source::Arithmetic(_))
}

/// A decimal as an integer column stores it: half away from zero.
fn rounded(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        number.is_finite().then(|| number.round() as i128)
    })
}

/// The greatest number that rows give themselves; 0 if none does.
pub(super) fn greatest(rows: &[Row], values: &Values<'_>) -> u64 {
    let numbers = rows.iter().filter_map(|row| match OwnKey::of(&row.generated, true, values) {
        OwnKey::Number(number) => Some(number),
        _ => None,
    });
    numbers.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: RawValue<'_>) -> OwnKey {
        OwnKey::of_value(&value, true)
    }

    #[test]
    fn what_rounds_to_zero_counts_as_no_value() {
        for zero in ["0", " 0 ", "00", "0.3", "-0.49", "0e5"] {
            assert_eq!(of(RawValue::Text(zero.as_bytes().into())), OwnKey::None, "{zero}");
        }
        assert_eq!(of(RawValue::Float(0.5)), OwnKey::None);
        assert_eq!(of(RawValue::Decimal("0.5".into())), OwnKey::Number(1));
        assert_eq!(of(RawValue::Hex(vec![0, 0].into())), OwnKey::None);
        assert_eq!(OwnKey::of_value(&RawValue::Int(0), false), OwnKey::Number(0));
    }

    #[test]
    fn what_only_a_server_reads_is_not_known() {
        assert_eq!(of(RawValue::Text(b"abc"[..].into())), OwnKey::NoNumber);
        assert_eq!(of(RawValue::Text(b""[..].into())), OwnKey::NoNumber);
        assert_eq!(of(RawValue::Unknown), OwnKey::Unknown);
        assert_eq!(OwnKey::of_value(&RawValue::Text(b"abc"[..].into()), false), OwnKey::Other);
        assert_eq!(of(RawValue::Int(-7)), OwnKey::Other);
        assert_eq!(of(RawValue::Hex(vec![1, 0].into())), OwnKey::Number(256));
    }
}
