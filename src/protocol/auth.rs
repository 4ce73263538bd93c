//! Proofs of a password: `mysql_native_password` (`page_protocol_connection_phase_authentication_methods_native_password_authentication.html`)
//! and `caching_sha2_password` (`page_caching_sha2_authentication_exchanges.html`), for both ends of a connection.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Length of a scramble.
pub const SCRAMBLE_LEN: usize = 20;

/// The random bytes that a server sends and a client mixes with its password.
pub type Scramble = [u8; SCRAMBLE_LEN];

/// The authentication plugins spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthPlugin {
    /// SHA-1; every client knows it.
    MysqlNative,
    /// SHA-256; the default since MySQL 8.
    CachingSha2,
}

impl AuthPlugin {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MysqlNative => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
        }
    }

    /// The plugin of a name on the wire.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::MysqlNative, Self::CachingSha2].into_iter().find(|plugin| plugin.name().as_bytes() == name)
    }

    /// A client's answer to `scramble`: empty for an empty password.
    pub fn respond(self, password: &[u8], scramble: &Scramble) -> AuthResponse {
        let mut response = AuthResponse::default();
        if !password.is_empty() {
            match self {
                Self::MysqlNative => response.fill(&native_response(password, scramble)),
                Self::CachingSha2 => response.fill(&caching_sha2_response(password, scramble)),
            }
        }
        response
    }
}

/// A client's answer to a scramble: 0, 20 or 32 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuthResponse {
    bytes: [u8; 32],
    len: usize,
}

impl AuthResponse {
    fn fill(&mut self, proof: &[u8]) {
        self.bytes[..proof.len()].copy_from_slice(proof);
        self.len = proof.len();
    }

    /// The bytes for the packet.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// `SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password)))`.
pub fn native_response(password: &[u8], scramble: &Scramble) -> [u8; 20] {
    let stage_1: [u8; 20] = Sha1::digest(password).into();
    let stage_2: [u8; 20] = Sha1::digest(stage_1).into();
    xor(stage_1, native_mask(scramble, &stage_2))
}

/// What a server keeps of a password for `mysql_native_password`: `SHA1(SHA1(password))`.
pub fn native_digest(password: &[u8]) -> [u8; 20] {
    Sha1::digest(Sha1::digest(password)).into()
}

/// Whether `response` proves the password whose [`native_digest`] is given.
pub fn native_verify(digest: &[u8; 20], scramble: &Scramble, response: &[u8]) -> bool {
    let Ok(response) = <[u8; 20]>::try_from(response) else { return false };
    let stage_1 = xor(response, native_mask(scramble, digest));
    let stage_2: [u8; 20] = Sha1::digest(stage_1).into();
    same(&stage_2, digest)
}

fn native_mask(scramble: &Scramble, digest: &[u8; 20]) -> [u8; 20] {
    Sha1::new().chain_update(scramble).chain_update(digest).finalize().into()
}

/// `SHA256(password) XOR SHA256(SHA256(SHA256(password)) + scramble)`.
pub fn caching_sha2_response(password: &[u8], scramble: &Scramble) -> [u8; 32] {
    let stage_1: [u8; 32] = Sha256::digest(password).into();
    let stage_2: [u8; 32] = Sha256::digest(stage_1).into();
    xor(stage_1, caching_sha2_mask(scramble, &stage_2))
}

/// What a server caches of a password for `caching_sha2_password`'s fast path: `SHA256(SHA256(password))`.
pub fn caching_sha2_digest(password: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(password)).into()
}

/// Whether `response` proves the password whose [`caching_sha2_digest`] is given.
pub fn caching_sha2_verify(digest: &[u8; 32], scramble: &Scramble, response: &[u8]) -> bool {
    let Ok(response) = <[u8; 32]>::try_from(response) else { return false };
    let stage_1 = xor(response, caching_sha2_mask(scramble, digest));
    let stage_2: [u8; 32] = Sha256::digest(stage_1).into();
    same(&stage_2, digest)
}

fn caching_sha2_mask(scramble: &Scramble, digest: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(digest).chain_update(scramble).finalize().into()
}

/// What RSA encrypts in the full path: the password and a NUL, XORed with the scramble over and over. Applied to the
/// decrypted bytes it gives the password and its NUL back.
pub fn mask_password(bytes: &mut [u8], scramble: &Scramble) {
    for (byte, mask) in bytes.iter_mut().zip(scramble.iter().cycle()) {
        *byte ^= mask;
    }
}

fn xor<const N: usize>(mut left: [u8; N], right: [u8; N]) -> [u8; N] {
    for (l, r) in left.iter_mut().zip(right) {
        *l ^= r;
    }
    left
}

/// Equality that takes as long for any bytes of equal length, so that its time tells nothing of a secret.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && std::hint::black_box(left.iter().zip(right).fold(0, |acc, (l, r)| acc | (l ^ r))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::scramble::{scramble_native, scramble_sha256};

    const SCRAMBLE: Scramble = *b"RB3vz&Gr+yD&/ZZ305ZG";

    #[test]
    fn responses_agree_with_mysql_common_and_are_verified() {
        for password in [&b"secret"[..], b"p", "пароль".as_bytes()] {
            let native = AuthPlugin::MysqlNative.respond(password, &SCRAMBLE);
            assert_eq!(Some(native.as_bytes()), scramble_native(&SCRAMBLE, password).as_ref().map(|r| &r[..]));
            assert!(native_verify(&native_digest(password), &SCRAMBLE, native.as_bytes()));
            assert!(!native_verify(&native_digest(b"other"), &SCRAMBLE, native.as_bytes()));
            let sha2 = AuthPlugin::CachingSha2.respond(password, &SCRAMBLE);
            assert_eq!(Some(sha2.as_bytes()), scramble_sha256(&SCRAMBLE, password).as_ref().map(|r| &r[..]));
            assert!(caching_sha2_verify(&caching_sha2_digest(password), &SCRAMBLE, sha2.as_bytes()));
            assert!(!caching_sha2_verify(&caching_sha2_digest(b"other"), &SCRAMBLE, sha2.as_bytes()));
            assert!(!caching_sha2_verify(&caching_sha2_digest(password), &SCRAMBLE, native.as_bytes()));
        }
        assert!(AuthPlugin::CachingSha2.respond(b"", &SCRAMBLE).as_bytes().is_empty());
    }

    #[test]
    fn masking_twice_gives_the_password_back() {
        let mut bytes = *b"a password longer than the scramble\0";
        mask_password(&mut bytes, &SCRAMBLE);
        assert_ne!(&bytes, b"a password longer than the scramble\0");
        mask_password(&mut bytes, &SCRAMBLE);
        assert_eq!(&bytes, b"a password longer than the scramble\0");
    }

    #[test]
    fn names() {
        for plugin in [AuthPlugin::MysqlNative, AuthPlugin::CachingSha2] {
            assert_eq!(AuthPlugin::from_name(plugin.name().as_bytes()), Some(plugin));
        }
        assert_eq!(AuthPlugin::from_name(b"sha256_password"), None);
    }
}
