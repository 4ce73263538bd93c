//! Answers to the commands that the proxy sends on its own behalf: small, read whole, bounded.

use std::sync::Arc;

use bytes::Bytes;

use super::conn::BackendConn;
use super::error::{BackendError, ServerError};
use super::server::Server;
use crate::net::PacketStream;
use crate::protocol::eof::{EOF_HEADER, EOF_MAX_LEN};
use crate::protocol::wire::Reader;
use crate::protocol::{Capabilities, ColumnDef, EofPacket, ErrPacket, OkPacket, ProtocolError, StatusFlags, err, ok};

/// The most rows of an answer to a query of the proxy's own. They describe schemas: a table has 4096 columns at most, and
/// a server with more tables than this is asked for them in parts.
pub const OWN_ROWS_LIMIT: usize = 100_000;
/// The most bytes of them.
pub const OWN_BYTES_LIMIT: usize = 64 * 1024 * 1024;

/// What an OK packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Rows changed, or found.
    pub affected_rows: u64,
    /// The last AUTO_INCREMENT value.
    pub last_insert_id: u64,
    /// Status flags.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
}

/// A row as text; `None` is NULL.
pub type Row = Vec<Option<Bytes>>;

/// An answer that was read whole.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// What the OK (or the end of the rows) said.
    pub done: Done,
    /// The columns; none where the statement has no result.
    pub columns: Vec<ColumnDef>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// The text of a cell; empty for NULL and for a cell that is not there.
pub fn text(row: &Row, column: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(row.get(column).and_then(Option::as_deref).unwrap_or_default())
}

/// An ERR packet as an error.
pub(super) fn server_error(server: &Arc<Server>, payload: &[u8]) -> BackendError {
    match ErrPacket::parse(payload) {
        Ok(packet) => BackendError::Server(ServerError {
            errno: packet.errno,
            sqlstate: packet.sqlstate_str().to_owned(),
            message: packet.message_lossy().into_owned(),
        }),
        Err(error) => BackendError::malformed(server.label(), &error),
    }
}

/// Reads an answer that must be an OK or an ERR.
pub(super) async fn read_ok(stream: &mut PacketStream, server: &Arc<Server>) -> Result<Done, BackendError> {
    let payload = stream.read_packet().await.map_err(|error| BackendError::lost(server.label(), &error))?;
    parse_ok(server, &payload)
}

fn parse_ok(server: &Arc<Server>, payload: &[u8]) -> Result<Done, BackendError> {
    if err::is_err(payload) {
        return Err(server_error(server, payload));
    }
    match OkPacket::parse(payload, Capabilities::NONE) {
        Ok(ok) => Ok(Done {
            affected_rows: ok.affected_rows,
            last_insert_id: ok.last_insert_id,
            status: ok.status,
            warnings: ok.warnings,
        }),
        Err(error) => Err(BackendError::malformed(server.label(), &error)),
    }
}

impl BackendConn {
    /// Runs a statement of the proxy's own and reads its answer whole, within [`OWN_ROWS_LIMIT`] and [`OWN_BYTES_LIMIT`].
    /// The settings are whatever they are. A server's error leaves the connection usable.
    pub async fn query(&mut self, sql: &str) -> Result<Answer, BackendError> {
        self.queue_query(sql.as_bytes());
        self.flush().await?;
        self.read_setup().await?;
        let answer = self.read_answer().await;
        match &answer {
            Ok(answer) => self.response_done(Some(answer.done.status)),
            Err(BackendError::Server(_)) => self.response_done(None),
            Err(_) => self.mark_broken(),
        }
        answer
    }

    /// Runs a statement whose rows, if any, are of no interest.
    pub async fn query_drop(&mut self, sql: &str) -> Result<Done, BackendError> {
        self.query(sql).await.map(|answer| answer.done)
    }

    async fn own_packet(&mut self) -> Result<Bytes, BackendError> {
        let read = self.stream().read_packet().await;
        read.map_err(|error| self.lost(&error))
    }

    /// `page_protocol_com_query_response_text_resultset.html`
    async fn read_answer(&mut self) -> Result<Answer, BackendError> {
        let server = self.server().clone();
        let malformed = |error: &ProtocolError| BackendError::malformed(server.label(), error);
        let first = self.own_packet().await?;
        if first.first().is_none_or(|&header| matches!(header, ok::OK_HEADER | err::ERR_HEADER)) {
            return parse_ok(&server, &first).map(|done| Answer { done, ..Answer::default() });
        }
        let count = Reader::new(&first, "a column count").lenenc_int().map_err(|e| malformed(&e))?;
        let mut answer = Answer::default();
        for _ in 0..count {
            let payload = self.own_packet().await?;
            answer.columns.push(ColumnDef::parse(&payload).map_err(|e| malformed(&e))?);
        }
        if !self.flavour().deprecate_eof {
            self.own_packet().await?; // EOF
        }
        let mut bytes = 0;
        loop {
            let payload = self.own_packet().await?;
            if err::is_err(&payload) {
                return Err(server_error(&server, &payload));
            }
            if let Some(done) = end_of_rows(&payload, self.flavour().deprecate_eof) {
                answer.done = done.map_err(|e| malformed(&e))?;
                return Ok(answer);
            }
            bytes += payload.len();
            if answer.rows.len() >= OWN_ROWS_LIMIT || bytes > OWN_BYTES_LIMIT {
                return Err(BackendError::TooLarge { server: server.label().clone(), limit: "its limit of rows" });
            }
            answer.rows.push(row(&payload, answer.columns.len()).map_err(|e| malformed(&e))?);
        }
    }
}

fn end_of_rows(payload: &[u8], deprecate_eof: bool) -> Option<Result<Done, ProtocolError>> {
    if payload.first() != Some(&EOF_HEADER) {
        return None;
    }
    if !deprecate_eof {
        return (payload.len() < EOF_MAX_LEN).then(|| {
            EofPacket::parse(payload).map(|eof| Done { status: eof.status, warnings: eof.warnings, ..Done::default() })
        });
    }
    // A row that begins with 0xFE has a first cell of 16 MiB or more.
    (payload.len() < crate::protocol::frame::MAX_WIRE_PAYLOAD).then(|| {
        OkPacket::parse(payload, Capabilities::NONE).map(|ok| Done {
            status: ok.status,
            warnings: ok.warnings,
            ..Done::default()
        })
    })
}

/// `page_protocol_com_query_response_text_resultset_row.html`
fn row(payload: &Bytes, columns: usize) -> Result<Row, ProtocolError> {
    let mut reader = Reader::new(payload, "a row");
    (0..columns).map(|_| Ok(reader.lenenc_bytes_or_null()?.map(|cell| payload.slice_ref(cell)))).collect()
}
