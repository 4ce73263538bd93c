//! A client that shows every byte: what the tests of the wire and of equal answers look through.
//!
//! It shares no code with the crate, so that a mistake cannot hide by being made on both sides.

pub mod auth;
pub mod bytes;
pub mod response;
pub mod wire;

use std::io;

use bytes::{Reader, put_string};
use response::{Column, ErrPacket, OkPacket, Response, Rows, status};
use wire::Wire;

use super::backends::Url;

/// Capability flags, <https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html>.
pub mod capability {
    pub const LONG_PASSWORD: u32 = 1;
    pub const FOUND_ROWS: u32 = 1 << 1;
    pub const LONG_FLAG: u32 = 1 << 2;
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    pub const COMPRESS: u32 = 1 << 5;
    pub const LOCAL_FILES: u32 = 1 << 7;
    pub const IGNORE_SPACE: u32 = 1 << 8;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const TRANSACTIONS: u32 = 1 << 13;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const MULTI_STATEMENTS: u32 = 1 << 16;
    pub const MULTI_RESULTS: u32 = 1 << 17;
    pub const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    pub const CONNECT_ATTRS: u32 = 1 << 20;
    pub const SESSION_TRACK: u32 = 1 << 23;
    pub const DEPRECATE_EOF: u32 = 1 << 24;
    pub const ZSTD: u32 = 1 << 26;

    /// What a present-day driver asks for.
    pub const USUAL: u32 = LONG_PASSWORD
        | LONG_FLAG
        | PROTOCOL_41
        | TRANSACTIONS
        | SECURE_CONNECTION
        | MULTI_RESULTS
        | PS_MULTI_RESULTS
        | PLUGIN_AUTH
        | CONNECT_ATTRS
        | DEPRECATE_EOF;
}

/// Command bytes, <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html>.
pub mod command {
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const STATISTICS: u8 = 0x09;
    pub const PROCESS_KILL: u8 = 0x0c;
    pub const DEBUG: u8 = 0x0d;
    pub const PING: u8 = 0x0e;
    pub const CHANGE_USER: u8 = 0x11;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1a;
    pub const SET_OPTION: u8 = 0x1b;
    pub const STMT_FETCH: u8 = 0x1c;
    pub const RESET_CONNECTION: u8 = 0x1f;
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    pub url: Url,
    pub schema: Option<String>,
    pub capabilities: u32,
    /// The authentication plugin whose answer is sent first; the server may ask for another.
    pub plugin: Option<&'static str>,
    pub charset: u8,
}

impl Options {
    pub fn new(url: &Url) -> Self {
        // 45: utf8mb4_general_ci, known to all versions of both vendors.
        Self { url: url.clone(), schema: None, capabilities: capability::USUAL, plugin: None, charset: 45 }
    }

    pub fn schema(mut self, name: &str) -> Self {
        self.schema = Some(name.to_owned());
        self
    }

    pub fn with(mut self, capabilities: u32) -> Self {
        self.capabilities |= capabilities;
        self
    }

    pub fn without(mut self, capabilities: u32) -> Self {
        self.capabilities &= !capabilities;
        self
    }

    pub fn plugin(mut self, name: &'static str) -> Self {
        self.plugin = Some(name);
        self
    }

    pub fn connect(&self) -> Result<RawClient, ConnectError> {
        RawClient::connect(self)
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The server said no.
    Refused(ErrPacket),
    /// The socket failed.
    Io(io::Error),
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl ConnectError {
    #[track_caller]
    pub fn refusal(self) -> ErrPacket {
        match self {
            Self::Refused(error) => error,
            Self::Io(error) => panic!("expected an error packet, got {error}"),
        }
    }
}

/// What the server said of itself.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    pub version: String,
    pub connection_id: u32,
    pub capabilities: u32,
    pub charset: u8,
    pub status: u16,
    pub plugin: String,
    pub nonce: Vec<u8>,
}

impl Greeting {
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>
    pub fn parse(payload: &[u8]) -> Self {
        let mut reader = Reader(payload);
        assert_eq!(reader.u8(), 10, "protocol version");
        let version = String::from_utf8_lossy(reader.until_zero()).into_owned();
        let connection_id = reader.u32();
        let mut nonce = reader.take(8).to_vec();
        assert_eq!(reader.u8(), 0, "filler after the first part of the nonce");
        let low = u32::from(reader.u16());
        let (charset, status) = (reader.u8(), reader.u16());
        let capabilities = low | (u32::from(reader.u16()) << 16);
        let nonce_length = usize::from(reader.u8());
        reader.take(10);
        let rest = reader.take(nonce_length.saturating_sub(8).max(13));
        nonce.extend_from_slice(&rest[..12]);
        let plugin = String::from_utf8_lossy(reader.until_zero()).into_owned();
        Self { version, connection_id, capabilities, charset, status, plugin, nonce }
    }
}

/// A statement prepared on the server.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub id: u32,
    pub parameters: Vec<Column>,
    pub columns: Vec<Column>,
    pub warnings: u16,
}

