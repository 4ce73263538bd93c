//! The program: rules, backends, listeners and signals put together.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::{self, Admin};
use crate::backend::Backends;
use crate::config::{Address, ClientTls, ClientTlsFiles, Rules, watch::Watcher};
use crate::cores::Cores;
use crate::execute::{Client, Interrupt};
use crate::observe::Metrics;
use crate::observe::logging::{self, LogOptions};
use crate::server::{Accepted, ListenAddress, Server, ServerHandle, ServerOptions, TlsFiles, TlsPolicy};
use crate::session::{Identity, Session, Shared, Snapshot};

mod check;
mod directory;
mod doorman;
mod route;
mod status;
mod vendor;

use directory::RulesDirectory;
use doorman::GateDoorman;
use status::{ProxyStatus, connect_metrics};
use vendor::Vendor;

pub use check::check;
pub use route::route;

/// Stack of a thread that runs sessions: trees of statements are walked recursively, up to the nesting that the parser allows. Memory is
/// taken only as deep as it is used.
const SESSION_STACK_BYTES: usize = 8 << 20;

/// Why the proxy could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The rules have problems.
    #[error("{0}")]
    Rules(#[from] crate::config::Problems),
    /// An address could not be listened on, or a key file not be read.
    #[error(transparent)]
    Server(#[from] crate::server::ServerError),
    /// The admin address could not be listened on.
    #[error("cannot listen on the admin address {address}: {cause}")]
    Admin {
        /// The address.
        address: String,
        /// What failed.
        cause: std::io::Error,
    },
    /// The operating system refused something.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What failed.
        cause: std::io::Error,
    },
}

/// How many threads run sessions where nobody says: half of the processors. What a thread has to do comes in batches, and
/// the more there is in one, the fewer times it is woken up, which is most of what a relayed statement costs.
fn default_threads() -> usize {
    // As many as the process may use, which is known where containers are given less than the machine has.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    (processors / 2).max(1)
}

