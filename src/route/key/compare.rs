//! What a value is when it is compared with a column.

use super::collation::Fold;
use super::moment::{DateTimeKey, parse_time};
use super::number::{EXACT_DIGITS, EXACT_DOUBLE, digits, plain_integer, short_number};
use super::raw::{Normalised, RawValue};
use super::types::{KeyType, TextKey};
use super::value::KeyValue;

use Normalised::{Anywhere, Key, NoMatch, Null};

/// The keys that a comparison with a value can match, in any context: `=`, `<=>`, `IN`, `BETWEEN`, `<`, `>`.
pub fn normalise(key_type: &KeyType, value: &RawValue<'_>) -> Normalised {
    compare(key_type, value, false)
}

/// As [`normalise`], for `column = value` and `column <=> value` alone, for `BETWEEN` two texts, and for the members of
/// an `IN` list that are all texts (not for `IN` of row values). There, both servers compare an integer column with a
/// text of digits as integers; among members of several kinds, MySQL compares doubles, so that `IN
/// ('9007199254740993', 5)` also matches 9007199254740992.
pub fn normalise_alone(key_type: &KeyType, value: &RawValue<'_>) -> Normalised {
    compare(key_type, value, true)
}

fn compare(key_type: &KeyType, value: &RawValue<'_>, is_alone: bool) -> Normalised {
    match (key_type, value) {
        (_, RawValue::Null) => Null,
        (_, RawValue::Unknown) => Anywhere,
        (KeyType::Int { unsigned, bits }, _) => integer(*unsigned, *bits, value, is_alone),
        (KeyType::Decimal { precision, scale }, _) => decimal(usize::from(*precision), usize::from(*scale), value),
        (KeyType::Text(text), _) => as_text(*text, value),
        (KeyType::Binary { .. }, RawValue::Text(bytes) | RawValue::Hex(bytes) | RawValue::Binary(bytes)) => {
            Key(KeyValue::Bytes(bytes.to_vec()))
        }
        (KeyType::Date, _) => date(value),
        (KeyType::DateTime { fsp }, _) => date_time(*fsp, value),
        (KeyType::Time { fsp }, _) => time(*fsp, value),
        (KeyType::Year, RawValue::Int(year)) => from_year(*year),
        (KeyType::Year, RawValue::Text(text)) => utf8(text).and_then(plain_integer).map_or(Anywhere, from_year),
        (KeyType::FromLiteral, _) => as_written(value),
        _ => Anywhere,
    }
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn integer(unsigned: bool, bits: u8, value: &RawValue<'_>, is_alone: bool) -> Normalised {
    let number = match value {
        RawValue::Int(value) => Some(KeyValue::Int(*value)),
        RawValue::Decimal(text) => KeyValue::decimal(text),
        RawValue::Float(value) => return float(unsigned, bits, *value),
        RawValue::Text(text) | RawValue::Binary(text) => utf8(text).and_then(|text| {
            let whole = if is_alone && matches!(value, RawValue::Text(_)) { plain_integer(text) } else { None };
            whole.map(KeyValue::Int).or_else(|| short_number(text))
        }),
        RawValue::Hex(bytes) => from_hex(bytes).map(KeyValue::Int),
        _ => None,
    };
    match number {
        Some(KeyValue::Int(value)) if KeyType::int_range(unsigned, bits).contains(&value) => Key(KeyValue::Int(value)),
        // Among members of several kinds MySQL takes the 64 bits of 18446744073709551615 for -1.
        Some(KeyValue::Int(value)) if !is_alone && is_other_sign(unsigned, value) => Anywhere,
        Some(_) => NoMatch,
        None => Anywhere,
    }
}

/// Whether a value has 64 bits that a column with or without negative numbers reads as another value.
fn is_other_sign(unsigned: bool, value: i128) -> bool {
    if unsigned { value < 0 } else { value > i128::from(i64::MAX) }
}

/// An integer column and a double are compared as doubles.
fn float(unsigned: bool, bits: u8, value: f64) -> Normalised {
    if value.is_nan() || value.abs() >= EXACT_DOUBLE {
        return Anywhere;
    }
    if value.fract() != 0.0 {
        return NoMatch;
    }
    #[allow(clippy::cast_possible_truncation)] // a whole number below 2^53
    let whole = value as i128;
    if KeyType::int_range(unsigned, bits).contains(&whole) { Key(KeyValue::Int(whole)) } else { NoMatch }
}

/// The number that up to eight bytes stand for.
pub(super) fn from_hex(bytes: &[u8]) -> Option<i128> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |number, byte| (number << 8) | i128::from(*byte)))
}

