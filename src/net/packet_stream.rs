//! MySQL packets over a transport, with a read and a write buffer.
//!
//! A packet on the wire is `int<3>` payload length, `int<1>` sequence id, then the payload; a payload of 16 MiB - 1
//! or more goes on in the next packet (*MySQL Internals, "Protocol Basics: MySQL Packets"*).

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Io;
use crate::error::{Fault, Report};
use crate::protocol::frame::FrameHeader;
pub use crate::protocol::frame::{HEADER_LEN, MAX_WIRE_PAYLOAD};
use crate::protocol::frame_writer::FrameWriter;

/// How much room a read asks for. Large enough that a big result needs few system calls, small enough that
/// thousands of busy connections fit in memory.
pub const READ_CHUNK_BYTES: usize = 16 * 1024;
/// The same for clients, most of whose commands are short; a longer one makes the buffer grow, to twice its size each time.
/// An idle client keeps this much and no more.
pub const CLIENT_READ_CHUNK_BYTES: usize = 1024;
/// Queued writes past this are flushed by [`PacketStream::queue_bounded`] before more are taken.
pub const WRITE_HIGH_WATER_BYTES: usize = 64 * 1024;

/// What can go wrong between the socket and a packet.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The peer closed the connection at a packet boundary.
    #[error("connection closed")]
    Closed,
    /// The peer closed the connection inside a packet, or the socket failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// `ER_NET_PACKET_TOO_LARGE`.
    #[error("Got a packet bigger than 'max_allowed_packet' bytes")]
    PacketTooLarge,
    /// `ER_NET_PACKETS_OUT_OF_ORDER`.
    #[error("Got packets out of order")]
    OutOfOrder,
}

impl Report for NetError {
    fn errno(&self) -> u16 {
        match self {
            Self::Closed | Self::Io(_) => 1158,
            Self::PacketTooLarge => 1153,
            Self::OutOfOrder => 1156,
        }
    }

    fn sqlstate(&self) -> &'static str {
        "08S01"
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::PacketTooLarge => "packet_too_large",
            Self::OutOfOrder => "packets_out_of_order",
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}

/// A transport with packet framing. `seq` is the sequence id that the next packet, in either direction, must carry.
#[derive(Debug)]
pub struct PacketStream {
    io: Io,
    read: BytesMut,
    write: BytesMut,
    seq: u8,
    max_packet_bytes: usize,
    read_chunk_bytes: usize,
    sent_bytes: u64,
}

impl PacketStream {
    /// Wraps a connected transport. Payloads longer than `max_packet_bytes` are refused on read.
    pub fn new(io: Io, max_packet_bytes: usize) -> Self {
        let read_chunk_bytes = READ_CHUNK_BYTES;
        let (read, write) = (BytesMut::new(), BytesMut::new());
        Self { io, read, write, seq: 0, max_packet_bytes, read_chunk_bytes, sent_bytes: 0 }
    }

    /// The same stream, for a client: small reads, as [`CLIENT_READ_CHUNK_BYTES`] says.
    pub fn of_client(mut self) -> Self {
        self.read_chunk_bytes = CLIENT_READ_CHUNK_BYTES;
        self
    }

    /// The transport.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Gives the transport back, to wrap it in TLS. Bytes already read are lost, so call it only at a boundary where
    /// the peer waits (after an SSLRequest); returns `None` if the peer sent more than it may have.
    pub fn into_io(self) -> Option<Io> {
        self.read.is_empty().then_some(self.io)
    }

    /// Sets the largest payload that a read accepts.
    pub fn set_max_packet_bytes(&mut self, bytes: usize) {
        self.max_packet_bytes = bytes;
    }

    /// The next sequence id.
    pub fn seq(&self) -> u8 {
        self.seq
    }

    /// Sets the next sequence id: 0 at the start of a command.
    pub fn set_seq(&mut self, seq: u8) {
        self.seq = seq;
    }

