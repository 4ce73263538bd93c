//! The server's greeting (`page_protocol_connection_phase_packets_protocol_handshake_v10.html`).

use bytes::BufMut;

use super::auth::{SCRAMBLE_LEN, Scramble};
use super::wire::{Reader, put_nul_bytes};
use super::{Capabilities, ProtocolError, Result, StatusFlags};

/// Length of the first part of the scramble.
const PART_1_LEN: usize = 8;

/// Protocol version 10, the only one spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeV10<'a> {
    /// The server's version, as `SELECT VERSION()` shows it.
    pub server_version: &'a [u8],
    /// Connection id.
    pub connection_id: u32,
    /// What passwords are scrambled with.
    pub scramble: Scramble,
    /// What the server can do.
    pub capabilities: Capabilities,
    /// The low byte of its default collation's id.
    pub charset: u8,
    /// Status flags.
    pub status: StatusFlags,
    /// Its default authentication plugin; empty without CLIENT_PLUGIN_AUTH.
    pub auth_plugin: &'a [u8],
}

impl<'a> HandshakeV10<'a> {
    /// Parses a payload. (A server that refuses the connection sends an ERR packet in its place: look first.)
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "a server handshake");
        // int<1> protocol version
        if reader.u8()? != 10 {
            return Err(ProtocolError::Malformed { what: "a server handshake has a version other than 10" });
        }
        let server_version = reader.nul_bytes()?; // string<NUL>
        let connection_id = reader.u32()?; // int<4>
        let mut scramble = [0; SCRAMBLE_LEN];
        scramble[..PART_1_LEN].copy_from_slice(reader.bytes(PART_1_LEN)?); // string[8]
        reader.u8()?; // filler
        let low = reader.u16()?; // int<2>
        let charset = reader.u8()?; // int<1>
        let status = StatusFlags(reader.u16()?); // int<2>
        let high = reader.u16()?; // int<2>
        let scramble_len = usize::from(reader.u8()?); // int<1>
        reader.bytes(6)?; // reserved
        let extended = reader.u32()?; // reserved; MariaDB's extended capabilities
        let mut capabilities = Capabilities(u64::from(low) | u64::from(high) << 16);
        if !capabilities.contains(Capabilities::LONG_PASSWORD) {
            capabilities.0 |= u64::from(extended) << 32;
        }
        if !capabilities.contains(Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION) {
            return Err(ProtocolError::Malformed { what: "a server handshake is older than version 4.1" });
        }
        // string[max(13, length - 8)], the last byte a NUL
        let part_2 = reader.bytes(scramble_len.saturating_sub(PART_1_LEN).max(SCRAMBLE_LEN - PART_1_LEN + 1))?;
        scramble[PART_1_LEN..].copy_from_slice(&part_2[..SCRAMBLE_LEN - PART_1_LEN]);
        let auth_plugin = if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            // string<NUL>; old servers leave the NUL out
            let rest = reader.rest();
            &rest[..memchr::memchr(0, rest).unwrap_or(rest.len())]
        } else {
            &[]
        };
        Ok(Self { server_version, connection_id, scramble, capabilities, charset, status, auth_plugin })
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u8(10);
        put_nul_bytes(out, self.server_version);
        out.put_u32_le(self.connection_id);
        out.put_slice(&self.scramble[..PART_1_LEN]);
        out.put_u8(0);
        out.put_u16_le(self.capabilities.low() as u16);
        out.put_u8(self.charset);
        out.put_u16_le(self.status.0);
        out.put_u16_le((self.capabilities.low() >> 16) as u16);
        let has_plugin = self.capabilities.contains(Capabilities::PLUGIN_AUTH);
        out.put_u8(if has_plugin { SCRAMBLE_LEN as u8 + 1 } else { 0 });
        out.put_slice(&[0; 6]);
        out.put_u32_le(self.capabilities.extended());
        out.put_slice(&self.scramble[PART_1_LEN..]);
        out.put_u8(0);
        if has_plugin {
            put_nul_bytes(out, self.auth_plugin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MySQL 5.6.4, from the manual.
    const REAL: &[u8] = b"\x0a5.6.4-m7-log\0\x56\x0a\0\0\x52\x42\x33\x76\x7a\x26\x47\x72\0\xff\xff\x08\x02\0\x0f\xc0\
        \x15\0\0\0\0\0\0\0\0\0\0\x2b\x79\x44\x26\x2f\x5a\x5a\x33\x30\x35\x5a\x47\0mysql_native_password\0";

    #[test]
    fn bytes_of_the_manual() {
        let hello = HandshakeV10::parse(REAL).unwrap();
        assert_eq!(hello.server_version, b"5.6.4-m7-log");
        assert_eq!(hello.connection_id, 2646);
        assert_eq!(&hello.scramble, b"RB3vz&Gr+yD&/ZZ305ZG");
        assert_eq!(hello.capabilities.low(), 0xC00F_FFFF);
        assert_eq!(hello.status, StatusFlags::AUTOCOMMIT);
        assert_eq!(hello.auth_plugin, b"mysql_native_password");
        let mut out = Vec::new();
        hello.put(&mut out);
        assert_eq!(out, REAL);
    }

    #[test]
    fn mariadb_extended_capabilities() {
        let mut payload = REAL.to_vec();
        payload[27] &= 0xFE; // CLIENT_MYSQL is left out
        payload[41] = 0x14; // STMT_BULK_OPERATIONS, CACHE_METADATA
        let hello = HandshakeV10::parse(&payload).unwrap();
        assert!(hello.capabilities.contains(Capabilities::MARIADB_CACHE_METADATA));
        assert!(hello.capabilities.contains(Capabilities::MARIADB_BULK_OPERATIONS));
        let mut out = Vec::new();
        hello.put(&mut out);
        assert_eq!(out, payload);
    }

    #[test]
    fn truncation() {
        let name_at = REAL.len() - "mysql_native_password\0".len();
        for cut in 0..REAL.len() {
            assert_eq!(HandshakeV10::parse(&REAL[..cut]).is_ok(), cut >= name_at, "cut to {cut}");
        }
    }
}
