//! Which texts a collation takes as equal, as far as that is known.

use super::letters::Letters;

/// How texts are folded so that equal ones become the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fold {
    /// Texts are equal when their characters are.
    Exact,
    /// Printable ASCII texts are equal when they are so apart from case, or more strictly; of others nothing is known:
    /// `é` may equal `e`, `ß` may equal `s` or `ss`, control characters may count for nothing.
    AsciiCase,
    /// Printable ASCII texts are equal when they are so apart from case; of other letters a table is known.
    Letters(Letters),
}

/// The collations, without character set and `nopad`, whose ASCII part is known. Those of languages are left out:
/// in Lithuanian `i` equals `y`, in Latin `u` equals `v`, in Hungarian `ccs` equals `cscs`.
const ASCII_CASE: &[&str] = &[
    "general_ci",
    "general_cs",
    "general_mysql500_ci",
    "unicode_ci",
    "unicode_520_ci",
    "swedish_ci",
    "0900_ai_ci",
    "0900_as_ci",
    "0900_as_cs",
    "uca1400_ai_ci",
    "uca1400_as_ci",
    "uca1400_ai_cs",
    "uca1400_as_cs",
];

/// Character sets in which ASCII characters are one byte each.
const CHARSETS: &[&str] = &["utf8mb4_", "utf8mb3_", "utf8_", "latin1_", "ascii_"];

/// How a collation folds, and whether it pads with spaces; `None` when that is not known.
pub(super) fn known(collation: &str) -> Option<(Fold, bool)> {
    let collation = collation.to_ascii_lowercase();
    let charset = CHARSETS.iter().find(|charset| collation.starts_with(**charset));
    let rest = charset.map_or(&*collation, |charset| &collation[charset.len()..]);
    // Only latin1's Swedish is plain; utf8's knows v = w.
    if (rest == "swedish_ci" && charset != Some(&"latin1_")) || (charset.is_none() && !rest.starts_with("uca1400_")) {
        return None;
    }
    let pads = !rest.contains("nopad") && !rest.starts_with("0900_");
    let plain = rest.replace("nopad_", "");
    if plain == "bin" || plain == "0900_bin" {
        return Some((Fold::Exact, pads));
    }
    let fold = Letters::of(&plain).map_or(Fold::AsciiCase, Fold::Letters);
    ASCII_CASE.contains(&plain.as_str()).then_some((fold, pads))
}

impl Fold {
    /// The form that equal texts share; `None` when it is not known.
    pub(super) fn apply(self, text: &str) -> Option<String> {
        match self {
            Self::Exact => Some(text.to_owned()),
            Self::AsciiCase => {
                let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                is_printable.then(|| text.to_ascii_lowercase())
            }
            Self::Letters(letters) => {
                let mut folded = String::with_capacity(text.len());
                for letter in text.chars() {
                    match letter {
                        ' '..='~' => folded.push(letter.to_ascii_lowercase()),
                        _ if letters.fold(letter, &mut folded) => {}
                        _ => return None,
                    }
                }
                Some(folded)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collations() {
        assert_eq!(known("utf8mb4_bin"), Some((Fold::Exact, true)));
        assert_eq!(known("utf8mb4_0900_bin"), Some((Fold::Exact, false)));
        assert_eq!(known("utf8mb4_nopad_bin"), Some((Fold::Exact, false)));
        assert_eq!(known("latin1_swedish_ci"), Some((Fold::Letters(Letters::Latin1), true)));
        assert_eq!(known("latin1_swedish_nopad_ci"), Some((Fold::Letters(Letters::Latin1), false)));
        assert_eq!(known("utf8mb3_general_ci"), Some((Fold::Letters(Letters::General), true)));
        assert_eq!(known("utf8mb4_0900_ai_ci"), Some((Fold::Letters(Letters::Unicode0900), false)));
        assert_eq!(known("utf8mb4_uca1400_ai_ci"), Some((Fold::Letters(Letters::Unicode1400), true)));
        assert_eq!(known("utf8mb4_0900_as_ci"), Some((Fold::AsciiCase, false)));
        assert_eq!(known("uca1400_nopad_as_ci"), Some((Fold::AsciiCase, false)));
        let unknown = [
            "utf8mb4_swedish_ci",
            "utf8mb4_lithuanian_ci",
            "utf8mb4_tr_0900_ai_ci",
            "utf16_general_ci",
            "ucs2_bin",
            "bin",
            "",
            "utf8mb4_hungarian_ci",
            "gbk_chinese_ci",
            "big5_bin",
            "sjis_bin",
        ];
        for collation in unknown {
            assert_eq!(known(collation), None, "{collation}");
        }
    }

    #[test]
    fn folding() {
        assert_eq!(Fold::AsciiCase.apply("Ann Lee-7"), Some("ann lee-7".into()));
        assert_eq!(Fold::AsciiCase.apply("Müller"), None);
        assert_eq!(Fold::Letters(Letters::General).apply("Müller-7"), Some("muller-7".into()));
        assert_eq!(Fold::Letters(Letters::Unicode).apply("Großes 漢字"), Some("grosses 漢字".into()));
        assert_eq!(Fold::Letters(Letters::General).apply("e\u{301}"), None);
        assert_eq!(Fold::AsciiCase.apply("a\u{1}"), None);
        assert_eq!(Fold::Exact.apply("Müller\u{1}"), Some("Müller\u{1}".into()));
    }
}
