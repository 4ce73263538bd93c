//! A key in the one form that all equal values share.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use super::moment::{DateKey, DateTimeKey};

/// A sharding key as its column compares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyValue {
    /// An integer; also a decimal without a fraction.
    Int(i128),
    /// A decimal with a fraction, as text without exponent and without trailing zeros: `-0.5`, `12.25`.
    Decimal(String),
    /// Text, folded as far as its collation takes texts as equal.
    Text(String),
    /// Bytes of a binary column.
    Bytes(Vec<u8>),
    /// A day.
    Date(DateKey),
    /// A day and a time of the day.
    DateTime(DateTimeKey),
    /// A TIME value in microseconds.
    Time(i64),
}

impl KeyValue {
    /// A value of the rules: an integer, a decimal or a date if it looks like one, else a text.
    pub fn guess(text: &str) -> Self {
        if let Some(value) = grouped_integer(text) {
            return Self::Int(value);
        }
        if let Some(moment) = DateTimeKey::parse(text) {
            let is_day = moment == DateTimeKey::from(moment.date) && text.len() == 10;
            return if is_day { Self::Date(moment.date) } else { Self::DateTime(moment) };
        }
        Self::decimal(text).unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// A plain decimal (`-12.50`, `3`, `.5`) in its one form.
    pub fn decimal(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let sign = if is_negative { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let integer = || format!("{sign}{whole}");
        if fraction.is_empty()
            && let Ok(value) = integer().parse()
        {
            return Some(Self::Int(value));
        }
        Some(Self::Decimal(if fraction.is_empty() { integer() } else { format!("{sign}{whole}.{fraction}") }))
    }

    /// How two keys of one column are ordered, where that is known without the collation: numbers, dates and times,
    /// and bytes. `None` for texts and for kinds that cannot be compared.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Int(_) | Self::Decimal(_), Self::Int(_) | Self::Decimal(_)) => {
                Some(order_decimals(&self.to_string(), &other.to_string()))
            }
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            _ => Some(self.as_date_time()?.cmp(&other.as_date_time()?)),
        }
    }

    /// The moment, of a date (at midnight) or a date with time.
    pub fn as_date_time(&self) -> Option<DateTimeKey> {
        match self {
            Self::Date(date) => Some((*date).into()),
            Self::DateTime(moment) => Some(*moment),
            _ => None,
        }
    }

    /// Calls `use_bytes` with the key as text in UTF-8 (the bytes themselves for a binary key), without allocating
    /// for the kinds of bounded length.
    pub fn with_text<R>(&self, use_bytes: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Text(text) | Self::Decimal(text) => use_bytes(text.as_bytes()),
            Self::Bytes(bytes) => use_bytes(bytes),
            Self::Int(_) | Self::Date(_) | Self::DateTime(_) | Self::Time(_) => {
                let mut buffer = Short::default();
                // `Short` holds the longest i128 and the longest date, so writing cannot fail.
                let _ = write!(buffer, "{self}");
                use_bytes(buffer.bytes())
            }
        }
    }
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => match i64::try_from(*value) {
                Ok(value) => write!(f, "{value}"),
                Err(_) => write!(f, "{value}"),
            },
            Self::Decimal(text) => f.write_str(text),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
            Self::Date(date) => date.fmt(f),
            Self::DateTime(moment) => moment.fmt(f),
            Self::Time(micros) => {
                let (sign, total) = (if *micros < 0 { "-" } else { "" }, micros.unsigned_abs());
                let (seconds, fraction) = (total / 1_000_000, total % 1_000_000);
                write!(f, "{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
                if fraction == 0 { Ok(()) } else { write!(f, ".{fraction:06}") }
            }
        }
    }
}

/// An integer, also with `_` between groups of three digits.
fn grouped_integer(text: &str) -> Option<i128> {
    let mut groups = text.split('_');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    if first.is_empty() {
        return None;
    }
    let are_groups = rest.iter().all(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()));
    are_groups.then(|| format!("{first}{}", rest.concat()).parse().ok()).flatten()
}

