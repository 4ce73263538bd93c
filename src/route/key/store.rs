//! What a column makes of a value that is inserted or assigned.

use super::compare::{from_hex, normalise};
use super::number::{EXACT_DOUBLE, digits, plain_integer, round};
use super::raw::{Normalised, RawValue};
use super::types::KeyType;
use super::value::KeyValue;

use Normalised::{Anywhere, Key, Null};

/// The key that a row gets when a value is stored. `Anywhere` when it is not exactly known: out of range (an error or
/// a clamped value, by `sql_mode`), truncated, or converted in a way in which servers differ. Never `NoMatch`.
pub fn normalise_stored(key_type: &KeyType, value: &RawValue<'_>) -> Normalised {
    match (key_type, value) {
        (_, RawValue::Null) => Null,
        (KeyType::Int { unsigned, bits }, _) => integer(*unsigned, *bits, value),
        (KeyType::Decimal { precision, scale }, _) => decimal(usize::from(*precision), usize::from(*scale), value),
        (KeyType::Text(text), RawValue::Text(bytes)) => utf8(bytes).and_then(|written| text.stored(written)).into(),
        (KeyType::Text(text), RawValue::Hex(bytes) | RawValue::Binary(bytes)) => {
            utf8(bytes).filter(|text| text.is_ascii()).and_then(|written| text.stored(written)).into()
        }
        (KeyType::Text(text), RawValue::Int(value)) => text.stored(&value.to_string()).into(),
        (KeyType::Binary { max_bytes, is_fixed }, RawValue::Text(b) | RawValue::Hex(b) | RawValue::Binary(b)) => {
            bytes(*max_bytes, *is_fixed, b)
        }
        (KeyType::Date, _) => date(value),
        (KeyType::DateTime { .. } | KeyType::Time { .. } | KeyType::Year | KeyType::FromLiteral, _) => {
            match normalise(key_type, value) {
                Key(key) => Key(key),
                _ => Anywhere,
            }
        }
        _ => Anywhere,
    }
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn integer(unsigned: bool, bits: u8, value: &RawValue<'_>) -> Normalised {
    let number = match value {
        RawValue::Int(value) => Some(KeyValue::Int(*value)),
        // 1.5 is stored as 2, -1.5 as -2.
        RawValue::Decimal(text) => KeyValue::decimal(text).and_then(|number| round(&number, 0)),
        RawValue::Text(text) => utf8(text).and_then(plain_integer).map(KeyValue::Int),
        #[allow(clippy::cast_possible_truncation)] // a whole number below 2^53
        RawValue::Float(value) if value.fract() == 0.0 && value.abs() < EXACT_DOUBLE => {
            Some(KeyValue::Int(*value as i128))
        }
        RawValue::Hex(bytes) => from_hex(bytes).map(KeyValue::Int),
        _ => None,
    };
    match number {
        Some(KeyValue::Int(value)) if KeyType::int_range(unsigned, bits).contains(&value) => Key(KeyValue::Int(value)),
        _ => Anywhere,
    }
}

fn decimal(precision: usize, scale: usize, value: &RawValue<'_>) -> Normalised {
    let number = match value {
        RawValue::Int(value) => Some(KeyValue::Int(*value)),
        RawValue::Decimal(text) => KeyValue::decimal(text),
        RawValue::Text(text) => utf8(text).and_then(KeyValue::decimal),
        _ => None,
    };
    let rounded = number.and_then(|number| round(&number, scale));
    rounded.filter(|number| digits(number).0 <= precision.saturating_sub(scale)).into()
}

fn bytes(max_bytes: Option<u32>, is_fixed: bool, bytes: &[u8]) -> Normalised {
    let most = max_bytes.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    let mut stored = bytes.to_vec();
    match most {
        Some(most) if bytes.len() > most => return Anywhere,
        Some(most) if is_fixed => stored.resize(most, 0),
        _ => {}
    }
    Key(KeyValue::Bytes(stored))
}

/// A date with a time of the day is stored without it; with a fraction of a second one server rounds to the next day.
fn date(value: &RawValue<'_>) -> Normalised {
    match normalise(&KeyType::DateTime { fsp: 0 }, value) {
        Key(KeyValue::DateTime(moment)) => Key(KeyValue::Date(moment.date)),
        _ => Anywhere,
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment::DateKey;
    use super::*;

    const TINYINT: KeyType = KeyType::Int { unsigned: false, bits: 8 };

    fn text(text: &str) -> RawValue<'_> {
        RawValue::Text(text.as_bytes().into())
    }

    fn int(value: i128) -> Normalised {
        Key(KeyValue::Int(value))
    }

    #[test]
    fn integers_round_and_never_overflow() {
        let stored = |value: RawValue<'_>| normalise_stored(&TINYINT, &value);
        assert_eq!(stored(RawValue::Int(42)), int(42));
        assert_eq!(stored(RawValue::Decimal("1.5".into())), int(2));
        assert_eq!(stored(RawValue::Decimal("-2.5".into())), int(-3));
        assert_eq!(stored(RawValue::Decimal("127.4".into())), int(127));
        assert_eq!(stored(text("42")), int(42));
        assert_eq!(stored(RawValue::Hex(vec![0x2a].into())), int(42));
        assert_eq!(stored(RawValue::Float(42.0)), int(42));
        let unknown = [
            RawValue::Int(128),
            RawValue::Decimal("127.5".into()),
            RawValue::Float(1.5),
            text("1.5"),
            text("42 "),
            text("abc"),
            RawValue::Binary(vec![0x2a].into()),
        ];
        for value in unknown {
            assert_eq!(stored(value.clone()), Anywhere, "{value:?}");
        }
        assert_eq!(stored(RawValue::Null), Null);
    }

    #[test]
    fn decimals_round_to_their_scale() {
        let money = KeyType::Decimal { precision: 5, scale: 2 };
        let key = |text: &str| Key(KeyValue::decimal(text).unwrap());
        assert_eq!(normalise_stored(&money, &RawValue::Decimal("1.005".into())), key("1.01"));
        assert_eq!(normalise_stored(&money, &text("0042.10")), key("42.1"));
        assert_eq!(normalise_stored(&money, &RawValue::Decimal("999.994".into())), key("999.99"));
        assert_eq!(normalise_stored(&money, &RawValue::Decimal("999.995".into())), Anywhere);
        assert_eq!(normalise_stored(&money, &RawValue::Float(1.5)), Anywhere);
    }

    #[test]
    fn texts_lose_what_the_column_cuts() {
        let key = |text: &str| Key(KeyValue::Text(text.into()));
        let general = KeyType::of_column("varchar(5)", Some("utf8mb4_general_ci"));
        assert_eq!(normalise_stored(&general, &text("Ann     ")), key("ann"));
        assert_eq!(normalise_stored(&general, &text("Annabel")), Anywhere);
        assert_eq!(normalise_stored(&general, &RawValue::Int(7)), key("7"));
        assert_eq!(normalise_stored(&general, &RawValue::Decimal("7.50".into())), Anywhere);
        assert_eq!(normalise_stored(&general, &text("é")), key("e"));
        assert_eq!(normalise_stored(&general, &text("e\u{301}")), Anywhere);
        assert_eq!(normalise_stored(&general.of_ascii(), &text("é")), Anywhere);
        let char_no_pad = KeyType::of_column("char(5)", Some("utf8mb4_0900_ai_ci"));
        assert_eq!(normalise_stored(&char_no_pad, &text("a ")), key("a"));
        assert_eq!(normalise(&char_no_pad, &text("a ")), key("a "));
        assert_eq!(normalise_stored(&general.as_written(), &text("Ann ")), key("Ann"));
    }

    #[test]
    fn binary_fills_up() {
        let fixed = KeyType::Binary { max_bytes: Some(3), is_fixed: true };
        assert_eq!(normalise_stored(&fixed, &text("a")), Key(KeyValue::Bytes(b"a\0\0".to_vec())));
        assert_eq!(normalise_stored(&fixed, &text("abcd")), Anywhere);
    }

    #[test]
    fn dates_lose_their_time() {
        let day = Key(KeyValue::Date(DateKey { year: 2024, month: 1, day: 31 }));
        assert_eq!(normalise_stored(&KeyType::Date, &text("2024-01-31 23:59:59")), day);
        assert_eq!(normalise_stored(&KeyType::Date, &text("2024-01-31 23:59:59.9")), Anywhere);
        assert_eq!(normalise_stored(&KeyType::Year, &RawValue::Int(3000)), Anywhere);
        assert_eq!(normalise_stored(&KeyType::DateTime { fsp: 0 }, &text("2024-01-31 10:00:00.6")), Anywhere);
    }
}
