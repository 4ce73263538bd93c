//! When two answers are the same.

use super::side::Mode;
use crate::support::raw::bytes::Reader;
use crate::support::raw::response::{Column, Response, Rows};

/// Key flags of a column, and the one of a column that is grouped by, tell how a server ran the statement: it drops or adds
/// them where it sorts in a temporary table.
const INCIDENTAL_COLUMN_FLAGS: u16 = 0x0002 | 0x0004 | 0x0008 | 0x4000 | 0x8000;
/// The column holds no NULL.
const NOT_NULL: u16 = 0x0001;
/// `binary` as a character set: bytes, numbers, dates.
const BINARY_CHARSET: u16 = 63;
/// Significant digits of a floating-point number that do not depend on the order in which it was summed up.
const DOUBLE_DIGITS: usize = 10;

/// Flags of a computed column that do not depend on it: it may be NULL, has no sign, is an ENUM or SET.
const KEPT_OF_COMPUTED: u16 = NOT_NULL | 0x0020 | 0x0100 | 0x0800;
/// The type of NULL.
const NULL_TYPE: u8 = 6;
/// The type of YEAR.
const YEAR_TYPE: u8 = 13;
/// [`Column::class`] of texts.
const TEXT_CLASS: u8 = 253;
/// Where several equal texts become one, which of them is shown is open.
const REPRESENTATIVES: [&str; 8] = ["GROUP BY", "DISTINCT", "UNION", "INTERSECT", "EXCEPT", "MIN(", "MAX(", "LIMIT"];

/// Aggregates of a bare parameter, which MySQL forgets beside DISTINCT ones.
const OF_PARAMETERS: [&str; 4] = ["MIN(?)", "MAX(?)", "SUM(?)", "AVG(?)"];

/// Whether a prepared statement is one that MySQL 9.7 answers with NULL for a parameter: an aggregate of it beside an
/// aggregate of DISTINCT values, in groups of sorted rows of a join.
pub fn forgets_parameters(sql: &str) -> bool {
    sql.contains("(DISTINCT ") && sql.contains("GROUP BY") && OF_PARAMETERS.iter().any(|of| sql.contains(of))
}

type Cell = Option<Vec<u8>>;

/// An answer in a form that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Rows {
        columns: Vec<Column>,
        cells: Vec<Vec<Cell>>,
    },
    Error(u16, String),
    /// OK, or a connection that broke.
    Other(String),
}

/// How two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    Rows,
    Columns,
    Error,
}

/// How closely rows are compared.
#[derive(Debug, Clone, Copy)]
enum Level {
    Exact,
    /// Texts as collations take them as equal: which of several equal ones an answer shows is open.
    Folded,
}

impl Answer {
    pub fn new(response: &Response, mode: Mode) -> Self {
        match response {
            Response::Rows(rows) => Self::of_rows(rows, mode),
            Response::Err(error) => Self::Error(error.errno, error.message.clone()),
            other => Self::Other(format!("{other:?}")),
        }
    }

