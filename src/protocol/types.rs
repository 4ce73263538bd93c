//! Column types and flags (`field__types_8h.html`, `group__group__cs__column__definition__flags.html`).

use super::flags::flag_set;

/// The type byte of a column definition or of a statement parameter. A plain byte, so that a type which a newer
/// server invents passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ColumnType(pub u8);

#[allow(missing_docs)] // the names are MySQL's
impl ColumnType {
    pub const DECIMAL: Self = Self(0);
    pub const TINY: Self = Self(1);
    pub const SHORT: Self = Self(2);
    pub const LONG: Self = Self(3);
    pub const FLOAT: Self = Self(4);
    pub const DOUBLE: Self = Self(5);
    pub const NULL: Self = Self(6);
    pub const TIMESTAMP: Self = Self(7);
    pub const LONGLONG: Self = Self(8);
    pub const INT24: Self = Self(9);
    pub const DATE: Self = Self(10);
    pub const TIME: Self = Self(11);
    pub const DATETIME: Self = Self(12);
    pub const YEAR: Self = Self(13);
    pub const NEWDATE: Self = Self(14);
    pub const VARCHAR: Self = Self(15);
    pub const BIT: Self = Self(16);
    pub const TIMESTAMP2: Self = Self(17);
    pub const DATETIME2: Self = Self(18);
    pub const TIME2: Self = Self(19);
    pub const VECTOR: Self = Self(242);
    pub const JSON: Self = Self(245);
    pub const NEWDECIMAL: Self = Self(246);
    pub const ENUM: Self = Self(247);
    pub const SET: Self = Self(248);
    pub const TINY_BLOB: Self = Self(249);
    pub const MEDIUM_BLOB: Self = Self(250);
    pub const LONG_BLOB: Self = Self(251);
    pub const BLOB: Self = Self(252);
    pub const VAR_STRING: Self = Self(253);
    pub const STRING: Self = Self(254);
    pub const GEOMETRY: Self = Self(255);
}

/// How a value of a type is laid out in the binary protocol (`page_protocol_binary_resultset.html`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryLayout {
    /// No bytes: NULL.
    Nothing,
    /// So many bytes: integers and floating point.
    Fixed(u8),
    /// `int<1>` length, then so many bytes: dates and times.
    ShortLength,
    /// `string<lenenc>`: everything else.
    LengthEncoded,
}

impl ColumnType {
    /// The layout in the binary protocol, or `None` for a type that never crosses the wire.
    #[inline]
    pub const fn binary_layout(self) -> Option<BinaryLayout> {
        Some(match self {
            Self::NULL => BinaryLayout::Nothing,
            Self::TINY => BinaryLayout::Fixed(1),
            Self::SHORT | Self::YEAR => BinaryLayout::Fixed(2),
            Self::LONG | Self::INT24 | Self::FLOAT => BinaryLayout::Fixed(4),
            Self::LONGLONG | Self::DOUBLE => BinaryLayout::Fixed(8),
            Self::DATE | Self::TIME | Self::DATETIME | Self::TIMESTAMP => BinaryLayout::ShortLength,
            Self::DECIMAL | Self::VARCHAR | Self::BIT => BinaryLayout::LengthEncoded,
            Self(code) if code >= Self::VECTOR.0 && code != 243 && code != 244 => BinaryLayout::LengthEncoded,
            _ => return None,
        })
    }

    /// Whether values are integers (YEAR among them).
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::TINY | Self::SHORT | Self::LONG | Self::INT24 | Self::LONGLONG | Self::YEAR)
    }

    /// Whether values are exact decimals, sent as text.
    pub const fn is_decimal(self) -> bool {
        matches!(self, Self::DECIMAL | Self::NEWDECIMAL)
    }

    /// Whether values are dates or times.
    pub const fn is_temporal(self) -> bool {
        matches!(self, Self::DATE | Self::TIME | Self::DATETIME | Self::TIMESTAMP | Self::NEWDATE)
    }
}

/// The flags of a column definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ColumnFlags(pub u16);

flag_set!(ColumnFlags);

impl ColumnFlags {
    /// NOT NULL.
    pub const NOT_NULL: Self = Self(1);
    /// Part of the primary key.
    pub const PRIMARY_KEY: Self = Self(2);
    /// Part of a unique key.
    pub const UNIQUE_KEY: Self = Self(4);
    /// Part of a key.
    pub const MULTIPLE_KEY: Self = Self(8);
    /// BLOB or TEXT.
    pub const BLOB: Self = Self(16);
    /// UNSIGNED.
    pub const UNSIGNED: Self = Self(32);
    /// ZEROFILL.
    pub const ZEROFILL: Self = Self(64);
    /// Binary collation.
    pub const BINARY: Self = Self(128);
    /// ENUM.
    pub const ENUM: Self = Self(256);
    /// AUTO_INCREMENT.
    pub const AUTO_INCREMENT: Self = Self(512);
    /// TIMESTAMP.
    pub const TIMESTAMP: Self = Self(1024);
    /// SET.
    pub const SET: Self = Self(2048);
    /// No default value.
    pub const NO_DEFAULT_VALUE: Self = Self(4096);
    /// ON UPDATE CURRENT_TIMESTAMP.
    pub const ON_UPDATE_NOW: Self = Self(8192);
    /// A number.
    pub const NUM: Self = Self(32768);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::constants::ColumnType as Theirs;

    #[test]
    fn codes_agree_with_mysql_common() {
        for (ours, theirs) in [
            (ColumnType::YEAR, Theirs::MYSQL_TYPE_YEAR),
            (ColumnType::INT24, Theirs::MYSQL_TYPE_INT24),
            (ColumnType::LONGLONG, Theirs::MYSQL_TYPE_LONGLONG),
            (ColumnType::NEWDECIMAL, Theirs::MYSQL_TYPE_NEWDECIMAL),
            (ColumnType::VECTOR, Theirs::MYSQL_TYPE_VECTOR),
            (ColumnType::JSON, Theirs::MYSQL_TYPE_JSON),
            (ColumnType::VAR_STRING, Theirs::MYSQL_TYPE_VAR_STRING),
            (ColumnType::GEOMETRY, Theirs::MYSQL_TYPE_GEOMETRY),
            (ColumnType::BIT, Theirs::MYSQL_TYPE_BIT),
        ] {
            assert_eq!(ours.0, theirs as u8);
        }
    }
}
