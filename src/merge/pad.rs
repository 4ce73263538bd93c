//! How a short WEIGHT_STRING compares with a longer one.
//!
//! Under a PAD SPACE collation 'a' and 'a ' are equal, but WEIGHT_STRING does not pad: the shorter weight is compared
//! as if extended by the weight of a space (*MySQL Reference Manual, "Trailing Space Handling in Comparisons"*).

use std::cmp::Ordering;

use super::MergeError;

/// What a shorter weight is extended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pad {
    /// Nothing: a prefix is less. NO PAD collations, binary strings, numbers.
    None,
    /// The weight of a space, over and over.
    Space(&'static [u8]),
}

impl Pad {
    /// The pad of WEIGHT_STRING under a collation, or a refusal: an unknown collation is not guessed.
    pub fn of_collation(collation: &str) -> Result<Self, MergeError> {
        known(&collation.to_ascii_lowercase()).ok_or_else(|| MergeError::NotSupported {
            what: format!("ordering rows of several shards by text in collation {collation}"),
            instead: "name the sharding key so that one shard is enough, or order by a column of another collation",
        })
    }

    /// The first eight bytes of a weight, extended as it is when compared: where these differ, the weights do.
    #[inline]
    pub(super) fn prefix(self, weight: &[u8]) -> u64 {
        if let Some(first) = weight.first_chunk::<8>() {
            return u64::from_be_bytes(*first);
        }
        let mut bytes = [0; 8];
        bytes[..weight.len()].copy_from_slice(weight);
        if let Self::Space(unit) = self {
            for (byte, &pad) in bytes[weight.len()..].iter_mut().zip(unit.iter().cycle()) {
                *byte = pad;
            }
        }
        u64::from_be_bytes(bytes)
    }

    /// Compares two weights.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        let common = a.len().min(b.len());
        match (a[..common].cmp(&b[..common]), self) {
            (Ordering::Equal, Self::Space(unit)) if a.len() != b.len() => {
                if a.len() > b.len() {
                    compare_tail(&a[common..], unit)
                } else {
                    compare_tail(&b[common..], unit).reverse()
                }
            }
            (Ordering::Equal, _) => a.len().cmp(&b.len()),
            (different, _) => different,
        }
    }
}

/// Character sets with weights of one byte for a space, whatever their collation, but for the exceptions in [`known`].
const BYTE_CHARSETS: [&str; 34] = [
    "armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8",
    "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u",
    "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ujis",
];
/// Unicode character sets whose `_bin` weights have two bytes, and three.
const UNICODE_TWO: [&str; 3] = ["utf8", "utf8mb3", "ucs2"];
const UNICODE_THREE: [&str; 4] = ["utf8mb4", "utf16", "utf16le", "utf32"];

const SPACE: Pad = Pad::Space(&[0x20]);
const SPACE_TWO: Pad = Pad::Space(&[0x00, 0x20]);
const SPACE_THREE: Pad = Pad::Space(&[0x00, 0x00, 0x20]);
/// A space in the weights of Unicode 4.0.0 and 14.0.0, and of 5.2.0.
const SPACE_UCA_400: Pad = Pad::Space(&[0x02, 0x09]);
const SPACE_UCA_520: Pad = Pad::Space(&[0x02, 0x0A]);

/// The languages with a tailoring of Unicode 4.0.0, and the untailored order.
const UCA_400: [&str; 24] = [
    "croatian",
    "croatian_mysql561",
    "czech",
    "danish",
    "esperanto",
    "estonian",
    "german2",
    "hungarian",
    "icelandic",
    "latvian",
    "lithuanian",
    "persian",
    "polish",
    "roman",
    "romanian",
    "sinhala",
    "slovak",
    "slovenian",
    "spanish",
    "spanish2",
    "swedish",
    "turkish",
    "unicode",
    "vietnamese",
];

