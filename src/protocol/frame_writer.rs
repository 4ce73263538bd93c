//! Writes the proxy's own answers as frames: each payload is encoded where it will be sent from.

use bytes::BytesMut;

use super::frame::{FrameHeader, HEADER_LEN, MAX_WIRE_PAYLOAD};
use super::text_row::put_cell;
use super::wire::put_lenenc_int;
use super::{Capabilities, ColumnView, EofPacket, ErrPacket, OkPacket, StatusFlags};
use crate::error::SqlError;

/// Appends frames to a buffer and counts the sequence id on.
#[derive(Debug)]
pub struct FrameWriter<'a> {
    out: &'a mut BytesMut,
    seq: &'a mut u8,
}

impl<'a> FrameWriter<'a> {
    /// Over a write buffer and the next sequence id.
    pub fn new(out: &'a mut BytesMut, seq: &'a mut u8) -> Self {
        Self { out, seq }
    }

    /// Appends a packet whose payload `encode` appends to the buffer it is given.
    pub fn packet(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; HEADER_LEN]);
        encode(self.out);
        let payload_len = self.out.len() - at - HEADER_LEN;
        if payload_len >= MAX_WIRE_PAYLOAD {
            return self.split(at);
        }
        self.header(at, payload_len);
    }

    fn header(&mut self, at: usize, payload_len: usize) {
        let header = FrameHeader { payload_len, seq: *self.seq };
        self.out[at..at + HEADER_LEN].copy_from_slice(&header.to_bytes());
        *self.seq = self.seq.wrapping_add(1);
    }

    /// A payload of 16 MiB or more goes out in several frames.
    fn split(&mut self, at: usize) {
        let payload = self.out.split_off(at + HEADER_LEN);
        self.out.truncate(at);
        let mut rest = &payload[..];
        loop {
            let (part, next) = rest.split_at(rest.len().min(MAX_WIRE_PAYLOAD));
            let at = self.out.len();
            self.out.extend_from_slice(&[0; HEADER_LEN]);
            self.out.extend_from_slice(part);
            self.header(at, part.len());
            rest = next;
            if part.len() < MAX_WIRE_PAYLOAD {
                return;
            }
        }
    }

    /// An OK packet.
    pub fn ok(&mut self, ok: &OkPacket<'_>, capabilities: Capabilities) {
        self.packet(|out| ok.put(capabilities, out));
    }

    /// An ERR packet.
    pub fn error(&mut self, error: &SqlError) {
        self.packet(|out| ErrPacket::from_error(error).put(out));
    }

    /// The beginning of a result set: the number of columns, their definitions, and the EOF behind them for clients
    /// that know it.
    pub fn columns<'c>(
        &mut self,
        columns: impl ExactSizeIterator<Item = ColumnView<'c>>,
        status: StatusFlags,
        capabilities: Capabilities,
    ) {
        self.packet(|out| put_lenenc_int(out, columns.len() as u64));
        for column in columns {
            self.packet(|out| column.put(out));
        }
        if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            self.packet(|out| EofPacket { warnings: 0, status }.put(out));
        }
    }

    /// A row of the text protocol.
    pub fn text_row<'c>(&mut self, cells: impl IntoIterator<Item = Option<&'c [u8]>>) {
        self.packet(|out| cells.into_iter().for_each(|cell| put_cell(out, cell)));
    }

    /// The end of the rows: an OK or an EOF, as the client knows it. (Also the answer to COM_SET_OPTION.)
    pub fn rows_end(&mut self, status: StatusFlags, warnings: u16, capabilities: Capabilities) {
        if capabilities.contains(Capabilities::DEPRECATE_EOF) {
            let ok = OkPacket { status, warnings, ..OkPacket::default() };
            self.packet(|out| ok.put_as_eof(capabilities, out));
        } else {
            self.packet(|out| EofPacket { warnings, status }.put(out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ColumnType, ResponseKind, ResultScanner, Stop};

    #[test]
    fn a_result_set_is_one_that_the_scanner_understands() {
        for capabilities in [Capabilities::NONE, Capabilities::DEPRECATE_EOF | Capabilities::SESSION_TRACK] {
            let (mut out, mut seq) = (BytesMut::new(), 1);
            let mut writer = FrameWriter::new(&mut out, &mut seq);
            let column = ColumnView::computed(b"x", ColumnType::VAR_STRING, 4, 45);
            writer.columns([column].into_iter(), StatusFlags::AUTOCOMMIT, capabilities);
            writer.text_row([Some(&b"a"[..])]);
            writer.text_row([None]);
            writer.text_row([Some(&vec![b'x'; MAX_WIRE_PAYLOAD - 4][..])]);
            writer.rows_end(StatusFlags::AUTOCOMMIT, 3, capabilities);
            let deprecate_eof = capabilities.contains(Capabilities::DEPRECATE_EOF);
            let mut scanner = ResultScanner::new(ResponseKind::Results, deprecate_eof);
            let scan = scanner.scan(&mut out).unwrap();
            assert!(matches!(scan.stop, Stop::Done(_)));
            assert_eq!(scan.consumed, out.len());
            assert_eq!((scanner.rows(), scanner.outcome().warnings), (3, 3));
            assert_eq!(scanner.last_seq().wrapping_add(1), seq);
        }
    }
}
