//! Connection attributes of a handshake response
//! (`page_protocol_connection_phase_packets_protocol_handshake_response.html`).

use super::wire::{Reader, put_lenenc_bytes};
use super::{ProtocolError, Result};

/// The most bytes of attributes that are accepted: the server's own limit is 64 KiB.
pub const MAX_ATTRIBUTES_BYTES: usize = 64 * 1024;
/// The most attributes that are kept. Drivers send about ten.
pub const MAX_ATTRIBUTES: usize = 128;

/// Key and value pairs such as `_client_name` = `libmysql`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionAttributes(Vec<(String, String)>);

impl ConnectionAttributes {
    /// Parses the pairs; those past [`MAX_ATTRIBUTES`] are left out.
    pub fn parse(encoded: &[u8]) -> Result<Self> {
        if encoded.len() > MAX_ATTRIBUTES_BYTES {
            return Err(ProtocolError::TooLarge { what: "connection attributes", limit: MAX_ATTRIBUTES_BYTES });
        }
        let mut reader = Reader::new(encoded, "connection attributes");
        let mut pairs = Vec::new();
        while !reader.is_empty() {
            let key = reader.lenenc_bytes()?; // string<lenenc>
            let value = reader.lenenc_bytes()?; // string<lenenc>
            if pairs.len() < MAX_ATTRIBUTES {
                pairs.push((String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned()));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// All pairs, in the client's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Encodes pairs, without the length in front of them.
    pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in pairs {
            put_lenenc_bytes(&mut out, key.as_bytes());
            put_lenenc_bytes(&mut out, value.as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_round_trip_and_are_bounded() {
        let encoded = ConnectionAttributes::encode([("_os", "Linux"), ("program_name", "")]);
        let attributes = ConnectionAttributes::parse(&encoded).unwrap();
        assert_eq!(attributes.get("_os"), Some("Linux"));
        assert_eq!(attributes.iter().count(), 2);
        assert!(ConnectionAttributes::parse(&encoded[..encoded.len() - 1]).is_err());
        let many = [1, b'k', 1, b'v'].repeat(1000);
        assert_eq!(ConnectionAttributes::parse(&many).unwrap().iter().count(), MAX_ATTRIBUTES);
        assert!(ConnectionAttributes::parse(&vec![0; MAX_ATTRIBUTES_BYTES + 2]).is_err());
    }
}