/// `shardloom serve`: runs until SIGTERM or SIGINT. `threads` run the sessions.
pub fn main(rules: &Path, threads: Option<u16>, filter: Option<&str>, json: bool) -> ExitCode {
    if let Err(error) = logging::init(&LogOptions { json, level: filter.map(str::to_owned) }) {
        eprintln!("shardloom: {error}");
        return ExitCode::FAILURE;
    }
    let threads = threads.map_or_else(default_threads, usize::from);
    let served = Cores::start(threads, SESSION_STACK_BYTES)
        .and_then(|cores| Ok((cores, Builder::new_current_thread().enable_all().build()?)))
        .map_err(|cause| ServeError::System { what: "cannot start the runtime", cause })
        .and_then(|(cores, runtime)| runtime.block_on(serve(rules.to_owned(), cores)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &ServeError) -> ExitCode {
    eprintln!("shardloom: {error}");
    ExitCode::FAILURE
}

async fn serve(folder: PathBuf, cores: Arc<Cores>) -> Result<(), ServeError> {
    let rules = Arc::new(Rules::load(&folder)?);
    let backends = Arc::new(Backends::new(&rules));
    let Vendor { version, charsets } = Vendor::of(&rules, &backends).await;
    let snapshot = Snapshot::new(Arc::clone(&rules), backends);
    let shared = Arc::new(Shared::new(snapshot, Arc::new(Metrics::new()), &version, charsets));
    connect_metrics(&shared);
    shared.metrics.rules_loaded(rules.version);
    let directory = Arc::new(RulesDirectory::new(Arc::clone(&shared), &version));
    tokio::spawn(Arc::clone(&shared.recovery).run(recovery_source(&shared)));
    watch_for_deadlocks(&shared);
    watch_definitions(&shared);
    let server = Server::bind(options(&rules), directory, cores, Arc::clone(&shared.metrics)).await?;
    for address in server.local_addrs() {
        tracing::info!(%address, "listening for MySQL clients");
    }
    let handle = server.handle();
    let watcher = watch(folder.clone(), Arc::clone(&shared), handle.clone());
    count_rejected_rules(watcher.status(), Arc::clone(&shared.metrics));
    let (stopped, on_stopped) = tokio::sync::oneshot::channel::<()>();
    if let Some(address) = &rules.proxy.listen.admin {
        let status = ProxyStatus::new(Arc::clone(&shared), folder, watcher.status());
        start_admin(address, status, on_stopped).await?;
    }
    stop_on_signals(handle, Arc::clone(&shared))?;
    let sessions = {
        let shared = Arc::clone(&shared);
        Arc::new(move |accepted: Accepted| session(Arc::clone(&shared), accepted))
    };
    tracing::info!("ready");
    server.run(sessions).await;
    // Nobody listens when there is no admin port.
    let _ = stopped.send(());
    tracing::info!("stopped");
    Ok(())
}

async fn start_admin(
    address: &Address,
    status: ProxyStatus,
    stopped: tokio::sync::oneshot::Receiver<()>,
) -> Result<(), ServeError> {
    let address = address.to_string();
    let bound = tokio::net::TcpListener::bind(&address).await;
    let listener = bound.map_err(|cause| ServeError::Admin { address: address.clone(), cause })?;
    tracing::info!(%address, "listening for operators");
    let shared = Arc::clone(&status.shared);
    let admin =
        Admin { metrics: Arc::clone(&shared.metrics), digests: Arc::clone(&shared.digests), status: Arc::new(status) };
    tokio::spawn(async move {
        let shutdown = async move { stopped.await.unwrap_or_default() };
        if let Err(error) = admin::serve(listener, admin, shutdown).await {
            tracing::error!(%error, "the admin port has ended");
        }
    });
    Ok(())
}

async fn session(shared: Arc<Shared>, accepted: Accepted) {
    let identity = Identity {
        connection_id: accepted.connection_id,
        user: Arc::clone(&accepted.account.user),
        peer: accepted.peer.to_string(),
        host: accepted.peer.host(),
        schema: accepted.database,
        collation: accepted.charset,
    };
    let doorman = GateDoorman::new(accepted.gate, accepted.scramble, accepted.peer);
    let client = Client::new(accepted.stream, accepted.capabilities);
    let mut drain = accepted.drain;
    Session::new(shared, client, identity, Box::new(doorman)).run(async move { drain.requested().await }).await;
}

fn options(rules: &Rules) -> ServerOptions {
    let limits = &rules.proxy.limits;
    ServerOptions {
        listen: rules.proxy.listen.mysql.iter().map(listen_address).collect(),
        tls: tls_policy(&rules.proxy.tls),
        max_connections: limits.max_connections,
        handshake_timeout_ms: limits.handshake_timeout_ms,
        max_packet_bytes: limits.max_allowed_packet_bytes,
        drain_timeout_ms: limits.drain_deadline_ms,
        ..ServerOptions::default()
    }
}

fn listen_address(address: &Address) -> ListenAddress {
    match address {
        Address::Tcp { .. } => ListenAddress::Tcp(address.to_string()),
        Address::Unix(path) => ListenAddress::Unix(path.clone()),
    }
}

fn tls_policy(tls: &ClientTls) -> TlsPolicy {
    let files = |files: &ClientTlsFiles| TlsFiles {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        client_ca: files.client_ca.clone(),
    };
    match tls {
        ClientTls::Off => TlsPolicy::Off,
        ClientTls::Optional(paths) => TlsPolicy::Optional(files(paths)),
        ClientTls::Required(paths) => TlsPolicy::Required(files(paths)),
    }
}

/// Ends deadlocks over several groups.
fn watch_for_deadlocks(shared: &Arc<Shared>) {
    let backends = Arc::downgrade(shared);
    let source = move || Some(Arc::clone(&backends.upgrade()?.snapshot.load().backends));
    let registry = Arc::clone(&shared.registry);
    let end = move |session| {
        if let Some(session) = registry.find(session) {
            session.interrupt(Interrupt::Deadlock);
        }
    };
    tokio::spawn(crate::txn::deadlock::run(Arc::clone(&shared.coordinator), source, end));
}

/// Carries on definitions that were left, and notices those of other proxies.
fn watch_definitions(shared: &Arc<Shared>) {
    let recovery = recovery_source(shared);
    let instance = shared.coordinator.instance();
    let source = move || recovery().map(|(backends, settings)| (backends, settings.interval_ms));
    let shared = Arc::downgrade(shared);
    let changed = move |schema: &str, table: &str| {
        let Some(shared) = shared.upgrade() else { return };
        let catalog = Arc::clone(&shared.snapshot.load().catalog);
        match table {
            "" => catalog.invalidate_schema(schema),
            table => catalog.invalidate(schema, table),
        }
    };
    tokio::spawn(crate::definitions::watch(instance, source, changed));
}

/// What recovery looks at: the rules in force, for as long as the proxy runs.
fn recovery_source(shared: &Arc<Shared>) -> impl Fn() -> Option<(Arc<Backends>, crate::config::Recovery)> + use<> {
    let shared = Arc::downgrade(shared);
    move || {
        let snapshot = shared.upgrade()?.snapshot.load_full();
        Some((Arc::clone(&snapshot.backends), snapshot.rules.proxy.recovery))
    }
}

/// Reloads the rules when they change on disk, and on SIGHUP.
fn watch(folder: PathBuf, shared: Arc<Shared>, handle: ServerHandle) -> Watcher {
    Watcher::start(folder, move |rules: Rules| {
        let rules = Arc::new(rules);
        let old = shared.snapshot.load_full();
        if let Err(error) = handle.reload_tls(&tls_policy(&rules.proxy.tls)) {
            tracing::error!(%error, "the new certificates are not taken into use");
        }
        handle.reload_limits(&options(&rules));
        let backends = Arc::new(old.backends.reload(&rules));
        shared.metrics.rules_loaded(rules.version);
        shared.replace_rules(Snapshot::new(rules, backends));
    })
}

/// Counts rules that were read and not taken into use.
fn count_rejected_rules(mut status: tokio::sync::watch::Receiver<crate::config::watch::Status>, metrics: Arc<Metrics>) {
    tokio::spawn(async move {
        let mut counted = 0;
        while status.changed().await.is_ok() {
            let refused = status.borrow_and_update().refused;
            (counted..refused).for_each(|_| metrics.rules_rejected());
            counted = refused;
        }
    });
}

/// SIGTERM and SIGINT drain: no new clients, transactions may end, then the process does. A second one ends it at once.
fn stop_on_signals(handle: ServerHandle, shared: Arc<Shared>) -> Result<(), ServeError> {
    let listen = |kind| signal(kind).map_err(|cause| ServeError::System { what: "cannot listen for signals", cause });
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut drained = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if drained {
                std::process::exit(1);
            }
            shared.set_draining();
            handle.drain();
            drained = true;
        }
    });
    Ok(())
}