/// Orders two plain decimals (`-12.5`, `3`): sign, whole part, fraction.
fn order_decimals(a: &str, b: &str) -> Ordering {
    let (a_minus, b_minus) = (a.starts_with('-'), b.starts_with('-'));
    match (a_minus, b_minus) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (true, true) => order_magnitudes(&b[1..], &a[1..]),
        (false, false) => order_magnitudes(a, b),
    }
}

fn order_magnitudes(a: &str, b: &str) -> Ordering {
    let (a_whole, a_fraction) = a.split_once('.').unwrap_or((a, ""));
    let (b_whole, b_fraction) = b.split_once('.').unwrap_or((b, ""));
    a_whole.len().cmp(&b_whole.len()).then_with(|| a_whole.cmp(b_whole)).then_with(|| a_fraction.cmp(b_fraction))
}

/// Room for the text of a number or a date.
struct Short {
    buffer: [u8; 48],
    len: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self { buffer: [0; 48], len: 0 }
    }
}

impl Short {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.buffer.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> KeyValue {
        KeyValue::Decimal(text.into())
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ascending = [
            KeyValue::Int(i128::from(i64::MIN)),
            decimal("-100.5"),
            KeyValue::Int(-100),
            decimal("-9.75"),
            decimal("-9.5"),
            decimal("-0.5"),
            KeyValue::Int(0),
            decimal("0.05"),
            decimal("0.5"),
            KeyValue::Int(1),
            decimal("9.5"),
            KeyValue::Int(10),
            KeyValue::Int(i128::from(u64::MAX)),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.order(b), Some(i.cmp(&j)), "{a} and {b}");
            }
        }
    }

    #[test]
    fn a_date_is_its_midnight() {
        let day = DateKey { year: 2024, month: 2, day: 29 };
        let noon = KeyValue::DateTime(DateTimeKey { hour: 12, ..day.into() });
        assert_eq!(KeyValue::Date(day).order(&noon), Some(Ordering::Less));
        assert_eq!(KeyValue::Date(day).order(&KeyValue::DateTime(day.into())), Some(Ordering::Equal));
    }

    #[test]
    fn values_of_the_rules() {
        let guess = |text| KeyValue::guess(text);
        assert_eq!(
            [guess("42"), guess("-7"), guess("1_000_000")],
            [KeyValue::Int(42), KeyValue::Int(-7), KeyValue::Int(1_000_000)]
        );
        assert_eq!(
            [guess("1_0"), guess("_100"), guess("DE")],
            ["1_0", "_100", "DE"].map(|text| KeyValue::Text(text.into()))
        );
        assert_eq!(guess("2.50"), decimal("2.5"));
        assert!(matches!(guess("2024-01-31"), KeyValue::Date(_)));
        assert!(matches!(guess("2024-01-31 00:00:00"), KeyValue::DateTime(_)));
    }

    #[test]
    fn texts_have_no_order_here() {
        assert_eq!(KeyValue::Text("a".into()).order(&KeyValue::Text("b".into())), None);
        assert_eq!(KeyValue::Text("1".into()).order(&KeyValue::Int(1)), None);
    }

    #[test]
    fn text_forms() {
        let text = |key: KeyValue| key.with_text(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(text(KeyValue::Int(i128::MIN)), i128::MIN.to_string());
        assert_eq!(text(KeyValue::Int(-42)), "-42");
        assert_eq!(text(KeyValue::Text("it's".into())), "it's");
        assert_eq!(text(KeyValue::Time(-3_600_000_001)), "-01:00:00.000001");
        let moment =
            DateTimeKey { date: DateKey { year: 1, month: 2, day: 3 }, hour: 4, minute: 5, second: 6, micros: 7 };
        assert_eq!(text(KeyValue::DateTime(moment)), "0001-02-03 04:05:06.000007");
    }
}
