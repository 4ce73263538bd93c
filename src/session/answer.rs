//! Result sets that the proxy makes itself: SHOW PROCESSLIST, SHOW WARNINGS, EXPLAIN ROUTE.

use bytes::Bytes;

use super::{Failure, Session};
use crate::protocol::binary_row::BinaryRow;
use crate::protocol::column::ColumnDef;
use crate::protocol::{ColumnFlags, ColumnType, StatusFlags, Value, charset, text_row};

/// A column of such a result.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    /// Text of up to so many characters.
    Text(&'static str, u32),
    /// A signed integer.
    Int(&'static str),
    /// A system variable that counts.
    Count(&'static str),
    /// An unsigned integer of so many digits.
    UInt(&'static str, u32),
}

/// A cell of such a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// NULL.
    Null,
    /// Text.
    Text(String),
    /// An integer.
    Int(i64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl Column {
    /// The definition as a server gives it for what it computes. `decimals` of text tells the servers apart.
    fn definition(self, text_decimals: u8) -> ColumnDef {
        let numeric = ColumnFlags::NOT_NULL.with(ColumnFlags::BINARY);
        let (name, kind, length, charset, flags, decimals) = match self {
            Self::Text(name, characters) => (
                name,
                ColumnType::VAR_STRING,
                characters * 4,
                charset::UTF8MB4_GENERAL_CI,
                ColumnFlags::NOT_NULL,
                text_decimals,
            ),
            Self::Int(name) => (name, ColumnType::LONGLONG, 21, charset::BINARY, numeric, 0),
            Self::Count(name) => {
                let flags = ColumnFlags::UNSIGNED.with(ColumnFlags::BINARY);
                (name, ColumnType::LONGLONG, 21, charset::BINARY, flags, 0)
            }
            Self::UInt(name, digits) => {
                (name, ColumnType::LONG, digits, charset::BINARY, numeric.with(ColumnFlags::UNSIGNED), 0)
            }
        };
        ColumnDef {
            catalog: Bytes::from_static(b"def"),
            schema: Bytes::new(),
            table: Bytes::new(),
            org_table: Bytes::new(),
            name: Bytes::from_static(name.as_bytes()),
            org_name: Bytes::new(),
            charset,
            length,
            kind,
            flags,
            decimals,
            default_value: Bytes::new(),
        }
    }
}

impl Session {
    /// Answers with rows, in the protocol of the statement that runs.
    pub(super) async fn answer_rows(&mut self, columns: &[Column], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        let text_decimals = if self.shared.is_mariadb() { 39 } else { 31 };
        let definitions: Vec<ColumnDef> = columns.iter().map(|column| column.definition(text_decimals)).collect();
        let status = self.status();
        self.client.put_columns(definitions.iter(), status.without(StatusFlags::MORE_RESULTS_EXISTS));
        let mut payload = Vec::new();
        for row in rows {
            payload.clear();
            if self.binary.is_some() {
                put_binary(row, &definitions, &mut payload)
            } else {
                put_text(row, &mut payload)
            };
            self.client.put_row(&payload).await?;
        }
        self.client.put_end(status, 0);
        self.state.found_rows = rows.len() as u64;
        self.state.row_count = -1;
        Ok(())
    }
}

fn put_text(row: &[Cell], out: &mut Vec<u8>) {
    for cell in row {
        match cell {
            Cell::Null => text_row::put_cell(out, None),
            Cell::Text(text) => text_row::put_cell(out, Some(text.as_bytes())),
            Cell::Int(value) => text_row::put_int(out, *value),
        }
    }
}

fn put_binary(row: &[Cell], columns: &[ColumnDef], out: &mut Vec<u8>) {
    let mut writer = BinaryRow::begin(out, columns.len());
    for (cell, column) in row.iter().zip(columns) {
        match cell {
            Cell::Null => writer.null(),
            Cell::Text(text) => writer.value(column.kind, &Value::Bytes(text.as_bytes())),
            Cell::Int(value) => writer.value(column.kind, &Value::Int(*value)),
        }
    }
}