/// A parameter of an execution, with its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    Null,
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Sent before by COM_STMT_SEND_LONG_DATA.
    Long,
}

/// A connection.
#[derive(Debug)]
pub struct RawClient {
    pub wire: Wire,
    pub greeting: Greeting,
    pub capabilities: u32,
    /// The OK that ended the handshake.
    pub welcome: OkPacket,
    password: String,
}

impl RawClient {
    /// Connects and logs in.
    pub fn connect(options: &Options) -> Result<Self, ConnectError> {
        let mut wire = Wire::connect(&options.url.host, options.url.port)?;
        let first = wire.receive()?;
        if first.first() == Some(&0xff) {
            return Err(ConnectError::Refused(ErrPacket::parse(&first)));
        }
        let greeting = Greeting::parse(&first);
        let mut capabilities = options.capabilities & (greeting.capabilities | capability::CONNECT_ATTRS);
        if options.schema.is_some() {
            capabilities |= capability::CONNECT_WITH_DB;
        }
        let mut client =
            Self { wire, greeting, capabilities, welcome: OkPacket::default(), password: options.url.password.clone() };
        let login = client.login_packet(options);
        client.wire.send(&login)?;
        client.welcome = client.finish_login()?;
        Ok(client)
    }

    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html>
    fn login_packet(&self, options: &Options) -> Vec<u8> {
        let plugin = options.plugin.unwrap_or(&self.greeting.plugin);
        let mut packet = Vec::new();
        packet.extend_from_slice(&self.capabilities.to_le_bytes());
        packet.extend_from_slice(&(1_u32 << 30).to_le_bytes());
        packet.push(options.charset);
        packet.extend_from_slice(&[0; 23]);
        packet.extend_from_slice(options.url.user.as_bytes());
        packet.push(0);
        let answer = self.auth_answer(plugin, &self.greeting.nonce);
        packet.push(answer.len() as u8);
        packet.extend_from_slice(&answer);
        if let Some(schema) = &options.schema {
            packet.extend_from_slice(schema.as_bytes());
            packet.push(0);
        }
        if self.capabilities & capability::PLUGIN_AUTH != 0 {
            packet.extend_from_slice(plugin.as_bytes());
            packet.push(0);
        }
        if self.capabilities & capability::CONNECT_ATTRS != 0 {
            let mut attributes = Vec::new();
            for text in ["_client_name", "shardloom-test", "program_name", "raw"] {
                put_string(&mut attributes, text.as_bytes());
            }
            put_string(&mut packet, &attributes);
        }
        packet
    }

    fn auth_answer(&self, plugin: &str, nonce: &[u8]) -> Vec<u8> {
        let nonce = &nonce[..nonce.len().min(20)];
        match plugin {
            "mysql_native_password" => auth::native(self.password.as_bytes(), nonce),
            "caching_sha2_password" => auth::caching_sha2(self.password.as_bytes(), nonce),
            _ => Vec::new(),
        }
    }

    fn finish_login(&mut self) -> Result<OkPacket, ConnectError> {
        let mut nonce = self.greeting.nonce.clone();
        loop {
            let packet = self.wire.receive()?;
            match packet[0] {
                0x00 => return Ok(OkPacket::parse(&packet, self.has(capability::SESSION_TRACK))),
                0xff => return Err(ConnectError::Refused(ErrPacket::parse(&packet))),
                // Auth switch: plugin name, nonce.
                0xfe => {
                    let mut reader = Reader(&packet[1..]);
                    let plugin = String::from_utf8_lossy(reader.until_zero()).into_owned();
                    nonce = reader.0[..20].to_vec();
                    let answer = self.auth_answer(&plugin, &nonce);
                    self.wire.send(&answer)?;
                }
                // More data of caching_sha2_password: 3 = known from the cache, 4 = the password itself, please.
                0x01 if packet.get(1) == Some(&3) => {}
                0x01 if packet.get(1) == Some(&4) => {
                    self.wire.send(&[2])?;
                    let key = self.wire.receive()?;
                    let password = auth::encrypted(self.password.as_bytes(), &nonce, &key[1..]);
                    self.wire.send(&password)?;
                }
                other => panic!("unexpected packet {other:#x} in the handshake: {packet:?}"),
            }
        }
    }

