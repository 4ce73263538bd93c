//! Literals: where they stand in a text, what kind they are, and what they mean.

use super::lexer::{LexMode, TokenKind, unquote_name};
use std::borrow::Cow;

/// The kind of a literal. It is part of the fingerprint: `id = 1` and `id = '1'` are two shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LiteralKind {
    /// Digits only, of any length. A minus sign before it is not part of it.
    Integer = 1,
    /// Digits with a point.
    Decimal,
    /// A number with an exponent.
    Float,
    /// `'…'`, or `"…"` without `ANSI_QUOTES`. An introducer (`_latin1'…'`) stands before it, in the text.
    /// Strings side by side (`'a' 'b'`) are one value to the server but several literals here.
    String,
    /// `N'…'`, with the letter.
    NationalString,
    /// `x'…'` or `0x…`, with all of it.
    Hex,
    /// `b'…'` or `0b…`, with all of it.
    Bit,
    /// Not a value: a comment that no one acts on. It is listed so that texts which differ in their comments
    /// only (traces, request ids) have one fingerprint.
    Comment,
}

impl LiteralKind {
    /// The kind of a token, if it is taken out of the fingerprint.
    #[inline]
    pub fn of(token: TokenKind) -> Option<Self> {
        Some(match token {
            TokenKind::Integer => Self::Integer,
            TokenKind::Decimal => Self::Decimal,
            TokenKind::Float => Self::Float,
            TokenKind::String => Self::String,
            TokenKind::NationalString => Self::NationalString,
            TokenKind::Hex => Self::Hex,
            TokenKind::Bit => Self::Bit,
            TokenKind::Comment => Self::Comment,
            _ => return None,
        })
    }

    /// Whether it is a value, not a comment.
    pub fn is_value(self) -> bool {
        self != Self::Comment
    }
}

/// A literal in a text: kind and byte range, quotes and prefixes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Literal {
    /// Offset of its first byte.
    pub start: u32,
    /// Offset after its last byte.
    pub end: u32,
    /// What it is.
    pub kind: LiteralKind,
}

impl Literal {
    /// Its bytes as they are written.
    pub fn bytes<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Its value: the content of a string without quotes and escapes, the bytes of a hex or bit literal, the digits
    /// of a number as they are written.
    pub fn value<'a>(&self, sql: &'a [u8], mode: LexMode) -> Cow<'a, [u8]> {
        let bytes = self.bytes(sql);
        match self.kind {
            LiteralKind::Integer | LiteralKind::Decimal | LiteralKind::Float | LiteralKind::Comment => bytes.into(),
            LiteralKind::String => unescape(bytes, mode),
            LiteralKind::NationalString => unescape(&bytes[1.min(bytes.len())..], mode),
            LiteralKind::Hex => hex_bytes(digits_of(bytes)).into(),
            LiteralKind::Bit => bit_bytes(digits_of(bytes)).into(),
        }
    }
}

/// The index of the literal that has exactly this byte range.
pub fn at_range(literals: &[Literal], start: usize, end: usize) -> Option<usize> {
    let index = literals.binary_search_by(|literal| (literal.start as usize).cmp(&start)).ok()?;
    (literals[index].end as usize == end).then_some(index)
}

/// The digits of `x'4f'`, `0x4f`, `b'01'`, `0b01`.
fn digits_of(bytes: &[u8]) -> &[u8] {
    let digits = bytes.get(2..).unwrap_or_default();
    digits.strip_suffix(b"'").unwrap_or(digits)
}

/// An odd number of digits is read as if a `0` stood before them.
fn hex_bytes(digits: &[u8]) -> Vec<u8> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0) as u8;
    digits.rchunks(2).rev().map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | value(digit))).collect()
}

fn bit_bytes(digits: &[u8]) -> Vec<u8> {
    digits.rchunks(8).rev().map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit == b'1'))).collect()
}

/// The content of a string in quotes (*String Literals*, table *Special Character Escape Sequences*). `\%` and `\_`
/// keep their backslash, since `LIKE` wants it.
pub fn unescape(quoted: &[u8], mode: LexMode) -> Cow<'_, [u8]> {
    let Some((&quote, rest)) = quoted.split_first() else { return Cow::Borrowed(quoted) };
    let inner = rest.strip_suffix(&[quote]).unwrap_or(rest);
    let backslash = !mode.no_backslash_escapes;
    if !inner.iter().any(|byte| *byte == quote || (backslash && *byte == b'\\')) {
        return Cow::Borrowed(inner);
    }
    let mut content = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == quote {
            bytes.next();
            content.push(byte);
        } else if byte == b'\\' && backslash {
            match bytes.next() {
                Some(b'0') => content.push(0),
                Some(b'b') => content.push(8),
                Some(b'n') => content.push(b'\n'),
                Some(b'r') => content.push(b'\r'),
                Some(b't') => content.push(b'\t'),
                Some(b'Z') => content.push(0x1a),
                Some(like @ (b'%' | b'_')) => content.extend([b'\\', like]),
                Some(other) => content.push(other),
                None => content.push(b'\\'),
            }
        } else {
            content.push(byte);
        }
    }
    content.into()
}

/// The name of a user variable as it is written behind the `@`: plain, in backticks, or as a string.
pub fn user_variable(written: &[u8], mode: LexMode) -> String {
    match written.first() {
        Some(b'\'' | b'"') => String::from_utf8_lossy(&unescape(written, mode)).into_owned(),
        _ => unquote_name(written).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: LiteralKind, text: &str) -> Vec<u8> {
        let literal = Literal { start: 0, end: text.len() as u32, kind };
        literal.value(text.as_bytes(), LexMode::default()).into_owned()
    }

    #[test]
    fn strings_lose_their_quotes_and_escapes() {
        assert_eq!(value(LiteralKind::String, "'it''s'"), b"it's");
        assert_eq!(value(LiteralKind::String, r"'a\n\0\\\'\%\_\q'"), b"a\n\0\\'\\%\\_q");
        assert_eq!(value(LiteralKind::String, r#""say ""x"" 'y'""#), br#"say "x" 'y'"#);
        assert_eq!(value(LiteralKind::NationalString, "N'x'"), b"x");
        let plain = LexMode { no_backslash_escapes: true, ..LexMode::default() };
        assert_eq!(unescape(br"'a\n'", plain).as_ref(), br"a\n");
    }

    #[test]
    fn hex_and_bit_literals_become_bytes() {
        assert_eq!(value(LiteralKind::Hex, "x'4D79'"), b"My");
        assert_eq!(value(LiteralKind::Hex, "0xfff"), [0x0f, 0xff]);
        assert_eq!(value(LiteralKind::Bit, "b'1'"), [1]);
        assert_eq!(value(LiteralKind::Bit, "0b100000001"), [1, 1]);
    }

    #[test]
    fn a_literal_is_found_by_its_exact_range() {
        let literals = [
            Literal { start: 3, end: 5, kind: LiteralKind::Integer },
            Literal { start: 9, end: 10, kind: LiteralKind::Integer },
        ];
        assert_eq!(at_range(&literals, 9, 10), Some(1));
        assert_eq!(at_range(&literals, 3, 10), None);
        assert_eq!(at_range(&literals, 4, 5), None);
    }
}
