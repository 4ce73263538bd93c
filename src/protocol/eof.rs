//! EOF packets (`page_protocol_basic_eof_packet.html`), for peers without CLIENT_DEPRECATE_EOF.

use bytes::BufMut;

use super::wire::Reader;
use super::{ProtocolError, Result, StatusFlags};

/// First byte of an EOF packet.
pub const EOF_HEADER: u8 = 0xFE;
/// A packet that begins with 0xFE and is shorter than this is an EOF; a longer one is a row.
pub const EOF_MAX_LEN: usize = 9;

/// An EOF packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EofPacket {
    /// Number of warnings.
    pub warnings: u16,
    /// Status flags.
    pub status: StatusFlags,
}

impl EofPacket {
    /// Parses a payload.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "an EOF packet");
        // int<1> header
        if reader.u8()? != EOF_HEADER || payload.len() >= EOF_MAX_LEN {
            return Err(ProtocolError::Malformed { what: "an EOF packet has another header" });
        }
        let warnings = reader.u16()?; // int<2>
        let status = StatusFlags(reader.u16()?); // int<2>
        Ok(Self { warnings, status })
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u8(EOF_HEADER);
        out.put_u16_le(self.warnings);
        out.put_u16_le(self.status.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_manual() {
        let payload = [0xFE, 0, 0, 2, 0];
        let eof = EofPacket { warnings: 0, status: StatusFlags::AUTOCOMMIT };
        assert_eq!(EofPacket::parse(&payload), Ok(eof));
        let mut out = Vec::new();
        eof.put(&mut out);
        assert_eq!(out, payload);
        for cut in 0..payload.len() {
            assert!(EofPacket::parse(&payload[..cut]).is_err());
        }
    }
}
