//! OK packets (`page_protocol_basic_ok_packet.html`), also those that take an EOF's place.

use bytes::BufMut;

use super::wire::{Reader, put_lenenc_bytes, put_lenenc_int};
use super::{Capabilities, ProtocolError, Result, StatusFlags};

/// First byte of an OK packet.
pub const OK_HEADER: u8 = 0x00;
/// First byte of an OK packet that ends a result set (CLIENT_DEPRECATE_EOF).
pub const OK_AS_EOF_HEADER: u8 = 0xFE;

/// An OK packet. Strings borrow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OkPacket<'a> {
    /// Rows changed, or found under CLIENT_FOUND_ROWS.
    pub affected_rows: u64,
    /// The last AUTO_INCREMENT value.
    pub last_insert_id: u64,
    /// Status flags.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Human readable text, such as `Rows matched: 1  Changed: 0  Warnings: 0`.
    pub info: &'a [u8],
    /// Session state changes, still encoded: see [`super::session_track`].
    pub session_state: &'a [u8],
}

impl<'a> OkPacket<'a> {
    /// Parses a payload that begins with 0x00 or, in EOF's place, 0xFE.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self> {
        let mut reader = Reader::new(payload, "an OK packet");
        // int<1> header
        if !matches!(reader.u8()?, OK_HEADER | OK_AS_EOF_HEADER) {
            return Err(ProtocolError::Malformed { what: "an OK packet has another header" });
        }
        let mut ok = Self {
            affected_rows: reader.lenenc_int()?,  // int<lenenc>
            last_insert_id: reader.lenenc_int()?, // int<lenenc>
            ..Self::default()
        };
        ok.status = StatusFlags(reader.u16()?); // int<2>
        ok.warnings = reader.u16()?; // int<2>
        if !capabilities.contains(Capabilities::SESSION_TRACK) {
            // string<EOF> by the manual; servers put a length before it
            let rest = reader.rest();
            let mut lengthed = Reader::new(rest, "the text of an OK packet");
            ok.info = match lengthed.lenenc_bytes() {
                Ok(info) if lengthed.is_empty() => info,
                _ => rest,
            };
            return Ok(ok);
        }
        if !reader.is_empty() {
            ok.info = reader.lenenc_bytes()?; // string<lenenc>
        }
        if ok.status.contains(StatusFlags::SESSION_STATE_CHANGED) && !reader.is_empty() {
            ok.session_state = reader.lenenc_bytes()?; // string<lenenc>
        }
        Ok(ok)
    }

    /// Appends the payload of an OK packet.
    pub fn put(&self, capabilities: Capabilities, out: &mut impl BufMut) {
        self.put_with_header(OK_HEADER, capabilities, out);
    }

    /// Appends the payload of the packet that ends rows for a client with CLIENT_DEPRECATE_EOF.
    pub fn put_as_eof(&self, capabilities: Capabilities, out: &mut impl BufMut) {
        self.put_with_header(OK_AS_EOF_HEADER, capabilities, out);
    }

    fn put_with_header(&self, header: u8, capabilities: Capabilities, out: &mut impl BufMut) {
        let tracks = capabilities.contains(Capabilities::SESSION_TRACK);
        let changed = tracks && !self.session_state.is_empty();
        let status = if changed {
            self.status.with(StatusFlags::SESSION_STATE_CHANGED)
        } else {
            self.status.without(StatusFlags::SESSION_STATE_CHANGED)
        };
        out.put_u8(header);
        put_lenenc_int(out, self.affected_rows);
        put_lenenc_int(out, self.last_insert_id);
        out.put_u16_le(status.0);
        out.put_u16_le(self.warnings);
        // The manual has `string<EOF>` without SESSION_TRACK; every server sends a length all the same, and clients read it.
        // The server leaves an empty info out when nothing follows it.
        if changed || !self.info.is_empty() {
            put_lenenc_bytes(out, self.info);
        }
        if changed {
            put_lenenc_bytes(out, self.session_state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capabilities as C;

    #[test]
    fn bytes_of_a_real_ok() {
        // MySQL 5.7, `UPDATE t SET a = 1` with SESSION_TRACK off.
        let payload = b"\x00\x03\x00\x02\x00\x00\x00\x0fRows matched: 3";
        let ok = OkPacket::parse(payload, C::NONE).unwrap();
        assert_eq!(ok.affected_rows, 3);
        assert_eq!(ok.status, StatusFlags::AUTOCOMMIT);
        assert_eq!(ok.info, b"Rows matched: 3");
        let mut out = Vec::new();
        ok.put(C::NONE, &mut out);
        assert_eq!(out, payload);
    }

    #[test]
    fn session_state_of_a_real_ok() {
        // MySQL 8.0, `USE test` with SESSION_TRACK: info empty, state 0x01 (schema) of 5 bytes.
        let payload = b"\x00\x00\x00\x02\x40\x00\x00\x00\x07\x01\x05\x04test";
        let ok = OkPacket::parse(payload, C::SESSION_TRACK).unwrap();
        assert_eq!(ok.session_state, b"\x01\x05\x04test");
        let mut out = Vec::new();
        ok.put(C::SESSION_TRACK, &mut out);
        assert_eq!(out, payload);
        // A client that does not track must not see the flag either.
        out.clear();
        ok.put(C::NONE, &mut out);
        assert_eq!(out, b"\x00\x00\x00\x02\x00\x00\x00");
    }

    #[test]
    fn truncation_is_an_error_everywhere() {
        let payload = b"\x00\xfc\xfb\x00\x05\x02\x40\x00\x00\x01x\x07\x01\x05\x04test";
        for cut in 0..payload.len() {
            // At the two places where the server itself stops, the packet is whole.
            let whole = [9, 11].contains(&cut);
            assert_eq!(OkPacket::parse(&payload[..cut], C::SESSION_TRACK).is_ok(), whole, "cut to {cut}");
        }
        assert!(OkPacket::parse(payload, C::SESSION_TRACK).is_ok());
    }
}
