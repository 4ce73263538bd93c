//! Framed sockets: the transports a MySQL connection can run over, and packets in and out of them.

pub mod io;
pub mod packet_stream;

pub use io::Io;
pub use packet_stream::{HEADER_LEN, MAX_WIRE_PAYLOAD, NetError, PacketStream};