    /// Whether a capability is in use.
    pub fn has(&self, flag: u32) -> bool {
        self.capabilities & flag != 0
    }

    /// Sends a command and reads one simple answer: OK, ERR or EOF as OK.
    pub fn simple(&mut self, payload: &[u8]) -> Response {
        self.wire.send_command(payload).unwrap();
        let packet = self.wire.receive().unwrap();
        match packet[0] {
            0x00 => Response::Ok(OkPacket::parse(&packet, self.has(capability::SESSION_TRACK))),
            0xff => Response::Err(ErrPacket::parse(&packet)),
            0xfe if packet.len() == 5 => Response::Ok(eof_as_ok(&packet)),
            0xfe => Response::Ok(OkPacket::parse(&packet, self.has(capability::SESSION_TRACK))),
            other => panic!("unexpected packet {other:#x}: {packet:?}"),
        }
    }

    /// Runs a text statement and reads its only answer.
    #[track_caller]
    pub fn query(&mut self, sql: &str) -> Response {
        let mut all = self.query_all(sql);
        assert_eq!(all.len(), 1, "one answer expected for {sql}: {all:?}");
        all.remove(0)
    }

    /// Runs a text statement and reads all its answers.
    pub fn query_all(&mut self, sql: &str) -> Vec<Response> {
        self.send_query(sql);
        self.read_all(false).unwrap()
    }

    /// Runs a statement that must succeed without rows.
    #[track_caller]
    pub fn run(&mut self, sql: &str) -> OkPacket {
        match self.query(sql) {
            Response::Ok(ok) => ok,
            other => panic!("{sql}: {other:?}"),
        }
    }

    /// Runs a query that must give rows.
    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Rows {
        match self.query(sql) {
            Response::Rows(rows) => rows,
            other => panic!("{sql}: {other:?}"),
        }
    }

    /// Sends a text statement without reading.
    pub fn send_query(&mut self, sql: &str) {
        let payload = [&[command::QUERY], sql.as_bytes()].concat();
        self.wire.send_command(&payload).unwrap();
    }

    /// Reads answers until there are no more.
    pub fn read_all(&mut self, _binary: bool) -> io::Result<Vec<Response>> {
        let mut all = Vec::new();
        loop {
            let response = self.read_response()?;
            let more = response.status() & status::MORE_RESULTS != 0;
            let is_request = matches!(response, Response::LocalInfile(_));
            all.push(response);
            if !more || is_request {
                return Ok(all);
            }
        }
    }

    /// Reads one answer to a query or an execution.
    pub fn read_response(&mut self) -> io::Result<Response> {
        let packet = self.wire.receive()?;
        Ok(match packet[0] {
            0x00 => Response::Ok(OkPacket::parse(&packet, self.has(capability::SESSION_TRACK))),
            0xff => Response::Err(ErrPacket::parse(&packet)),
            0xfb => Response::LocalInfile(String::from_utf8_lossy(&packet[1..]).into_owned()),
            _ => {
                let mut reader = Reader(&packet);
                let count = reader.lenenc() as usize;
                assert!(reader.is_empty(), "bytes after the column count: {packet:?}");
                return self.read_rows(count);
            }
        })
    }

    fn read_rows(&mut self, count: usize) -> io::Result<Response> {
        let mut result = Rows { columns: self.read_columns(count)?, ..Rows::default() };
        if !self.has(capability::DEPRECATE_EOF) {
            let end = self.wire.receive()?;
            if end[0] == 0xff {
                return Ok(Response::Err(ErrPacket::parse(&end)));
            }
            assert_eq!((end[0], end.len()), (0xfe, 5), "EOF after the column definitions");
            let eof = eof_as_ok(&end);
            if eof.status & status::CURSOR_EXISTS != 0 {
                // No rows follow: they are fetched.
                (result.status, result.warnings) = (eof.status, eof.warnings);
                return Ok(Response::Rows(result));
            }
        }
        self.read_row_packets(result)
    }

