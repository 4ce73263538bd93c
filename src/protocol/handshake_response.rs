//! The client's answer to the greeting
//! (`page_protocol_connection_phase_packets_protocol_handshake_response.html`, `…_ssl_request.html`) and
//! COM_CHANGE_USER (`page_protocol_com_change_user.html`), which carries the same fields.

use bytes::BufMut;

use super::wire::{Reader, put_lenenc_bytes, put_lenenc_int, put_nul_bytes};
use super::{Capabilities, ProtocolError, Result};

/// Length of the fields that an SSLRequest shares with the full response.
const SSL_REQUEST_LEN: usize = 32;

/// The first part of the response, sent alone before TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SslRequest {
    /// What the client wants.
    pub capabilities: Capabilities,
    /// The largest packet that it takes.
    pub max_packet_bytes: u32,
    /// The low byte of its collation's id.
    pub charset: u8,
}

impl SslRequest {
    /// Whether this payload is an SSLRequest: it asks for TLS and has no user.
    pub fn is(payload: &[u8]) -> bool {
        payload.len() == SSL_REQUEST_LEN
            && Reader::new(payload, "").u32().is_ok_and(|low| u64::from(low) & Capabilities::SSL.0 != 0)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let low = reader.u32()?; // int<4>
        let max_packet_bytes = reader.u32()?; // int<4>
        let charset = reader.u8()?; // int<1>
        reader.bytes(19)?; // filler
        let extended = reader.u32()?; // filler; MariaDB's extended capabilities
        let mut capabilities = Capabilities(low.into());
        if !capabilities.contains(Capabilities::PROTOCOL_41) {
            return Err(ProtocolError::Malformed { what: "a client handshake is older than version 4.1" });
        }
        if !capabilities.contains(Capabilities::LONG_PASSWORD) {
            capabilities.0 |= u64::from(extended) << 32;
        }
        Ok(Self { capabilities, max_packet_bytes, charset })
    }

    /// Parses a payload.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        Self::read(&mut Reader::new(payload, "an SSL request"))
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u32_le(self.capabilities.low());
        out.put_u32_le(self.max_packet_bytes);
        out.put_u8(self.charset);
        out.put_slice(&[0; 19]);
        out.put_u32_le(self.capabilities.extended());
    }
}

/// The client's answer to the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeResponse<'a> {
    /// What the client wants.
    pub capabilities: Capabilities,
    /// The largest packet that it takes.
    pub max_packet_bytes: u32,
    /// The low byte of its collation's id.
    pub charset: u8,
    /// User.
    pub user: &'a [u8],
    /// Answer to the scramble, by `auth_plugin`'s rule.
    pub auth_response: &'a [u8],
    /// Database to begin in; CLIENT_CONNECT_WITH_DB.
    pub database: Option<&'a [u8]>,
    /// The plugin that made the answer; CLIENT_PLUGIN_AUTH.
    pub auth_plugin: Option<&'a [u8]>,
    /// Connection attributes, still encoded; CLIENT_CONNECT_ATTRS.
    pub attributes: &'a [u8],
}

