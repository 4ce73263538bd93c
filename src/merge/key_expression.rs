//! Which hidden column the shards must send so that a column's order can be compared outside the server.

use super::{MergeError, Pad};

/// What is compared in place of a column. The planner asks [`KeyExpression::for_column`], adds [`KeyExpression::sql`]
/// to the shards' select list where it is not `None`, and points a [`super::Weight`] at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExpression {
    /// The column itself: no hidden column.
    Itself,
    /// `WEIGHT_STRING(col)`: text.
    WeightString(Pad),
    /// `col+0`: ENUM and SET order by their index, not by their text.
    Index,
    /// `col+0e0`: FLOAT is printed with six digits, so equal text may be two values.
    Double,
    /// `UNIX_TIMESTAMP(col)`: TIMESTAMP text runs through one hour twice at the end of summer time.
    UnixTimestamp,
}

impl KeyExpression {
    /// Chooses by the column's type (`DATA_TYPE` of information_schema.COLUMNS) and collation, or refuses.
    pub fn for_column(data_type: &str, collation: Option<&str>) -> Result<Self, MergeError> {
        match data_type.to_ascii_lowercase().as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal" | "numeric" | "double"
            | "real" | "date" | "datetime" | "time" | "year" | "bit" | "binary" | "varbinary" | "tinyblob" | "blob"
            | "mediumblob" | "longblob" => Ok(Self::Itself),
            "enum" | "set" => Ok(Self::Index),
            "float" => Ok(Self::Double),
            "timestamp" => Ok(Self::UnixTimestamp),
            // MariaDB orders such columns as if filled with blanks, their weights are not, and MIN and MAX are neither.
            "char" if collation.is_some_and(|collation| collation.to_ascii_lowercase().contains("nopad")) => {
                Err(MergeError::NotSupported {
                    what: "ordering rows of several shards by a CHAR column of a NO PAD collation".to_owned(),
                    instead: "name the sharding key, or make the column VARCHAR",
                })
            }
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                Pad::of_collation(collation.unwrap_or("")).map(Self::WeightString)
            }
            other => Err(MergeError::NotSupported {
                what: format!("ordering rows of several shards by a column of type {other}"),
                instead: "name the sharding key, or order by a column of another type",
            }),
        }
    }

    /// The hidden column's text for a column written as `expression`, or `None` if none is needed.
    pub fn sql(self, expression: &str) -> Option<String> {
        match self {
            Self::Itself => None,
            Self::WeightString(_) => Some(format!("WEIGHT_STRING({expression})")),
            Self::Index => Some(format!("({expression})+0")),
            Self::Double => Some(format!("({expression})+0e0")),
            Self::UnixTimestamp => Some(format!("UNIX_TIMESTAMP({expression})")),
        }
    }

    /// The hidden column's text for `MIN(expression)` or `MAX(expression)`, `None` if none is needed.
    /// `function` is MIN or MAX.
    pub fn sql_of_extreme(self, function: &str, expression: &str) -> Option<String> {
        match self {
            // Six digits are cut monotonously: the least value has the least text.
            Self::Itself | Self::Double => None,
            Self::WeightString(_) => Some(format!("WEIGHT_STRING({function}({expression}))")),
            // MIN and MAX of ENUM and SET compare the text, with the column's collation; that weight is not proven.
            Self::Index => None,
            Self::UnixTimestamp => Some(format!("{function}(UNIX_TIMESTAMP({expression}))")),
        }
    }

    /// The pad of that hidden column.
    pub fn pad(self) -> Pad {
        match self {
            Self::WeightString(pad) => pad,
            _ => Pad::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_char_columns_without_pad_is_not_known() {
        assert!(KeyExpression::for_column("char", Some("utf8mb4_nopad_bin")).is_err());
        assert_eq!(
            KeyExpression::for_column("varchar", Some("utf8mb4_nopad_bin")),
            Ok(KeyExpression::WeightString(Pad::None))
        );
        assert!(KeyExpression::for_column("char", Some("utf8mb4_bin")).is_ok());
    }
}
