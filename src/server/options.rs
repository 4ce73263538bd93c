//! What the accepting side is told: addresses, TLS, limits.

use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::auth::AuthPlugin;

/// Where clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`; port 0 takes a free one.
    Tcp(String),
    /// A Unix socket. A stale one of the same name is replaced.
    Unix(PathBuf),
}

/// Certificate and key of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the server's certificate first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    /// PEM; where it is given, clients must present a certificate that it signed.
    pub client_ca: Option<PathBuf>,
}

/// Whether clients may or must use TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TlsPolicy {
    /// Not offered.
    #[default]
    Off,
    /// Offered; plain connections are taken as well.
    Optional(TlsFiles),
    /// Plain TCP is refused with `ER_SECURE_TRANSPORT_REQUIRED`. A Unix socket counts as secure.
    Required(TlsFiles),
}

/// Options of a [`super::Server`]. [`Default`] gives the documented defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where clients connect to.
    pub listen: Vec<ListenAddress>,
    /// Whether clients may or must use TLS.
    pub tls: TlsPolicy,
    /// How many clients may be connected; one more gets error 1040. Default 10,000: an idle client costs some KiB, so
    /// this is a guard against a leak in an application, not against memory running out.
    pub max_connections: usize,
    /// How long greeting and authentication may take. Default 10,000, as MySQL's `connect_timeout`.
    pub handshake_timeout_ms: u64,
    /// The largest packet of a client, MySQL's `max_allowed_packet`. Default 64 MiB, as in MySQL 8.
    pub max_packet_bytes: usize,
    /// How long sessions may go on after a drain began, before they are cut off. Default 30,000: what orchestrators
    /// wait between SIGTERM and SIGKILL.
    pub drain_timeout_ms: u64,
    /// The authentication plugin that the greeting names. `None` follows the server version: MariaDB's clients know
    /// `mysql_native_password` best, MySQL's `caching_sha2_password`. A client that uses the other is not switched.
    pub default_plugin: Option<AuthPlugin>,
    /// PKCS#8 PEM of the RSA key for passwords over plain connections. `None` makes one when it is first needed.
    pub rsa_key: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp("127.0.0.1:3307".to_owned())],
            tls: TlsPolicy::Off,
            max_connections: 10_000,
            handshake_timeout_ms: 10_000,
            max_packet_bytes: 64 << 20,
            drain_timeout_ms: 30_000,
            default_plugin: None,
            rsa_key: None,
        }
    }
}

impl ServerOptions {
    pub(super) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    pub(super) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}