impl<'a> HandshakeResponse<'a> {
    /// Parses a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "a client handshake");
        let SslRequest { capabilities, max_packet_bytes, charset } = SslRequest::read(&mut reader)?;
        let user = reader.nul_bytes()?; // string<NUL>
        let auth_response = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC_DATA) {
            reader.lenenc_bytes()? // string<lenenc>
        } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let len = reader.u8()?; // int<1>
            reader.bytes(len.into())? // string<length>
        } else {
            reader.nul_bytes()? // string<NUL>
        };
        // string<NUL>; an empty name is no name
        let database = if capabilities.contains(Capabilities::CONNECT_WITH_DB) {
            Some(reader.nul_bytes()?).filter(|name| !name.is_empty())
        } else {
            None
        };
        let auth_plugin = plugin(&mut reader, capabilities); // string<NUL>
        let attributes = attributes(&mut reader, capabilities)?;
        Ok(Self { capabilities, max_packet_bytes, charset, user, auth_response, database, auth_plugin, attributes })
    }

    /// Appends the payload. The optional fields decide their capabilities: those of absent fields are cleared.
    pub fn put(&self, out: &mut impl BufMut) {
        let mut capabilities = self
            .capabilities
            .with(Capabilities::PROTOCOL_41)
            .with(Capabilities::SECURE_CONNECTION)
            .without(Capabilities::CONNECT_WITH_DB | Capabilities::PLUGIN_AUTH | Capabilities::CONNECT_ATTRS);
        for (present, flag) in [
            (self.database.is_some(), Capabilities::CONNECT_WITH_DB),
            (self.auth_plugin.is_some(), Capabilities::PLUGIN_AUTH),
            (!self.attributes.is_empty(), Capabilities::CONNECT_ATTRS),
        ] {
            if present {
                capabilities = capabilities.with(flag);
            }
        }
        SslRequest { capabilities, max_packet_bytes: self.max_packet_bytes, charset: self.charset }.put(out);
        put_nul_bytes(out, self.user);
        if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC_DATA) {
            put_lenenc_bytes(out, self.auth_response);
        } else {
            put_short_bytes(out, self.auth_response);
        }
        if let Some(database) = self.database {
            put_nul_bytes(out, database);
        }
        if let Some(plugin) = self.auth_plugin {
            put_nul_bytes(out, plugin);
        }
        if !self.attributes.is_empty() {
            put_lenenc_bytes(out, self.attributes);
        }
    }
}

/// COM_CHANGE_USER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    /// User.
    pub user: &'a [u8],
    /// Answer to the scramble of the connection, by `auth_plugin`'s rule.
    pub auth_response: &'a [u8],
    /// Database to go on in.
    pub database: Option<&'a [u8]>,
    /// Collation id; two bytes here.
    pub charset: Option<u16>,
    /// The plugin that made the answer.
    pub auth_plugin: Option<&'a [u8]>,
    /// Connection attributes, still encoded.
    pub attributes: &'a [u8],
}

impl<'a> ChangeUser<'a> {
    /// Parses what follows the command byte; `capabilities` are those of the connection.
    pub fn parse(body: &'a [u8], capabilities: Capabilities) -> Result<Self> {
        let mut reader = Reader::new(body, "COM_CHANGE_USER");
        let user = reader.nul_bytes()?; // string<NUL>
        let auth_response = if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let len = reader.u8()?; // int<1>
            reader.bytes(len.into())? // string<length>
        } else {
            reader.nul_bytes()? // string<NUL>
        };
        let database = Some(reader.nul_bytes()?).filter(|name| !name.is_empty()); // string<NUL>
        let charset = if reader.is_empty() { None } else { Some(reader.u16()?) }; // int<2>
        let auth_plugin = plugin(&mut reader, capabilities);
        let attributes = attributes(&mut reader, capabilities)?;
        Ok(Self { user, auth_response, database, charset, auth_plugin, attributes })
    }

    /// Appends the whole payload, command byte included, for a connection with CLIENT_SECURE_CONNECTION and
    /// CLIENT_PLUGIN_AUTH, and with CLIENT_CONNECT_ATTRS where there are attributes.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u8(super::command::code::CHANGE_USER);
        put_nul_bytes(out, self.user);
        put_short_bytes(out, self.auth_response);
        put_nul_bytes(out, self.database.unwrap_or_default());
        out.put_u16_le(self.charset.unwrap_or(super::charset::UTF8MB4_GENERAL_CI));
        put_nul_bytes(out, self.auth_plugin.unwrap_or_default());
        if !self.attributes.is_empty() {
            put_lenenc_int(out, self.attributes.len() as u64);
            out.put_slice(self.attributes);
        }
    }
}

/// `int<1>` length and as many bytes; authentication responses are 32 bytes at most where this form is used.
fn put_short_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(250)];
    out.put_u8(bytes.len() as u8);
    out.put_slice(bytes);
}

