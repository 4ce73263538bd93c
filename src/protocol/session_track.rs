//! Session state changes in OK packets (`page_protocol_basic_ok_packet.html#sect_protocol_basic_ok_packet_sessinfo`).

use bytes::BufMut;

use super::Result;
use super::wire::{Reader, lenenc_int_len, put_lenenc_bytes, put_lenenc_int};

const SYSTEM_VARIABLES: u8 = 0;
const SCHEMA: u8 = 1;

/// One change of the session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange<'a> {
    /// A system variable that the session tracks has a new value.
    SystemVariable {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// The default schema is another.
    Schema(&'a [u8]),
    /// Another kind: state change flag, GTIDs, transaction characteristics and state.
    Other {
        /// The kind byte.
        kind: u8,
        /// What it holds, still encoded.
        data: &'a [u8],
    },
}

/// The changes in [`super::OkPacket::session_state`].
#[derive(Debug, Clone)]
pub struct SessionChanges<'a>(Reader<'a>);

impl<'a> SessionChanges<'a> {
    /// Over the encoded state.
    pub fn new(session_state: &'a [u8]) -> Self {
        Self(Reader::new(session_state, "session state"))
    }

    fn read(&mut self) -> Result<SessionChange<'a>> {
        let kind = self.0.u8()?; // int<1>
        let data = self.0.lenenc_bytes()?; // string<lenenc>
        let mut inner = Reader::new(data, "a session state change");
        Ok(match kind {
            SYSTEM_VARIABLES => {
                SessionChange::SystemVariable { name: inner.lenenc_bytes()?, value: inner.lenenc_bytes()? }
            }
            SCHEMA => SessionChange::Schema(inner.lenenc_bytes()?),
            _ => SessionChange::Other { kind, data },
        })
    }
}

impl<'a> Iterator for SessionChanges<'a> {
    type Item = Result<SessionChange<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let change = self.read();
        if change.is_err() {
            self.0.rest();
        }
        Some(change)
    }
}

/// Appends a change of the default schema.
pub fn put_schema(schema: &[u8], out: &mut impl BufMut) {
    out.put_u8(SCHEMA);
    put_lenenc_int(out, (lenenc_int_len(schema.len() as u64) + schema.len()) as u64);
    put_lenenc_bytes(out, schema);
}

/// Appends a change of a system variable.
pub fn put_system_variable(name: &[u8], value: &[u8], out: &mut impl BufMut) {
    let len = lenenc_int_len(name.len() as u64) + name.len() + lenenc_int_len(value.len() as u64) + value.len();
    out.put_u8(SYSTEM_VARIABLES);
    put_lenenc_int(out, len as u64);
    put_lenenc_bytes(out, name);
    put_lenenc_bytes(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_round_trip() {
        let mut state = Vec::new();
        put_schema(b"test", &mut state);
        put_system_variable(b"autocommit", b"OFF", &mut state);
        state.extend_from_slice(b"\x02\x02\x011");
        assert_eq!(&state[..7], b"\x01\x05\x04test");
        let changes: Vec<_> = SessionChanges::new(&state).map(Result::unwrap).collect();
        assert_eq!(
            changes,
            [
                SessionChange::Schema(b"test"),
                SessionChange::SystemVariable { name: b"autocommit", value: b"OFF" },
                SessionChange::Other { kind: 2, data: b"\x011" },
            ]
        );
        for cut in 1..state.len() {
            assert!(SessionChanges::new(&state[..cut]).count() <= 3);
        }
    }
}
