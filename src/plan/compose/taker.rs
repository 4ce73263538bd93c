//! Columns that take values which a query has read, as far as it matters to how the values are written.

use crate::catalog::{ColumnInfo, TableInfo};

/// What a column makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A whole number.
    Integer,
    /// A DECIMAL, FLOAT or DOUBLE.
    Fraction,
    /// A YEAR.
    Year,
    /// Bits.
    Bit,
    /// A DATE.
    Date,
    /// A DATETIME or TIMESTAMP.
    Moment,
    /// A TIME.
    Time,
    /// Text or bytes.
    Text,
    /// A member of an ENUM, members of a SET.
    Member,
    /// MySQL's JSON.
    Json,
    /// Something else.
    Other,
}

/// A column that takes values.
#[derive(Debug, Clone)]
pub(crate) struct Taker {
    /// Its name.
    pub column: Box<str>,
    /// What it makes of them.
    pub takes: Takes,
}

impl Taker {
    /// A column of a table; `None` if there is none of that name.
    pub fn of(info: &TableInfo, name: &str) -> Option<Self> {
        info.column(name).map(|(_, column)| Self::of_column(column))
    }

    /// Those of a list of columns; none where the list has a name that the table has not, of which its server tells.
    pub fn list<'a>(info: &TableInfo, names: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        names.into_iter().map(|name| Self::of(info, name)).collect::<Option<_>>().unwrap_or_default()
    }

    fn of_column(column: &ColumnInfo) -> Self {
        let takes = match &*column.data_type {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Takes::Integer,
            "decimal" | "float" | "double" => Takes::Fraction,
            "year" => Takes::Year,
            "bit" => Takes::Bit,
            "date" => Takes::Date,
            "datetime" | "timestamp" => Takes::Moment,
            "time" => Takes::Time,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "binary" | "varbinary"
            | "tinyblob" | "blob" | "mediumblob" | "longblob" => Takes::Text,
            "enum" | "set" => Takes::Member,
            "json" => Takes::Json,
            _ => Takes::Other,
        };
        Self { column: column.name.as_str().into(), takes }
    }

    /// Whether it takes numbers as numbers.
    pub fn is_number(&self) -> bool {
        matches!(self.takes, Takes::Integer | Takes::Fraction)
    }
}