fn decimal(precision: usize, scale: usize, value: &RawValue<'_>) -> Normalised {
    let number = match value {
        RawValue::Int(value) => Some(KeyValue::Int(*value)),
        RawValue::Decimal(text) => KeyValue::decimal(text),
        // Compared as doubles, which tell apart all values of the column only if it has few digits.
        RawValue::Text(text) if precision <= EXACT_DIGITS => utf8(text).and_then(short_number),
        _ => None,
    };
    let Some(number) = number else { return Anywhere };
    let (whole, fraction) = digits(&number);
    if whole > precision.saturating_sub(scale) || fraction > scale { NoMatch } else { Key(number) }
}

fn as_text(text: TextKey, value: &RawValue<'_>) -> Normalised {
    match value {
        // Bytes are compared by the collation of the column or byte by byte; folding them serves both.
        RawValue::Text(bytes) | RawValue::Hex(bytes) | RawValue::Binary(bytes) => {
            let is_known = matches!(value, RawValue::Text(_)) || bytes.is_ascii();
            let written = if is_known { utf8(bytes) } else { None };
            written.and_then(|written| text.compared(written)).into()
        }
        // A number makes both sides doubles: '42', '042' and ' 42' all equal 42.
        _ => Anywhere,
    }
}

impl TextKey {
    /// The form that all equal texts share.
    fn compared(self, written: &str) -> Option<KeyValue> {
        let text = if self.pads { written.trim_end_matches(' ') } else { written };
        self.place(text)
    }

    /// Folds a text, or leaves it as it is where folding it would make no difference.
    fn place(self, text: &str) -> Option<KeyValue> {
        let mut folded = self.fold.apply(text)?;
        if self.pads {
            // what stands behind the spaces may count for nothing
            folded.truncate(folded.trim_end_matches(' ').len());
        }
        let has_forms = |byte: u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
        let has_forms = self.fold != Fold::Exact && text.bytes().any(has_forms);
        if self.as_written && has_forms { None } else { Some(KeyValue::Text(folded)) }
    }

    /// The form in which a text is placed when it is stored.
    pub(super) fn stored(self, written: &str) -> Option<KeyValue> {
        let text = if self.pads || self.is_fixed { written.trim_end_matches(' ') } else { written };
        let most = self.max_chars.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        if text.chars().count() > most {
            return None;
        }
        if self.as_written { Some(KeyValue::Text(text.to_owned())) } else { self.place(text) }
    }
}

fn moment_of(value: &RawValue<'_>) -> Option<DateTimeKey> {
    let moment = match value {
        RawValue::Text(text) => utf8(text).and_then(DateTimeKey::parse),
        RawValue::Date(date) => Some(DateTimeKey::from(*date)),
        RawValue::DateTime(moment) => Some(*moment),
        _ => None,
    };
    moment.filter(|moment| moment.date.is_real())
}

fn date(value: &RawValue<'_>) -> Normalised {
    // With a time of the day it equals no date, but the servers differ in how they round it.
    let midnight = moment_of(value).filter(|moment| DateTimeKey::from(moment.date) == *moment);
    midnight.map(|moment| KeyValue::Date(moment.date)).into()
}

fn date_time(fsp: u8, value: &RawValue<'_>) -> Normalised {
    let moment = moment_of(value).filter(|moment| fits(i64::from(moment.micros), fsp));
    moment.map(KeyValue::DateTime).into()
}

fn time(fsp: u8, value: &RawValue<'_>) -> Normalised {
    let micros = match value {
        RawValue::Text(text) => utf8(text).and_then(parse_time),
        RawValue::Time(micros) => Some(*micros),
        _ => None,
    };
    micros.filter(|micros| fits(*micros, fsp)).map(KeyValue::Time).into()
}

/// Whether microseconds need no more digits than a fraction has. Others are rounded by one server and cut by another.
fn fits(micros: i64, fsp: u8) -> bool {
    micros % 10_i64.pow(6 - u32::from(fsp.min(6))) == 0
}

/// Years of two digits, and 0, stand for others.
fn from_year(year: i128) -> Normalised {
    if (1901..=2155).contains(&year) { Key(KeyValue::Int(year)) } else { Anywhere }
}

