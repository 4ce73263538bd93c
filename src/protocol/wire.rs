//! The basic types (`page_protocol_basic_data_types.html`): fixed and length-encoded integers and strings.

use bytes::BufMut;

use super::{ProtocolError, Result};

/// First byte of a length-encoded NULL in a text row.
pub const LENENC_NULL: u8 = 0xFB;

/// Reads the fields of a packet in turn. Borrowed results live as long as the packet.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Over `payload`; `what` names the packet in errors.
    pub fn new(payload: &'a [u8], what: &'static str) -> Self {
        Self { rest: payload, what }
    }

    /// What was not read yet.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The error for a packet that ends too soon.
    pub fn truncated(&self) -> ProtocolError {
        ProtocolError::Truncated { what: self.what }
    }

    /// `string<len>`: the next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(ProtocolError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ProtocolError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// `int<1>`.
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// `int<2>`.
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// `int<3>`.
    pub fn u24(&mut self) -> Result<u32> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// `int<4>`.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// `int<8>`.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// `int<lenenc>`. The NULL marker and 0xFF are malformed here.
    #[inline]
    pub fn lenenc_int(&mut self) -> Result<u64> {
        match self.u8()? {
            small @ 0..=0xFA => Ok(u64::from(small)),
            0xFC => Ok(u64::from(self.u16()?)),
            0xFD => Ok(u64::from(self.u24()?)),
            0xFE => self.u64(),
            LENENC_NULL | 0xFF => {
                Err(ProtocolError::Malformed { what: "a length-encoded integer begins with 0xfb or 0xff" })
            }
        }
    }

    /// `string<lenenc>`.
    #[inline]
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.lenenc_int()?;
        // A length past the address space is past the packet, too.
        self.bytes(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// `string<lenenc>` or NULL, as a text row holds it.
    #[inline]
    pub fn lenenc_bytes_or_null(&mut self) -> Result<Option<&'a [u8]>> {
        if self.rest.first() == Some(&LENENC_NULL) {
            self.rest = &self.rest[1..];
            return Ok(None);
        }
        self.lenenc_bytes().map(Some)
    }

    /// `string<NUL>`, without its NUL.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8]> {
        let at = memchr::memchr(0, self.rest).ok_or(ProtocolError::Truncated { what: self.what })?;
        let taken = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Ok(taken)
    }

    /// `string<EOF>`: all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// Appends `int<3>`.
pub fn put_u24(out: &mut impl BufMut, value: u32) {
    debug_assert!(value <= 0xFF_FFFF);
    out.put_slice(&value.to_le_bytes()[..3]);
}

/// Appends `int<lenenc>`.
#[inline]
pub fn put_lenenc_int(out: &mut impl BufMut, value: u64) {
    match value {
        0..=0xFA => out.put_u8(value as u8),
        0xFB..=0xFFFF => {
            out.put_u8(0xFC);
            out.put_u16_le(value as u16);
        }
        0x1_0000..=0xFF_FFFF => {
            out.put_u8(0xFD);
            put_u24(out, value as u32);
        }
        _ => {
            out.put_u8(0xFE);
            out.put_u64_le(value);
        }
    }
}

/// Appends `string<lenenc>`.
#[inline]
pub fn put_lenenc_bytes(out: &mut impl BufMut, value: &[u8]) {
    put_lenenc_int(out, value.len() as u64);
    out.put_slice(value);
}

/// How many bytes [`put_lenenc_int`] appends.
pub fn lenenc_int_len(value: u64) -> usize {
    match value {
        0..=0xFA => 1,
        0xFB..=0xFFFF => 3,
        0x1_0000..=0xFF_FFFF => 4,
        _ => 9,
    }
}

/// Appends `string<NUL>`. A NUL inside would end the string for the peer, so what follows it is left out.
pub fn put_nul_bytes(out: &mut impl BufMut, value: &[u8]) {
    let len = memchr::memchr(0, value).unwrap_or(value.len());
    out.put_slice(&value[..len]);
    out.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_integers_take_the_documented_bytes() {
        let cases: [(u64, &[u8]); 8] = [
            (0, &[0]),
            (250, &[0xFA]),
            (251, &[0xFC, 0xFB, 0]),
            (65_535, &[0xFC, 0xFF, 0xFF]),
            (65_536, &[0xFD, 0, 0, 1]),
            (0xFF_FFFF, &[0xFD, 0xFF, 0xFF, 0xFF]),
            (0x100_0000, &[0xFE, 0, 0, 0, 1, 0, 0, 0, 0]),
            (u64::MAX, &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_lenenc_int(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(lenenc_int_len(value), bytes.len());
            assert_eq!(Reader::new(bytes, "test").lenenc_int(), Ok(value));
            for cut in 0..bytes.len() {
                assert!(Reader::new(&bytes[..cut], "test").lenenc_int().is_err());
            }
        }
        assert!(Reader::new(&[0xFB], "test").lenenc_int().is_err());
        assert!(Reader::new(&[0xFF], "test").lenenc_int().is_err());
    }

    #[test]
    fn a_length_past_the_packet_is_truncation() {
        assert!(Reader::new(&[5, b'a'], "test").lenenc_bytes().is_err());
        let huge = [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        assert!(Reader::new(&huge, "test").lenenc_bytes().is_err());
    }

    #[test]
    fn strings() {
        let mut reader = Reader::new(b"ab\0\x02cd\xfbrest", "test");
        assert_eq!(reader.nul_bytes(), Ok(&b"ab"[..]));
        assert_eq!(reader.lenenc_bytes_or_null(), Ok(Some(&b"cd"[..])));
        assert_eq!(reader.lenenc_bytes_or_null(), Ok(None));
        assert_eq!(reader.rest(), b"rest");
        assert!(reader.is_empty());
        assert!(Reader::new(b"no end", "test").nul_bytes().is_err());
        let mut out = Vec::new();
        put_nul_bytes(&mut out, b"a\0b");
        assert_eq!(out, b"a\0");
    }
}
