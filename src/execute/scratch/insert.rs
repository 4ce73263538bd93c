//! Rows of the text protocol as a multi-row INSERT, or as lines of a file.

use crate::merge::RowSink;
use crate::plan::types::{CellText, ScratchTable};
use crate::protocol::{ProtocolError, text_row};

/// How long a batch grows before it is sent. Servers take at least 1 MiB (`max_allowed_packet`); a single row that is
/// longer goes by itself.
const BATCH_BYTES: usize = 512 * 1024;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As values of an INSERT.
    Insert,
    /// As lines of a file, with a tab between fields and a backslash as escape.
    Lines,
}

/// Rows on their way to a temporary table.
#[derive(Debug)]
pub(super) struct Batch<'t> {
    table: &'t ScratchTable,
    form: Form,
    sql: Vec<u8>,
    rows: u64,
    malformed: Option<ProtocolError>,
}

impl<'t> Batch<'t> {
    /// An INSERT without rows.
    pub fn insert(table: &'t ScratchTable) -> Self {
        Self { table, form: Form::Insert, sql: Vec::new(), rows: 0, malformed: None }
    }

    /// A part of a file, without rows.
    pub fn lines(table: &'t ScratchTable) -> Self {
        Self { form: Form::Lines, ..Self::insert(table) }
    }

    /// What reads such a file: in the columns' own character sets, as it is written.
    pub fn load_statement(table: &ScratchTable) -> Vec<u8> {
        let mut sql = b"LOAD DATA LOCAL INFILE 'rows' INTO TABLE ".to_vec();
        put_name(&table.name, &mut sql);
        sql.extend_from_slice(
            br" CHARACTER SET binary FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'",
        );
        put_columns(table, &mut sql);
        sql
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.sql.len()
    }

    /// The statement, or the lines; `None` without rows.
    pub fn finish(self) -> Result<Option<Vec<u8>>, ProtocolError> {
        match self.malformed {
            Some(error) => Err(error),
            None => Ok((self.rows > 0).then_some(self.sql)),
        }
    }

    fn put(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        let (first, between, last): (&[u8], u8, u8) = match self.form {
            Form::Insert => (b"(", b',', b')'),
            Form::Lines => (b"", b'\t', b'\n'),
        };
        match self.form {
            Form::Insert if self.rows == 0 => self.begin(),
            Form::Insert => self.sql.push(b','),
            Form::Lines => {}
        }
        self.rows += 1;
        self.sql.extend_from_slice(first);
        let mut kinds = self.table.cells.iter();
        for (index, cell) in text_row::cells(payload).enumerate() {
            let kind = kinds.next().ok_or(ProtocolError::Malformed { what: "a text row has more cells" })?;
            if index > 0 {
                self.sql.push(between);
            }
            match (cell?, self.form) {
                (None, Form::Insert) => self.sql.extend_from_slice(b"NULL"),
                (None, Form::Lines) => self.sql.extend_from_slice(br"\N"),
                (Some(cell), Form::Insert) => put_cell(*kind, cell, &mut self.sql),
                (Some(cell), Form::Lines) => put_field(cell, &mut self.sql),
            }
        }
        self.sql.push(last);
        match kinds.next() {
            None => Ok(()),
            Some(_) => Err(ProtocolError::Malformed { what: "a text row has fewer cells" }),
        }
    }

    fn begin(&mut self) {
        self.sql.extend_from_slice(b"INSERT INTO ");
        put_name(&self.table.name, &mut self.sql);
        put_columns(self.table, &mut self.sql);
        self.sql.extend_from_slice(b" VALUES ");
    }
}

/// The columns are named, since those that are invisible would be left out.
fn put_columns(table: &ScratchTable, out: &mut Vec<u8>) {
    for (index, column) in table.columns.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b',' });
        put_name(column, out);
    }
    if !table.columns.is_empty() {
        out.push(b')');
    }
}

impl RowSink for Batch<'_> {
    fn row(&mut self, payload: &[u8]) {
        if self.malformed.is_none()
            && let Err(error) = self.put(payload)
        {
            self.malformed = Some(error);
        }
    }

    fn is_full(&self) -> bool {
        self.sql.len() >= BATCH_BYTES
    }
}

fn put_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'`');
    for byte in name.bytes() {
        if byte == b'`' {
            out.push(b'`');
        }
        out.push(byte);
    }
    out.push(b'`');
}

