//! The hash functions that algorithms build on. Stable for ever: they decide where rows are.

use std::io::Cursor;

use xxhash_rust::xxh3::xxh3_64;

use super::{RouteError, wrong};
use crate::route::key::KeyValue;

/// A hash of a key to 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HashFunction {
    /// XXH3 with 64 bits: of an integer its eight bytes, little-endian; of everything else the text.
    #[default]
    Xxh3,
    /// CRC-32 of the text, as MySQL's `CRC32(key)`.
    Crc32,
    /// MurmurHash3 x86 with 32 bits and seed 0, of the text.
    Murmur3,
    /// Absolute value of Java's `hashCode()`, as ShardingSphere's `HASH_MOD`: `Integer`, `Long` or `BigInteger` by
    /// size for integers, `String` (as written) for texts.
    Java,
}

impl HashFunction {
    /// All of them, for messages and tests.
    pub const ALL: [Self; 4] = [Self::Xxh3, Self::Crc32, Self::Murmur3, Self::Java];

    /// Its name in the rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xxh3 => "xxh3",
            Self::Crc32 => "crc32",
            Self::Murmur3 => "murmur3",
            Self::Java => "java",
        }
    }

    /// The hash of a key; `algorithm` names who asks, in the error.
    pub fn hash(self, algorithm: &'static str, key: &KeyValue) -> Result<u64, RouteError> {
        match self {
            Self::Xxh3 => Ok(xxh3(key)),
            Self::Crc32 => Ok(key.with_text(|text| crc32fast::hash(text).into())),
            Self::Murmur3 => Ok(key.with_text(|text| murmur3_32(text).into())),
            Self::Java => java(key).ok_or_else(|| wrong(algorithm, "an integer or a text", key)),
        }
    }
}

/// The bytes of a key that stable hashes of our own read: eight bytes of an integer, the text of everything else.
pub(super) fn with_bytes<R>(key: &KeyValue, use_bytes: impl FnOnce(&[u8]) -> R) -> R {
    match key {
        // The low 64 bits tell all integers of a column apart, be it BIGINT or BIGINT UNSIGNED.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        KeyValue::Int(value) => use_bytes(&(*value as u64).to_le_bytes()),
        other => other.with_text(use_bytes),
    }
}

/// XXH3 of a key.
pub(super) fn xxh3(key: &KeyValue) -> u64 {
    with_bytes(key, xxh3_64)
}

fn murmur3_32(bytes: &[u8]) -> u32 {
    // Reading from memory does not fail.
    murmur3::murmur3_32(&mut Cursor::new(bytes), 0).unwrap_or_default()
}

fn java(key: &KeyValue) -> Option<u64> {
    let code = match key {
        KeyValue::Int(value) => java_integer(*value),
        KeyValue::Text(text) => {
            text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
        }
        _ => return None,
    };
    Some(code.unsigned_abs().into())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
fn java_integer(value: i128) -> i32 {
    if let Ok(value) = i32::try_from(value) {
        value
    } else if let Ok(value) = i64::try_from(value) {
        (value ^ ((value as u64) >> 32) as i64) as i32
    } else {
        // BigInteger: its magnitude in words of 32 bits, the most significant first.
        let magnitude = value.unsigned_abs();
        let words = (0..4).rev().map(|i| (magnitude >> (32 * i)) as u32);
        let hash = words.fold(0_i32, |hash, word| hash.wrapping_mul(31).wrapping_add(word as i32));
        if value < 0 { hash.wrapping_neg() } else { hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(function: HashFunction, key: KeyValue) -> u64 {
        function.hash("hash_mod", &key).unwrap()
    }

    fn text(text: &str) -> KeyValue {
        KeyValue::Text(text.into())
    }

    #[test]
    fn crc32_is_mysqls() {
        // SELECT CRC32(42), CRC32('MySQL') on a MariaDB server.
        assert_eq!(hash(HashFunction::Crc32, KeyValue::Int(42)), 841_265_288);
        assert_eq!(hash(HashFunction::Crc32, text("MySQL")), 3_259_397_556);
    }

    #[test]
    fn murmur3_is_the_reference() {
        assert_eq!(hash(HashFunction::Murmur3, text("")), 0);
        assert_eq!(hash(HashFunction::Murmur3, text("hello")), 0x248b_fa47);
        assert_eq!(hash(HashFunction::Murmur3, text("hello, world")), 0x149b_bb7f);
    }

    #[test]
    fn xxh3_is_the_reference() {
        // XXH3_64bits of the empty input, with seed 0.
        assert_eq!(hash(HashFunction::Xxh3, text("")), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn java_is_javas() {
        assert_eq!(hash(HashFunction::Java, text("hello")), 99_162_322);
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE; its absolute value as a long is 2^31.
        assert_eq!(hash(HashFunction::Java, text("polygenelubricants")), 1 << 31);
        assert_eq!(hash(HashFunction::Java, text("ß€")), 223 * 31 + 8364);
        assert_eq!(hash(HashFunction::Java, KeyValue::Int(42)), 42);
        assert_eq!(hash(HashFunction::Java, KeyValue::Int(-42)), 42);
        assert_eq!(hash(HashFunction::Java, KeyValue::Int(1 << 32)), 1);
        assert_eq!(hash(HashFunction::Java, KeyValue::Int(i128::from(i64::MAX))), 1 << 31);
        // new BigInteger("18446744073709551615").hashCode() = 31 * -1 + -1 = -32
        assert_eq!(hash(HashFunction::Java, KeyValue::Int(i128::from(u64::MAX))), 32);
        assert!(HashFunction::Java.hash("hash_mod", &KeyValue::Bytes(vec![1])).is_err());
    }
}
