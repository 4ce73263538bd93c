//! The client's connection, seen by whatever answers it.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::poll_immediate;

use crate::error::SqlError;
use crate::net::packet_stream::WRITE_HIGH_WATER_BYTES;
use crate::net::{NetError, PacketStream};
use crate::protocol::column::ColumnDef;
use crate::protocol::eof::EofPacket;
use crate::protocol::err::ErrPacket;
use crate::protocol::ok::OkPacket;
use crate::protocol::wire::put_lenenc_int;
use crate::protocol::{Capabilities, StatusFlags};

/// `limits.write_timeout_ms`, until the session has read its rules.
const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A client's connection: its packets, and how it wants answers to be written.
#[derive(Debug)]
pub struct Client {
    /// The packets.
    pub stream: PacketStream,
    /// What client and proxy agreed on.
    pub capabilities: Capabilities,
    /// How long the client may take to read [`WRITE_HIGH_WATER_BYTES`]: past that it is taken for gone.
    pub write_timeout: Duration,
    scratch: BytesMut,
}

impl Client {
    /// Wraps a connection whose handshake is over.
    pub fn new(stream: PacketStream, capabilities: Capabilities) -> Self {
        let stream = stream.of_client();
        Self { stream, capabilities, write_timeout: DEFAULT_WRITE_TIMEOUT, scratch: BytesMut::new() }
    }

    /// Whether rows end with an OK packet instead of an EOF packet.
    pub fn deprecates_eof(&self) -> bool {
        self.capabilities.contains(Capabilities::DEPRECATE_EOF)
    }

    /// Resolves when the client has closed its connection.
    pub async fn closed(&self) {
        self.stream.closed().await;
    }

    /// Queues an OK packet.
    pub fn put_ok(&mut self, ok: &OkPacket<'_>) {
        self.scratch.clear();
        ok.put(self.capabilities, &mut self.scratch);
        self.stream.queue(&self.scratch);
    }

    /// Queues an ERR packet.
    pub fn put_error(&mut self, error: &SqlError) {
        self.scratch.clear();
        ErrPacket::from_error(error).put(&mut self.scratch);
        self.stream.queue(&self.scratch);
    }

    /// Queues the beginning of a result set: column count, column definitions, and the EOF after them where the client
    /// wants one.
    pub fn put_columns<'a>(&mut self, columns: impl ExactSizeIterator<Item = &'a ColumnDef>, status: StatusFlags) {
        self.scratch.clear();
        put_lenenc_int(&mut self.scratch, columns.len() as u64);
        self.stream.queue(&self.scratch);
        self.put_definitions(columns, status);
    }

    /// Queues column definitions, and the EOF after them where the client wants one.
    pub fn put_definitions<'a>(&mut self, columns: impl Iterator<Item = &'a ColumnDef>, status: StatusFlags) {
        for column in columns {
            self.scratch.clear();
            column.put(&mut self.scratch);
            self.stream.queue(&self.scratch);
        }
        if !self.deprecates_eof() {
            self.put_eof(status, 0);
        }
    }

    /// Queues the packet that ends rows: OK or EOF, as the client wants it.
    pub fn put_end(&mut self, status: StatusFlags, warnings: u16) {
        if !self.deprecates_eof() {
            return self.put_eof(status, warnings);
        }
        self.scratch.clear();
        OkPacket { status, warnings, ..OkPacket::default() }.put_as_eof(self.capabilities, &mut self.scratch);
        self.stream.queue(&self.scratch);
    }

    fn put_eof(&mut self, status: StatusFlags, warnings: u16) {
        self.scratch.clear();
        EofPacket { warnings, status }.put(&mut self.scratch);
        self.stream.queue(&self.scratch);
    }

    /// Queues one encoded row; writes the queue out when it has grown.
    pub async fn put_row(&mut self, row: &[u8]) -> Result<(), NetError> {
        self.stream.queue(row);
        if self.stream.write_buffer().len() >= WRITE_HIGH_WATER_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Writes what is queued.
    pub async fn flush(&mut self) -> Result<(), NetError> {
        if self.stream.flush_at_once()? {
            return Ok(());
        }
        // Boxed, as every wait that most answers do without: its state would weigh on every statement's.
        Box::pin(within(self.write_timeout, self.stream.flush())).await
    }

    /// Writes bytes that carry their own headers as far as that takes no waiting. Returns how many have left.
    pub fn write_raw_at_once(&mut self, bytes: &[u8]) -> Result<usize, NetError> {
        self.stream.write_raw_at_once(bytes)
    }

    /// Writes bytes that carry their own headers. Whatever is queued goes first.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        for piece in bytes.chunks(WRITE_HIGH_WATER_BYTES) {
            within(self.write_timeout, self.stream.write_raw(piece)).await?;
        }
        Ok(())
    }

    /// Gives back the memory that an idle connection does not need.
    pub fn release(&mut self) {
        self.stream.release_buffers();
        if self.scratch.capacity() > 4096 {
            self.scratch = BytesMut::new();
        }
    }
}

/// Bounds a write. One that is done at once, as most are, costs no timer.
async fn within(limit: Duration, write: impl Future<Output = Result<(), NetError>>) -> Result<(), NetError> {
    let mut write = std::pin::pin!(write);
    if let Some(done) = poll_immediate(write.as_mut()).await {
        return done;
    }
    match tokio::time::timeout(limit, write).await {
        Ok(done) => done,
        Err(_) => {
            tracing::info!(limit_ms = limit.as_millis() as u64, "a client does not read; it is disconnected");
            Err(NetError::Io(std::io::ErrorKind::TimedOut.into()))
        }
    }
}
