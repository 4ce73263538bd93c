//! Passwords of the proxy's accounts: as they are, or as a server stores them.

use std::fmt;

use super::proxy::AuthPlugin;
use super::secret::Secret;

/// What is known of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// The password itself.
    Plain(Secret),
    /// A hash of it.
    Hash(PasswordHash),
}

/// A hash as `mysql.user.authentication_string` holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    bytes: Vec<u8>,
    plugin: AuthPlugin,
}

impl PasswordHash {
    /// Reads `*` and 40 hexadecimal digits (`mysql_native_password`), `$A$005$` with salt and digest
    /// (`caching_sha2_password`), or the latter as `0x` and hexadecimal digits, as `SHOW CREATE USER` prints it with
    /// `print_identified_with_as_hex`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => unhex(hex)?,
            None => text.as_bytes().to_vec(),
        };
        let plugin = match *bytes.as_slice() {
            [b'*', ref digits @ ..] if digits.len() == 40 && digits.iter().all(u8::is_ascii_hexdigit) => {
                AuthPlugin::MysqlNativePassword
            }
            [b'$', b'A', b'$', a, b, c, b'$', ref rest @ ..]
                if rest.len() == 63 && [a, b, c].iter().all(u8::is_ascii_hexdigit) =>
            {
                AuthPlugin::CachingSha2Password
            }
            _ => return None,
        };
        Some(Self { bytes, plugin })
    }

    /// The hash, as the server stores it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The only plugin that it can be checked with.
    pub fn plugin(&self) -> AuthPlugin {
        self.plugin
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.plugin.name())
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_apart() {
        let native = PasswordHash::parse("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7").unwrap();
        assert_eq!(native.plugin(), AuthPlugin::MysqlNativePassword);
        let text = format!("$A$005${}", "x".repeat(63));
        let sha2 = PasswordHash::parse(&text).unwrap();
        assert_eq!(sha2.plugin(), AuthPlugin::CachingSha2Password);
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(PasswordHash::parse(&format!("0x{hex}")), Some(sha2));
        for wrong in ["", "secret", "*14E6", "$A$005$short", "0xZZ", "0x123"] {
            assert_eq!(PasswordHash::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{native:?}").contains("14E6"));
    }
}