/// The families whose WEIGHT_STRING, padded so, was compared with the server's own comparison on MariaDB 10.11 and
/// MySQL 9.7, pair by pair. Left out are those where it differs: collations of several levels (all padded at the end,
/// not level by level), and big5_chinese_ci, gb18030_chinese_ci and tis620_thai_ci.
fn known(collation: &str) -> Option<Pad> {
    if collation == "binary" {
        return Some(Pad::None);
    }
    let (charset, order) = collation.split_once('_')?;
    let is_nopad = order.split('_').any(|part| part == "nopad");
    if BYTE_CHARSETS.contains(&charset) {
        return match (charset, order) {
            ("big5" | "gb18030" | "tis620", "bin") => Some(SPACE),
            ("big5" | "tis620", "nopad_bin") => Some(Pad::None),
            ("gb18030", "unicode_520_ci") => Some(SPACE_UCA_520),
            ("big5" | "gb18030" | "tis620", _) | (_, "czech_cs") => None,
            ("latin7", "estonian_cs") => Some(Pad::Space(&[0x2C])),
            ("latin7", "general_ci" | "general_cs") => Some(Pad::Space(&[0x30])),
            _ if is_nopad => Some(Pad::None),
            _ => Some(SPACE),
        };
    }
    let bin = if UNICODE_THREE.contains(&charset) {
        SPACE_THREE
    } else if UNICODE_TWO.contains(&charset) {
        SPACE_TWO
    } else {
        return None;
    };
    match order {
        "bin" => Some(bin),
        "general_ci" | "general_mysql500_ci" | "tolower_ci" => Some(SPACE_TWO),
        "nopad_bin" | "general_nopad_ci" | "unicode_nopad_ci" | "unicode_520_nopad_ci" => Some(Pad::None),
        "unicode_520_ci" | "myanmar_ci" => Some(SPACE_UCA_520),
        // Unicode 9.0.0, MySQL only: NO PAD, its levels with separators.
        _ if charset == "utf8mb4" && order.split('_').any(|part| part == "0900") => Some(Pad::None),
        // Unicode 14.0.0, MariaDB only.
        _ if order.starts_with("uca1400_") => match (is_nopad, order.ends_with("_ai_ci"), order.ends_with("_ai_cs")) {
            (_, _, true) => None,
            (true, ..) => Some(Pad::None),
            (false, true, _) => Some(SPACE_UCA_400),
            (false, false, _) => None,
        },
        _ => order.strip_suffix("_ci").filter(|language| UCA_400.contains(language)).map(|_| SPACE_UCA_400),
    }
}

/// Compares what the longer weight has more with as many pads.
fn compare_tail(tail: &[u8], unit: &[u8]) -> Ordering {
    tail.iter().cmp(unit.iter().cycle().take(tail.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_spaces_do_not_count_where_the_collation_pads() {
        let general = Pad::of_collation("utf8mb4_general_ci").unwrap();
        let a = [0x00, 0x41];
        assert_eq!(general.compare(&a, &[0x00, 0x41, 0x00, 0x20]), Ordering::Equal);
        // 'a' TAB is less than 'a': a tab is less than a space.
        assert_eq!(general.compare(&[0x00, 0x41, 0x00, 0x09], &a), Ordering::Less);
        assert_eq!(general.compare(&a, &[0x00, 0x41, 0x00, 0x42]), Ordering::Less);
        assert_eq!(general.compare(&[], &[0x00, 0x20, 0x00, 0x20]), Ordering::Equal);
        assert_eq!(general.prefix(&a), general.prefix(&[0x00, 0x41, 0x00, 0x20]));
        assert!(general.prefix(&[0x00, 0x41, 0x00, 0x09]) < general.prefix(&a));
        let no_pad = Pad::of_collation("utf8mb4_0900_ai_ci").unwrap();
        assert_eq!(no_pad.compare(&a, &[0x00, 0x41, 0x00, 0x20]), Ordering::Less);
    }

    #[test]
    fn pads_are_those_of_the_servers() {
        for (collation, pad) in [
            ("utf8mb4_bin", SPACE_THREE),
            ("utf8mb3_bin", SPACE_TWO),
            ("utf8_general_ci", SPACE_TWO),
            ("UTF8MB4_UNICODE_CI", SPACE_UCA_400),
            ("utf8mb4_unicode_520_ci", SPACE_UCA_520),
            ("utf8mb4_uca1400_ai_ci", SPACE_UCA_400),
            ("utf8mb4_uca1400_swedish_ai_ci", SPACE_UCA_400),
            ("utf8mb4_uca1400_nopad_ai_ci", Pad::None),
            ("utf8mb4_0900_bin", Pad::None),
            ("utf8mb4_ja_0900_as_cs_ks", Pad::None),
            ("utf8mb4_spanish2_ci", SPACE_UCA_400),
            ("latin1_swedish_ci", SPACE),
            ("latin1_swedish_nopad_ci", Pad::None),
            ("latin1_german2_ci", SPACE),
            ("ascii_general_ci", SPACE),
            ("latin7_general_ci", Pad::Space(&[0x30])),
            ("binary", Pad::None),
        ] {
            assert_eq!(Pad::of_collation(collation), Ok(pad), "{collation}");
        }
    }

    #[test]
    fn what_is_not_proven_is_refused() {
        for collation in [
            "utf8mb4_uca1400_as_ci",
            "utf8mb4_uca1400_as_cs",
            "utf8mb4_uca1400_ai_cs",
            "utf8mb4_thai_520_w2",
            "latin2_czech_cs",
            "cp1250_czech_cs",
            "big5_chinese_ci",
            "tis620_thai_ci",
            "gb18030_chinese_ci",
            "utf8mb4_klingon_ci",
            "utf8mb5_general_ci",
            "",
        ] {
            let error = Pad::of_collation(collation).unwrap_err();
            assert!(error.to_string().contains(collation), "{error}");
        }
    }
}