    fn of_rows(rows: &Rows, mode: Mode) -> Self {
        let mut columns = rows.columns.clone();
        for column in &mut columns {
            column.flags &= !INCIDENTAL_COLUMN_FLAGS;
            // What is computed may have gone through a temporary table, which names it, gives texts no decimals and
            // NULL a type.
            if column.org_table.is_empty() {
                column.org_name.clear();
                column.flags &= KEPT_OF_COMPUTED;
                column.kind = if column.kind == NULL_TYPE { TEXT_CLASS } else { column.class() };
                column.decimals = if column.kind == TEXT_CLASS { 0 } else { column.decimals };
            }
            if mode == Mode::Cursor {
                // What a cursor's temporary table makes of a column depends on how its rows were found.
                let name = std::mem::take(&mut column.name);
                *column = Column { name, kind: column.class(), charset: column.charset, ..Column::default() };
            }
            // The layouts are schemas of different names.
            if column.schema.starts_with("gen_") {
                column.schema = "gen".to_owned();
            }
        }
        let decode =
            |row: &Vec<u8>| if mode != Mode::Text { binary_cells(row, &rows.columns) } else { text_cells(row) };
        Self::Rows { cells: rows.rows.iter().map(decode).collect(), columns }
    }

    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Error(1235, message) => Some(message),
            _ => None,
        }
    }

    /// Whether it is the error of another answer.
    pub fn is_error_of(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Error(errno, _), Self::Error(other, _)) if errno == other)
    }

    /// Whether it is an error that a computation comes to: a division by zero, a number out of range.
    pub fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Error(1365 | 1690, _))
    }

    /// What differs from another answer, given answers of the same server to the same rows in other orders: what those
    /// do not agree on is not determined by the statement.
    pub fn difference(
        &self,
        got: &Self,
        order: Option<&[usize]>,
        sql: &str,
        mysql: bool,
        copies: impl FnOnce() -> Vec<Answer>,
    ) -> Option<Difference> {
        if self.agrees(got, order, Level::Exact) {
            let outer = ["LEFT", "RIGHT"].iter().any(|word| sql.contains(word));
            let rolled_up = mysql && sql.contains("WITH ROLLUP");
            return (!self.same_columns(got, outer, rolled_up)).then_some(Difference::Columns);
        }
        if REPRESENTATIVES.iter().any(|word| sql.contains(word)) && self.agrees(got, order, Level::Folded) {
            return None;
        }
        let copies = copies();
        let kind = match (self, got) {
            (Self::Rows { .. }, Self::Rows { .. }) => Difference::Rows,
            _ => Difference::Error,
        };
        for level in [Level::Exact, Level::Folded] {
            if copies.iter().all(|copy| self.agrees(copy, order, level)) {
                return (!self.agrees(got, order, level)).then_some(kind);
            }
        }
        None
    }

    fn same_columns(&self, other: &Self, outer: bool, rolled_up: bool) -> bool {
        // A server that finds out that an outer join is an inner one may say so in the columns, or not.
        let incidental = if outer { NOT_NULL } else { 0 };
        let without = |column: &Column| {
            let mut column = Column { flags: column.flags & !incidental, ..column.clone() };
            // MySQL says of a key of WITH ROLLUP what it is before or behind its sort, as it joins the tables in this order
            // or that: `a % 3` has a length of 11 or 20, a YEAR is one or a BIGINT.
            if rolled_up && column.org_table.is_empty() && column.charset == BINARY_CHARSET {
                column.length = 0;
                column.kind = if column.kind == YEAR_TYPE { 8 } else { column.kind };
            }
            column
        };
        match (self, other) {
            // One that finds out that there is no row does not look further, and describes columns as it then knows them.
            (Self::Rows { columns, cells }, Self::Rows { columns: others, .. }) if cells.is_empty() => {
                columns.iter().map(|column| &column.name).eq(others.iter().map(|column| &column.name))
            }
            (Self::Rows { columns, .. }, Self::Rows { columns: others, .. }) => {
                columns.iter().map(without).eq(others.iter().map(without))
            }
            _ => true,
        }
    }

    fn agrees(&self, other: &Self, order: Option<&[usize]>, level: Level) -> bool {
        match (self, other) {
            (Self::Rows { columns, cells }, Self::Rows { columns: other_columns, cells: others }) => {
                columns.len() == other_columns.len()
                    && cells.len() == others.len()
                    && bag(columns, cells, level) == bag(columns, others, level)
                    && order.is_none_or(|places| in_order(columns, cells, places) == in_order(columns, others, places))
            }
            (Self::Error(errno, _), Self::Error(other, _)) => errno == other,
            (one, other) => one == other,
        }
    }

    pub fn show(&self) -> String {
        match self {
            Self::Rows { cells, .. } => {
                let cell = |cell: &Cell| {
                    cell.as_ref()
                        .map_or_else(|| "NULL".to_owned(), |bytes| format!("'{}'", String::from_utf8_lossy(bytes)))
                };
                let line = |row: &Vec<Cell>| row.iter().map(cell).collect::<Vec<_>>().join(", ");
                let lines: Vec<String> = cells.iter().take(20).map(line).collect();
                format!("{} rows\n#   {}", cells.len(), lines.join("\n#   "))
            }
            Self::Error(errno, message) => format!("error {errno}: {message}"),
            Self::Other(text) => text.clone(),
        }
    }

    /// Only the columns that differ from another answer's.
    pub fn show_columns(&self, other: &Self) -> String {
        let (Self::Rows { columns, .. }, Self::Rows { columns: others, .. }) = (self, other) else {
            return self.show();
        };
        let mine = columns.iter().zip(others).filter(|(one, other)| one != other);
        mine.map(|(one, _)| format!("{one:?}")).collect::<Vec<_>>().join("\n#   ")
    }

    /// Which parts of column definitions differ, for counting.
    pub fn column_parts(&self, other: &Self) -> String {
        let (Self::Rows { columns, .. }, Self::Rows { columns: others, .. }) = (self, other) else {
            return String::new();
        };
        let mut parts: Vec<&str> = Vec::new();
        for (one, other) in columns.iter().zip(others) {
            let found = [
                ("name", one.name != other.name),
                ("table", one.table != other.table),
                ("org_table", one.org_table != other.org_table),
                ("org_name", one.org_name != other.org_name),
                ("schema", one.schema != other.schema),
                ("charset", one.charset != other.charset),
                ("length", one.length != other.length),
                ("type", one.kind != other.kind),
                ("flags", one.flags != other.flags),
                ("decimals", one.decimals != other.decimals),
            ];
            parts.extend(found.iter().filter(|part| part.1).map(|part| part.0));
        }
        parts.sort_unstable();
        parts.dedup();
        parts.join(" ")
    }
}

