//! Dates and times (`page_protocol_binary_resultset.html`, "ProtocolBinary::MYSQL_TYPE_DATE" and "_TIME"), and their text.

use bytes::BufMut;

use super::wire::Reader;
use super::{ProtocolError, Result};

/// A DATE, DATETIME or TIMESTAMP. Zero dates and day 0 are values like others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DateTime {
    /// 0–9999.
    pub year: u16,
    /// 0–12.
    pub month: u8,
    /// 0–31.
    pub day: u8,
    /// 0–23.
    pub hour: u8,
    /// 0–59.
    pub minute: u8,
    /// 0–59.
    pub second: u8,
    /// Fraction of the second.
    pub micros: u32,
}

/// A TIME: a signed span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Time {
    /// Less than zero.
    pub negative: bool,
    /// Whole days.
    pub days: u32,
    /// 0–23.
    pub hours: u8,
    /// 0–59.
    pub minutes: u8,
    /// 0–59.
    pub seconds: u8,
    /// Fraction of the second.
    pub micros: u32,
}

impl DateTime {
    /// Reads the bytes behind the length byte: 0, 4, 7 or 11 of them.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "a date");
        let mut value = Self::default();
        if !bytes.is_empty() {
            (value.year, value.month, value.day) = (reader.u16()?, reader.u8()?, reader.u8()?);
        }
        if bytes.len() > 4 {
            (value.hour, value.minute, value.second) = (reader.u8()?, reader.u8()?, reader.u8()?);
        }
        if bytes.len() > 7 {
            value.micros = reader.u32()?;
        }
        let in_range = value.month <= 12
            && value.day <= 31
            && value.hour < 24
            && value.minute < 60
            && value.second < 60
            && value.micros < 1_000_000;
        if reader.is_empty() && in_range { Ok(value) } else { Err(ProtocolError::Malformed { what: "a date" }) }
    }

    /// Appends the length byte and the shortest form that holds the value, as the server does.
    pub fn put(&self, out: &mut impl BufMut) {
        let has_time = self.hour != 0 || self.minute != 0 || self.second != 0;
        let len = match (self.micros != 0, has_time, *self != Self::default()) {
            (true, ..) => 11,
            (_, true, _) => 7,
            (.., true) => 4,
            _ => 0,
        };
        out.put_u8(len);
        if len >= 4 {
            out.put_u16_le(self.year);
            out.put_slice(&[self.month, self.day]);
        }
        if len >= 7 {
            out.put_slice(&[self.hour, self.minute, self.second]);
        }
        if len == 11 {
            out.put_u32_le(self.micros);
        }
    }

    /// The text of a DATE: `2024-02-29`.
    pub fn date_text(&self, text: &mut TemporalText) {
        text.number(self.year.into(), 4);
        text.byte(b'-');
        text.number(self.month.into(), 2);
        text.byte(b'-');
        text.number(self.day.into(), 2);
    }

    /// The text of a DATETIME or TIMESTAMP with `fraction_digits` (0–6) of the fraction.
    pub fn text(&self, fraction_digits: u8, text: &mut TemporalText) {
        self.date_text(text);
        text.byte(b' ');
        clock(text, self.hour.into(), self.minute, self.second);
        fraction(text, self.micros, fraction_digits);
    }
}

impl Time {
    /// Reads the bytes behind the length byte: 0, 8 or 12 of them.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "a time");
        let mut value = Self::default();
        if !bytes.is_empty() {
            value.negative = reader.u8()? != 0;
            value.days = reader.u32()?;
            (value.hours, value.minutes, value.seconds) = (reader.u8()?, reader.u8()?, reader.u8()?);
        }
        if bytes.len() > 8 {
            value.micros = reader.u32()?;
        }
        let in_range = value.hours < 24 && value.minutes < 60 && value.seconds < 60 && value.micros < 1_000_000;
        if reader.is_empty() && in_range { Ok(value) } else { Err(ProtocolError::Malformed { what: "a time" }) }
    }

    /// Appends the length byte and the shortest form that holds the value, as the server does.
    pub fn put(&self, out: &mut impl BufMut) {
        let zero = self.days == 0 && self.hours == 0 && self.minutes == 0 && self.seconds == 0;
        let len = match (self.micros != 0, zero) {
            (true, _) => 12,
            (false, false) => 8,
            (false, true) => 0,
        };
        out.put_u8(len);
        if len >= 8 {
            out.put_u8(self.negative.into());
            out.put_u32_le(self.days);
            out.put_slice(&[self.hours, self.minutes, self.seconds]);
        }
        if len == 12 {
            out.put_u32_le(self.micros);
        }
    }

    /// The text of a TIME: `-838:59:59.000000`, with `fraction_digits` (0–6) of the fraction.
    pub fn text(&self, fraction_digits: u8, text: &mut TemporalText) {
        if self.negative {
            text.byte(b'-');
        }
        let hours = u64::from(self.days) * 24 + u64::from(self.hours);
        clock(text, hours, self.minutes, self.seconds);
        fraction(text, self.micros, fraction_digits);
    }
}

