//! DECIMAL, exact to its 65 digits and past them: comparing the text, adding, and AVG's division.
//!
//! A value is an integer in limbs of nine digits beside its scale, the way the server itself holds it; AVG cuts where
//! the server cuts because of that.

use std::cmp::Ordering;

/// Digits of a limb.
const LIMB_DIGITS: usize = 9;
const LIMB: u64 = 1_000_000_000;
/// Room for a sum of 65 digits, multiplied by what AVG's scale needs (MariaDB's largest scale is 38, rounded up to
/// whole limbs): 14 limbs are 126 digits.
const LIMBS: usize = 14;
/// The most digits that a DECIMAL has (*MySQL Reference Manual, "DECIMAL Data Type Characteristics"*).
pub const MAX_DIGITS: usize = 65;

/// Compares two decimals by their text. Both must have passed [`is_decimal`].
pub fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let (a_negative, a) = split_sign(a);
    let (b_negative, b) = split_sign(b);
    let magnitude = compare_magnitude(a, b);
    match (a_negative, b_negative) {
        (false, false) => magnitude,
        (true, true) => magnitude.reverse(),
        // '-0.00' equals '0.00'.
        _ if is_zero(a) && is_zero(b) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// Whether the text is a decimal: a sign at most, digits, a point at most.
pub fn is_decimal(text: &[u8]) -> bool {
    let (_, digits) = split_sign(text);
    let mut points = 0;
    let mut count = 0;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => count += 1,
            b'.' => points += 1,
            _ => return false,
        }
    }
    count > 0 && points <= 1
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn is_zero(magnitude: &[u8]) -> bool {
    magnitude.iter().all(|&byte| byte == b'0' || byte == b'.')
}

/// The digits before and after the point.
fn split_point(magnitude: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'.', magnitude) {
        Some(at) => (&magnitude[..at], &magnitude[at + 1..]),
        None => (magnitude, &[]),
    }
}

fn strip_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    &digits[zeros..]
}

fn compare_magnitude(a: &[u8], b: &[u8]) -> Ordering {
    let ((a_whole, a_part), (b_whole, b_part)) = (split_point(a), split_point(b));
    let (a_whole, b_whole) = (strip_zeros(a_whole), strip_zeros(b_whole));
    a_whole.len().cmp(&b_whole.len()).then_with(|| a_whole.cmp(b_whole)).then_with(|| {
        let common = a_part.len().min(b_part.len());
        a_part[..common].cmp(&b_part[..common]).then_with(|| {
            let more = |tail: &[u8]| if is_zero(tail) { Ordering::Equal } else { Ordering::Greater };
            more(&a_part[common..]).then_with(|| more(&b_part[common..]).reverse())
        })
    })
}

/// A decimal that can be added to: `(-1)^negative * limbs * 10^-scale`, the least limb first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    scale: usize,
    limbs: [u32; LIMBS],
}

