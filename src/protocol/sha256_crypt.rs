//! What MySQL stores of a `caching_sha2_password` account: `$A$005$` + 20 bytes of salt + 43 of digest, where the digest
//! is SHA-crypt with SHA-256 (Drepper, *Unix crypt using SHA-256 and SHA-512*) of 5 × 1000 rounds.

use sha2::{Digest, Sha256};

use super::auth::same;
use super::{ProtocolError, Result};

/// `mysql.user.authentication_string` begins with this.
const PREFIX: &[u8] = b"$A$";
const SALT_LEN: usize = 20;
const DIGEST_LEN: usize = 43;
/// The server's own limit (`caching_sha2_password_digest_rounds`), in thousands.
const MAX_THOUSAND_ROUNDS: u32 = 0xFFF;
/// Longer passwords are not hashed: MySQL's `MAX_PLAINTEXT_LENGTH`.
const MAX_PASSWORD_BYTES: usize = 256;

/// A stored hash.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredHash {
    rounds: u32,
    salt: [u8; SALT_LEN],
    digest: [u8; DIGEST_LEN],
}

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

impl StoredHash {
    /// Parses an `authentication_string`.
    pub fn parse(stored: &[u8]) -> Result<Self> {
        let bad = ProtocolError::Malformed { what: "a stored caching_sha2_password hash" };
        // `$A$`, three hexadecimal digits of thousands of rounds, `$`, salt, digest
        let rest = stored.strip_prefix(PREFIX).ok_or(bad)?;
        let (head, rest) = rest.split_at_checked(4).ok_or(bad)?;
        let (salt, digest) = rest.split_at_checked(SALT_LEN).ok_or(bad)?;
        let thousands = std::str::from_utf8(&head[..3]).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let thousands = thousands.filter(|n| (1..=MAX_THOUSAND_ROUNDS).contains(n) && head[3] == b'$').ok_or(bad)?;
        Ok(Self {
            rounds: thousands * 1000,
            salt: salt.try_into().map_err(|_| bad)?,
            digest: digest.try_into().map_err(|_| bad)?,
        })
    }

    /// Whether this is the hash of `password`. Takes milliseconds, by design.
    pub fn verify(&self, password: &[u8]) -> bool {
        password.len() <= MAX_PASSWORD_BYTES && same(&crypt(password, &self.salt, self.rounds), &self.digest)
    }
}

/// SHA-crypt; the steps are those of the specification.
fn crypt(password: &[u8], salt: &[u8], rounds: u32) -> [u8; DIGEST_LEN] {
    // Steps 4–8: digest B
    let b = Sha256::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    // Steps 1–3, 9–12: digest A
    let mut a = Sha256::new().chain_update(password).chain_update(salt);
    update_repeated(&mut a, &b, password.len());
    let mut bits = password.len();
    while bits > 0 {
        if bits & 1 == 1 {
            a.update(b)
        } else {
            a.update(password)
        };
        bits >>= 1;
    }
    let mut c = a.finalize();
    // Steps 13–16: P
    let mut dp = Sha256::new();
    for _ in 0..password.len() {
        dp.update(password);
    }
    let p = repeated(&dp.finalize(), password.len());
    // Steps 17–20: S
    let mut ds = Sha256::new();
    for _ in 0..16 + usize::from(c[0]) {
        ds.update(salt);
    }
    let s = repeated(&ds.finalize(), salt.len());
    // Step 21
    for round in 0..rounds {
        let mut next = Sha256::new();
        if round % 2 == 1 {
            next.update(&p)
        } else {
            next.update(c)
        };
        if round % 3 != 0 {
            next.update(&s);
        }
        if round % 7 != 0 {
            next.update(&p);
        }
        if round % 2 == 1 {
            next.update(c)
        } else {
            next.update(&p)
        };
        c = next.finalize();
    }
    encode(&c.into())
}

fn update_repeated(hash: &mut Sha256, block: &[u8], len: usize) {
    hash.update(repeated(block, len));
}

fn repeated(block: &[u8], len: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(len).collect()
}

/// Step 22: its own base 64 over the bytes in its own order.
fn encode(digest: &[u8; 32]) -> [u8; DIGEST_LEN] {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = [0; DIGEST_LEN];
    let mut put = |at: usize, len: usize, bytes: [u8; 3]| {
        let mut word = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for byte in &mut out[at..at + len] {
            *byte = ALPHABET[(word & 63) as usize];
            word >>= 6;
        }
    };
    let (mut i, mut j, mut k) = (0, 10, 20);
    for group in 0..10 {
        put(group * 4, 4, [digest[i], digest[j], digest[k]]);
        (i, j, k) = (k + 1, i + 1, j + 1);
    }
    put(40, 3, [0, digest[31], digest[30]]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_agree_with_libcrypt() {
        assert_eq!(&crypt(b"Hello world!", b"saltstring", 5000), b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
        assert_eq!(&crypt(b"secret", b"abcdefghijklmnop", 5000), b"i7zHaTeYqXlesRXJ8dXj6o.MEFQdzfIJpJpcWAtszs6");
    }

    #[test]
    fn a_hash_that_mysql_stored() {
        let mut stored = b"$A$005$".to_vec();
        stored.extend_from_slice(b"\xF9\xCC\x98\xCE\x08\x89\x29\x24\xF5\x0A\x21\x3B\x6B\xC5\x71\xA2\xC1\x17\x78\xC5");
        stored.extend_from_slice(b"bTy95Y99eAME1dwEkHOA1ndHGBWz.1bxSSRkuTXFGV/");
        let hash = StoredHash::parse(&stored).unwrap();
        assert!(hash.verify(b"hashcat"));
        assert!(!hash.verify(b"hashdog"));
        for cut in 0..stored.len() {
            assert!(StoredHash::parse(&stored[..cut]).is_err());
        }
        stored[4] = b'x';
        assert!(StoredHash::parse(&stored).is_err());
    }
}
