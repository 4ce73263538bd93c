//! Reading the answer to what was sent on a lane.

use std::sync::Arc;

use bytes::Bytes;

use super::super::ExecuteError;
use super::super::rows::{Ahead, EOF_LIMIT, Rows, scan_rows};
use super::{Head, Lane, Outcome};
use crate::backend::{BackendError, ServerError};
use crate::net::MAX_WIRE_PAYLOAD;
use crate::protocol::column::ColumnDef;
use crate::protocol::eof::EofPacket;
use crate::protocol::err::{ErrPacket, is_err};
use crate::protocol::ok::OkPacket;
use crate::protocol::wire::Reader;
use crate::protocol::{Capabilities, ProtocolError, StatusFlags};

impl Lane {
    pub(super) async fn read_definitions(&mut self, count: usize) -> Result<Vec<ColumnDef>, ExecuteError> {
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let packet = self.read_packet().await?;
            columns.push(ColumnDef::parse(&packet).map_err(|e| self.malformed(&e))?);
        }
        if count > 0 && !self.conn()?.flavour().deprecate_eof {
            self.read_packet().await?;
        }
        Ok(columns)
    }

    /// Reads the beginning of an answer. A server's error becomes an `Err`.
    pub async fn read_head(&mut self) -> Result<Head, ExecuteError> {
        self.read_preludes().await?;
        let packet = self.read_packet().await?;
        match packet.first() {
            Some(0xFF) => Err(self.statement_error(&packet)),
            Some(0x00) => {
                self.finish_with_ok(&packet, None)?;
                Ok(Head::Ok)
            }
            Some(0xFB) => Err(self.malformed(&ProtocolError::Malformed { what: "an unexpected LOCAL INFILE request" })),
            _ => {
                let mut reader = Reader::new(&packet, "a column count");
                let count = reader.lenenc_int().map_err(|e| self.malformed(&e))?;
                let columns = self.read_definitions(count as usize).await?;
                self.outcome = Outcome { rows: Some(0), ..Outcome::default() };
                Ok(Head::Rows(columns))
            }
        }
    }

    /// Reads a row; `None` after the last one.
    pub async fn read_row(&mut self) -> Result<Option<Bytes>, ExecuteError> {
        let packet = self.read_packet().await?;
        match packet.first() {
            Some(0xFF) => Err(self.statement_error(&packet)),
            Some(0xFE) if packet.len() < EOF_LIMIT => {
                self.finish_with_eof(&packet)?;
                Ok(None)
            }
            Some(0xFE) if self.conn()?.flavour().deprecate_eof && packet.len() < MAX_WIRE_PAYLOAD => {
                let rows = self.outcome.rows;
                self.finish_with_ok(&packet, rows)?;
                Ok(None)
            }
            _ => {
                self.outcome.rows = self.outcome.rows.map(|rows| rows + 1);
                Ok(Some(packet))
            }
        }
    }

    /// Reads rows as they come: all whole row packets that are buffered, as they are. `None` after the last one.
    pub async fn read_rows(&mut self) -> Result<Option<Rows>, ExecuteError> {
        loop {
            let deprecate_eof = self.conn()?.flavour().deprecate_eof;
            let stream = self.conn()?.stream();
            match scan_rows(stream.buffer(), deprecate_eof) {
                Ahead::Rows { len, rows } => {
                    let seq = stream.seq().wrapping_add(rows as u8);
                    let packets = stream.buffer().split_to(len).freeze();
                    stream.set_seq(seq);
                    self.outcome.rows = self.outcome.rows.map(|seen| seen + rows);
                    return Ok(Some(Rows::Packets(packets)));
                }
                Ahead::Other => return Ok(self.read_row().await?.map(Rows::Large)),
                Ahead::Incomplete => self.fill().await?,
            }
        }
    }

    /// Reads ahead what the server sends, up to a bound; for ever when that is reached or the connection ends: whoever
    /// reads the lane next finds out. Cancel safe.
    pub async fn read_ahead(&mut self, limit_bytes: usize) {
        while let Some(lease) = &mut self.lease
            && lease.stream().buffer().len() < limit_bytes
            && lease.stream().fill().await.is_ok()
        {}
        std::future::pending().await
    }

    /// Reads the rest of an answer away, up to a bound; past it the connection is closed.
    pub async fn drain(&mut self, limit_bytes: usize) {
        let mut read_bytes = 0;
        while read_bytes <= limit_bytes {
            match self.read_row().await {
                Ok(Some(row)) => read_bytes += row.len(),
                Ok(None) => return,
                Err(_) if self.is_usable() => return,
                Err(_) => return self.discard(),
            }
        }
        self.discard();
    }

    /// What the packet behind a loaded file says.
    pub(in crate::execute) fn finish_load(&mut self, packet: &[u8]) -> Result<Outcome, ExecuteError> {
        if is_err(packet) {
            return Err(self.statement_error(packet));
        }
        self.finish_with_ok(packet, None)?;
        Ok(self.outcome.clone())
    }

    /// Reads one packet.
    pub async fn read_packet(&mut self) -> Result<Bytes, ExecuteError> {
        let conn = self.conn()?;
        match conn.stream().read_packet().await {
            Ok(packet) => Ok(packet),
            Err(error) => Err(conn.lost(&error).into()),
        }
    }

    fn finish_with_ok(&mut self, packet: &[u8], rows: Option<u64>) -> Result<(), ExecuteError> {
        let deprecate_eof = self.conn()?.flavour().deprecate_eof;
        let payload = if deprecate_eof || rows.is_none() { packet } else { &[] };
        let ok = OkPacket::parse(payload, Capabilities::NONE).map_err(|e| self.malformed(&e))?;
        let outcome = Outcome {
            status: ok.status,
            warnings: ok.warnings,
            affected_rows: ok.affected_rows,
            insert_id: ok.last_insert_id,
            rows,
            info: String::from_utf8_lossy(ok.info).into_owned(),
            error: None,
        };
        self.finish(outcome)
    }

    fn finish_with_eof(&mut self, packet: &[u8]) -> Result<(), ExecuteError> {
        if self.conn()?.flavour().deprecate_eof {
            let rows = self.outcome.rows;
            return self.finish_with_ok(packet, rows);
        }
        let eof = EofPacket::parse(packet).map_err(|e| self.malformed(&e))?;
        let outcome =
            Outcome { status: eof.status, warnings: eof.warnings, rows: self.outcome.rows, ..Outcome::default() };
        self.finish(outcome)
    }

    fn finish(&mut self, outcome: Outcome) -> Result<(), ExecuteError> {
        let more = outcome.status.contains(StatusFlags::MORE_RESULTS_EXISTS);
        if let (Some(schema), Some(lease)) = (self.choosing.take(), &mut self.lease) {
            // Statements that follow, and the cache of prepared ones, go by the schema that the connection is in.
            let settings = lease.settings().with_schema(Some(schema));
            lease.adopt_settings(&settings);
        }
        self.note_outcome(outcome);
        if more {
            // Several results from one shard cannot be merged; what is left of them is closed with the connection.
            self.discard();
            return Err(self.malformed(&ProtocolError::Malformed { what: "several results where one was expected" }));
        }
        Ok(())
    }

    /// The error that a statement ended with; the connection is ready for the next one.
    pub(in crate::execute) fn statement_error(&mut self, packet: &[u8]) -> ExecuteError {
        let error = self.server_error(packet);
        if let Some(lease) = &mut self.lease {
            lease.response_done(None);
        }
        if let ExecuteError::Backend(BackendError::Server(server)) = &error {
            self.note_error(server.errno);
        }
        error
    }

    pub(in crate::execute) fn server_error(&self, packet: &[u8]) -> ExecuteError {
        match ErrPacket::parse(packet) {
            Ok(err) => ExecuteError::Backend(BackendError::Server(ServerError {
                errno: err.errno,
                sqlstate: err.sqlstate_str().to_owned(),
                message: err.message_lossy().into_owned(),
            })),
            Err(error) => self.malformed(&error),
        }
    }

    /// The error for a packet that cannot be understood; the connection is not used again.
    pub fn malformed(&self, error: &ProtocolError) -> ExecuteError {
        let server = self.lease.as_ref().map_or_else(|| Arc::from("?"), |lease| Arc::clone(lease.server().label()));
        ExecuteError::Backend(BackendError::Malformed { server, what: error.to_string().into() })
    }
}
