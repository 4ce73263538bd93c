//! Dates and times of keys.

use std::fmt;

/// A date by its parts, so that MySQL's zero dates have a place too. Ordered as time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DateKey {
    /// Year, 0 to 9999.
    pub year: u16,
    /// Month, 0 to 12.
    pub month: u8,
    /// Day, 0 to 31.
    pub day: u8,
}

/// A date with a time of the day. Ordered as time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DateTimeKey {
    /// The day.
    pub date: DateKey,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
    /// Microsecond.
    pub micros: u32,
}

impl DateKey {
    /// Whether a calendar has this day. Zero dates are no days.
    pub fn is_real(self) -> bool {
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return false,
        };
        (1..=days).contains(&self.day)
    }
}

impl DateTimeKey {
    /// Reads `2024-01-31`, `2024-01-31 10:20:30` or `2024-01-31 10:20:30.123456`, and no other form.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str, len: usize| {
            (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
        };
        let small = |text: &str, below: u8| number(text, 2).and_then(|n| u8::try_from(n).ok()).filter(|n| *n < below);
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
        let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
        let year = u16::try_from(number(year, 4)?).ok()?;
        let date = DateKey { year, month: small(month, 13)?, day: small(day, 32)? };
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
        let micros = number(fraction, fraction.len()).filter(|_| (1..=6).contains(&fraction.len()))?;
        let micros = micros * 10_u32.pow(6 - u32::try_from(fraction.len()).ok()?);
        let moment =
            Self { date, hour: small(hour, 24)?, minute: small(minute, 60)?, second: small(second, 60)?, micros };
        (date.is_real() || date == DateKey::default()).then_some(moment)
    }

    /// Milliseconds since 1970, of a real date in UTC.
    pub fn unix_ms(self) -> Option<i64> {
        let (year, month, day) = (i32::from(self.date.year), u32::from(self.date.month), u32::from(self.date.day));
        let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?;
        let moment = date.and_hms_micro_opt(self.hour.into(), self.minute.into(), self.second.into(), self.micros)?;
        Some(moment.and_utc().timestamp_millis())
    }
}

impl From<DateKey> for DateTimeKey {
    fn from(date: DateKey) -> Self {
        Self { date, ..Self::default() }
    }
}

impl fmt::Display for DateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for DateTimeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02}:{:02}:{:02}", self.date, self.hour, self.minute, self.second)?;
        if self.micros == 0 { Ok(()) } else { write!(f, ".{:06}", self.micros) }
    }
}

/// Reads a TIME as `[-]HH:MM:SS[.ffffff]`, and no other form, into microseconds.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (clock, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let [hours, minutes, seconds] = clock.split(':').collect::<Vec<_>>()[..] else { return None };
    let number = |text: &str, lens: std::ops::RangeInclusive<usize>, most: i64| {
        let is_plain = lens.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse::<i64>().ok()).flatten().filter(|number| *number <= most)
    };
    let total = number(hours, 2..=3, 838)? * 3600 + number(minutes, 2..=2, 59)? * 60 + number(seconds, 2..=2, 59)?;
    let micros = number(fraction, 1..=6, 999_999)? * 10_i64.pow(6 - u32::try_from(fraction.len()).ok()?);
    Some(sign * (total * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_forms_are_read() {
        let read = |text| DateTimeKey::parse(text).map(|moment| moment.to_string());
        assert_eq!(read("2024-02-29").unwrap(), "2024-02-29 00:00:00");
        assert_eq!(read("2024-01-31 10:20:30.5").unwrap(), "2024-01-31 10:20:30.500000");
        assert_eq!(read("2024-01-31T10:20:30").unwrap(), "2024-01-31 10:20:30");
        assert_eq!(read("0000-00-00").unwrap(), "0000-00-00 00:00:00");
        for text in [
            "2024-1-31",
            "20240131",
            "2023-02-29",
            "2024-01-31 24:00:00",
            "2024-01-31 10:20",
            "2024-00-10",
            "",
            "x",
            "2024-01-31 10:20:30+05:00",
            "2024-01-31 10:20:30.",
            "2024-01-31 10:20:30.1234567",
            " 2024-01-31",
            "2024-01-31 ",
            "2024-01-31  10:20:30",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("10:00:00"), Some(36_000_000_000));
        assert_eq!(parse_time("-838:59:59.000001"), Some(-3_020_399_000_001));
        assert_eq!(
            [parse_time("839:00:00"), parse_time("10:00"), parse_time("1:00:00"), parse_time("10:60:00")],
            [None; 4]
        );
    }

    #[test]
    fn unix_time() {
        assert_eq!(DateTimeKey::parse("2024-01-01").unwrap().unix_ms(), Some(1_704_067_200_000));
        assert_eq!(DateTimeKey::default().unix_ms(), None);
    }
}
