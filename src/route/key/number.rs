//! Numbers as texts.

use super::value::KeyValue;

/// Significant digits that a double holds without loss: numbers of no more digits are equal as doubles exactly when they
/// are equal.
pub(super) const EXACT_DIGITS: usize = 15;

/// Doubles below this are equal to one integer at most.
pub(super) const EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0; // 2^53

/// A text that is a number as a whole: `42`, ` +42 `, `-0.50`, `4.2e1`, with spaces around it. Its value in canonical
/// form, when it has at most `EXACT_DIGITS` significant digits.
pub(super) fn short_number(text: &str) -> Option<KeyValue> {
    let text = text.trim_matches(' ');
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.unsigned_abs() <= 30)?),
        None => (text, 0),
    };
    let value = KeyValue::decimal(&shift(mantissa, exponent)?)?;
    (significant_digits(&value) <= EXACT_DIGITS).then_some(value)
}

/// A text of nothing but an optional sign and digits.
pub(super) fn plain_integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Moves the point of a plain decimal by so many places.
fn shift(mantissa: &str, places: i32) -> Option<String> {
    if places == 0 {
        return Some(mantissa.to_owned());
    }
    let sign_len = mantissa.len() - mantissa.trim_start_matches(['-', '+']).len();
    let (sign, digits) = mantissa.split_at(sign_len);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if sign.len() > 1 || whole.len() + fraction.len() == 0 {
        return None;
    }
    let count = usize::try_from(places.unsigned_abs()).ok()?;
    Some(if places > 0 {
        let fraction = format!("{fraction:0<count$}");
        let (moved, rest) = fraction.split_at_checked(count)?;
        format!("{sign}{whole}{moved}.{rest}")
    } else {
        let width = count + 1;
        let whole = format!("{whole:0>width$}");
        let (kept, moved) = whole.split_at_checked(whole.len() - count)?;
        format!("{sign}{kept}.{moved}{fraction}")
    })
}

fn significant_digits(value: &KeyValue) -> usize {
    let text = value.to_string();
    let digits = text.trim_start_matches('-').trim_start_matches(['0', '.']);
    digits.bytes().filter(u8::is_ascii_digit).count()
}

/// How many digits a canonical number has before and after its point.
pub(super) fn digits(value: &KeyValue) -> (usize, usize) {
    let text = value.to_string();
    let text = text.trim_start_matches('-');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (whole.trim_start_matches('0').len(), fraction.len())
}

/// A number rounded to so many digits after its point, halves away from zero, as both servers store decimals.
pub(super) fn round(value: &KeyValue, scale: usize) -> Option<KeyValue> {
    let KeyValue::Decimal(text) = value else { return Some(value.clone()) };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let Some((kept, cut)) = fraction.split_at_checked(scale).filter(|(_, cut)| !cut.is_empty()) else {
        return Some(value.clone());
    };
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut units = format!("{whole}{kept}").parse::<i128>().ok()?;
    if cut.as_bytes().first().is_some_and(|digit| *digit >= b'5') {
        units = units.checked_add(1)?;
    }
    let width = scale + 1;
    let units = format!("{units:0width$}");
    let (whole, fraction) = units.split_at_checked(units.len() - scale)?;
    KeyValue::decimal(&format!("{sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: Option<KeyValue>) -> String {
        key.map_or("-".into(), |key| key.to_string())
    }

    #[test]
    fn short_numbers() {
        let cases = [
            ("42", "42"),
            (" +42 ", "42"),
            ("042.00", "42"),
            ("4.2e1", "42"),
            ("4200E-2", "42"),
            ("-0", "0"),
            ("-0.50", "-0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("5e-1", "0.5"),
            ("123456789012345", "123456789012345"),
            ("1e15", "-"),
            ("1234567890123456", "-"),
            ("0.1234567890123456", "-"),
            ("", "-"),
            ("abc", "-"),
            ("42abc", "-"),
            ("1e", "-"),
            ("e5", "-"),
            ("--5", "-"),
            ("1e99", "-"),
            ("4 2", "-"),
            ("\t42", "-"),
            ("0x2a", "-"),
            ("--5e1", "-"),
            (".", "-"),
            ("inf", "-"),
        ];
        for (text, value) in cases {
            assert_eq!(shown(short_number(text)), value, "'{text}'");
        }
    }

    #[test]
    fn rounding_goes_away_from_zero() {
        let rounded = |text, scale| shown(round(&KeyValue::decimal(text).unwrap(), scale));
        assert_eq!(
            [rounded("1.5", 0), rounded("2.5", 0), rounded("-1.5", 0), rounded("-0.4", 0)],
            ["2", "3", "-2", "0"]
        );
        assert_eq!(
            [rounded("1.005", 2), rounded("-1.005", 2), rounded("9.999", 2), rounded("1.5", 3)],
            ["1.01", "-1.01", "10", "1.5"]
        );
        assert_eq!(rounded("0.004", 2), "0");
    }

    #[test]
    fn plain_integers() {
        assert_eq!([plain_integer("42"), plain_integer("-7"), plain_integer("+7")], [Some(42), Some(-7), Some(7)]);
        assert_eq!([plain_integer(""), plain_integer("-"), plain_integer("4.0"), plain_integer(" 4")], [None; 4]);
    }
}
