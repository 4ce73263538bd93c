//! ERR packets (`page_protocol_basic_err_packet.html`).

use bytes::BufMut;

use super::wire::Reader;
use super::{ProtocolError, Result};
use crate::error::SqlError;

/// First byte of an ERR packet. No row and no other answer begins with it.
pub const ERR_HEADER: u8 = 0xFF;
/// The SQLSTATE of errors that have none.
pub const GENERAL_SQLSTATE: [u8; 5] = *b"HY000";
/// MySQL's `MYSQL_ERRMSG_SIZE`: clients have a buffer of this size, so a message is cut to fit.
pub const MAX_MESSAGE_BYTES: usize = 511;

/// An ERR packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrPacket<'a> {
    /// Error number.
    pub errno: u16,
    /// SQLSTATE.
    pub sqlstate: [u8; 5],
    /// The text.
    pub message: &'a [u8],
}

impl<'a> ErrPacket<'a> {
    /// Parses a payload. A server that refuses a connection before the handshake sends no SQLSTATE.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "an ERR packet");
        // int<1> header
        if reader.u8()? != ERR_HEADER {
            return Err(ProtocolError::Malformed { what: "an ERR packet has another header" });
        }
        let errno = reader.u16()?; // int<2>
        let mut sqlstate = GENERAL_SQLSTATE;
        if reader.remaining().first() == Some(&b'#') {
            reader.u8()?; // string<1> marker
            sqlstate = reader.array()?; // string<5>
        }
        Ok(Self { errno, sqlstate, message: reader.rest() }) // string<EOF>
    }

    /// The packet that tells a client of `error`.
    pub fn from_error(error: &'a SqlError) -> Self {
        let sqlstate = error.sqlstate.as_bytes().try_into().unwrap_or(GENERAL_SQLSTATE);
        Self { errno: error.errno, sqlstate, message: error.message.as_bytes() }
    }

    /// The SQLSTATE as text.
    pub fn sqlstate_str(&self) -> &str {
        std::str::from_utf8(&self.sqlstate).unwrap_or("HY000")
    }

    /// The text, with bytes that are no UTF-8 replaced.
    pub fn message_lossy(&self) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.message)
    }

    /// Appends the payload. The message is cut at [`MAX_MESSAGE_BYTES`], between characters.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u8(ERR_HEADER);
        out.put_u16_le(self.errno);
        out.put_u8(b'#');
        out.put_slice(&self.sqlstate);
        out.put_slice(cut(self.message));
    }
}

fn cut(message: &[u8]) -> &[u8] {
    if message.len() <= MAX_MESSAGE_BYTES {
        return message;
    }
    let mut end = MAX_MESSAGE_BYTES;
    while end > 0 && message[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &message[..end]
}

/// Whether a payload is an ERR packet.
#[inline]
pub fn is_err(payload: &[u8]) -> bool {
    payload.first() == Some(&ERR_HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_manual() {
        let payload = b"\xff\x48\x04#HY000No tables used";
        let err = ErrPacket { errno: 1096, sqlstate: *b"HY000", message: b"No tables used" };
        assert_eq!(ErrPacket::parse(payload), Ok(err));
        let mut out = Vec::new();
        err.put(&mut out);
        assert_eq!(out, payload);
    }

    #[test]
    fn an_error_before_the_handshake_has_no_sqlstate() {
        let err = ErrPacket::parse(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!((err.errno, &err.sqlstate, err.message), (1040, b"HY000", &b"Too many connections"[..]));
    }

    #[test]
    fn truncation_and_long_messages() {
        for cut in 0..9 {
            assert_eq!(ErrPacket::parse(&b"\xff\x48\x04#HY000"[..cut]).is_ok(), cut == 3, "cut to {cut}");
        }
        let message = "é".repeat(400);
        let mut out = Vec::new();
        ErrPacket { errno: 1, sqlstate: GENERAL_SQLSTATE, message: message.as_bytes() }.put(&mut out);
        assert_eq!(out.len(), 9 + 510);
        assert!(std::str::from_utf8(&out[9..]).is_ok());
    }
}
