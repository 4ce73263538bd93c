//! The types of columns that can be sharding keys.

use super::collation::{self, Fold};

/// What decides how a column compares and stores.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// TINYINT to BIGINT.
    Int {
        /// Without negative numbers.
        unsigned: bool,
        /// 8, 16, 24, 32 or 64.
        bits: u8,
    },
    /// DECIMAL.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// FLOAT and DOUBLE: what is equal depends on the rounding of every step, so they are no sharding keys.
    Float,
    /// CHAR, VARCHAR and TEXT.
    Text(TextKey),
    /// BINARY, VARBINARY and BLOB.
    Binary {
        /// The most bytes, where the type says it.
        max_bytes: Option<u32>,
        /// BINARY: shorter values are filled up with zero bytes.
        is_fixed: bool,
    },
    /// DATE.
    Date,
    /// DATETIME. (A TIMESTAMP is [`KeyType::Unknown`]: the same text is another moment in another time zone.)
    DateTime {
        /// Digits of its fraction.
        fsp: u8,
    },
    /// TIME.
    Time {
        /// Digits of its fraction.
        fsp: u8,
    },
    /// YEAR.
    Year,
    /// There is no column at hand: integers and texts are taken as they are written. Only to show where a statement
    /// would go; to send it there, the type must be known.
    FromLiteral,
    /// Any other type.
    Unknown,
}

/// How a text column compares and stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextKey {
    /// Which texts are equal.
    pub fold: Fold,
    /// Whether spaces at the end count for nothing.
    pub pads: bool,
    /// The most characters, where the type says it.
    pub max_chars: Option<u32>,
    /// CHAR: spaces at the end are not stored.
    pub is_fixed: bool,
    /// Keys are placed as they were written, without folding case: see [`KeyType::as_written`].
    pub as_written: bool,
}

