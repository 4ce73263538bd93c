//! Packets of the authentication exchange (`…_auth_switch_request.html`, `…_auth_more_data.html`) and the one-byte
//! messages of `caching_sha2_password`.

use bytes::BufMut;

use super::auth::{SCRAMBLE_LEN, Scramble};
use super::wire::{Reader, put_nul_bytes};
use super::{ProtocolError, Result};

/// First byte of an AuthSwitchRequest.
pub const AUTH_SWITCH_HEADER: u8 = 0xFE;
/// First byte of AuthMoreData.
pub const AUTH_MORE_DATA_HEADER: u8 = 0x01;
/// `caching_sha2_password`, server: the fast path succeeded, OK follows.
pub const FAST_AUTH_SUCCESS: u8 = 0x03;
/// `caching_sha2_password`, server: send the password itself.
pub const PERFORM_FULL_AUTHENTICATION: u8 = 0x04;
/// `caching_sha2_password`, client: send the RSA public key.
pub const REQUEST_PUBLIC_KEY: u8 = 0x02;

/// What a server sends between the client's response and the end of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthReply<'a> {
    /// Authentication succeeded: an OK packet.
    Ok,
    /// It failed: an ERR packet; parse the payload with [`super::ErrPacket`].
    Err,
    /// Answer again with another plugin.
    Switch(AuthSwitch<'a>),
    /// Data for the plugin.
    MoreData(&'a [u8]),
}

/// An AuthSwitchRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthSwitch<'a> {
    /// The plugin to use.
    pub plugin: &'a [u8],
    /// Its scramble, where it has one of 20 bytes.
    pub scramble: Option<Scramble>,
}

impl<'a> AuthReply<'a> {
    /// Parses a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "an authentication packet");
        match reader.u8()? {
            super::ok::OK_HEADER => Ok(Self::Ok),
            super::err::ERR_HEADER => Ok(Self::Err),
            AUTH_MORE_DATA_HEADER => Ok(Self::MoreData(reader.rest())),
            // A lone 0xFE asks for mysql_old_password, which is not spoken.
            AUTH_SWITCH_HEADER if !reader.is_empty() => {
                let plugin = reader.nul_bytes()?; // string<NUL>
                let data = reader.rest(); // string<EOF>, with or without a NUL at its end
                Ok(Self::Switch(AuthSwitch { plugin, scramble: data.first_chunk::<SCRAMBLE_LEN>().copied() }))
            }
            _ => Err(ProtocolError::Malformed { what: "an authentication packet has another header" }),
        }
    }
}

impl AuthSwitch<'_> {
    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u8(AUTH_SWITCH_HEADER);
        put_nul_bytes(out, self.plugin);
        if let Some(scramble) = self.scramble {
            out.put_slice(&scramble);
            out.put_u8(0);
        }
    }
}

/// Appends AuthMoreData.
pub fn put_auth_more_data(data: &[u8], out: &mut impl BufMut) {
    out.put_u8(AUTH_MORE_DATA_HEADER);
    out.put_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switch_round_trips() {
        let switch = AuthSwitch { plugin: b"mysql_native_password", scramble: Some(*b"RB3vz&Gr+yD&/ZZ305ZG") };
        let mut out = Vec::new();
        switch.put(&mut out);
        assert_eq!(out, b"\xfemysql_native_password\0RB3vz&Gr+yD&/ZZ305ZG\0");
        assert_eq!(AuthReply::parse(&out), Ok(AuthReply::Switch(switch)));
        for cut in 0..23 {
            assert!(AuthReply::parse(&out[..cut]).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn more_data() {
        let mut out = Vec::new();
        put_auth_more_data(&[FAST_AUTH_SUCCESS], &mut out);
        assert_eq!(out, [1, 3]);
        assert_eq!(AuthReply::parse(&out), Ok(AuthReply::MoreData(&[3])));
        assert_eq!(AuthReply::parse(&[0, 0, 0]), Ok(AuthReply::Ok));
        assert_eq!(AuthReply::parse(b"\xff\x15\x04"), Ok(AuthReply::Err));
        assert!(AuthReply::parse(&[9]).is_err());
    }
}