    /// The bytes read and not yet taken. The relay path scans and takes from here without copying.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.read
    }

    /// The bytes queued for writing.
    pub fn write_buffer(&mut self) -> &mut BytesMut {
        &mut self.write
    }

    /// Reads what the transport has, at least one byte; `Closed` on an end of stream with nothing buffered. Cancel safe.
    pub async fn fill(&mut self) -> Result<usize, NetError> {
        if self.read.capacity() - self.read.len() < self.read_chunk_bytes / 2 {
            self.read.reserve(self.read_chunk_bytes);
        }
        match self.io.read_buf(&mut self.read).await? {
            0 if self.read.is_empty() => Err(NetError::Closed),
            0 => Err(NetError::Io(io::ErrorKind::UnexpectedEof.into())),
            n => Ok(n),
        }
    }

    /// Reads one logical packet: wire packets of the largest length are joined. Checks the sequence id. Cancel safe:
    /// what was read stays buffered.
    pub async fn read_packet(&mut self) -> Result<Bytes, NetError> {
        loop {
            if let Some(packet) = self.take_packet()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// Reads one packet and not a byte beyond it: a client sends its TLS hello right behind an SSLRequest, and those
    /// bytes belong to TLS. For small packets; each takes two system calls.
    pub async fn read_packet_exactly(&mut self) -> Result<Bytes, NetError> {
        loop {
            if let Some(packet) = self.take_packet()? {
                return Ok(packet);
            }
            let have = self.read.len();
            let want = FrameHeader::read(&self.read).map_or(HEADER_LEN, |header| HEADER_LEN + header.payload_len);
            // Of a packet of many frames the next header follows.
            let missing = if want > have { want - have } else { HEADER_LEN };
            self.read.reserve(missing);
            match (&mut self.io).take(missing as u64).read_buf(&mut self.read).await? {
                0 if self.read.is_empty() => return Err(NetError::Closed),
                0 => return Err(NetError::Io(io::ErrorKind::UnexpectedEof.into())),
                _ => {}
            }
        }
    }

    /// Reads the packet at hand and drops it as it comes: one that was refused as too large, so that the peer gets to
    /// read the error instead of having its connection reset while it writes.
    pub async fn discard_packet(&mut self) -> Result<(), NetError> {
        loop {
            let header = loop {
                if let Some(header) = FrameHeader::read(&self.read) {
                    break header;
                }
                self.fill().await?;
            };
            self.seq = header.seq.wrapping_add(1);
            let mut left = HEADER_LEN + header.payload_len;
            loop {
                let taken = left.min(self.read.len());
                self.read.advance(taken);
                left -= taken;
                if left == 0 {
                    break;
                }
                self.fill().await?;
            }
            if header.payload_len < MAX_WIRE_PAYLOAD {
                return Ok(());
            }
        }
    }

    /// Takes one logical packet out of the buffer, if it is there whole.
    pub fn take_packet(&mut self) -> Result<Option<Bytes>, NetError> {
        let mut at = 0;
        let mut payload_len = 0;
        let mut seq = self.seq;
        loop {
            let Some(header) = self.read.get(at..).and_then(FrameHeader::read) else { return Ok(None) };
            let len = header.payload_len;
            if header.seq != seq {
                return Err(NetError::OutOfOrder);
            }
            seq = seq.wrapping_add(1);
            payload_len += len;
            if payload_len > self.max_packet_bytes {
                // The answer, if there is one, carries the next sequence id.
                self.seq = seq;
                return Err(NetError::PacketTooLarge);
            }
            at += HEADER_LEN + len;
            if len < MAX_WIRE_PAYLOAD {
                break;
            }
        }
        if self.read.len() < at {
            return Ok(None);
        }
        self.seq = seq;
        let mut wire = self.read.split_to(at);
        if payload_len < MAX_WIRE_PAYLOAD {
            wire.advance(HEADER_LEN);
            return Ok(Some(wire.freeze()));
        }
        Ok(Some(join(wire, payload_len)))
    }

    /// Queues one logical packet, split into wire packets where it must be.
    pub fn queue(&mut self, payload: &[u8]) {
        put_packet(&mut self.write, &mut self.seq, payload);
    }

    /// Queues the proxy's own answers: payloads are encoded where they will be sent from.
    pub fn frames(&mut self) -> FrameWriter<'_> {
        FrameWriter::new(&mut self.write, &mut self.seq)
    }

    /// Queues one packet and writes the queue out once it is past [`WRITE_HIGH_WATER_BYTES`]: backpressure for streams.
    pub async fn queue_bounded(&mut self, payload: &[u8]) -> Result<(), NetError> {
        self.queue(payload);
        if self.write.len() >= WRITE_HIGH_WATER_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes all that is queued.
    pub async fn flush(&mut self) -> Result<(), NetError> {
        while !self.write.is_empty() {
            self.sent_bytes += self.io.write_buf(&mut self.write).await? as u64;
        }
        if self.io.is_tls() {
            self.io.flush().await?;
        }
        Ok(())
    }

    /// Writes what is queued as far as that takes no waiting; what is left stays queued. True if all has left. Most answers and
    /// statements fit into the socket's buffer, and leave without the state of a wait.
    pub fn flush_at_once(&mut self) -> Result<bool, NetError> {
        let sent = write_at_once(&self.io, &self.write)?;
        self.write.advance(sent);
        self.sent_bytes += sent as u64;
        // TLS may still hold what it was given
        Ok(self.write.is_empty() && !self.io.is_tls())
    }

    /// Writes bytes that carry their own headers as far as that takes no waiting, and nothing while others are queued. Returns
    /// how many have left.
    pub fn write_raw_at_once(&mut self, bytes: &[u8]) -> Result<usize, NetError> {
        let sent = if self.write.is_empty() { write_at_once(&self.io, bytes)? } else { 0 };
        self.sent_bytes += sent as u64;
        Ok(sent)
    }

    /// Writes bytes that carry their own headers: the relay path. Whatever is queued goes first.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        if !self.write.is_empty() {
            self.write.extend_from_slice(bytes);
            return self.flush().await;
        }
        self.io.write_all(bytes).await?;
        self.sent_bytes += bytes.len() as u64;
        if self.io.is_tls() {
            self.io.flush().await?;
        }
        Ok(())
    }

    /// How many bytes have left since this was asked last.
    pub fn take_sent_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.sent_bytes)
    }

    /// Gives the memory of large buffers back; called when a connection goes idle, so that idle clients are cheap.
    pub fn release_buffers(&mut self) {
        let keep_bytes = self.read_chunk_bytes;
        for buffer in [&mut self.read, &mut self.write] {
            // What was taken out of the buffer is not part of its capacity until it is reclaimed.
            if buffer.is_empty() && buffer.try_reclaim(keep_bytes + 1) {
                *buffer = BytesMut::new();
            }
        }
    }

    /// Resolves when the peer has closed its side or the connection failed; never, while the peer sends or waits.
    pub async fn closed(&self) {
        self.io.closed().await;
    }

    /// Sends what is queued and closes the sending side.
    pub async fn shutdown(&mut self) {
        if self.flush().await.is_ok() {
            // A peer that is gone already is as closed as can be.
            let _ = self.io.shutdown().await;
        }
    }
}

