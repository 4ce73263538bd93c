//! Rows as they lie in a connection's buffer: whole packets are passed on as they are.

use bytes::Bytes;

use crate::net::{HEADER_LEN, MAX_WIRE_PAYLOAD};
use crate::protocol::frame::FrameHeader;

/// An EOF packet is shorter than this; a row that begins with 0xFE is longer.
pub(super) const EOF_LIMIT: usize = 9;

/// Rows of a result.
#[derive(Debug, Clone)]
pub enum Rows {
    /// Whole packets, headers included.
    Packets(Bytes),
    /// The payload of one row that may be longer than a packet.
    Large(Bytes),
}

impl Rows {
    /// How many bytes they take.
    #[allow(clippy::len_without_is_empty)] // there is always a row
    pub fn len(&self) -> usize {
        match self {
            Self::Packets(bytes) | Self::Large(bytes) => bytes.len(),
        }
    }
}

/// What a buffer begins with.
pub(super) enum Ahead {
    /// So many bytes of so many whole row packets.
    Rows { len: usize, rows: u64 },
    /// A packet that must be looked at: the end of the rows, an error, a row of several packets.
    Other,
    /// A part of a packet, or nothing.
    Incomplete,
}

/// Looks for whole row packets at the beginning of a buffer.
pub(super) fn scan_rows(buffer: &[u8], deprecate_eof: bool) -> Ahead {
    let (mut len, mut rows) = (0, 0);
    loop {
        let header = buffer.get(len..).and_then(FrameHeader::read);
        let (Some(header), Some(first)) = (header, buffer.get(len + HEADER_LEN)) else { break };
        let ends = *first == 0xFF || (*first == 0xFE && (deprecate_eof || header.payload_len < EOF_LIMIT));
        if ends || header.payload_len == MAX_WIRE_PAYLOAD {
            return if rows == 0 { Ahead::Other } else { Ahead::Rows { len, rows } };
        }
        let next = len + HEADER_LEN + header.payload_len;
        if next > buffer.len() {
            break;
        }
        len = next;
        rows += 1;
    }
    if rows == 0 { Ahead::Incomplete } else { Ahead::Rows { len, rows } }
}
