//! The client's side of authentication, written from the manual, independently of the crate under test.

use rsa::pkcs8::DecodePublicKey;
use rsa::{Oaep, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html>
pub fn native(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password);
    let twice = Sha1::digest(once);
    let mask = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
    once.iter().zip(mask).map(|(left, right)| left ^ right).collect()
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>
pub fn caching_sha2(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha256::digest(password);
    let twice = Sha256::digest(once);
    let mask = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
    once.iter().zip(mask).map(|(left, right)| left ^ right).collect()
}

/// The password for the full exchange over a connection that others could read.
pub fn encrypted(password: &[u8], nonce: &[u8], public_key_pem: &[u8]) -> Vec<u8> {
    let mut plain = [password, b"\0"].concat();
    plain.iter_mut().zip(nonce.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    let pem = std::str::from_utf8(public_key_pem).unwrap();
    let key = RsaPublicKey::from_public_key_pem(pem.trim_end_matches('\0')).unwrap();
    // OAEP with SHA-1, which the protocol fixes.
    key.encrypt(&mut rsa::rand_core::OsRng, Oaep::new::<Sha1>(), &plain).unwrap()
}
