//! What all logins share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use rand::Rng;
use tokio::sync::OnceCell;

use super::tls::Tls;
use super::{Account, Credential, Directory, ServerError, ServerOptions, TlsPolicy};
use crate::observe::{Metrics, Refusal};
use crate::protocol::Capabilities;
use crate::protocol::auth::{AuthPlugin, SCRAMBLE_LEN, Scramble};
use crate::protocol::rsa_key::{KEY_BITS, RsaKey};

/// What all logins share: the directory, TLS, keys, limits, and where they are counted.
pub struct Gate {
    pub(super) options: ArcSwap<ServerOptions>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) tls: ArcSwap<Tls>,
    /// Stands in for users that do not exist, so that their logins take the same way.
    pub(super) decoy: Arc<Account>,
    pub(super) metrics: Arc<Metrics>,
    rsa_key: Arc<OnceCell<Arc<RsaKey>>>,
    next_connection_id: AtomicU32,
}

impl Gate {
    /// Reads the key files that the options name.
    pub fn new(
        options: ServerOptions,
        directory: Arc<dyn Directory>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServerError> {
        let tls = ArcSwap::from_pointee(Tls::load(&options.tls)?);
        let rsa_key = Arc::new(OnceCell::new_with(read_rsa_key(&options)?));
        let password: String = rand::rng().random::<[u8; 32]>().map(char::from).iter().collect();
        let decoy =
            Arc::new(Account { user: "".into(), credential: Credential::from_password(&password), plugin: None });
        let options = ArcSwap::from_pointee(options);
        Ok(Self { options, directory, tls, decoy, metrics, rsa_key, next_connection_id: AtomicU32::new(1) })
    }

    /// Takes new certificates into use for connections to come. On an error the old ones stay.
    pub fn reload_tls(&self, policy: &TlsPolicy) -> Result<(), ServerError> {
        self.tls.store(Arc::new(Tls::load(policy)?));
        Ok(())
    }

    /// Takes new limits into use for connections to come.
    pub(super) fn reload_limits(&self, limits: &ServerOptions) {
        let ServerOptions { max_connections, handshake_timeout_ms, max_packet_bytes, drain_timeout_ms, .. } = *limits;
        self.options.rcu(|options| ServerOptions {
            max_connections,
            handshake_timeout_ms,
            max_packet_bytes,
            drain_timeout_ms,
            ..ServerOptions::clone(options)
        });
    }

    /// Counts a client that does not get in.
    pub(super) fn count_refusal(&self, error: &ServerError) {
        self.metrics.refused(reason(error));
    }

    /// The RSA key, made when it is first needed.
    pub(super) async fn rsa_key(&self) -> Result<Arc<RsaKey>, ServerError> {
        if let Some(key) = self.rsa_key.get() {
            return Ok(Arc::clone(key));
        }
        // A client that does not wait for it must not make the next one wait as long.
        let cell = Arc::clone(&self.rsa_key);
        let making = tokio::spawn(async move { cell.get_or_try_init(make_rsa_key).await.cloned() });
        making.await.map_err(|_| ServerError::UnsupportedAuthentication)?
    }

    pub(super) fn next_connection_id(&self) -> u32 {
        self.next_connection_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The plugin that the greeting names.
    pub(super) fn default_plugin(&self, version: &str) -> AuthPlugin {
        let by_version = if version.contains("MariaDB") { AuthPlugin::MysqlNative } else { AuthPlugin::CachingSha2 };
        self.options.load().default_plugin.unwrap_or(by_version)
    }

    pub(super) fn capabilities(&self, tls: bool) -> Capabilities {
        let offered = Capabilities::OFFERED_TO_CLIENTS;
        if tls { offered.with(Capabilities::SSL) } else { offered }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("options", &self.options).finish_non_exhaustive()
    }
}

fn reason(error: &ServerError) -> Refusal {
    match error {
        ServerError::TooManyConnections | ServerError::TooManyUserConnections { .. } => Refusal::Limit,
        ServerError::ShuttingDown => Refusal::Draining,
        ServerError::AccessDenied { .. }
        | ServerError::AccountNeedsTls { .. }
        | ServerError::DatabaseDenied { .. }
        | ServerError::UnknownDatabase(_) => Refusal::Authentication,
        _ => Refusal::Handshake,
    }
}

async fn make_rsa_key() -> Result<Arc<RsaKey>, ServerError> {
    let made = tokio::task::spawn_blocking(|| RsaKey::generate(KEY_BITS)).await;
    made.map_err(|_| ServerError::UnsupportedAuthentication)?.map(Arc::new).map_err(ServerError::from)
}

fn read_rsa_key(options: &ServerOptions) -> Result<Option<Arc<RsaKey>>, ServerError> {
    let Some(path) = &options.rsa_key else { return Ok(None) };
    let bad = |problem: String| ServerError::KeyFile { path: path.clone(), problem };
    let pem = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let key = RsaKey::from_pem(&pem).map_err(|_| bad("it holds no RSA private key in PKCS#8 PEM".to_owned()))?;
    Ok(Some(Arc::new(key)))
}

/// A fresh scramble of printable ASCII: some clients take it for a string that a NUL ends, and MySQL leaves `$` out.
pub(super) fn new_scramble() -> Scramble {
    let mut rng = rand::rng();
    let mut scramble = [0; SCRAMBLE_LEN];
    for byte in &mut scramble {
        *byte = loop {
            let candidate = rng.random_range(b'!'..=b'~');
            if candidate != b'$' {
                break candidate;
            }
        };
    }
    scramble
}
