//! How collations take letters beyond ASCII.
//!
//! The tables were read from servers (`WEIGHT_STRING` of each character); MySQL 9 and MariaDB 10.11 agree in all that both
//! have, and a test compares them with the server at hand. They hold letters of which the weights of a text are the
//! weights of its characters, one after the other: no combining marks, and no letters of which two make a third.
//! Where a row is placed depends on them, so they never change: a collation that differs needs a table of its own.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A collation of one level, by its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Letters {
    /// `general_ci`.
    General,
    /// `unicode_ci`.
    Unicode,
    /// `unicode_520_ci`.
    Unicode520,
    /// `0900_ai_ci` of MySQL.
    Unicode0900,
    /// `uca1400_ai_ci` of MariaDB.
    Unicode1400,
    /// `swedish_ci` of latin1.
    Latin1,
}

type Table = HashMap<char, &'static str>;

/// Reads a table: on each line what equal characters become, a tab, and these characters.
fn read(text: &'static str) -> Table {
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines.flat_map(|(form, members)| members.chars().map(move |member| (member, form))).collect()
}

static GENERAL: LazyLock<Table> = LazyLock::new(|| read(include_str!("letters/general_ci.txt")));
static UNICODE: LazyLock<Table> = LazyLock::new(|| read(include_str!("letters/unicode_ci.txt")));
static UNICODE_520: LazyLock<Table> = LazyLock::new(|| read(include_str!("letters/unicode_520_ci.txt")));
static UNICODE_0900: LazyLock<Table> = LazyLock::new(|| read(include_str!("letters/0900_ai_ci.txt")));
static UNICODE_1400: LazyLock<Table> = LazyLock::new(|| read(include_str!("letters/uca1400_ai_ci.txt")));
static LATIN1: LazyLock<Table> = LazyLock::new(|| read(include_str!("letters/swedish_ci.txt")));

impl Letters {
    /// The table of a collation, whose name is without character set and `nopad`.
    pub(super) fn of(collation: &str) -> Option<Self> {
        Some(match collation {
            "general_ci" => Self::General,
            "unicode_ci" => Self::Unicode,
            "unicode_520_ci" => Self::Unicode520,
            "0900_ai_ci" => Self::Unicode0900,
            "uca1400_ai_ci" => Self::Unicode1400,
            "swedish_ci" => Self::Latin1,
            _ => return None,
        })
    }

    fn table(self) -> &'static Table {
        match self {
            Self::General => &GENERAL,
            Self::Unicode => &UNICODE,
            Self::Unicode520 => &UNICODE_520,
            Self::Unicode0900 => &UNICODE_0900,
            Self::Unicode1400 => &UNICODE_1400,
            Self::Latin1 => &LATIN1,
        }
    }

    /// Adds the form of a character that is not ASCII; whether it is known.
    pub(super) fn fold(self, letter: char, out: &mut String) -> bool {
        if self.is_itself(letter) {
            out.push(letter);
            return true;
        }
        match self.table().get(&letter) {
            Some(form) => out.push_str(form),
            None => return false,
        }
        true
    }

    /// Han and Hangul: each equals itself alone.
    fn is_itself(self, letter: char) -> bool {
        let is_han = ('\u{4E00}'..='\u{9FA5}').contains(&letter);
        self != Self::Latin1 && (is_han || ('\u{AC00}'..='\u{D7A3}').contains(&letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_rows_stay() {
        let fold = |letters: Letters, text: &str| {
            let mut out = String::new();
            text.chars().all(|letter| letters.fold(letter, &mut out)).then_some(out)
        };
        assert_eq!(fold(Letters::General, "ÄéßÆЖж漢한").as_deref(), Some("aesÆЖЖ漢한"));
        assert_eq!(fold(Letters::Unicode, "ÄßÆŁがカ").as_deref(), Some("assÆŁかか"));
        assert_eq!(fold(Letters::Unicode520, "ÆŁが").as_deref(), Some("aelか"));
        assert_eq!(fold(Letters::Unicode0900, "ÆŁ\u{AD}").as_deref(), Some("ael"));
        assert_eq!(fold(Letters::Unicode1400, "ÆŁ\u{AD}").as_deref(), Some("ael"));
        assert_eq!(fold(Letters::Latin1, "ÄÅ\u{AD}").as_deref(), Some("\\[\u{AD}"));
        assert_eq!(fold(Letters::Latin1, "漢"), None);
        for unknown in ["\u{301}", "\u{1100}", "ا", "😀", "\u{2F00}"] {
            assert_eq!(fold(Letters::General, unknown), None, "{unknown}");
        }
    }
}
