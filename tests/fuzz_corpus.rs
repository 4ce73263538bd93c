//! The fuzzer's entry points over packets of real servers, cut at every length, and over a few hundred thousand mutations
//! of them. Seeded: the same bytes in every run.

#[path = "../fuzz/entry.rs"]
mod entry;

/// Packets as real servers and clients send them.
const PACKETS: [&[u8]; 16] = [
    b"\x03SELECT 1",
    b"\x18\x01\0\0\0\x02\0xyz",
    b"\x1c\x01\0\0\0\x64\0\0\0",
    b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfd\0\x03foo",
    b"\x17\x01\0\0\0\0\x01\0\0\0\x02\x01\x08\x80\x03\0\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x0c\0\x0b\0\x07\xe8\x07\x02\x1d\x01\x02\x03\x08\x01\x02\0\0\0\x01\x02\x03",
    b"\x0a5.6.4-m7-log\0\x56\x0a\0\0\x52\x42\x33\x76\x7a\x26\x47\x72\0\xff\xff\x08\x02\0\x0f\xc0\
        \x15\0\0\0\0\0\0\0\0\0\0\x2b\x79\x44\x26\x2f\x5a\x5a\x33\x30\x35\x5a\x47\0mysql_native_password\0",
    b"\x8d\xa6\x0f\x00\x00\x00\x00\x01\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0pam\0\x14\
        \xab\x09\xee\xf6\xbc\xb1\x32\x3e\x61\x14\x38\x65\xc0\x99\x1d\x95\x7d\x75\xd4\x47test\0mysql_native_password\0",
    b"\x00\x00\x00\x02\x40\x00\x00\x00\x07\x01\x05\x04test",
    b"\x00\x03\x00\x02\x00\x00\x00Rows matched: 3",
    b"\xff\x48\x04#HY000No tables used",
    b"\xfe\x00\x00\x02\x00",
    b"\xfemysql_native_password\0RB3vz&Gr+yD&/ZZ305ZG\0",
    b"\x03def\x04test\x01x\x01t\x01i\x02id\x0c\x3f\x00\x0b\x00\x00\x00\x03\x03\x42\x00\x00\x00",
    b"\x01a\xfb\x00\xfc\x02\x00xy",
    b"\x00\x00\x05\0\0\0\x03abc\x04\xe8\x07\x02\x1d",
];

/// Answers as real servers send them.
const ANSWERS: [&[u8]; 4] = [
    // SELECT with EOF packets
    b"\x01\0\0\x01\x01\x17\0\0\x02\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0\
        \x05\0\0\x03\xfe\0\0\x02\0\x02\0\0\x04\x011\x05\0\0\x05\xfe\0\0\x02\0",
    // SELECT without them, another result behind it
    b"\x01\0\0\x01\x01\x17\0\0\x02\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0\
        \x02\0\0\x03\x011\x07\0\0\x04\xfe\0\0\x0a\0\0\0\x07\0\0\x05\0\x01\x05\x02\0\0\0",
    // PREPARE: one parameter, one column
    b"\x0c\0\0\x01\0\x01\0\0\0\x01\0\x01\0\0\0\0\x17\0\0\x02\x03def\0\0\0\x01?\0\x0c\x3f\0\0\0\0\0\xfd\x80\0\0\0\0\
        \x05\0\0\x03\xfe\0\0\x02\0\x17\0\0\x04\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0\
        \x05\0\0\x05\xfe\0\0\x02\0",
    b"\x17\0\0\x01\xff\x48\x04#HY000No tables used",
];

const ROUNDS: usize = 6_000;

/// A generator of pseudo-random numbers (xorshift64*); no crate's, so that no update changes the corpus.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A few bytes changed, dropped, repeated, or set to those that mean something in the protocol.
    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        const SPECIAL: [u8; 10] = [0, 1, 2, 0x7F, 0x80, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF];
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = SPECIAL[self.below(SPECIAL.len())],
                1 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => bytes.insert(at, SPECIAL[self.below(SPECIAL.len())]),
            }
        }
        bytes
    }
}

#[test]
fn packets() {
    let mut random = Random(0x5EED_0001);
    for seed in PACKETS {
        for cut in 0..=seed.len() {
            entry::packet(&seed[..cut]);
        }
        for _ in 0..ROUNDS {
            entry::packet(&random.mutate(seed));
        }
    }
}

#[test]
fn answers() {
    let mut random = Random(0x5EED_0002);
    for seed in ANSWERS {
        for choice in 0..64 {
            for cut in 0..=seed.len() {
                let mut data = vec![choice, random.next() as u8 % 24, 0];
                data.extend_from_slice(&seed[..cut]);
                entry::answer(&data);
            }
            for _ in 0..ROUNDS / 32 {
                let mut data = vec![choice, random.next() as u8 % 24, random.next() as u8];
                data.extend_from_slice(&random.mutate(seed));
                entry::answer(&data);
            }
        }
    }
}