impl KeyType {
    /// The type of a column by `COLUMN_TYPE` and `COLLATION_NAME` of `information_schema.COLUMNS`:
    /// `bigint(20) unsigned`, `varchar(64)` and `utf8mb4_general_ci`, …
    pub fn of_column(column_type: &str, collation: Option<&str>) -> Self {
        let column_type = column_type.trim().to_ascii_lowercase();
        let name = column_type.split([' ', '(']).next().unwrap_or("");
        let sizes =
            column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(sizes, _)| sizes);
        let mut sizes = sizes.split(',').map(|size| size.trim().parse::<u32>().ok());
        let (first, second) = (sizes.next().flatten(), sizes.next().flatten());
        let small = |size: Option<u32>, default: u8| size.map_or(default, |size| u8::try_from(size).unwrap_or(u8::MAX));
        let int = |bits| Self::Int { unsigned: column_type.contains("unsigned"), bits };
        match name {
            "tinyint" | "bool" | "boolean" => int(8),
            "smallint" => int(16),
            "mediumint" => int(24),
            "int" | "integer" => int(32),
            "bigint" => int(64),
            "serial" => Self::Int { unsigned: true, bits: 64 },
            "decimal" | "numeric" | "dec" | "fixed" => {
                Self::Decimal { precision: small(first, 10), scale: small(second, 0) }
            }
            "float" | "double" | "real" => Self::Float,
            "char" => Self::text(collation, Some(first.unwrap_or(1)), true),
            "varchar" => Self::text(collation, first, false),
            "tinytext" | "text" | "mediumtext" | "longtext" => Self::text(collation, None, false),
            "binary" => Self::Binary { max_bytes: Some(first.unwrap_or(1)), is_fixed: true },
            "varbinary" => Self::Binary { max_bytes: first, is_fixed: false },
            "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Binary { max_bytes: None, is_fixed: false },
            "date" => Self::Date,
            "datetime" => Self::DateTime { fsp: small(first, 0).min(6) },
            "time" => Self::Time { fsp: small(first, 0).min(6) },
            "year" => Self::Year,
            _ => Self::Unknown,
        }
    }

    fn text(collation: Option<&str>, max_chars: Option<u32>, is_fixed: bool) -> Self {
        match collation {
            Some("binary") => Self::Binary { max_bytes: None, is_fixed: false },
            Some(collation) => collation::known(collation).map_or(Self::Unknown, |(fold, pads)| {
                Self::Text(TextKey { fold, pads, max_chars, is_fixed, as_written: false })
            }),
            None => Self::Unknown,
        }
    }

    /// The same type for an algorithm that compares texts with those of the rules: letters beyond ASCII lead anywhere.
    #[must_use]
    pub fn of_ascii(&self) -> Self {
        match self {
            Self::Text(text @ TextKey { fold: Fold::Letters(_), .. }) => {
                Self::Text(TextKey { fold: Fold::AsciiCase, ..*text })
            }
            other => other.clone(),
        }
    }

    /// The same type for an algorithm that places texts as they were written
    /// ([`Algorithm::takes_text_as_written`](crate::route::algorithm::Algorithm::takes_text_as_written)): a row's
    /// place is then known when it is stored, but a comparison that ignores case leads anywhere.
    #[must_use]
    pub fn as_written(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(TextKey { as_written: true, ..*text }),
            other => other.clone(),
        }
    }

    /// The greatest number that a column of integers takes.
    pub fn greatest(&self) -> Option<u64> {
        let Self::Int { unsigned, bits } = self else { return None };
        u64::try_from(*Self::int_range(*unsigned, *bits).end()).ok()
    }

    /// Least and greatest value of an integer type.
    pub(super) fn int_range(unsigned: bool, bits: u8) -> std::ops::RangeInclusive<i128> {
        let bits = u32::from(bits.clamp(1, 64));
        if unsigned { 0..=(1_i128 << bits) - 1 } else { -(1_i128 << (bits - 1))..=(1_i128 << (bits - 1)) - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_information_schema() {
        let of = |column_type| KeyType::of_column(column_type, None);
        assert_eq!(of("bigint(20) unsigned"), KeyType::Int { unsigned: true, bits: 64 });
        assert_eq!(of("int"), KeyType::Int { unsigned: false, bits: 32 });
        assert_eq!(of("tinyint(1)"), KeyType::Int { unsigned: false, bits: 8 });
        assert_eq!(of("decimal(20,4)"), KeyType::Decimal { precision: 20, scale: 4 });
        assert_eq!(of("datetime(3)"), KeyType::DateTime { fsp: 3 });
        assert_eq!(of("datetime"), KeyType::DateTime { fsp: 0 });
        assert_eq!(of("varbinary(16)"), KeyType::Binary { max_bytes: Some(16), is_fixed: false });
        assert_eq!(of("binary(16)"), KeyType::Binary { max_bytes: Some(16), is_fixed: true });
        assert_eq!(of("year(4)"), KeyType::Year);
        for other in ["timestamp", "enum('a','b')", "set('a')", "json", "bit(8)", "uuid", "geometry", "varchar(10)", ""]
        {
            assert_eq!(of(other), KeyType::Unknown, "{other}");
        }
        let text = KeyType::of_column("varchar(64)", Some("utf8mb4_0900_ai_ci"));
        assert!(matches!(text, KeyType::Text(TextKey { pads: false, max_chars: Some(64), is_fixed: false, .. })));
        let text = KeyType::of_column("char(8)", Some("utf8mb4_bin"));
        assert!(matches!(text, KeyType::Text(TextKey { pads: true, fold: Fold::Exact, is_fixed: true, .. })));
        assert_eq!(KeyType::of_column("varchar(64)", Some("utf8mb4_lithuanian_ci")), KeyType::Unknown);
    }

    #[test]
    fn ranges_of_integers() {
        assert_eq!(KeyType::int_range(false, 8), -128..=127);
        assert_eq!(KeyType::int_range(true, 24), 0..=16_777_215);
        assert_eq!(KeyType::int_range(true, 64), 0..=i128::from(u64::MAX));
        assert_eq!(KeyType::int_range(false, 64), i128::from(i64::MIN)..=i128::from(i64::MAX));
    }
}
