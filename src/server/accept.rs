//! The accept loop: one task per client, a limit on their number, and an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tracing::{debug, info, warn};

use super::drain::{OnList, Tasks};
use super::greeting::{Newcomer, greet};
use super::listener::{Listener, Socket};
use super::places::{Place, Places};
use super::{Accepted, Directory, Drain, Gate, Peer, ServerError, ServerOptions, TlsPolicy};
use crate::cores::Cores;
use crate::observe::{ConnectionGuard, Metrics};

/// How many clients past the limit are greeted at a time, only to be told of the limit. More are closed at once.
const MAX_REFUSALS_AT_ONCE: usize = 64;
/// How long to wait after a failed accept: it fails when file descriptors run out, and trying at once would spin.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(50);

/// What becomes of a client that is logged in. Implemented by functions from [`Accepted`] to a future.
pub trait Sessions: Send + Sync + 'static {
    /// Serves a client to its end.
    fn serve(&self, accepted: Accepted) -> impl Future<Output = ()> + Send;
}

impl<F, Fut> Sessions for F
where
    F: Fn(Accepted) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    fn serve(&self, accepted: Accepted) -> impl Future<Output = ()> + Send {
        self(accepted)
    }
}

/// A server whose sockets are bound.
pub struct Server {
    listeners: Vec<Listener>,
    handle: ServerHandle,
}

/// Steers a running server.
#[derive(Clone)]
pub struct ServerHandle {
    gate: Arc<Gate>,
    draining: Arc<watch::Sender<bool>>,
    tasks: Tasks,
    places: Places,
    refusals: Arc<Semaphore>,
    taken: Arc<AtomicU64>,
    cores: Arc<Cores>,
}

impl Server {
    /// Reads the key files and binds the addresses. Sessions will run on `cores`, and clients be counted in `metrics`.
    pub async fn bind(
        options: ServerOptions,
        directory: Arc<dyn Directory>,
        cores: Arc<Cores>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServerError> {
        let mut listeners = Vec::with_capacity(options.listen.len());
        for address in &options.listen {
            listeners.push(Listener::bind(address).await?);
        }
        let places = Places::default();
        let gate = Arc::new(Gate::new(options, directory, metrics)?);
        let draining = Arc::new(watch::Sender::new(false));
        let refusals = Arc::new(Semaphore::new(MAX_REFUSALS_AT_ONCE));
        let tasks = Tasks::default();
        let taken = Arc::default();
        Ok(Self { listeners, handle: ServerHandle { gate, draining, tasks, places, refusals, taken, cores } })
    }

    /// The TCP addresses that are listened on.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(Listener::local_addr).collect()
    }

    /// Steers the server while it runs.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Takes clients until [`ServerHandle::drain`] is called, and returns when their sessions have ended, or were cut
    /// off after the drain timeout.
    pub async fn run<S: Sessions>(self, sessions: Arc<S>) {
        let Self { listeners, handle } = self;
        for listener in listeners {
            let (handle, sessions) = (handle.clone(), sessions.clone());
            tokio::spawn(async move { handle.accept_loop(listener, sessions).await });
        }
        handle.watch().requested().await;
        let timeout = handle.gate.options.load().drain_timeout();
        info!(connections = handle.connections(), "draining");
        if tokio::time::timeout(timeout, handle.places.all_free()).await.is_err() {
            warn!(connections = handle.connections(), "cutting off the sessions that are left");
            handle.tasks.abort_all();
            handle.places.all_free().await;
        }
    }
}

impl ServerHandle {
    /// Stops taking connections and asks sessions to end.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.places.taken()
    }

    /// How many may be.
    pub fn max_connections(&self) -> usize {
        self.gate.options.load().max_connections
    }

    /// What logins share: TLS files to be read again.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Takes new limits into use. Clients that are in stay, also where they are more than may be now. Where to listen and
    /// the keys are what they were.
    pub fn reload_limits(&self, options: &ServerOptions) {
        self.gate.reload_limits(options);
    }

    /// Takes new certificates into use for connections to come.
    pub fn reload_tls(&self, policy: &TlsPolicy) -> Result<(), ServerError> {
        self.gate.reload_tls(policy)
    }

    async fn accept_loop<S: Sessions>(&self, listener: Listener, sessions: Arc<S>) {
        let mut drain = self.watch();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drain.requested() => return,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer, &sessions),
                Err(error) => {
                    warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
                }
            }
        }
    }

    fn watch(&self) -> Drain {
        Drain(self.draining.subscribe())
    }

    fn admit<S: Sessions>(&self, socket: Socket, peer: Peer, sessions: &Arc<S>) {
        if let Some(place) = self.places.take(self.max_connections()) {
            let nth = self.taken.fetch_add(1, Ordering::Relaxed);
            let counted = self.gate.metrics.connected();
            let newcomer = Newcomer { socket, peer, drain: self.watch(), refusal: None };
            let sessions = sessions.clone();
            let serve = |on_list| serve(self.gate.clone(), newcomer, sessions, (counted, place, on_list));
            self.tasks.spawn(self.cores.seat(), nth, serve);
            return;
        }
        let refusal = ServerError::TooManyConnections;
        self.gate.count_refusal(&refusal);
        // With no room even for refusals the connection is dropped here, and so closed.
        let Ok(room) = self.refusals.clone().try_acquire_owned() else { return };
        let newcomer = Newcomer { socket, peer, drain: self.watch(), refusal: Some(refusal) };
        let gate = self.gate.clone();
        tokio::spawn(async move {
            let _room = room;
            let _ = greet(gate, newcomer).await;
        });
    }
}

/// One client from its greeting to its end. What it holds meanwhile is given back when the task ends, also when it is
/// cut off.
async fn serve<S: Sessions>(
    gate: Arc<Gate>,
    newcomer: Newcomer,
    sessions: Arc<S>,
    _held: (ConnectionGuard, Place, OnList),
) {
    let peer = newcomer.peer;
    // The greeting's state is large and short-lived; on the heap it does not weigh on the session's task.
    match Box::pin(greet(gate.clone(), newcomer)).await {
        Ok(accepted) => sessions.serve(accepted).await,
        Err(error) => {
            gate.count_refusal(&error);
            log_refusal(&peer, &error);
        }
    }
}

fn log_refusal(peer: &Peer, error: &ServerError) {
    match error {
        // A probe of a load balancer connects and goes away.
        ServerError::Net(error) => debug!(%peer, %error, "client left before it was logged in"),
        ServerError::AccessDenied { .. }
        | ServerError::AccountNeedsTls { .. }
        | ServerError::TooManyUserConnections { .. }
        | ServerError::DatabaseDenied { .. }
        | ServerError::UnknownDatabase(_) => info!(%peer, %error, "login refused"),
        _ => info!(%peer, %error, "login failed"),
    }
}
