//! The RSA step of `caching_sha2_password`'s full path over a plain connection: OAEP with SHA-1, as MySQL has it.

use std::fmt;

use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{Oaep, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;

use super::auth::{Scramble, mask_password};
use super::{ProtocolError, Result};

/// Bits of a generated key, as MySQL generates them.
pub const KEY_BITS: usize = 2048;
/// The largest key that is accepted from a peer, in bits: larger ones cost much time.
pub const MAX_KEY_BITS: usize = 8192;

/// The proxy's own key, for passwords of clients.
pub struct RsaKey {
    private: RsaPrivateKey,
    public_pem: String,
}

impl RsaKey {
    /// A new key of so many bits: [`KEY_BITS`] but in tests. This takes a good part of a second.
    pub fn generate(bits: usize) -> Result<Self> {
        let private = RsaPrivateKey::new(&mut OsRng, bits).map_err(|_| bad("an RSA key"))?;
        Self::new(private)
    }

    /// The key of a PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self> {
        Self::new(RsaPrivateKey::from_pkcs8_pem(pem).map_err(|_| bad("an RSA key"))?)
    }

    fn new(private: RsaPrivateKey) -> Result<Self> {
        let public_pem =
            private.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|_| bad("an RSA key"))?.to_string();
        Ok(Self { private, public_pem })
    }

    /// The key as a PKCS#8 PEM.
    pub fn to_pem(&self) -> Result<String> {
        Ok(self.private.to_pkcs8_pem(LineEnding::LF).map_err(|_| bad("an RSA key"))?.to_string())
    }

    /// The public half, as it is sent.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The password that a client encrypted, without its NUL.
    pub fn decrypt_password(&self, encrypted: &[u8], scramble: &Scramble) -> Result<Vec<u8>> {
        // Blinding hides how long the arithmetic takes.
        let mut bytes = self
            .private
            .decrypt_blinded(&mut OsRng, Oaep::new::<Sha1>(), encrypted)
            .map_err(|_| bad("an encrypted password"))?;
        mask_password(&mut bytes, scramble);
        match bytes.pop() {
            Some(0) => Ok(bytes),
            _ => Err(bad("an encrypted password")),
        }
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey(…)")
    }
}

/// Encrypts a password for the server that sent `public_pem`.
pub fn encrypt_password(public_pem: &[u8], password: &[u8], scramble: &Scramble) -> Result<Vec<u8>> {
    let pem = std::str::from_utf8(public_pem).map_err(|_| bad("an RSA public key"))?.trim_matches(['\0', '\n', ' ']);
    let key = RsaPublicKey::from_public_key_pem(pem)
        .or_else(|_| RsaPublicKey::from_pkcs1_pem(pem))
        .map_err(|_| bad("an RSA public key"))?;
    if rsa::traits::PublicKeyParts::size(&key) * 8 > MAX_KEY_BITS {
        return Err(bad("an RSA public key"));
    }
    let mut bytes = Vec::with_capacity(password.len() + 1);
    bytes.extend_from_slice(password);
    bytes.push(0);
    mask_password(&mut bytes, scramble);
    key.encrypt(&mut OsRng, Oaep::new::<Sha1>(), &bytes).map_err(|_| bad("a password too long for the RSA key"))
}

fn bad(what: &'static str) -> ProtocolError {
    ProtocolError::Malformed { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAMBLE: Scramble = *b"RB3vz&Gr+yD&/ZZ305ZG";

    #[test]
    fn what_a_client_encrypts_is_decrypted() {
        let key = RsaKey::generate(1024).unwrap();
        let again = RsaKey::from_pem(&key.to_pem().unwrap()).unwrap();
        let ours = encrypt_password(key.public_pem().as_bytes(), b"secret", &SCRAMBLE).unwrap();
        assert_eq!(again.decrypt_password(&ours, &SCRAMBLE).as_deref(), Ok(&b"secret"[..]));
        // Another implementation of the client's side.
        let mut masked = *b"secret\0";
        mask_password(&mut masked, &SCRAMBLE);
        let theirs = mysql_common::crypto::encrypt(&masked, key.public_pem().as_bytes());
        assert_eq!(key.decrypt_password(&theirs, &SCRAMBLE).as_deref(), Ok(&b"secret"[..]));
        assert!(key.decrypt_password(&theirs[1..], &SCRAMBLE).is_err());
        assert!(encrypt_password(b"no key", b"secret", &SCRAMBLE).is_err());
    }
}
