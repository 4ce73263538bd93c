//! The frame around every payload (`page_protocol_basic_packets.html`): `int<3>` payload length, `int<1>` sequence id.

/// Length of a packet header.
pub const HEADER_LEN: usize = 4;

/// The largest payload of one wire packet; a payload of exactly this length goes on in the next packet.
pub const MAX_WIRE_PAYLOAD: usize = 0xFF_FFFF;

/// A packet header. `None` while fewer than [`HEADER_LEN`] bytes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Length of the payload that follows.
    pub payload_len: usize,
    /// Sequence id.
    pub seq: u8,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_LEN>()?;
        let word = u32::from_le_bytes(*header);
        Some(Self { payload_len: (word & 0xFF_FFFF) as usize, seq: (word >> 24) as u8 })
    }

    /// The four bytes on the wire.
    #[inline]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        debug_assert!(self.payload_len <= MAX_WIRE_PAYLOAD);
        ((self.payload_len as u32 & 0xFF_FFFF) | (u32::from(self.seq) << 24)).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_bytes() {
        let header = FrameHeader { payload_len: 0x01_02_03, seq: 9 };
        assert_eq!(header.to_bytes(), [3, 2, 1, 9]);
        assert_eq!(FrameHeader::read(&[3, 2, 1, 9, 0xFF]), Some(header));
        assert_eq!(FrameHeader::read(&[3, 2, 1]), None);
    }
}
