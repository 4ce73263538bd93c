//! `LOAD DATA LOCAL INFILE`: the statement, and its file (*LOAD DATA Statement*).

mod lines;

use std::ops::Range;

use super::cursor::Cursor;
use super::lexer::LexMode;
use super::names::tables;
use super::session_statement::TableName;
pub use lines::{Field, Lines};

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// `FIELDS TERMINATED BY`.
    pub field_end: Vec<u8>,
    /// `ENCLOSED BY`: at most one byte.
    pub quote: Option<u8>,
    /// `ESCAPED BY`: at most one byte.
    pub escape: Option<u8>,
    /// `LINES STARTING BY`.
    pub line_start: Vec<u8>,
    /// `LINES TERMINATED BY`.
    pub line_end: Vec<u8>,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            field_end: b"\t".to_vec(),
            quote: None,
            escape: Some(b'\\'),
            line_start: Vec::new(),
            line_end: b"\n".to_vec(),
        }
    }
}

/// What a field goes into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Into {
    /// A column, in lower case.
    Column(String),
    /// A user variable.
    Variable,
}

/// A `LOAD DATA LOCAL INFILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadData {
    /// The name of the client's file.
    pub file: Vec<u8>,
    /// The table, and where its name stands.
    pub table: TableName,
    /// `CHARACTER SET`, in lower case.
    pub charset: Option<String>,
    /// How the file is written.
    pub format: Format,
    /// `IGNORE n LINES`: how many, and where it stands.
    pub ignored: Option<(u64, Range<usize>)>,
    /// The list of columns and variables, and where it stands with its parentheses; all columns without one.
    pub columns: Option<(Vec<Into>, Range<usize>)>,
    /// The columns that SET assigns, in lower case.
    pub assigned: Vec<String>,
    /// SET holds a query: of a split table each server would see a part only.
    pub set_reads: bool,
    /// `PARTITION (…)`.
    pub partition: bool,
    /// Where a list of columns is written that is not there: in place of `()`, if that is.
    pub columns_at: Range<usize>,
}

/// Why a `LOAD DATA` cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRead(pub &'static str);

/// Reads a `LOAD DATA LOCAL INFILE`.
pub fn parse(sql: &[u8], mode: LexMode) -> Result<LoadData, NotRead> {
    let mut cursor = Cursor::new(sql, mode);
    let wrong = NotRead("this form of LOAD DATA");
    cursor.skip().word("data");
    let _ = cursor.word("low_priority") || cursor.word("concurrent");
    cursor.word("local");
    if !cursor.word("infile") {
        return Err(wrong);
    }
    let file = cursor.string().ok_or(wrong)?;
    let _ = cursor.word("replace") || cursor.word("ignore");
    if !cursor.words(&["into", "table"]) {
        return Err(wrong);
    }
    let table = cursor.table_name().ok_or(wrong)?;
    let partition = cursor.word("partition") && cursor.parentheses();
    let charset = match cursor.words(&["character", "set"]) || cursor.word("charset") {
        true => Some(cursor.name_or_string().ok_or(wrong)?.to_lowercase()),
        false => None,
    };
    let mut format = Format::default();
    if cursor.word("fields") || cursor.word("columns") {
        fields(&mut cursor, &mut format)?;
    }
    if cursor.word("lines") {
        lines_clause(&mut cursor, &mut format)?;
    }
    let ignored_from = cursor.peek().map_or(sql.len(), |token| token.start);
    let mut ignored = None;
    if cursor.word("ignore") {
        let count = cursor.integer().ok_or(wrong)?;
        let end = cursor.peek().ok_or(wrong)?.end;
        if !(cursor.word("lines") || cursor.word("rows")) {
            return Err(wrong);
        }
        ignored = Some((count, ignored_from..end));
    }
    let behind = cursor.passed();
    let columns = columns(&mut cursor, sql)?;
    let columns_at = behind..cursor.passed();
    let mut assigned = Vec::new();
    let mut set_reads = false;
    if cursor.word("set") {
        loop {
            let mut name = cursor.name().ok_or(wrong)?;
            while cursor.symbol(b'.') {
                name = cursor.name().ok_or(wrong)?;
            }
            assigned.push(name.text.to_lowercase());
            if !cursor.equals() {
                return Err(wrong);
            }
            let value = cursor.expression().ok_or(wrong)?;
            set_reads |= tables(&sql[value], mode).iter().any(|name| name.text.eq_ignore_ascii_case("SELECT"));
            if !cursor.symbol(b',') {
                break;
            }
        }
    }
    if !cursor.at_end() {
        return Err(wrong);
    }
    Ok(LoadData { file, table, charset, format, ignored, columns, assigned, set_reads, partition, columns_at })
}

