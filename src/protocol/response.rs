//! The course of a server's answer to a command, packet by packet
//! (`page_protocol_com_query_response.html`, `page_protocol_com_stmt_prepare.html`, `page_protocol_com_stmt_fetch.html`).
//!
//! [`ResponseState`] says what each packet is. It is fed payloads; [`super::ResultScanner`] drives it from raw bytes.

use super::eof::{EOF_HEADER, EOF_MAX_LEN};
use super::err::ERR_HEADER;
use super::frame::MAX_WIRE_PAYLOAD;
use super::ok::{OK_AS_EOF_HEADER, OK_HEADER};
use super::wire::Reader;
use super::{ErrPacket, PrepareOk, ProtocolError, Result, StatusFlags};

/// First byte of a LOCAL INFILE request.
pub const LOCAL_INFILE_HEADER: u8 = 0xFB;

/// Which command is answered, as far as it decides the shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// COM_QUERY and COM_STMT_EXECUTE, and every command that is answered by OK, EOF or ERR alone.
    Results,
    /// COM_STMT_FETCH: rows without column definitions.
    Fetch,
    /// COM_STMT_PREPARE.
    Prepare,
    /// COM_FIELD_LIST: column definitions up to an EOF.
    FieldList,
    /// COM_STATISTICS: one packet of text.
    Text,
}

/// What a packet of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// The number of columns: a result set begins.
    ColumnCount(u32),
    /// A column definition (or a parameter's, after COM_STMT_PREPARE).
    Column,
    /// The EOF behind column definitions; more packets follow.
    ColumnsEnd,
    /// A row.
    Row,
    /// The first packet of the answer to COM_STMT_PREPARE.
    PrepareOk(PrepareOk),
    /// The server asks for a file; after it was sent, the answer goes on.
    LocalInfile,
    /// The last packet of one result.
    End {
        /// Another result follows.
        more: bool,
    },
}

/// What the last terminal packet of an answer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Status flags, as the server sent them.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Rows changed.
    pub affected_rows: u64,
    /// Last AUTO_INCREMENT value.
    pub last_insert_id: u64,
    /// Error number, where the answer ended with an ERR.
    pub errno: Option<u16>,
    /// Whether the last result had columns.
    pub had_columns: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    Columns { left: u32 },
    ColumnsEof,
    Rows,
    PrepareStart,
    PrepareParams { left: u16, columns: u16 },
    PrepareParamsEof { columns: u16 },
    PrepareColumns { left: u16 },
    PrepareColumnsEof,
    FieldList,
    Text,
    Done,
}

/// Where in an answer the next packet stands.
#[derive(Debug, Clone)]
pub struct ResponseState {
    phase: Phase,
    deprecate_eof: bool,
    outcome: Outcome,
    rows: u64,
    /// Offset of the status flags in the payload that was taken last, where it had them.
    status_at: Option<usize>,
}

impl ResponseState {
    /// For the answer to a command on a connection with or without CLIENT_DEPRECATE_EOF.
    pub fn new(kind: ResponseKind, deprecate_eof: bool) -> Self {
        let phase = match kind {
            ResponseKind::Results => Phase::Start,
            ResponseKind::Fetch => Phase::Rows,
            ResponseKind::Prepare => Phase::PrepareStart,
            ResponseKind::FieldList => Phase::FieldList,
            ResponseKind::Text => Phase::Text,
        };
        Self { phase, deprecate_eof, outcome: Outcome::default(), rows: 0, status_at: None }
    }

    /// Whether the answer is complete.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// What the last terminal packet said.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// How many rows have passed.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Offset of the status flags (`int<2>`) in the payload of the last packet, where it was an OK or EOF.
    pub fn status_at(&self) -> Option<usize> {
        self.status_at
    }

    /// Whether a packet in this phase whose payload begins with `first` and is `len` long needs no look inside: a row,
    /// or (with `columns`) a column definition. Such a packet is counted by [`Self::pass`].
    #[inline]
    pub(super) fn passes(&self, first: u8, len: usize, columns: bool) -> bool {
        match self.phase {
            Phase::Rows => self.is_row(first, len),
            Phase::Columns { .. } | Phase::PrepareParams { .. } | Phase::PrepareColumns { .. } => {
                columns && first != ERR_HEADER
            }
            Phase::FieldList => columns && first != ERR_HEADER && first != EOF_HEADER,
            _ => false,
        }
    }

    /// Counts a packet for which [`Self::passes`] held.
    #[inline]
    pub(super) fn pass(&mut self) {
        match self.phase {
            Phase::Rows => self.rows += 1,
            _ => self.column(),
        }
    }

    /// A row can begin with 0xFE, but then its first cell is longer than 16 MiB and so is the packet. Nothing but an
    /// ERR begins with 0xFF.
    #[inline]
    fn is_row(&self, first: u8, len: usize) -> bool {
        let terminal_limit = if self.deprecate_eof { MAX_WIRE_PAYLOAD } else { EOF_MAX_LEN };
        first < EOF_HEADER || (first == EOF_HEADER && len >= terminal_limit)
    }

