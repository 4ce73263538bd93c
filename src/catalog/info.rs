//! A table's definition as far as routing and planning need it.

use crate::route::key::KeyType;

/// What a name in a schema stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// A table with rows of its own.
    Base,
    /// A view.
    View,
    /// A table of `information_schema`, a sequence, and the like.
    Other,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name, as it was created.
    pub name: String,
    /// `DATA_TYPE`, in small letters: `int`, `varchar`, `datetime`, …
    pub data_type: String,
    /// `COLUMN_TYPE`: `int(10) unsigned`, `enum('a','b')`, …
    pub column_type: String,
    /// How values of the column compare and are stored: what a sharding key is made with.
    pub key_type: KeyType,
    /// The character set of a text.
    pub charset: Option<String>,
    /// The collation of a text.
    pub collation: Option<String>,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Whether the server numbers it.
    pub auto_increment: bool,
    /// Whether it is computed from other columns.
    pub generated: bool,
    /// Whether `SELECT *` leaves it out.
    pub invisible: bool,
    /// Whether a text holds JSON on MariaDB, which tells by a CHECK of the column. MySQL has a type for it.
    pub is_json_text: bool,
    /// `COLUMN_DEFAULT`, as the server writes it: MySQL the value, MariaDB an expression (`'a'`, `NULL`).
    pub default: Option<String>,
}

impl ColumnInfo {
    /// Whether a number of this column has no sign.
    pub fn is_unsigned(&self) -> bool {
        self.column_type.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("unsigned"))
    }
}

/// A key that allows a value once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Whether the columns are in it as they are: no prefixes, no expressions.
    pub is_whole: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Table, view, or something else.
    pub kind: TableKind,
    /// Whether its server is MySQL, or what behaves like it.
    pub on_mysql: bool,
    /// The columns, in order; invisible ones too.
    pub columns: Vec<ColumnInfo>,
    /// The columns of the primary key, in order; empty without one.
    pub primary_key: Vec<String>,
    /// The other unique keys.
    pub unique_keys: Vec<UniqueKey>,
    /// The storage engine of a table.
    pub engine: Option<String>,
    /// The default collation of a table.
    pub collation: Option<String>,
    /// The query of a view, as its server prints it: every name resolved, with physical schemas and tables
    /// (`VIEW_DEFINITION`).
    pub definition: Option<String>,
}

impl TableInfo {
    /// The columns by which each row is known: the primary key, or else a unique key that takes no NULL. Empty if there is
    /// neither.
    pub fn row_key(&self) -> &[String] {
        if !self.primary_key.is_empty() {
            return &self.primary_key;
        }
        let takes_no_null =
            |column: &String| self.column(column).is_some_and(|(_, column)| !column.nullable && !column.generated);
        let mut keys = self.unique_keys.iter();
        keys.find(|key| key.is_whole && key.columns.iter().all(takes_no_null)).map_or(&[], |key| &key.columns)
    }

    /// A column by name, in any case, with its position.
    pub fn column(&self, name: &str) -> Option<(usize, &ColumnInfo)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name.eq_ignore_ascii_case(name))
    }

    /// The column that the server numbers.
    pub fn auto_increment(&self) -> Option<&ColumnInfo> {
        self.columns.iter().find(|column| column.auto_increment)
    }

    /// The columns of `SELECT *`.
    pub fn visible_columns(&self) -> impl Iterator<Item = &ColumnInfo> {
        self.columns.iter().filter(|column| !column.invisible)
    }
}
