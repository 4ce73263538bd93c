//! DOUBLE as the server prints it, and as bits that order like the numbers.

/// Decimals of a DOUBLE without a fixed number of them (`DECIMAL_NOT_SPECIFIED`).
pub const NOT_FIXED: u8 = 31;
/// Past so many digits before the point, or zeros after it, the server changes to exponents.
const MAX_PLAIN_EXPONENT: i32 = 15;

/// Maps to an integer that orders as the numbers do; both zeros are one.
pub fn order_bits(value: f64) -> u64 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// Appends the text: `decimals` digits after the point, or, if they are not fixed, the shortest text that reads back
/// as the same number.
pub fn write(out: &mut Vec<u8>, value: f64, decimals: u8) {
    if decimals < NOT_FIXED {
        out.extend_from_slice(format!("{value:.*}", usize::from(decimals)).as_bytes());
        return;
    }
    if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    // The point of d.ddd with this exponent stands after `exponent + 1` digits.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    // Long integers get an exponent, but not long numbers with a fraction.
    let is_plain = point > -MAX_PLAIN_EXPONENT && (point <= MAX_PLAIN_EXPONENT || digits > point);
    if is_plain {
        out.extend_from_slice(format!("{value}").as_bytes());
    } else {
        out.extend_from_slice(scientific.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64, decimals: u8) -> String {
        let mut out = Vec::new();
        write(&mut out, value, decimals);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_that_of_the_server() {
        // As MariaDB 10.11 and MySQL 9.7 print them.
        for (value, expected) in [
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (1.2345678901234568e17, "1.2345678901234568e17"),
            (1e-14, "0.00000000000001"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (-1e-15 / 3.0, "-3.3333333333333336e-16"),
            (123456789012345.67, "123456789012345.67"),
            (1234567890123456.7, "1234567890123456.8"),
            (1234567890123450.0, "1.23456789012345e15"),
            (12345678901234567.0, "1.2345678901234568e16"),
            (9007199254740992.0, "9.007199254740992e15"),
            (4503599627370497.5, "4.503599627370498e15"),
            (1.2345678901234567e-15, "0.0000000000000012345678901234568"),
            (1.5e-16, "1.5e-16"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (100.0, "100"),
            (0.00001234, "0.00001234"),
            (0.0, "0"),
        ] {
            assert_eq!(text(value, NOT_FIXED), expected);
        }
        assert_eq!(text(2.56, 6), "2.560000");
        assert_eq!(text(-7.0, 0), "-7");
    }

    proptest! {
        #[test]
        fn order_bits_order_as_the_numbers(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(order_bits(a).cmp(&order_bits(b)), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(text(a, NOT_FIXED).parse::<f64>().unwrap(), a);
        }
    }
}
