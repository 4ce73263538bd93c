//! DATE, DATETIME and TIME as integers that order as they do.
//!
//! The text is that of the *MySQL Reference Manual, "Date and Time Literals"*.

use crate::protocol::temporal::{DateTime, Time};

/// Parts of a date with a time, packed into 60 bits: year 14, month 4, day 5, hour 5, minute 6, second 6, micro 20.
fn pack(year: u64, month: u64, day: u64, hour: u64, minute: u64, second: u64, micro: u64) -> u64 {
    let date = (year << 4 | month) << 5 | day;
    (((date << 5 | hour) << 6 | minute) << 6 | second) << 20 | micro
}

/// Maps a signed number to an unsigned one of the same order.
fn biased(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// `YYYY-MM-DD`, alone or with ` hh:mm:ss` and a fraction. All zeros is a date, too.
pub fn datetime_from_text(text: &[u8]) -> Option<u64> {
    let mut fields = Fields(text);
    let year = fields.number(4)?;
    let month = fields.after(b'-', 2)?;
    let day = fields.after(b'-', 2)?;
    if fields.0.is_empty() {
        return Some(pack(year, month, day, 0, 0, 0, 0));
    }
    let hour = fields.after(b' ', 2)?;
    let minute = fields.after(b':', 2)?;
    let second = fields.after(b':', 2)?;
    Some(pack(year, month, day, hour, minute, second, fields.micros()?))
}

/// `[-]hh:mm:ss` with a fraction; hours may have three digits.
pub fn time_from_text(text: &[u8]) -> Option<u64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut fields = Fields(text);
    let hour = fields.number(text.iter().take_while(|byte| byte.is_ascii_digit()).count().min(3))?;
    let minute = fields.after(b':', 2)?;
    let second = fields.after(b':', 2)?;
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fields.micros()?;
    Some(biased(if negative { -(micros as i64) } else { micros as i64 }))
}

/// A decoded DATE, DATETIME or TIMESTAMP.
pub fn datetime_key(at: DateTime) -> u64 {
    pack(
        at.year.into(),
        at.month.into(),
        at.day.into(),
        at.hour.into(),
        at.minute.into(),
        at.second.into(),
        at.micros.into(),
    )
}

/// A decoded TIME.
pub fn time_key(span: Time) -> u64 {
    let hours = i64::from(span.days) * 24 + i64::from(span.hours);
    let seconds = (hours * 60 + i64::from(span.minutes)) * 60 + i64::from(span.seconds);
    let micros = seconds * 1_000_000 + i64::from(span.micros);
    biased(if span.negative { -micros } else { micros })
}

/// The fields of a text that were not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// A number of so many digits.
    fn number(&mut self, digits: usize) -> Option<u64> {
        let (field, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        if field.is_empty() {
            return None;
        }
        field.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))
    }

    /// A separator and a number.
    fn after(&mut self, separator: u8, digits: usize) -> Option<u64> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        if first == separator { self.number(digits) } else { None }
    }

    /// The fraction, up to the end: nothing, or a point and up to six digits.
    fn micros(&mut self) -> Option<u64> {
        if self.0.is_empty() {
            return Some(0);
        }
        let digits = self.0.len() - 1;
        let fraction = if digits <= 6 { self.after(b'.', digits)? } else { return None };
        Some(fraction * 10_u64.pow(6 - digits as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_order_as_time_goes() {
        let ordered = [
            "0000-00-00",
            "2023-12-31",
            "2023-12-31 00:00:00.000001",
            "2023-12-31 23:59:59",
            "2023-12-31 23:59:59.5",
            "2024-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
        ];
        let keys: Vec<_> = ordered.iter().map(|text| datetime_from_text(text.as_bytes()).unwrap()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(datetime_from_text(b"2024-02-29"), datetime_from_text(b"2024-02-29 00:00:00.000"));
        let at = DateTime { year: 2023, month: 12, day: 31, hour: 23, minute: 59, second: 59, micros: 500_000 };
        assert_eq!(datetime_key(at), keys[4]);
    }

    #[test]
    fn times_may_be_negative_and_long() {
        let ordered =
            ["-838:59:59.000000", "-01:00:00", "-00:00:00.000001", "00:00:00", "00:00:00.5", "99:00:00", "838:59:59"];
        let keys: Vec<_> = ordered.iter().map(|text| time_from_text(text.as_bytes()).unwrap()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        let span = Time { negative: true, days: 34, hours: 22, minutes: 59, seconds: 59, micros: 0 };
        assert_eq!(time_key(span), keys[0]);
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in ["", "2024", "2024-1-1", "2024-01-01T00:00:00", "2024-01-01 00:00", "2024-01-01 00:00:00.1234567"] {
            assert!(datetime_from_text(text.as_bytes()).is_none(), "{text:?}");
        }
        for text in ["", "-", "12", "1:2:3", "10:00:00x", "0000:00:00"] {
            assert!(time_from_text(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
