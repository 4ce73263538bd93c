//! `slice`: a hash of a part of a text.

use super::{Algorithm, HashFunction, RouteError, only, wrong};
use crate::route::key::KeyValue;

const NAME: &str = "slice";

/// Text keys by a part of them: `length` characters from `start` (counted from 0; from the end when negative) are
/// hashed, modulo the number of targets. Keys that share the part, such as `tenant-7:order-12` and
/// `tenant-7:order-13`, stay together. A key that is too short gives what there is. Integers count as their text.
///
/// With `hash: none` the part is taken as an integer instead, as ShardingSphere's `MOD` does with `start-offset` and
/// `stop-offset`.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: all targets.
#[derive(Debug)]
pub struct Slice {
    start: i32,
    length: Option<u32>,
    hash: Option<HashFunction>,
    targets: usize,
}

impl Slice {
    /// `length` characters, or all up to the end, from `start`; `hash` is `None` for an integer.
    pub fn new(start: i32, length: Option<u32>, hash: Option<HashFunction>, targets: usize) -> Self {
        Self { start, length, hash, targets: targets.max(1) }
    }

    fn cut<'a>(&self, text: &'a str) -> &'a str {
        let skip = usize::try_from(self.start.unsigned_abs()).unwrap_or(usize::MAX);
        let skip = if self.start < 0 { text.chars().count().saturating_sub(skip) } else { skip };
        let from = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
        let rest = &text[from..];
        let length = self.length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
        let end = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
        &rest[..end]
    }
}

impl Algorithm for Slice {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        let part = match key {
            KeyValue::Text(text) => self.cut(text).to_owned(),
            KeyValue::Int(value) => self.cut(&value.to_string()).to_owned(),
            _ => return Err(wrong(NAME, "a text", key)),
        };
        let hash = match self.hash {
            Some(hash) => hash.hash(NAME, &KeyValue::Text(part))?,
            None => part.parse().map_err(|_| wrong(NAME, "digits in its part of the text", key))?,
        };
        Ok(usize::try_from(hash % self.targets as u64).unwrap_or_default())
    }

    fn describe(&self) -> String {
        let length = self.length.map_or("all".to_owned(), |length| length.to_string());
        let hash = self.hash.map_or("none", HashFunction::name);
        format!("slice {} of {hash} from {} length {length}", self.targets, self.start)
    }

    fn takes_text_as_written(&self) -> bool {
        self.hash == Some(HashFunction::Java)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, exact, int, text};
    use super::*;

    #[test]
    fn parts() {
        let cut = |start, length, text| Slice::new(start, length, None, 4).cut(text).to_owned();
        assert_eq!(cut(0, Some(3), "abcdef"), "abc");
        assert_eq!(cut(2, Some(3), "äbcdef"), "cde");
        assert_eq!(cut(-2, None, "abcdeé"), "eé");
        assert_eq!(cut(-9, Some(2), "abc"), "ab");
        assert_eq!(cut(5, Some(2), "abc"), "");
        assert_eq!(cut(1, None, ""), "");
    }

    #[test]
    fn golden() {
        let by = Slice::new(0, Some(8), Some(HashFunction::Xxh3), 16);
        assert_eq!(exact(&by, text("tenant-7:1")), exact(&by, text("tenant-7:2")));
        let placed: Vec<usize> = (0..8).map(|i| exact(&by, text(&format!("tenant-{i}:x"))).unwrap()).collect();
        assert_eq!(placed, [11, 3, 2, 6, 0, 9, 15, 10]);
        let by = Slice::new(-4, None, None, 16);
        assert_eq!([exact(&by, text("20240131-0042")), exact(&by, int(123_456))], [Ok(10), Ok(0)]);
        assert!(matches!(exact(&by, text("abc")), Err(RouteError::WrongKind { .. })));
        assert!(matches!(exact(&by, bytes(b"1234")), Err(RouteError::WrongKind { .. })));
    }
}
