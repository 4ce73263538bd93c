//! From one span of time to the next.

use chrono::{Datelike, Duration, Months, NaiveDate, NaiveDateTime, Timelike};

use crate::route::key::{DateKey, DateTimeKey};

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntervalUnit {
    /// Years.
    Years,
    /// Months.
    Months,
    /// Weeks.
    Weeks,
    /// Days.
    Days,
    /// Hours.
    Hours,
    /// Minutes.
    Minutes,
    /// Seconds.
    Seconds,
}

impl IntervalUnit {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Years, Self::Months, Self::Weeks, Self::Days, Self::Hours, Self::Minutes, Self::Seconds];

    /// Its name in the rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Years => "years",
            Self::Months => "months",
            Self::Weeks => "weeks",
            Self::Days => "days",
            Self::Hours => "hours",
            Self::Minutes => "minutes",
            Self::Seconds => "seconds",
        }
    }
}

/// `moment` plus so many units. As in Java, a month later than 31 January is the last day of February.
pub(super) fn after(moment: DateTimeKey, amount: u32, unit: IntervalUnit) -> Option<DateTimeKey> {
    let from = to_chrono(moment)?;
    let count = i64::from(amount);
    let to = match unit {
        IntervalUnit::Years => from.checked_add_months(Months::new(amount.checked_mul(12)?)),
        IntervalUnit::Months => from.checked_add_months(Months::new(amount)),
        IntervalUnit::Weeks => from.checked_add_signed(Duration::try_weeks(count)?),
        IntervalUnit::Days => from.checked_add_signed(Duration::try_days(count)?),
        IntervalUnit::Hours => from.checked_add_signed(Duration::try_hours(count)?),
        IntervalUnit::Minutes => from.checked_add_signed(Duration::try_minutes(count)?),
        IntervalUnit::Seconds => from.checked_add_signed(Duration::try_seconds(count)?),
    }?;
    from_chrono(to).filter(|next| *next > moment)
}

/// `None` for MySQL's zero dates.
pub(super) fn to_chrono(moment: DateTimeKey) -> Option<NaiveDateTime> {
    let date = moment.date;
    NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))?.and_hms_micro_opt(
        u32::from(moment.hour),
        u32::from(moment.minute),
        u32::from(moment.second),
        moment.micros,
    )
}

fn from_chrono(moment: NaiveDateTime) -> Option<DateTimeKey> {
    let small = |value: u32| u8::try_from(value).ok();
    let year = u16::try_from(moment.year()).ok().filter(|year| *year <= 9999)?;
    Some(DateTimeKey {
        date: DateKey { year, month: small(moment.month())?, day: small(moment.day())? },
        hour: small(moment.hour())?,
        minute: small(moment.minute())?,
        second: small(moment.second())?,
        micros: moment.nanosecond() / 1000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_the_calendar() {
        let step =
            |from: &str, amount, unit| after(DateTimeKey::parse(from).unwrap(), amount, unit).map(|m| m.to_string());
        assert_eq!(step("2024-01-31", 1, IntervalUnit::Months).unwrap(), "2024-02-29 00:00:00");
        assert_eq!(step("2024-02-29", 1, IntervalUnit::Years).unwrap(), "2025-02-28 00:00:00");
        assert_eq!(step("2023-12-31 23:00:00", 2, IntervalUnit::Hours).unwrap(), "2024-01-01 01:00:00");
        assert_eq!(step("2023-12-31", 1, IntervalUnit::Weeks).unwrap(), "2024-01-07 00:00:00");
        assert_eq!(step("9999-12-31", 1, IntervalUnit::Days), None);
        assert_eq!(step("2024-01-01", 0, IntervalUnit::Days), None);
    }
}
