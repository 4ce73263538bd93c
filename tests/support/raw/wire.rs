//! Packets over a socket. Every packet's sequence number is checked: a wrong one fails the test at once.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Longest payload of one packet; a payload of this length is continued in the next packet.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

/// How long a test waits for bytes before it gives up.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A socket that speaks packets.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    /// Number of the next packet, in either direction.
    pub sequence: u8,
}

impl Wire {
    /// Connects.
    pub fn connect(host: &str, port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect((host, port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends one payload, in as many packets as it takes.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(payload.len() + 4);
        let mut rest = payload;
        loop {
            let (part, tail) = rest.split_at(rest.len().min(MAX_PAYLOAD));
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            bytes.push(self.sequence);
            bytes.extend_from_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
            rest = tail;
            if part.len() < MAX_PAYLOAD {
                break;
            }
        }
        self.socket.write_all(&bytes)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Begins a command: the numbering starts again.
    pub fn send_command(&mut self, payload: &[u8]) -> io::Result<()> {
        self.sequence = 0;
        self.send(payload)
    }

    /// Receives one payload, joined from as many packets as it took.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut payload = Vec::new();
        loop {
            let mut header = [0_u8; 4];
            self.socket.read_exact(&mut header)?;
            let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
            assert_eq!(header[3], self.sequence, "sequence number of a packet of {length} bytes");
            self.sequence = self.sequence.wrapping_add(1);
            let start = payload.len();
            payload.resize(start + length, 0);
            self.socket.read_exact(&mut payload[start..])?;
            if length < MAX_PAYLOAD {
                return Ok(payload);
            }
        }
    }

    /// Reads until the other side closes; gives what came.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.socket.read_to_end(&mut bytes);
        bytes
    }

    /// Closes both directions.
    pub fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Changes how long a read may take.
    pub fn set_read_timeout(&self, limit: Duration) {
        self.socket.set_read_timeout(Some(limit)).unwrap();
    }
}