    /// Reads rows until the packet that ends them.
    fn read_row_packets(&mut self, mut result: Rows) -> io::Result<Response> {
        loop {
            let packet = self.wire.receive()?;
            match packet[0] {
                0xff => return Ok(Response::Err(ErrPacket::parse(&packet))),
                0xfe if self.has(capability::DEPRECATE_EOF) && packet.len() < 0xff_ffff => {
                    let ok = OkPacket::parse(&packet, self.has(capability::SESSION_TRACK));
                    (result.status, result.warnings) = (ok.status, ok.warnings);
                    return Ok(Response::Rows(result));
                }
                0xfe if packet.len() == 5 => {
                    let ok = eof_as_ok(&packet);
                    (result.status, result.warnings) = (ok.status, ok.warnings);
                    return Ok(Response::Rows(result));
                }
                _ => result.rows.push(packet),
            }
        }
    }

    fn read_columns(&mut self, count: usize) -> io::Result<Vec<Column>> {
        (0..count).map(|_| self.wire.receive().map(|packet| Column::parse(&packet))).collect()
    }

    /// COM_STMT_PREPARE:
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html>.
    pub fn prepare(&mut self, sql: &str) -> Result<Prepared, ErrPacket> {
        self.wire.send_command(&[&[command::STMT_PREPARE], sql.as_bytes()].concat()).unwrap();
        let packet = self.wire.receive().unwrap();
        if packet[0] == 0xff {
            return Err(ErrPacket::parse(&packet));
        }
        let mut reader = Reader(&packet[1..]);
        let id = reader.u32();
        let (columns, parameters) = (usize::from(reader.u16()), usize::from(reader.u16()));
        assert_eq!(reader.u8(), 0, "filler of a prepare answer");
        let warnings = reader.u16();
        let parameters = self.read_definitions(parameters);
        let columns = self.read_definitions(columns);
        Ok(Prepared { id, parameters, columns, warnings })
    }

    fn read_definitions(&mut self, count: usize) -> Vec<Column> {
        let columns = self.read_columns(count).unwrap();
        if count > 0 && !self.has(capability::DEPRECATE_EOF) {
            assert_eq!(self.wire.receive().unwrap()[0], 0xfe, "EOF after definitions");
        }
        columns
    }

    /// COM_STMT_EXECUTE without a cursor.
    pub fn execute(&mut self, statement: &Prepared, params: &[Param]) -> Response {
        self.send_execute(statement, params, 0);
        let mut all = self.read_all(true).unwrap();
        assert_eq!(all.len(), 1, "one answer expected: {all:?}");
        all.remove(0)
    }

    /// COM_STMT_EXECUTE with a read-only cursor: the answer has columns only.
    pub fn execute_with_cursor(&mut self, statement: &Prepared, params: &[Param]) -> Response {
        self.send_execute(statement, params, 1);
        let packet = self.wire.receive().unwrap();
        match packet[0] {
            0x00 => Response::Ok(OkPacket::parse(&packet, self.has(capability::SESSION_TRACK))),
            0xff => Response::Err(ErrPacket::parse(&packet)),
            _ => {
                let columns = self.read_columns(Reader(&packet).lenenc() as usize).unwrap();
                let mut result = Rows { columns, ..Rows::default() };
                // With or without DEPRECATE_EOF, the definitions of a cursor's columns are followed by a status.
                let end = self.wire.receive().unwrap();
                let ok = if end.len() == 5 { eof_as_ok(&end) } else { OkPacket::parse(&end, false) };
                (result.status, result.warnings) = (ok.status, ok.warnings);
                Response::Rows(result)
            }
        }
    }

    /// COM_STMT_FETCH: rows of an open cursor.
    pub fn fetch(&mut self, statement: &Prepared, count: u32) -> Response {
        let mut payload = vec![command::STMT_FETCH];
        payload.extend_from_slice(&statement.id.to_le_bytes());
        payload.extend_from_slice(&count.to_le_bytes());
        self.wire.send_command(&payload).unwrap();
        self.read_row_packets(Rows { columns: statement.columns.clone(), ..Rows::default() }).unwrap()
    }

