//! Who may come in: accounts, what is known of their passwords, and the directory that holds them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::ServerError;
use crate::protocol::auth::{
    AuthPlugin, Scramble, caching_sha2_digest, caching_sha2_verify, native_digest, native_verify,
};
use crate::protocol::sha256_crypt::StoredHash;

/// Knows the accounts. Asked once per login, so that reloaded rules count from the next login on.
pub trait Directory: Send + Sync + 'static {
    /// The version that the greeting shows. Drivers look at it: `8.…` and `…-MariaDB` make them behave differently.
    fn server_version(&self) -> Arc<str>;

    /// The account of a user.
    fn account(&self, user: &str) -> Option<Arc<Account>>;

    /// The database under its proper name, if the account may use it; else [`ServerError::UnknownDatabase`] or
    /// [`ServerError::DatabaseDenied`].
    fn database(&self, account: &Account, host: &str, database: &str) -> Result<Arc<str>, ServerError>;

    /// Whether somebody who has proven to be this account may come in: [`ServerError::AccountNeedsTls`],
    /// [`ServerError::TooManyUserConnections`].
    fn admit(&self, account: &Account, host: &str, is_confidential: bool) -> Result<(), ServerError>;
}

/// An account.
#[derive(Debug)]
pub struct Account {
    /// The user's name.
    pub user: Arc<str>,
    /// What proves a login.
    pub credential: Credential,
    /// The plugin that a login must use; `None` for any that can prove the password.
    pub plugin: Option<AuthPlugin>,
}

impl Account {
    /// Whether a login may use a plugin.
    pub(super) fn allows(&self, plugin: AuthPlugin) -> bool {
        self.plugin.is_none_or(|only| only == plugin) && self.credential.supports(plugin)
    }
}

/// What is known of a password. The password itself is not kept.
pub struct Credential {
    empty: bool,
    native: Option<[u8; 20]>,
    /// Known from the password; of a stored hash only after a client has once sent the password (MySQL's cache).
    sha2: OnceLock<[u8; 32]>,
    stored: Option<StoredHash>,
}

impl Credential {
    /// Of a password. Both plugins can prove it, on the fast path.
    pub fn from_password(password: &str) -> Self {
        let password = password.as_bytes();
        Self {
            empty: password.is_empty(),
            native: Some(native_digest(password)),
            sha2: OnceLock::from(caching_sha2_digest(password)),
            stored: None,
        }
    }

    /// Of a hash as `mysql.user.authentication_string` shows it: `*` and 40 hexadecimal digits (native), or `$A$005$…`
    /// (`caching_sha2_password`). `None` for anything else.
    pub fn from_stored_hash(hash: &[u8]) -> Option<Self> {
        let empty = Self { empty: false, native: None, sha2: OnceLock::new(), stored: None };
        if let Ok(stored) = StoredHash::parse(hash) {
            return Some(Self { stored: Some(stored), ..empty });
        }
        let hex = hash.strip_prefix(b"*").filter(|hex| hex.len() == 40)?;
        let mut digest = [0; 20];
        for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self { native: Some(digest), ..empty })
    }

    /// Whether a plugin can prove this password.
    pub(super) fn supports(&self, plugin: AuthPlugin) -> bool {
        match plugin {
            AuthPlugin::MysqlNative => self.native.is_some(),
            AuthPlugin::CachingSha2 => self.sha2.get().is_some() || self.stored.is_some(),
        }
    }

    /// Judges a client's answer to a scramble.
    pub(super) fn check(&self, plugin: AuthPlugin, scramble: &Scramble, response: &[u8]) -> Verdict {
        // A client without a password sends nothing, or a NUL.
        if matches!(response, [] | [0]) {
            return if self.empty { Verdict::Granted } else { Verdict::Denied };
        }
        match (plugin, &self.native, self.sha2.get()) {
            _ if self.empty => Verdict::Denied,
            (AuthPlugin::MysqlNative, Some(digest), _) if native_verify(digest, scramble, response) => Verdict::Granted,
            (AuthPlugin::CachingSha2, _, Some(digest)) if caching_sha2_verify(digest, scramble, response) => {
                Verdict::GrantedFast
            }
            (AuthPlugin::CachingSha2, _, None) if self.stored.is_some() => Verdict::PasswordNeeded,
            _ => Verdict::Denied,
        }
    }

    /// Judges the password itself, and remembers it for the fast path. Takes milliseconds: not for the event loop.
    pub(super) fn check_password(&self, password: &[u8]) -> bool {
        let right = self.stored.as_ref().is_some_and(|stored| stored.verify(password));
        if right {
            self.sha2.get_or_init(|| caching_sha2_digest(password));
        }
        right
    }
}

/// What a client's answer to a scramble is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Right.
    Granted,
    /// Right, and `caching_sha2_password` wants to be told so before the OK.
    GrantedFast,
    /// It cannot be judged without the password itself.
    PasswordNeeded,
    /// Wrong.
    Denied,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAMBLE: Scramble = *b"RB3vz&Gr+yD&/ZZ305ZG";

    fn verdict(credential: &Credential, plugin: AuthPlugin, password: &[u8]) -> Verdict {
        credential.check(plugin, &SCRAMBLE, plugin.respond(password, &SCRAMBLE).as_bytes())
    }

    #[test]
    fn a_password_is_proven_by_both_plugins() {
        let credential = Credential::from_password("secret");
        assert_eq!(verdict(&credential, AuthPlugin::MysqlNative, b"secret"), Verdict::Granted);
        assert_eq!(verdict(&credential, AuthPlugin::CachingSha2, b"secret"), Verdict::GrantedFast);
        for plugin in [AuthPlugin::MysqlNative, AuthPlugin::CachingSha2] {
            assert_eq!(verdict(&credential, plugin, b"wrong"), Verdict::Denied);
            assert_eq!(verdict(&credential, plugin, b""), Verdict::Denied);
            assert_eq!(verdict(&Credential::from_password(""), plugin, b""), Verdict::Granted);
            assert_eq!(verdict(&Credential::from_password(""), plugin, b"wrong"), Verdict::Denied);
        }
    }

    #[test]
    fn a_native_hash_is_proven_by_its_plugin_alone() {
        // SELECT PASSWORD('secret')
        let credential = Credential::from_stored_hash(b"*14E65567ABDB5135D0CFD9A70B3032C179A49EE7").unwrap();
        assert_eq!(verdict(&credential, AuthPlugin::MysqlNative, b"secret"), Verdict::Granted);
        assert!(!credential.supports(AuthPlugin::CachingSha2));
        assert!(Credential::from_stored_hash(b"*14E6").is_none());
        assert!(Credential::from_stored_hash(b"secret").is_none());
    }
}