fn as_written(value: &RawValue<'_>) -> Normalised {
    match value {
        RawValue::Int(value) => Key(KeyValue::Int(*value)),
        RawValue::Decimal(text) => KeyValue::decimal(text).into(),
        RawValue::Text(text) => utf8(text).map(|text| KeyValue::Text(text.to_owned())).into(),
        RawValue::Hex(bytes) | RawValue::Binary(bytes) => Key(KeyValue::Bytes(bytes.to_vec())),
        RawValue::Date(date) => Key(KeyValue::Date(*date)),
        RawValue::DateTime(moment) => Key(KeyValue::DateTime(*moment)),
        RawValue::Time(micros) => Key(KeyValue::Time(*micros)),
        RawValue::Null | RawValue::Float(_) | RawValue::Unknown => Anywhere,
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment::DateKey;
    use super::*;

    const BIGINT: KeyType = KeyType::Int { unsigned: false, bits: 64 };
    const TINYINT: KeyType = KeyType::Int { unsigned: false, bits: 8 };

    fn text(text: &str) -> RawValue<'_> {
        RawValue::Text(text.as_bytes().into())
    }

    fn int(value: i128) -> Normalised {
        Key(KeyValue::Int(value))
    }

    fn varchar(collation: &str) -> KeyType {
        KeyType::of_column("varchar(64)", Some(collation))
    }

    fn same_text(value: &str) -> Normalised {
        Key(KeyValue::Text(value.into()))
    }

    #[test]
    fn all_ways_to_write_42_are_one_key() {
        let ways = [
            RawValue::Int(42),
            RawValue::Decimal("42.0".into()),
            RawValue::Decimal("042.000".into()),
            RawValue::Float(42.0),
            text("42"),
            text(" 42"),
            text("42 "),
            text("+42"),
            text("042"),
            text("42.0"),
            text("4.2e1"),
            RawValue::Hex(vec![0x2a].into()),
            RawValue::Hex(vec![0, 0x2a].into()),
        ];
        for way in &ways {
            assert_eq!(normalise(&BIGINT, way), int(42), "{way:?}");
            assert_eq!(normalise_alone(&BIGINT, way), int(42), "{way:?}");
        }
    }

    #[test]
    fn what_no_integer_equals() {
        let none =
            [RawValue::Decimal("42.5".into()), RawValue::Float(0.5), text("42.5"), RawValue::Int(300), text("300")];
        for value in &none {
            assert_eq!(normalise(&TINYINT, value), NoMatch, "{value:?}");
        }
        let (unsigned, greatest) = (KeyType::Int { unsigned: true, bits: 64 }, RawValue::Int(i128::from(u64::MAX)));
        assert_eq!(normalise_alone(&unsigned, &RawValue::Int(-1)), NoMatch);
        assert_eq!(normalise_alone(&BIGINT, &greatest), NoMatch);
        assert_eq!([normalise(&unsigned, &RawValue::Int(-1)), normalise(&BIGINT, &greatest)], [Anywhere, Anywhere]);
        assert_eq!(normalise(&BIGINT, &RawValue::Decimal("42.00000000000000000001".into())), NoMatch);
    }

    #[test]
    fn what_is_compared_inexactly_leads_anywhere() {
        let inexact = [
            text("abc"),
            text(""),
            text("42abc"),
            text("41.9999999999999999999"),
            RawValue::Float(9_007_199_254_740_993.0),
            RawValue::Float(f64::NAN),
            // A string in MariaDB, a number in MySQL.
            RawValue::Binary(vec![0x2a].into()),
            RawValue::Date(DateKey { year: 2024, month: 1, day: 31 }),
            RawValue::Unknown,
        ];
        for value in &inexact {
            assert_eq!(normalise_alone(&BIGINT, value), Anywhere, "{value:?}");
        }
        assert_eq!(normalise(&BIGINT, &RawValue::Null), Null);
        assert_eq!(normalise(&KeyType::Float, &RawValue::Int(1)), Anywhere);
        assert_eq!(normalise(&KeyType::Unknown, &text("a")), Anywhere);
    }

    #[test]
    fn long_texts_of_digits_are_exact_alone_only() {
        let value = text("9007199254740993");
        assert_eq!(normalise(&BIGINT, &value), Anywhere);
        assert_eq!(normalise_alone(&BIGINT, &value), int(9_007_199_254_740_993));
        assert_eq!(normalise_alone(&BIGINT, &text("9223372036854775808")), NoMatch);
        assert_eq!(normalise(&BIGINT, &RawValue::Int(9_007_199_254_740_993)), int(9_007_199_254_740_993));
    }

    #[test]
    fn decimals_compare_by_value() {
        let money = KeyType::Decimal { precision: 10, scale: 2 };
        assert_eq!(normalise(&money, &RawValue::Int(42)), int(42));
        assert_eq!(normalise(&money, &text("42.50")), Key(KeyValue::Decimal("42.5".into())));
        assert_eq!(normalise(&money, &RawValue::Decimal("42.500".into())), Key(KeyValue::Decimal("42.5".into())));
        assert_eq!(normalise(&money, &RawValue::Decimal("42.505".into())), NoMatch);
        assert_eq!(normalise(&money, &RawValue::Int(1_000_000_000)), NoMatch);
        assert_eq!(normalise(&money, &RawValue::Float(42.5)), Anywhere);
        assert_eq!(normalise(&KeyType::Decimal { precision: 30, scale: 20 }, &text("42")), Anywhere);
    }

    #[test]
    fn texts_fold_as_their_collation() {
        let cases = [
            ("utf8mb4_general_ci", "Ann  ", same_text("ann")),
            ("utf8mb4_0900_ai_ci", "Ann ", same_text("ann ")),
            ("utf8mb4_bin", "Ann ", same_text("Ann")),
            ("utf8mb4_bin", "Grüße", same_text("Grüße")),
            ("utf8mb4_0900_bin", "a ", same_text("a ")),
            ("utf8mb4_general_ci", "Grüße", same_text("gruse")),
            ("utf8mb4_unicode_ci", "Grüße ", same_text("grusse")),
            ("utf8mb4_0900_ai_ci", "a\u{ad} ", same_text("a ")),
            ("utf8mb4_uca1400_ai_ci", "a \u{ad}", same_text("a")),
            ("utf8mb4_general_ci", "u\u{308}", Anywhere),
            ("utf8mb4_0900_as_ci", "Grüße", Anywhere),
            ("utf8mb4_unicode_ci", "a\u{0}", Anywhere),
        ];
        for (collation, value, key) in cases {
            assert_eq!(normalise(&varchar(collation), &text(value)), key, "{collation} {value}");
        }
        let general = varchar("utf8mb4_general_ci");
        assert_eq!(normalise(&general, &RawValue::Int(42)), Anywhere);
        assert_eq!(normalise(&general, &RawValue::Hex(b"Abc"[..].into())), same_text("abc"));
        assert_eq!(normalise(&general, &RawValue::Binary(vec![0xff].into())), Anywhere);
        assert_eq!(normalise(&varchar("utf8mb4_bin"), &RawValue::Text(vec![0xff].into())), Anywhere);
    }

    #[test]
    fn as_written_texts_with_letters_lead_anywhere_under_a_collation_that_folds() {
        let general = varchar("utf8mb4_general_ci").as_written();
        assert_eq!(normalise(&general, &text("Ann")), Anywhere);
        assert_eq!(normalise(&general, &text("2024-17 ")), same_text("2024-17"));
        assert_eq!(normalise(&varchar("utf8mb4_bin").as_written(), &text("Ann")), same_text("Ann"));
    }

    #[test]
    fn dates_and_times() {
        let day = DateKey { year: 2024, month: 1, day: 31 };
        let at_ten = DateTimeKey { hour: 10, ..day.into() };
        for value in
            [text("2024-01-31"), text("2024-01-31 00:00:00"), RawValue::Date(day), RawValue::DateTime(day.into())]
        {
            assert_eq!(normalise(&KeyType::Date, &value), Key(KeyValue::Date(day)), "{value:?}");
        }
        for value in [text("2024-01-31 10:00:00"), text("2024-1-31"), text("0000-00-00"), RawValue::Int(20_240_131)] {
            assert_eq!(normalise(&KeyType::Date, &value), Anywhere, "{value:?}");
        }
        let datetime = KeyType::DateTime { fsp: 0 };
        for value in [text("2024-01-31 10:00:00"), text("2024-01-31T10:00:00.000"), RawValue::DateTime(at_ten)] {
            assert_eq!(normalise(&datetime, &value), Key(KeyValue::DateTime(at_ten)), "{value:?}");
        }
        assert_eq!(normalise(&datetime, &text("2024-01-31 10:00:00.5")), Anywhere);
        assert!(normalise(&KeyType::DateTime { fsp: 1 }, &text("2024-01-31 10:00:00.5")).key().is_some());
        assert_eq!(normalise(&KeyType::Time { fsp: 0 }, &text("-10:00:00")), Key(KeyValue::Time(-36_000_000_000)));
        assert_eq!(normalise(&KeyType::Time { fsp: 0 }, &text("10:00")), Anywhere);
        assert_eq!(normalise(&KeyType::Year, &text("2024")), int(2024));
        assert_eq!(normalise(&KeyType::Year, &RawValue::Int(24)), Anywhere);
    }

    #[test]
    fn bytes_are_themselves() {
        let binary = KeyType::Binary { max_bytes: Some(4), is_fixed: true };
        assert_eq!(normalise(&binary, &text("a ")), Key(KeyValue::Bytes(b"a ".to_vec())));
        assert_eq!(normalise(&binary, &RawValue::Hex(vec![0xff].into())), Key(KeyValue::Bytes(vec![0xff])));
        assert_eq!(normalise(&binary, &RawValue::Int(5)), Anywhere);
    }
}
