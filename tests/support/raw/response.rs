//! What a server answers, kept close to the bytes so that two answers can be compared exactly.

use std::fmt;

use super::bytes::Reader;

/// Status flags, <https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html>.
pub mod status {
    pub const IN_TRANSACTION: u16 = 0x0001;
    pub const AUTOCOMMIT: u16 = 0x0002;
    pub const MORE_RESULTS: u16 = 0x0008;
    pub const NO_GOOD_INDEX_USED: u16 = 0x0010;
    pub const NO_INDEX_USED: u16 = 0x0020;
    pub const CURSOR_EXISTS: u16 = 0x0040;
    pub const LAST_ROW_SENT: u16 = 0x0080;
    pub const QUERY_WAS_SLOW: u16 = 0x0800;
    pub const SESSION_STATE_CHANGED: u16 = 0x4000;
    /// What depends on how a server ran a statement, not on what it answered.
    pub const INCIDENTAL: u16 = NO_GOOD_INDEX_USED | NO_INDEX_USED | QUERY_WAS_SLOW;
}

/// OK packet: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OkPacket {
    pub affected_rows: u64,
    pub last_insert_id: u64,
    pub status: u16,
    pub warnings: u16,
    pub info: String,
    /// The text stands there without its length, which no server does.
    pub info_lacks_length: bool,
    pub session_state: Vec<u8>,
}

impl OkPacket {
    pub fn parse(payload: &[u8], session_track: bool) -> Self {
        let mut reader = Reader(&payload[1..]);
        let mut ok = Self {
            affected_rows: reader.lenenc(),
            last_insert_id: reader.lenenc(),
            status: reader.u16(),
            warnings: reader.u16(),
            ..Self::default()
        };
        if reader.is_empty() {
            return ok;
        }
        // The manual says string<EOF> for a client that does not track sessions, but all servers send a length.
        ok.info_lacks_length = !session_track && usize::from(reader.0[0]) != reader.0.len() - 1;
        if ok.info_lacks_length {
            ok.info = String::from_utf8_lossy(reader.0).into_owned();
            return ok;
        }
        ok.info = reader.text();
        if session_track && ok.status & status::SESSION_STATE_CHANGED != 0 {
            ok.session_state = reader.string().to_vec();
        }
        assert!(reader.is_empty(), "bytes after the end of an OK packet: {:?}", reader.0);
        ok
    }
}

/// ERR packet: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrPacket {
    pub errno: u16,
    pub sqlstate: String,
    pub message: String,
}

impl ErrPacket {
    pub fn parse(payload: &[u8]) -> Self {
        let mut reader = Reader(&payload[1..]);
        let errno = reader.u16();
        let sqlstate = if reader.0.first() == Some(&b'#') {
            String::from_utf8_lossy(&reader.take(6)[1..]).into_owned()
        } else {
            String::new()
        };
        Self { errno, sqlstate, message: String::from_utf8_lossy(reader.0).into_owned() }
    }
}

impl fmt::Display for ErrPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR {} ({}): {}", self.errno, self.sqlstate, self.message)
    }
}

/// Column definition:
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Column {
    pub schema: String,
    pub table: String,
    pub org_table: String,
    pub name: String,
    pub org_name: String,
    pub charset: u16,
    pub length: u32,
    pub kind: u8,
    pub flags: u16,
    pub decimals: u8,
}

impl Column {
    /// What a driver makes of the type: integers and texts come in several lengths.
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html>
    pub fn class(&self) -> u8 {
        match self.kind {
            1 | 2 | 3 | 8 | 9 => 8,
            249..=254 | 15 => 253,
            other => other,
        }
    }

    pub fn parse(payload: &[u8]) -> Self {
        let mut reader = Reader(payload);
        assert_eq!(reader.string(), b"def", "catalog of a column definition");
        let (schema, table, org_table) = (reader.text(), reader.text(), reader.text());
        let (name, org_name) = (reader.text(), reader.text());
        assert_eq!(reader.lenenc(), 12, "length of a column definition's fixed part");
        let column = Self {
            schema,
            table,
            org_table,
            name,
            org_name,
            charset: reader.u16(),
            length: reader.u32(),
            kind: reader.u8(),
            flags: reader.u16(),
            decimals: reader.u8(),
        };
        assert_eq!(reader.u16(), 0, "filler of a column definition");
        column
    }
}

/// A result with rows. Rows are payloads as they came, text or binary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<u8>>,
    pub status: u16,
    pub warnings: u16,
}

impl Rows {
    /// The rows of a text result as cells.
    pub fn text(&self) -> Vec<Vec<Option<String>>> {
        self.rows.iter().map(|row| text_cells(row)).collect()
    }

    /// The only cell of a text result with one row and one column.
    pub fn scalar(&self) -> Option<String> {
        let rows = self.text();
        assert_eq!((rows.len(), self.columns.len()), (1, 1), "expected one cell, got {rows:?}");
        rows[0][0].clone()
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}

fn text_cells(row: &[u8]) -> Vec<Option<String>> {
    let mut reader = Reader(row);
    let mut cells = Vec::new();
    while !reader.is_empty() {
        if reader.0[0] == 0xfb {
            reader.u8();
            cells.push(None);
        } else {
            cells.push(Some(reader.text()));
        }
    }
    cells
}

/// One answer; a command may give several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    Ok(OkPacket),
    Err(ErrPacket),
    Rows(Rows),
    /// The server asks for a file of the client's (LOAD DATA LOCAL).
    LocalInfile(String),
}

impl Response {
    /// Status flags, where the answer has some.
    pub fn status(&self) -> u16 {
        match self {
            Self::Ok(ok) => ok.status,
            Self::Rows(rows) => rows.status,
            Self::Err(_) | Self::LocalInfile(_) => 0,
        }
    }

    #[track_caller]
    pub fn ok(self) -> OkPacket {
        match self {
            Self::Ok(ok) => ok,
            other => panic!("expected OK, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn rows(self) -> Rows {
        match self {
            Self::Rows(rows) => rows,
            other => panic!("expected rows, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn err(self) -> ErrPacket {
        match self {
            Self::Err(error) => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }
}
