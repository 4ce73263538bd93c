//! Rows of the text protocol as a multi-row INSERT.

use crate::merge::RowSink;
use crate::plan::types::{CellText, ScratchTable};
use crate::protocol::{ProtocolError, text_row};

/// How long an INSERT grows before it is sent. Servers take at least 1 MiB (`max_allowed_packet`); a single row that is
/// longer goes by itself.
const BATCH_BYTES: usize = 512 * 1024;

/// An INSERT in the making.
#[derive(Debug)]
pub(super) struct Batch<'t> {
    table: &'t ScratchTable,
    sql: Vec<u8>,
    rows: u64,
    malformed: Option<ProtocolError>,
}

impl<'t> Batch<'t> {
    /// Without rows.
    pub fn new(table: &'t ScratchTable) -> Self {
        Self { table, sql: Vec::new(), rows: 0, malformed: None }
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.sql.len()
    }

    /// The statement; `None` without rows.
    pub fn finish(self) -> Result<Option<Vec<u8>>, ProtocolError> {
        match self.malformed {
            Some(error) => Err(error),
            None => Ok((self.rows > 0).then_some(self.sql)),
        }
    }

    fn put(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        if self.rows == 0 {
            self.begin();
        } else {
            self.sql.push(b',');
        }
        self.rows += 1;
        self.sql.push(b'(');
        let mut kinds = self.table.cells.iter();
        for (index, cell) in text_row::cells(payload).enumerate() {
            let kind = kinds.next().ok_or(ProtocolError::Malformed { what: "a text row has more cells" })?;
            if index > 0 {
                self.sql.push(b',');
            }
            match cell? {
                None => self.sql.extend_from_slice(b"NULL"),
                Some(cell) => put_cell(*kind, cell, &mut self.sql),
            }
        }
        self.sql.push(b')');
        match kinds.next() {
            None => Ok(()),
            Some(_) => Err(ProtocolError::Malformed { what: "a text row has fewer cells" }),
        }
    }

    /// The columns are named, since those that are invisible would be left out.
    fn begin(&mut self) {
        self.sql.extend_from_slice(b"INSERT INTO ");
        put_name(&self.table.name, &mut self.sql);
        if !self.table.columns.is_empty() {
            self.sql.push(b'(');
            for (index, column) in self.table.columns.iter().enumerate() {
                if index > 0 {
                    self.sql.push(b',');
                }
                put_name(column, &mut self.sql);
            }
            self.sql.push(b')');
        }
        self.sql.extend_from_slice(b" VALUES ");
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
        CellText::Plain => return out.extend_from_slice(cell),
        CellText::Quoted => {}
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
        }
    }

    #[test]
    fn rows_become_one_insert() {
        let table = table(&[CellText::Plain, CellText::Quoted, CellText::Bytes]);
        let mut batch = Batch::new(&table);
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
    fn a_row_of_another_width_is_an_error() {
        let table = table(&[CellText::Plain, CellText::Plain]);
        for cells in [1, 3] {
            let mut payload = Vec::new();
            (0..cells).for_each(|_| text_row::put_cell(&mut payload, Some(b"1")));
            let mut batch = Batch::new(&table);
            batch.row(&payload);
            assert!(batch.finish().is_err());
        }
        assert_eq!(Batch::new(&table).finish(), Ok(None));
    }
}