fn write_at_once(transport: &Io, bytes: &[u8]) -> Result<usize, NetError> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match transport.try_write(bytes) {
        Ok(0) => Err(NetError::Io(io::ErrorKind::WriteZero.into())),
        Ok(sent) => Ok(sent),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Appends one logical packet, split into wire packets where it must be.
pub fn put_packet(out: &mut BytesMut, seq: &mut u8, payload: &[u8]) {
    let mut rest = payload;
    loop {
        let (part, next) = rest.split_at(rest.len().min(MAX_WIRE_PAYLOAD));
        let header = FrameHeader { payload_len: part.len(), seq: *seq };
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(part);
        *seq = seq.wrapping_add(1);
        rest = next;
        if part.len() < MAX_WIRE_PAYLOAD {
            return;
        }
    }
}

/// Joins the payloads of wire packets into one.
fn join(mut wire: BytesMut, payload_len: usize) -> Bytes {
    let mut joined = BytesMut::with_capacity(payload_len);
    while let Some(header) = FrameHeader::read(&wire) {
        wire.advance(HEADER_LEN);
        joined.extend_from_slice(&wire.split_to(header.payload_len));
    }
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair(max: usize) -> (PacketStream, PacketStream) {
        let (a, b) = tokio::net::UnixStream::pair().unwrap();
        (PacketStream::new(Io::Unix(a), max), PacketStream::new(Io::Unix(b), max))
    }

    #[tokio::test]
    async fn packets_round_trip_and_are_split_and_joined() {
        for len in [0, 1, 250, MAX_WIRE_PAYLOAD - 1, MAX_WIRE_PAYLOAD, MAX_WIRE_PAYLOAD + 1] {
            let (mut a, mut b) = pair(1 << 26).await;
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let sent = payload.clone();
            let writer = tokio::spawn(async move {
                a.queue(&sent);
                a.flush().await.unwrap();
                a
            });
            let got = b.read_packet().await.unwrap();
            assert!(got == payload, "payload of {len} bytes came back changed");
            let a = writer.await.unwrap();
            assert_eq!(a.seq(), b.seq());
        }
    }

    #[tokio::test]
    async fn an_exact_read_leaves_what_follows_to_others() {
        let (mut a, mut b) = pair(100).await;
        a.queue(b"first");
        a.write_buffer().extend_from_slice(b"TLS hello");
        a.flush().await.unwrap();
        assert_eq!(&b.read_packet_exactly().await.unwrap()[..], b"first");
        let mut io = b.into_io().expect("nothing was read beyond the packet");
        let mut rest = [0; 9];
        io.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"TLS hello");
    }

    #[tokio::test]
    async fn too_large_and_out_of_order_are_errors() {
        let (mut a, mut b) = pair(10).await;
        a.queue(&[0; 11]);
        a.flush().await.unwrap();
        assert!(matches!(b.read_packet().await, Err(NetError::PacketTooLarge)));
        a.queue(b"next");
        a.flush().await.unwrap();
        b.discard_packet().await.unwrap();
        assert_eq!(&b.read_packet().await.unwrap()[..], b"next");
        let (mut a, mut b) = pair(10).await;
        a.set_seq(3);
        a.queue(&[1]);
        a.flush().await.unwrap();
        assert!(matches!(b.read_packet().await, Err(NetError::OutOfOrder)));
    }
}
