//! Commands of a client (`page_protocol_command_phase.html`).

use super::wire::Reader;
use super::{ProtocolError, Result};

/// The command bytes (`my__command_8h.html`).
#[allow(missing_docs)] // the names are MySQL's
pub mod code {
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const CREATE_DB: u8 = 0x05;
    pub const DROP_DB: u8 = 0x06;
    pub const REFRESH: u8 = 0x07;
    pub const SHUTDOWN: u8 = 0x08;
    pub const STATISTICS: u8 = 0x09;
    pub const PROCESS_INFO: u8 = 0x0A;
    pub const PROCESS_KILL: u8 = 0x0C;
    pub const DEBUG: u8 = 0x0D;
    pub const PING: u8 = 0x0E;
    pub const CHANGE_USER: u8 = 0x11;
    pub const BINLOG_DUMP: u8 = 0x12;
    pub const TABLE_DUMP: u8 = 0x13;
    pub const REGISTER_SLAVE: u8 = 0x15;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1A;
    pub const SET_OPTION: u8 = 0x1B;
    pub const STMT_FETCH: u8 = 0x1C;
    pub const BINLOG_DUMP_GTID: u8 = 0x1E;
    pub const RESET_CONNECTION: u8 = 0x1F;
    pub const CLONE: u8 = 0x20;
}

