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
        match collation {
            "binary" | "utf8mb4_0900_ai_ci" | "utf8mb4_0900_as_cs" | "utf8mb4_0900_bin" => Ok(Self::None),
            "utf8mb4_general_ci" | "utf8mb3_general_ci" | "utf8_general_ci" => Ok(Self::Space(&[0x00, 0x20])),
            "utf8mb4_unicode_ci" | "utf8mb3_unicode_ci" | "utf8_unicode_ci" => Ok(Self::Space(&[0x02, 0x09])),
            "latin1_swedish_ci" | "latin1_bin" | "ascii_general_ci" | "ascii_bin" => Ok(Self::Space(&[0x20])),
            _ => Err(MergeError::NotSupported {
                what: format!("ordering rows of several shards by text in collation {collation}"),
                instead: "name the sharding key, or order by a column of another collation",
            }),
        }
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

/// Compares what the longer weight has more with as many pads.
fn compare_tail(tail: &[u8], unit: &[u8]) -> Ordering {
    tail.iter().cmp(unit.iter().cycle().take(tail.len()))
}