    /// Takes the next packet: its whole payload, or of a row as much as is at hand (one byte at least) and its length.
    pub fn accept(&mut self, payload: &[u8], len: usize) -> Result<Packet> {
        let &first = payload.first().ok_or(ProtocolError::Malformed { what: "an empty packet in an answer" })?;
        self.status_at = None;
        match self.phase {
            Phase::Text if first != ERR_HEADER => Ok(self.end()),
            Phase::Done => Err(ProtocolError::Malformed { what: "a packet after the end of an answer" }),
            _ if first == ERR_HEADER => self.error(payload),
            Phase::Start => self.start(first, payload),
            Phase::Rows if self.is_row(first, len) => {
                self.rows += 1;
                Ok(Packet::Row)
            }
            Phase::Rows => self.rows_end(payload),
            Phase::FieldList if first == EOF_HEADER => self.rows_end(payload),
            Phase::PrepareStart => self.prepare(payload),
            Phase::ColumnsEof => self.columns_eof(payload),
            Phase::PrepareParamsEof { columns } => {
                self.eof(payload)?;
                self.prepare_columns(columns);
                Ok(if self.is_done() { Packet::End { more: false } } else { Packet::ColumnsEnd })
            }
            Phase::PrepareColumnsEof => {
                self.eof(payload)?;
                Ok(self.end())
            }
            _ => {
                self.column();
                Ok(Packet::Column)
            }
        }
    }

    fn start(&mut self, first: u8, payload: &[u8]) -> Result<Packet> {
        match first {
            OK_HEADER => {
                self.outcome = Outcome::default();
                self.ok(payload)?;
                Ok(self.end())
            }
            // COM_SET_OPTION and COM_DEBUG are answered by an EOF.
            EOF_HEADER => {
                self.outcome = Outcome::default();
                self.rows_end(payload)
            }
            LOCAL_INFILE_HEADER => Ok(Packet::LocalInfile),
            _ => {
                let mut reader = Reader::new(payload, "a column count");
                let count = reader.lenenc_int()?;
                let count = u32::try_from(count).ok().filter(|count| *count <= u16::MAX.into() && reader.is_empty());
                let Some(left) = count else { return Err(ProtocolError::Malformed { what: "a column count" }) };
                self.outcome = Outcome { had_columns: true, ..Outcome::default() };
                self.phase = Phase::Columns { left };
                Ok(Packet::ColumnCount(left))
            }
        }
    }

    fn column(&mut self) {
        self.phase = match self.phase {
            Phase::Columns { left: 0 | 1 } if self.deprecate_eof => Phase::Rows,
            Phase::Columns { left: 0 | 1 } => Phase::ColumnsEof,
            Phase::Columns { left } => Phase::Columns { left: left - 1 },
            Phase::PrepareParams { left: 0 | 1, columns } if self.deprecate_eof => {
                return self.prepare_columns(columns);
            }
            Phase::PrepareParams { left: 0 | 1, columns } => Phase::PrepareParamsEof { columns },
            Phase::PrepareParams { left, columns } => Phase::PrepareParams { left: left - 1, columns },
            Phase::PrepareColumns { left: 0 | 1 } if self.deprecate_eof => Phase::Done,
            Phase::PrepareColumns { left: 0 | 1 } => Phase::PrepareColumnsEof,
            Phase::PrepareColumns { left } => Phase::PrepareColumns { left: left - 1 },
            other => other,
        };
    }

    /// With a cursor no rows follow: they come by COM_STMT_FETCH. (With CLIENT_DEPRECATE_EOF the OK that ends the
    /// rows, of which there are none, carries the flag.)
    fn columns_eof(&mut self, payload: &[u8]) -> Result<Packet> {
        self.eof(payload)?;
        if self.outcome.status.contains(StatusFlags::CURSOR_EXISTS) {
            return Ok(self.end());
        }
        self.phase = Phase::Rows;
        Ok(Packet::ColumnsEnd)
    }

    fn rows_end(&mut self, payload: &[u8]) -> Result<Packet> {
        if self.deprecate_eof && payload.len() >= 7 {
            self.ok(payload)?;
        } else {
            self.eof(payload)?;
        }
        Ok(self.end())
    }

    fn end(&mut self) -> Packet {
        let more = self.outcome.status.contains(StatusFlags::MORE_RESULTS_EXISTS);
        self.phase = if more { Phase::Start } else { Phase::Done };
        Packet::End { more }
    }

    fn error(&mut self, payload: &[u8]) -> Result<Packet> {
        self.outcome.errno = Some(ErrPacket::parse(payload)?.errno);
        self.phase = Phase::Done;
        Ok(Packet::End { more: false })
    }

    fn ok(&mut self, payload: &[u8]) -> Result<()> {
        let mut reader = Reader::new(payload, "an OK packet");
        if !matches!(reader.u8()?, OK_HEADER | OK_AS_EOF_HEADER) {
            return Err(ProtocolError::Malformed { what: "an OK packet has another header" });
        }
        self.outcome.affected_rows = reader.lenenc_int()?;
        self.outcome.last_insert_id = reader.lenenc_int()?;
        self.status_at = Some(payload.len() - reader.remaining().len());
        self.outcome.status = StatusFlags(reader.u16()?);
        self.outcome.warnings = reader.u16()?;
        Ok(())
    }

    fn eof(&mut self, payload: &[u8]) -> Result<()> {
        let eof = super::EofPacket::parse(payload)?;
        self.status_at = Some(3);
        self.outcome.status = eof.status;
        self.outcome.warnings = eof.warnings;
        Ok(())
    }

    fn prepare(&mut self, payload: &[u8]) -> Result<Packet> {
        let ok = PrepareOk::parse(payload)?;
        self.outcome.warnings = ok.warnings;
        self.outcome.had_columns = ok.columns > 0;
        if ok.params > 0 {
            self.phase = Phase::PrepareParams { left: ok.params, columns: ok.columns };
        } else {
            self.prepare_columns(ok.columns);
        }
        Ok(Packet::PrepareOk(ok))
    }

    fn prepare_columns(&mut self, columns: u16) {
        self.phase = if columns > 0 { Phase::PrepareColumns { left: columns } } else { Phase::Done };
    }
}