fn fields(cursor: &mut Cursor<'_>, format: &mut Format) -> Result<(), NotRead> {
    let wrong = NotRead("this form of LOAD DATA");
    let one = |text: &[u8]| match text {
        [] => Ok(None),
        [byte] => Ok(Some(*byte)),
        _ => Err(NotRead("a quote or escape of several bytes in LOAD DATA")),
    };
    loop {
        if cursor.words(&["terminated", "by"]) {
            format.field_end = cursor.string().ok_or(wrong)?;
        } else if cursor.words(&["optionally", "enclosed", "by"]) || cursor.words(&["enclosed", "by"]) {
            format.quote = one(&cursor.string().ok_or(wrong)?)?;
        } else if cursor.words(&["escaped", "by"]) {
            format.escape = one(&cursor.string().ok_or(wrong)?)?;
        } else {
            break;
        }
    }
    if format.field_end.is_empty() {
        return Err(NotRead("LOAD DATA of fields without a terminator"));
    }
    Ok(())
}

fn lines_clause(cursor: &mut Cursor<'_>, format: &mut Format) -> Result<(), NotRead> {
    let wrong = NotRead("this form of LOAD DATA");
    loop {
        if cursor.words(&["terminated", "by"]) {
            format.line_end = cursor.string().ok_or(wrong)?;
        } else if cursor.words(&["starting", "by"]) {
            format.line_start = cursor.string().ok_or(wrong)?;
        } else {
            break;
        }
    }
    if format.line_end.is_empty() {
        return Err(NotRead("LOAD DATA of lines without a terminator"));
    }
    Ok(())
}

type Columns = Option<(Vec<Into>, Range<usize>)>;

fn columns(cursor: &mut Cursor<'_>, sql: &[u8]) -> Result<Columns, NotRead> {
    let wrong = NotRead("this form of LOAD DATA");
    let start = cursor.peek().map_or(sql.len(), |token| token.start);
    if !cursor.symbol(b'(') {
        return Ok(None);
    }
    let mut list = Vec::new();
    loop {
        if cursor.user_variable().is_some() {
            list.push(Into::Variable);
        } else if let Some(mut name) = cursor.name() {
            while cursor.symbol(b'.') {
                name = cursor.name().ok_or(wrong)?;
            }
            list.push(Into::Column(name.text.to_lowercase()));
        } else if !list.is_empty() {
            return Err(wrong);
        }
        let end = cursor.peek().ok_or(wrong)?.end;
        if cursor.symbol(b')') {
            return Ok(if list.is_empty() { None } else { Some((list, start..end)) });
        }
        if !cursor.symbol(b',') {
            return Err(wrong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clauses_are_read() {
        let sql = br#"LOAD DATA LOCAL INFILE '/tmp/x.csv' IGNORE INTO TABLE shop.t CHARACTER SET utf8mb4
            FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' LINES STARTING BY '>' TERMINATED BY '\r\n'
            IGNORE 2 LINES (a, @b, t.`C`) SET d = @b + 1, e = NOW()"#;
        let load = parse(sql, LexMode::default()).unwrap();
        assert_eq!(load.file, b"/tmp/x.csv");
        assert_eq!(load.charset.as_deref(), Some("utf8mb4"));
        let format = Format {
            field_end: b",".to_vec(),
            quote: Some(b'"'),
            escape: None,
            line_start: b">".to_vec(),
            line_end: b"\r\n".to_vec(),
        };
        assert_eq!(load.format, format);
        let (count, range) = load.ignored.unwrap();
        assert_eq!((count, &sql[range]), (2, &b"IGNORE 2 LINES"[..]));
        let (list, range) = load.columns.unwrap();
        assert_eq!(list, [Into::Column("a".into()), Into::Variable, Into::Column("c".into())]);
        assert_eq!(&sql[range], b"(a, @b, t.`C`)");
        assert_eq!(load.assigned, ["d", "e"]);
    }

    #[test]
    fn the_shortest_form_has_the_manuals_defaults() {
        let load = parse(b"LOAD DATA LOCAL INFILE 'x' INTO TABLE t", LexMode::default()).unwrap();
        assert_eq!(load.format, Format::default());
        assert_eq!(load.columns_at, 39..39);
        let sql = b"LOAD DATA LOCAL INFILE 'x' INTO TABLE t IGNORE 1 LINES () SET a = 1 -- no";
        let listed = parse(sql, LexMode::default()).unwrap();
        assert_eq!((listed.columns, &sql[listed.columns_at]), (None, &b" ()"[..]));
        assert_eq!((load.ignored, load.columns), (None, None));
        assert!(parse(b"LOAD DATA LOCAL INFILE 'x' INTO TABLE t FIELDS TERMINATED BY ''", LexMode::default()).is_err());
        assert!(parse(b"LOAD DATA LOCAL INFILE 'x' INTO TABLE t nonsense", LexMode::default()).is_err());
    }
}