    /// COM_STMT_CLOSE: no answer comes.
    pub fn close_statement(&mut self, statement: &Prepared) {
        self.wire.send_command(&[&[command::STMT_CLOSE][..], &statement.id.to_le_bytes()].concat()).unwrap();
    }

    /// COM_STMT_SEND_LONG_DATA: no answer comes.
    pub fn send_long_data(&mut self, statement: &Prepared, parameter: u16, data: &[u8]) {
        let mut payload = vec![command::STMT_SEND_LONG_DATA];
        payload.extend_from_slice(&statement.id.to_le_bytes());
        payload.extend_from_slice(&parameter.to_le_bytes());
        payload.extend_from_slice(data);
        self.wire.send_command(&payload).unwrap();
    }

    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>
    pub fn send_execute(&mut self, statement: &Prepared, params: &[Param], cursor: u8) {
        assert_eq!(statement.parameters.len(), params.len(), "number of parameters");
        let mut payload = vec![command::STMT_EXECUTE];
        payload.extend_from_slice(&statement.id.to_le_bytes());
        payload.push(cursor);
        payload.extend_from_slice(&1_u32.to_le_bytes());
        if !params.is_empty() {
            let mut nulls = vec![0_u8; params.len().div_ceil(8)];
            let (mut types, mut values) = (Vec::new(), Vec::new());
            for (position, param) in params.iter().enumerate() {
                if matches!(param, Param::Null) {
                    nulls[position / 8] |= 1 << (position % 8);
                }
                put_param(param, &mut types, &mut values);
            }
            payload.extend_from_slice(&nulls);
            payload.push(1);
            payload.extend_from_slice(&types);
            payload.extend_from_slice(&values);
        }
        self.wire.send_command(&payload).unwrap();
    }

    /// COM_CHANGE_USER: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html>.
    pub fn change_user(&mut self, user: &str, password: &str, schema: &str) -> Result<OkPacket, ConnectError> {
        self.change_user_with(user, password, schema, 45)
    }

    pub fn change_user_with(
        &mut self,
        user: &str,
        password: &str,
        schema: &str,
        collation: u16,
    ) -> Result<OkPacket, ConnectError> {
        self.password = password.to_owned();
        // An empty answer for the named plugin makes the server begin the exchange anew with a fresh nonce.
        let plugin = self.greeting.plugin.clone();
        let answer = self.auth_answer(&plugin, &self.greeting.nonce.clone());
        let mut payload = vec![command::CHANGE_USER];
        payload.extend_from_slice(user.as_bytes());
        payload.push(0);
        payload.push(answer.len() as u8);
        payload.extend_from_slice(&answer);
        payload.extend_from_slice(schema.as_bytes());
        payload.push(0);
        payload.extend_from_slice(&collation.to_le_bytes());
        payload.extend_from_slice(plugin.as_bytes());
        payload.push(0);
        if self.has(capability::CONNECT_ATTRS) {
            payload.push(0);
        }
        self.wire.send_command(&payload)?;
        self.finish_login()
    }

    /// COM_QUIT; the server closes.
    pub fn quit(mut self) {
        let _ = self.wire.send_command(&[command::QUIT]);
        self.wire.read_to_end();
    }
}

/// EOF packet: warnings, status.
fn eof_as_ok(packet: &[u8]) -> OkPacket {
    let mut reader = Reader(&packet[1..]);
    OkPacket { warnings: reader.u16(), status: reader.u16(), ..OkPacket::default() }
}

fn put_param(param: &Param, types: &mut Vec<u8>, values: &mut Vec<u8>) {
    // Field types: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
    match param {
        Param::Null => types.extend_from_slice(&[6, 0]),
        Param::Int(value) => {
            types.extend_from_slice(&[8, 0]);
            values.extend_from_slice(&value.to_le_bytes());
        }
        Param::UInt(value) => {
            types.extend_from_slice(&[8, 0x80]);
            values.extend_from_slice(&value.to_le_bytes());
        }
        Param::Double(value) => {
            types.extend_from_slice(&[5, 0]);
            values.extend_from_slice(&value.to_le_bytes());
        }
        Param::Text(value) => {
            types.extend_from_slice(&[253, 0]);
            put_string(values, value.as_bytes());
        }
        Param::Bytes(value) => {
            types.extend_from_slice(&[252, 0]);
            put_string(values, value);
        }
        Param::Long => types.extend_from_slice(&[252, 0]),
    }
}