fn clock(text: &mut TemporalText, hours: u64, minutes: u8, seconds: u8) {
    text.number(hours, 2);
    text.byte(b':');
    text.number(minutes.into(), 2);
    text.byte(b':');
    text.number(seconds.into(), 2);
}

fn fraction(text: &mut TemporalText, micros: u32, digits: u8) {
    let digits = u32::from(digits.min(6));
    if digits == 0 {
        return;
    }
    text.byte(b'.');
    let scaled = micros.min(999_999) / 10u32.pow(6 - digits);
    text.number(scaled.into(), digits as usize);
}

/// Room for the longest date or time, on the stack. (The longest is a TIME of 2^32 days: 29 bytes.)
#[derive(Debug, Clone, Copy)]
pub struct TemporalText {
    bytes: [u8; 48],
    len: usize,
}

impl Default for TemporalText {
    fn default() -> Self {
        Self { bytes: [0; 48], len: 0 }
    }
}

impl TemporalText {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// Appends `value` in at least `width` digits.
    fn number(&mut self, value: u64, width: usize) {
        let digits = value.checked_ilog10().map_or(1, |log| log as usize + 1).max(width);
        let mut rest = value;
        for at in (self.len..self.len + digits).rev() {
            self.bytes[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.len += digits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: DateTime) -> Vec<u8> {
        let mut out = Vec::new();
        value.put(&mut out);
        out
    }

    #[test]
    fn date_bytes_are_those_of_the_manual() {
        let day = DateTime { year: 2010, month: 10, day: 17, ..Default::default() };
        assert_eq!(put(day), [4, 0xDA, 0x07, 0x0A, 0x11]);
        let second = DateTime { hour: 19, minute: 27, second: 30, ..day };
        assert_eq!(put(second), [7, 0xDA, 0x07, 0x0A, 0x11, 0x13, 0x1B, 0x1E]);
        let micro = DateTime { micros: 1, ..second };
        assert_eq!(put(micro), [11, 0xDA, 0x07, 0x0A, 0x11, 0x13, 0x1B, 0x1E, 1, 0, 0, 0]);
        assert_eq!(put(DateTime::default()), [0]);
        for value in [day, second, micro, DateTime::default()] {
            assert_eq!(DateTime::read(&put(value)[1..]), Ok(value));
        }
        for bad in [&[1][..], &[1, 0, 13, 1], &[0; 5], &[0; 12], &[0, 0, 1, 1, 24, 0, 0]] {
            assert!(DateTime::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn time_bytes_are_those_of_the_manual() {
        let value = Time { negative: true, days: 120, hours: 19, minutes: 27, seconds: 30, micros: 1 };
        let mut out = Vec::new();
        value.put(&mut out);
        assert_eq!(out, [12, 1, 0x78, 0, 0, 0, 0x13, 0x1B, 0x1E, 1, 0, 0, 0]);
        assert_eq!(Time::read(&out[1..]), Ok(value));
        assert!(Time::read(&[0; 9]).is_err());
    }

    #[test]
    fn text() {
        let mut text = TemporalText::default();
        DateTime { year: 7, month: 1, day: 2, hour: 3, minute: 4, second: 5, micros: 60_700 }.text(3, &mut text);
        assert_eq!(text.as_bytes(), b"0007-01-02 03:04:05.060");
        let mut text = TemporalText::default();
        Time { negative: true, days: 34, hours: 22, minutes: 59, seconds: 59, micros: 0 }.text(0, &mut text);
        assert_eq!(text.as_bytes(), b"-838:59:59");
        let mut text = TemporalText::default();
        Time { negative: true, days: u32::MAX, hours: 23, ..Default::default() }.text(6, &mut text);
        assert_eq!(text.as_bytes(), b"-103079215103:00:00.000000");
    }
}