fn bag(columns: &[Column], cells: &[Vec<Cell>], level: Level) -> Vec<Vec<Cell>> {
    let fold_row = |row: &Vec<Cell>| row.iter().zip(columns).map(|(cell, column)| fold(cell, column)).collect();
    let mut rows: Vec<Vec<Cell>> = match level {
        Level::Exact => cells.to_vec(),
        Level::Folded => cells.iter().map(fold_row).collect(),
    };
    rows.sort();
    rows
}

/// The values that the rows are ordered by; no places stand for all.
fn in_order(columns: &[Column], cells: &[Vec<Cell>], places: &[usize]) -> Vec<Vec<Cell>> {
    let all: Vec<usize> = (0..columns.len()).collect();
    let places = if places.is_empty() { &all } else { places };
    let pick = |row: &Vec<Cell>| places.iter().map(|place| fold(&row[*place], &columns[*place])).collect();
    cells.iter().map(pick).collect()
}

fn fold(cell: &Cell, column: &Column) -> Cell {
    let bytes = cell.as_ref()?;
    let text = String::from_utf8_lossy(bytes);
    Some(match column.kind {
        4 | 5 => match text.parse::<f64>() {
            Ok(0.0) => b"0".to_vec(),
            Ok(value) => format!("{value:.DOUBLE_DIGITS$e}").into_bytes(),
            Err(_) => bytes.clone(),
        },
        _ if column.charset == BINARY_CHARSET => bytes.clone(),
        _ => text
            .trim_end_matches(' ')
            .to_lowercase()
            .replace('ä', "a")
            .replace('ß', "s")
            .replace("ss", "s")
            .into_bytes(),
    })
}

fn text_cells(row: &[u8]) -> Vec<Cell> {
    let mut reader = Reader(row);
    let mut cells = Vec::new();
    while !reader.is_empty() {
        if reader.0[0] == 0xfb {
            reader.u8();
            cells.push(None);
        } else {
            cells.push(Some(reader.string().to_vec()));
        }
    }
    cells
}

/// Binary rows: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>.
fn binary_cells(row: &[u8], columns: &[Column]) -> Vec<Cell> {
    let mut reader = Reader(row);
    reader.u8();
    let nulls = reader.take((columns.len() + 9) / 8);
    let value = |(at, column): (usize, &Column)| {
        if nulls[(at + 2) / 8] & (1 << ((at + 2) % 8)) != 0 {
            return None;
        }
        let unsigned = column.flags & 0x20 != 0;
        Some(match column.kind {
            1 => signed(u64::from(reader.u8()), 8, unsigned),
            2 | 13 => signed(u64::from(reader.u16()), 16, unsigned),
            3 | 9 => signed(u64::from(reader.u32()), 32, unsigned),
            8 => signed(reader.u64(), 64, unsigned),
            4 => f32::from_bits(reader.u32()).to_string().into_bytes(),
            5 => f64::from_bits(reader.u64()).to_string().into_bytes(),
            7 | 10 | 11 | 12 => {
                let length = usize::from(reader.u8());
                format!("{:?}", reader.take(length)).into_bytes()
            }
            _ => reader.string().to_vec(),
        })
    };
    columns.iter().enumerate().map(value).collect()
}

fn signed(value: u64, bits: u32, unsigned: bool) -> Vec<u8> {
    let spare = 64 - bits;
    if unsigned { value.to_string() } else { (((value << spare) as i64) >> spare).to_string() }.into_bytes()
}
