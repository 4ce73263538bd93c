//! Reading and writing the protocol's elementary types, independently of the crate under test.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_data_types.html>

/// Reads from the front of a payload; panics where the payload is too short, which fails the test.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        head
    }

    pub fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    /// Length-encoded integer.
    pub fn lenenc(&mut self) -> u64 {
        match self.u8() {
            0xfc => u64::from(self.u16()),
            0xfd => u64::from(u32::from_le_bytes([self.u8(), self.u8(), self.u8(), 0])),
            0xfe => self.u64(),
            small => u64::from(small),
        }
    }

    /// Length-encoded string.
    pub fn string(&mut self) -> &'a [u8] {
        let length = self.lenenc() as usize;
        self.take(length)
    }

    /// Length-encoded string as text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.string()).into_owned()
    }

    /// String that ends with a zero byte.
    pub fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap();
        let head = self.take(end);
        self.u8();
        head
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a length-encoded string.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..=250 => out.push(length as u8),
        length @ 251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&(length as u16).to_le_bytes());
        }
        length @ 0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&(length as u32).to_le_bytes()[..3]);
        }
        length => {
            out.push(0xfe);
            out.extend_from_slice(&(length as u64).to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}