fn plugin<'a>(reader: &mut Reader<'a>, capabilities: Capabilities) -> Option<&'a [u8]> {
    if !capabilities.contains(Capabilities::PLUGIN_AUTH) || reader.is_empty() {
        return None;
    }
    // Some clients leave the NUL out where nothing follows.
    Some(reader.nul_bytes().unwrap_or_else(|_| reader.rest()))
}

fn attributes<'a>(reader: &mut Reader<'a>, capabilities: Capabilities) -> Result<&'a [u8]> {
    if !capabilities.contains(Capabilities::CONNECT_ATTRS) || reader.is_empty() {
        return Ok(&[]);
    }
    reader.lenenc_bytes() // int<lenenc> length of all pairs, then the pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    // A 5.6 client, from the manual: CONNECT_WITH_DB, PLUGIN_AUTH, SECURE_CONNECTION.
    const REAL: &[u8] = b"\x8d\xa6\x0f\x00\x00\x00\x00\x01\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0pam\0\x14\
        \xab\x09\xee\xf6\xbc\xb1\x32\x3e\x61\x14\x38\x65\xc0\x99\x1d\x95\x7d\x75\xd4\x47test\0mysql_native_password\0";

    #[test]
    fn bytes_of_the_manual() {
        let response = HandshakeResponse::parse(REAL).unwrap();
        assert_eq!(response.user, b"pam");
        assert_eq!(response.auth_response.len(), 20);
        assert_eq!(response.database, Some(&b"test"[..]));
        assert_eq!(response.auth_plugin, Some(&b"mysql_native_password"[..]));
        assert_eq!((response.max_packet_bytes, response.charset), (1 << 24, 8));
        let mut out = Vec::new();
        response.put(&mut out);
        assert_eq!(out, REAL);
        assert!(!SslRequest::is(REAL));
    }

    #[test]
    fn truncation() {
        let plugin_at = REAL.len() - "mysql_native_password\0".len();
        for cut in 0..REAL.len() {
            assert_eq!(HandshakeResponse::parse(&REAL[..cut]).is_ok(), cut >= plugin_at, "cut to {cut}");
        }
    }

    #[test]
    fn attributes_and_lenenc_response() {
        let response = HandshakeResponse {
            capabilities: Capabilities::OFFERED_TO_CLIENTS.without(Capabilities::CONNECT_WITH_DB),
            max_packet_bytes: 1,
            charset: 45,
            user: b"u",
            auth_response: &[7; 32],
            database: None,
            auth_plugin: Some(b"caching_sha2_password"),
            attributes: b"\x03_os\x05Linux",
        };
        let mut out = Vec::new();
        response.put(&mut out);
        assert_eq!(HandshakeResponse::parse(&out), Ok(response));
    }

    #[test]
    fn ssl_request() {
        let request = SslRequest {
            capabilities: Capabilities::OFFERED_TO_CLIENTS.with(Capabilities::SSL),
            max_packet_bytes: 1 << 24,
            charset: 45,
        };
        let mut out = Vec::new();
        request.put(&mut out);
        assert!(SslRequest::is(&out));
        assert_eq!(SslRequest::parse(&out), Ok(request));
        assert!(SslRequest::parse(&out[..31]).is_err());
    }

    #[test]
    fn change_user_round_trips() {
        let change = ChangeUser {
            user: b"app",
            auth_response: &[1; 20],
            database: Some(b"shop"),
            charset: Some(255),
            auth_plugin: Some(b"mysql_native_password"),
            attributes: b"\x01k\x01v",
        };
        let mut out = Vec::new();
        change.put(&mut out);
        assert_eq!(out[0], 0x11);
        assert_eq!(ChangeUser::parse(&out[1..], Capabilities::OFFERED_TO_CLIENTS), Ok(change));
        // An old client stops after the database.
        let short = ChangeUser::parse(b"app\0\0shop\0", Capabilities::OFFERED_TO_CLIENTS).unwrap();
        assert_eq!((short.charset, short.auth_plugin), (None, None));
        for cut in 0..10 {
            assert!(ChangeUser::parse(&b"app\0\0shop\0"[..cut], Capabilities::OFFERED_TO_CLIENTS).is_err());
        }
    }
}