impl Decimal {
    /// Reads a decimal's text; `None` if it is none, or too long.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !is_decimal(text) {
            return None;
        }
        let (negative, magnitude) = split_sign(text);
        let (whole, part) = split_point(magnitude);
        let whole = strip_zeros(whole);
        if whole.len() + part.len() > LIMBS * LIMB_DIGITS {
            return None;
        }
        let mut limbs = [0; LIMBS];
        let digits = part.iter().rev().chain(whole.iter().rev());
        let mut weight = 1;
        for (index, &byte) in digits.enumerate() {
            if index % LIMB_DIGITS == 0 {
                weight = 1;
            }
            limbs[index / LIMB_DIGITS] += u32::from(byte - b'0') * weight;
            weight = weight.wrapping_mul(10);
        }
        Some(Self { negative, scale: part.len(), limbs })
    }

    /// Whether it has more digits than a DECIMAL may have.
    pub fn is_too_long(&self) -> bool {
        self.digits().len() > MAX_DIGITS
    }

    /// The sum, with the larger scale of the two; `None` past the room.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.with_scale(scale)?, other.with_scale(scale)?);
        if a.negative == b.negative {
            return Some(Self { negative: a.negative, scale, limbs: add(&a.limbs, &b.limbs)? });
        }
        let (larger, smaller) = match compare_limbs(&a.limbs, &b.limbs) {
            Ordering::Equal => return Some(Self { negative: false, scale, limbs: [0; LIMBS] }),
            Ordering::Greater => (a, b),
            Ordering::Less => (b, a),
        };
        Some(Self { negative: larger.negative, scale, limbs: subtract(&larger.limbs, &smaller.limbs) })
    }

    /// AVG: this sum over a count, shown with `scale` digits after the point; `None` past the room.
    ///
    /// The server divides in whole limbs: it cuts the quotient after the limb that holds digit `scale`, then rounds
    /// half away from zero. So where the limbs end just at `scale`, it cuts and does not round
    /// (`do_div_mod` in the server's decimal arithmetic); the answer must be the same.
    pub fn average(self, count: u64, scale: usize) -> Option<Self> {
        let limb_scale = self.scale.div_ceil(LIMB_DIGITS) * LIMB_DIGITS;
        let increment = scale.saturating_sub(self.scale).saturating_sub(limb_scale - self.scale);
        let cut_at = (limb_scale + increment).div_ceil(LIMB_DIGITS) * LIMB_DIGITS;
        let widened = self.with_scale(cut_at)?;
        let limbs = divide(&widened.limbs, count)?;
        Some(Self { negative: self.negative, scale: cut_at, limbs }.rounded(scale))
    }

    /// Multiplied up to a larger scale, exactly.
    fn with_scale(mut self, scale: usize) -> Option<Self> {
        while self.scale < scale {
            let step = (scale - self.scale).min(LIMB_DIGITS);
            let factor = 10_u64.pow(step as u32);
            let mut carry = 0;
            for limb in &mut self.limbs {
                let product = u64::from(*limb) * factor + carry;
                *limb = (product % LIMB) as u32;
                carry = product / LIMB;
            }
            if carry > 0 {
                return None;
            }
            self.scale += step;
        }
        Some(self)
    }

    /// Rounded half away from zero down to a smaller scale.
    fn rounded(mut self, scale: usize) -> Self {
        let mut last = 0;
        while self.scale > scale {
            let step = (self.scale - scale).min(LIMB_DIGITS);
            let divisor = 10_u64.pow(step as u32);
            let mut rest = 0;
            for limb in self.limbs.iter_mut().rev() {
                let value = rest * LIMB + u64::from(*limb);
                *limb = (value / divisor) as u32;
                rest = value % divisor;
            }
            last = rest / (divisor / 10);
            self.scale -= step;
        }
        if last >= 5 {
            let mut one = [0; LIMBS];
            one[0] = 1;
            // Digits were just cut, so there is room for the carry.
            self.limbs = add(&self.limbs, &one).unwrap_or(self.limbs);
        }
        self.negative &= self.limbs.iter().any(|&limb| limb != 0);
        self
    }

    /// The digits of the magnitude, without leading zeros.
    fn digits(&self) -> Vec<u8> {
        let mut digits = Vec::with_capacity(LIMBS * LIMB_DIGITS);
        for &limb in self.limbs.iter().rev() {
            let mut divisor = LIMB as u32 / 10;
            while divisor > 0 {
                let digit = (limb / divisor % 10) as u8;
                if digit != 0 || !digits.is_empty() {
                    digits.push(b'0' + digit);
                }
                divisor /= 10;
            }
        }
        digits
    }

    /// Appends the text as the server prints it: a digit before the point, all digits of the scale after it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        if self.negative && !digits.is_empty() {
            out.push(b'-');
        }
        let whole = digits.len().saturating_sub(self.scale);
        if whole == 0 {
            out.push(b'0');
        }
        out.extend_from_slice(&digits[..whole]);
        if self.scale > 0 {
            out.push(b'.');
            out.extend(std::iter::repeat_n(b'0', self.scale - (digits.len() - whole)));
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn add(a: &[u32; LIMBS], b: &[u32; LIMBS]) -> Option<[u32; LIMBS]> {
    let mut sum = [0; LIMBS];
    let mut carry = 0;
    for ((out, &a), &b) in sum.iter_mut().zip(a).zip(b) {
        let total = u64::from(a) + u64::from(b) + carry;
        *out = (total % LIMB) as u32;
        carry = total / LIMB;
    }
    (carry == 0).then_some(sum)
}

/// `a - b`, where `a` is not less than `b`.
fn subtract(a: &[u32; LIMBS], b: &[u32; LIMBS]) -> [u32; LIMBS] {
    let mut difference = [0; LIMBS];
    let mut borrow = 0;
    for ((out, &a), &b) in difference.iter_mut().zip(a).zip(b) {
        let total = LIMB + u64::from(a) - u64::from(b) - borrow;
        *out = (total % LIMB) as u32;
        borrow = u64::from(total < LIMB);
    }
    difference
}

fn compare_limbs(a: &[u32; LIMBS], b: &[u32; LIMBS]) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

fn divide(limbs: &[u32; LIMBS], divisor: u64) -> Option<[u32; LIMBS]> {
    let divisor = u128::from(divisor);
    let mut quotient = [0; LIMBS];
    let mut rest = 0_u128;
    for (out, &limb) in quotient.iter_mut().zip(limbs).rev() {
        let value = rest * u128::from(LIMB) + u128::from(limb);
        *out = value.checked_div(divisor)? as u32;
        rest = value % divisor;
    }
    Some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    fn text(value: &Decimal) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn averages_are_cut_and_rounded_where_the_server_does() {
        // (sum, scale of the average, what AVG gave on MariaDB 10.11 and MySQL 9.7 for 1, 0 and 1.)
        for (sum, scale, average) in [
            ("2", 4, "0.6667"),
            ("2.00", 6, "0.666667"),
            ("2.00000", 9, "0.666666666"),
            ("2.000000000", 13, "0.6666666666667"),
            ("2.00000000000000", 18, "0.666666666666666666"),
            ("2.0000000000000000000000000000", 30, "0.666666666666666666666666666667"),
            ("2.0000000000000000000000000000", 32, "0.66666666666666666666666666666667"),
            ("2.000000000000000000000000000000", 34, "0.6666666666666666666666666666666667"),
            ("2", 9, "0.666666666"),
            ("2.00", 11, "0.66666666667"),
            ("2.00", 9, "0.666666666"),
            ("2", 7, "0.6666667"),
            ("2.00", 2, "0.67"),
            ("2.00000", 5, "0.66667"),
            ("2", 0, "0"),
            ("-2.00000", 9, "-0.666666666"),
            ("-2", 4, "-0.6667"),
            ("-2", 0, "0"),
        ] {
            assert_eq!(text(&parse(sum).average(3, scale).unwrap()), average, "{sum} / 3");
        }
        assert!(parse("1").average(0, 4).is_none());
    }

    #[test]
    fn sixty_five_digits_are_exact() {
        let nines = "9".repeat(65);
        let sum = parse(&nines).checked_add(parse("1")).unwrap();
        assert_eq!(text(&sum), format!("1{}", "0".repeat(65)));
        assert!(sum.is_too_long() && !parse(&nines).is_too_long());
        assert_eq!(text(&sum.checked_add(parse("-1")).unwrap()), nines);
        let part = format!("{}.{}", "9".repeat(35), "9".repeat(30));
        assert_eq!(text(&parse(&part)), part);
        assert_eq!(
            text(&parse(&format!("-{part}")).checked_add(parse(&part)).unwrap()),
            format!("0.{}", "0".repeat(30))
        );
    }

    #[test]
    fn what_is_no_decimal_is_not_read() {
        for text in ["", "-", ".", "1e5", "1.2.3", "--1", "0x1", " 1"] {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(Decimal::parse("1".repeat(127).as_bytes()).is_none());
        assert_eq!(text(&parse("-0.00")), "0.00");
        assert_eq!(text(&parse("+007.5")), "7.5");
    }

    /// `value * 10^-scale` as a server prints it.
    fn fixed(value: i128, scale: usize) -> String {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
        let (whole, part) = digits.split_at(digits.len() - scale);
        let sign = if value < 0 { "-" } else { "" };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    proptest! {
        #[test]
        fn sums_and_comparisons_agree_with_integers(a in -(10_i128.pow(36))..10_i128.pow(36), b in -(10_i128.pow(36))..10_i128.pow(36), scale in 0_usize..30) {
            let (a_text, b_text) = (fixed(a, scale), fixed(b, scale));
            let sum = parse(&a_text).checked_add(parse(&b_text)).unwrap();
            prop_assert_eq!(text(&sum), fixed(a + b, scale));
            prop_assert_eq!(compare_text(a_text.as_bytes(), b_text.as_bytes()), a.cmp(&b));
        }

        #[test]
        fn comparison_ignores_how_a_number_is_written(a in -10_000_i128..10_000, zeros in 0_usize..5, more in 0_usize..5) {
            let plain = fixed(a, 2);
            let (sign, magnitude) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
            let padded = format!("{sign}{}{magnitude}{}", "0".repeat(zeros), "0".repeat(more));
            prop_assert_eq!(compare_text(plain.as_bytes(), padded.as_bytes()), Ordering::Equal);
        }

        #[test]
        fn averages_round_half_away_from_zero(sum in -(10_i128.pow(15))..10_i128.pow(15), count in 1_u64..1_000_000) {
            // Scale 6 out of scale 2 is no whole limb, so the server rounds.
            let (scaled, half) = (sum.abs() * 10_000, i128::from(count));
            let rounded = (2 * scaled + half) / (2 * half) * sum.signum();
            prop_assert_eq!(text(&parse(&fixed(sum, 2)).average(count, 6).unwrap()), fixed(rounded, 6));
        }
    }
}