/// A command, borrowing from its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Goodbye; no answer.
    Quit,
    /// Change the default schema.
    InitDb(&'a [u8]),
    /// Statements as text.
    Query(&'a [u8]),
    /// Columns of a table, for old clients' completion.
    FieldList {
        /// Table.
        table: &'a [u8],
        /// LIKE pattern for columns; empty for all.
        wildcard: &'a [u8],
    },
    /// One line about the server.
    Statistics,
    /// SHOW PROCESSLIST.
    ProcessInfo,
    /// KILL.
    ProcessKill(u32),
    /// Are you there?
    Ping,
    /// Authenticate again: [`super::handshake_response::ChangeUser::parse`] takes what is held here.
    ChangeUser(&'a [u8]),
    /// Prepare a statement.
    StmtPrepare(&'a [u8]),
    /// Execute a statement: [`super::execute`] takes the whole payload, which is held here.
    StmtExecute(&'a [u8]),
    /// A piece of a parameter; no answer.
    StmtSendLongData {
        /// Statement id.
        statement_id: u32,
        /// Parameter, from 0.
        param: u16,
        /// The piece.
        data: &'a [u8],
    },
    /// Forget a statement; no answer.
    StmtClose(u32),
    /// Close a statement's cursor and forget its long data.
    StmtReset(u32),
    /// Multi-statements on (0) or off (1).
    SetOption {
        /// Whether COM_QUERY may hold several statements.
        multi_statements: bool,
    },
    /// Rows of a cursor.
    StmtFetch {
        /// Statement id.
        statement_id: u32,
        /// How many.
        rows: u32,
    },
    /// Back to a fresh session.
    ResetConnection,
    /// A command that servers know and the proxy refuses.
    Refused {
        /// Its name.
        name: &'static str,
    },
}

impl<'a> Command<'a> {
    /// Parses a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let (&first, body) = payload.split_first().ok_or(ProtocolError::Truncated { what: "a command" })?;
        let mut reader = Reader::new(body, "a command");
        Ok(match first {
            code::QUERY => Self::Query(body), // string<EOF>
            code::STMT_EXECUTE => Self::StmtExecute(payload),
            code::STMT_PREPARE => Self::StmtPrepare(body), // string<EOF>
            code::STMT_CLOSE => Self::StmtClose(reader.u32()?), // int<4>
            code::STMT_RESET => Self::StmtReset(reader.u32()?), // int<4>
            code::STMT_FETCH => Self::StmtFetch { statement_id: reader.u32()?, rows: reader.u32()? }, // 2 × int<4>
            code::STMT_SEND_LONG_DATA => Self::StmtSendLongData {
                statement_id: reader.u32()?, // int<4>
                param: reader.u16()?,        // int<2>
                data: reader.rest(),         // string<EOF>
            },
            code::QUIT => Self::Quit,
            code::INIT_DB => Self::InitDb(body), // string<EOF>
            // string<NUL>, string<EOF>
            code::FIELD_LIST => Self::FieldList { table: reader.nul_bytes()?, wildcard: reader.rest() },
            code::STATISTICS => Self::Statistics,
            code::PROCESS_INFO => Self::ProcessInfo,
            code::PROCESS_KILL => Self::ProcessKill(reader.u32()?), // int<4>
            code::PING => Self::Ping,
            code::CHANGE_USER => Self::ChangeUser(body),
            code::SET_OPTION => Self::SetOption { multi_statements: set_option(reader.u16()?)? }, // int<2>
            code::RESET_CONNECTION => Self::ResetConnection,
            code::CREATE_DB => Self::Refused { name: "COM_CREATE_DB" },
            code::DROP_DB => Self::Refused { name: "COM_DROP_DB" },
            code::REFRESH => Self::Refused { name: "COM_REFRESH" },
            code::SHUTDOWN => Self::Refused { name: "COM_SHUTDOWN" },
            code::DEBUG => Self::Refused { name: "COM_DEBUG" },
            code::BINLOG_DUMP => Self::Refused { name: "COM_BINLOG_DUMP" },
            code::TABLE_DUMP => Self::Refused { name: "COM_TABLE_DUMP" },
            code::REGISTER_SLAVE => Self::Refused { name: "COM_REGISTER_SLAVE" },
            code::BINLOG_DUMP_GTID => Self::Refused { name: "COM_BINLOG_DUMP_GTID" },
            code::CLONE => Self::Refused { name: "COM_CLONE" },
            _ => return Err(ProtocolError::UnknownCommand),
        })
    }

    /// The name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Quit => "COM_QUIT",
            Self::InitDb(_) => "COM_INIT_DB",
            Self::Query(_) => "COM_QUERY",
            Self::FieldList { .. } => "COM_FIELD_LIST",
            Self::Statistics => "COM_STATISTICS",
            Self::ProcessInfo => "COM_PROCESS_INFO",
            Self::ProcessKill(_) => "COM_PROCESS_KILL",
            Self::Ping => "COM_PING",
            Self::ChangeUser(_) => "COM_CHANGE_USER",
            Self::StmtPrepare(_) => "COM_STMT_PREPARE",
            Self::StmtExecute(_) => "COM_STMT_EXECUTE",
            Self::StmtSendLongData { .. } => "COM_STMT_SEND_LONG_DATA",
            Self::StmtClose(_) => "COM_STMT_CLOSE",
            Self::StmtReset(_) => "COM_STMT_RESET",
            Self::SetOption { .. } => "COM_SET_OPTION",
            Self::StmtFetch { .. } => "COM_STMT_FETCH",
            Self::ResetConnection => "COM_RESET_CONNECTION",
            Self::Refused { name } => name,
        }
    }

    /// Whether the client waits for an answer.
    pub fn is_answered(&self) -> bool {
        !matches!(self, Self::Quit | Self::StmtSendLongData { .. } | Self::StmtClose(_))
    }
}

fn set_option(option: u16) -> Result<bool> {
    match option {
        0 => Ok(true),
        1 => Ok(false),
        // MySQL answers ER_UNKNOWN_COM_ERROR, as for an unknown command.
        _ => Err(ProtocolError::UnknownCommand),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_by_their_bytes() {
        let cases: [(&[u8], Command<'_>); 12] = [
            (b"\x01", Command::Quit),
            (b"\x02shop", Command::InitDb(b"shop")),
            (b"\x03SELECT 1", Command::Query(b"SELECT 1")),
            (b"\x04t\0a%", Command::FieldList { table: b"t", wildcard: b"a%" }),
            (b"\x0c\x07\0\0\0", Command::ProcessKill(7)),
            (b"\x16SELECT ?", Command::StmtPrepare(b"SELECT ?")),
            (b"\x18\x01\0\0\0\x02\0xyz", Command::StmtSendLongData { statement_id: 1, param: 2, data: b"xyz" }),
            (b"\x19\x01\0\0\0", Command::StmtClose(1)),
            (b"\x1b\x01\0", Command::SetOption { multi_statements: false }),
            (b"\x1c\x01\0\0\0\x64\0\0\0", Command::StmtFetch { statement_id: 1, rows: 100 }),
            (b"\x1f", Command::ResetConnection),
            (b"\x0d", Command::Refused { name: "COM_DEBUG" }),
        ];
        for (payload, command) in cases {
            assert_eq!(Command::parse(payload), Ok(command));
        }
    }

    #[test]
    fn what_no_server_knows_is_unknown() {
        for payload in [&[0x0F][..], &[0x1D], &[0x21], &[0xFF], &[0x1B, 2, 0], &[0]] {
            assert_eq!(Command::parse(payload), Err(ProtocolError::UnknownCommand), "{payload:?}");
        }
        for payload in [&[][..], &[0x19, 1], &[0x1C, 0, 0, 0, 0], &[0x18, 0, 0, 0, 0, 0], b"\x04t"] {
            assert!(matches!(Command::parse(payload), Err(ProtocolError::Truncated { .. })), "{payload:?}");
        }
    }
}
