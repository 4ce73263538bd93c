//! The MySQL client/server protocol as bytes and messages: pure, no sockets, no clock.
//!
//! One packet or one concept per file; each cites its page of the *MySQL Source Code Documentation, "Client/Server
//! Protocol"* (`PAGE_PROTOCOL`). Parsers borrow from the packet and never panic on what a peer sent; encoders append
//! to any [`bytes::BufMut`] and never allocate for themselves.

pub mod attributes;
pub mod auth;
pub mod auth_packets;
pub mod binary_row;
pub mod capability;
pub mod charset;
pub mod column;
pub mod command;
pub mod eof;
pub mod err;
pub mod error;
pub mod execute;
mod flags;
pub mod frame;
pub mod frame_writer;
pub mod handshake;
pub mod handshake_response;
pub mod long_data;
pub mod ok;
pub mod prepare_ok;
pub mod response;
pub mod result_scan;
pub mod rsa_key;
pub mod session_track;
pub mod sha256_crypt;
pub mod status;
pub mod temporal;
pub mod text_row;
pub mod types;
pub mod value;
pub mod wire;

#[cfg(test)]
mod properties;

pub use attributes::ConnectionAttributes;
pub use capability::Capabilities;
pub use column::{ColumnDef, ColumnView};
pub use command::Command;
pub use eof::EofPacket;
pub use err::ErrPacket;
pub use error::ProtocolError;
pub use frame_writer::FrameWriter;
pub use handshake::HandshakeV10;
pub use handshake_response::{HandshakeResponse, SslRequest};
pub use ok::OkPacket;
pub use prepare_ok::PrepareOk;
pub use response::{Outcome, ResponseKind, ResponseState};
pub use result_scan::{ResultScanner, Scan, Stop};
pub use status::StatusFlags;
pub use types::{ColumnFlags, ColumnType};
pub use value::Value;

/// What parsing gives.
pub type Result<T, E = ProtocolError> = std::result::Result<T, E>;