/// Writes a cell for a connection whose character set is utf8mb4, with backslashes as escapes.
fn put_cell(kind: CellText, cell: &[u8], out: &mut Vec<u8>) {
    match kind {
        CellText::Plain if is_number(cell) => return out.extend_from_slice(cell),
        CellText::Plain | CellText::Quoted => {}
        CellText::Bytes => out.extend_from_slice(b"_binary"),
    }
    out.push(b'\'');
    let mut rest = cell;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\'' | b'\\' | 0)) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\'' => b"\\'",
            b'\\' => b"\\\\",
            _ => b"\\0",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

/// Whether a text is a number and nothing else, so that it may stand in a statement as it is.
fn is_number(text: &[u8]) -> bool {
    let after_sign = |text: &[u8]| text.iter().take(1).filter(|byte| matches!(byte, b'-' | b'+')).count();
    let mut parts = text.splitn(2, |byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = (parts.next().unwrap_or_default(), parts.next());
    let mantissa = &mantissa[after_sign(mantissa)..];
    let points = mantissa.iter().filter(|&&byte| byte == b'.').count();
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_exponent = |text: &[u8]| {
        let digits = &text[after_sign(text)..];
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    digits > 0 && points <= 1 && digits + points == mantissa.len() && exponent.is_none_or(is_exponent)
}

/// Writes a field of a line.
fn put_field(cell: &[u8], out: &mut Vec<u8>) {
    let mut rest = cell;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\t' | b'\n' | b'\\' | 0)) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\t' => br"\t",
            b'\n' => br"\n",
            b'\\' => br"\\",
            _ => br"\0",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cells: &[CellText]) -> ScratchTable {
        ScratchTable {
            name: "t".into(),
            create: "".into(),
            create_without_unique: "".into(),
            primary_key: Vec::new(),
            select: "".into(),
            columns: (0..cells.len()).map(|index| format!("c`{index}").into()).collect(),
            cells: cells.to_vec(),
            has_timestamp: false,
            needs_insert: false,
        }
    }

    #[test]
    fn rows_become_one_insert() {
        let table = table(&[CellText::Plain, CellText::Quoted, CellText::Bytes]);
        let mut batch = Batch::insert(&table);
        for row in [[Some(&b"-1"[..]), Some(b"it's"), Some(b"\0\\")], [None, Some(b""), None]] {
            let mut payload = Vec::new();
            row.iter().for_each(|cell| text_row::put_cell(&mut payload, *cell));
            batch.row(&payload);
        }
        let sql = String::from_utf8(batch.finish().unwrap().unwrap()).unwrap();
        let expected = r"INSERT INTO `t`(`c``0`,`c``1`,`c``2`) VALUES (-1,'it\'s',_binary'\0\\'),(NULL,'',NULL)";
        assert_eq!(sql, expected);
    }

    #[test]
    fn what_is_no_number_is_not_written_as_one() {
        for number in ["0", "-1", "12.50", ".5", "1e10", "-2.5E-3", "99999999999999999999"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for text in
            ["", "-", ".", "6+600", "1),(2", "1 ", "0x1f", "1e", "1e+", "--1", "1.2.3", "1-- x", "now()", "1e1e1"]
        {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn rows_become_lines() {
        let table = table(&[CellText::Plain, CellText::Quoted]);
        let mut batch = Batch::lines(&table);
        for row in [[Some(&b"1"[..]), Some(b"a\tb\nc\\d\0e'")], [None, Some(b"")]] {
            let mut payload = Vec::new();
            row.iter().for_each(|cell| text_row::put_cell(&mut payload, *cell));
            batch.row(&payload);
        }
        let lines = String::from_utf8(batch.finish().unwrap().unwrap()).unwrap();
        assert_eq!(lines, "1\ta\\tb\\nc\\\\d\\0e'\n\\N\t\n");
        let statement = String::from_utf8(Batch::load_statement(&table)).unwrap();
        assert!(statement.ends_with(r"TERMINATED BY '\n'(`c``0`,`c``1`)"), "{statement}");
    }

    #[test]
    fn a_row_of_another_width_is_an_error() {
        let table = table(&[CellText::Plain, CellText::Plain]);
        for cells in [1, 3] {
            let mut payload = Vec::new();
            (0..cells).for_each(|_| text_row::put_cell(&mut payload, Some(b"1")));
            let mut batch = Batch::insert(&table);
            batch.row(&payload);
            assert!(batch.finish().is_err());
        }
        assert_eq!(Batch::insert(&table).finish(), Ok(None));
    }
}
