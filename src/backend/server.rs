//! One backend server: where it is, its limits, and what is known of it. Pools and connections share this.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::spec::ServerSpec;
use super::tls::TlsClient;
use crate::governance::{Health, Transition};

/// How many setup steps a server is remembered to have accepted. A client may make up any number of values for a
/// variable; past this the memory starts anew, and the cost is a round trip per step.
const TRIED_LIMIT: usize = 4096;

/// One backend server.
#[derive(Debug)]
pub struct Server {
    spec: ServerSpec,
    tls: TlsClient,
    health: Health,
    /// One permit per connection that may be leased. Fair: those who wait are served in order, whatever their flavour.
    pub(super) admission: Semaphore,
    waiting: AtomicUsize,
    open: AtomicUsize,
    connects: AtomicU64,
    connect_failures: AtomicU64,
    tried: Mutex<HashSet<u64>>,
    tried_key: RandomState,
    born: Instant,
    suspect_since_ms: AtomicU64,
}

impl Server {
    /// A server by its description. Opens nothing.
    pub fn new(spec: ServerSpec) -> Arc<Self> {
        Arc::new(Self {
            tls: TlsClient::new(&spec.tls),
            health: Health::new(spec.limits.health_failures, spec.limits.health_successes),
            admission: Semaphore::new(spec.limits.max_connections),
            waiting: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            connects: AtomicU64::new(0),
            connect_failures: AtomicU64::new(0),
            tried: Mutex::new(HashSet::new()),
            tried_key: RandomState::new(),
            born: Instant::now(),
            suspect_since_ms: AtomicU64::new(0),
            spec,
        })
    }

    /// The name by which messages, metrics and logs call this server, such as `g0/primary`.
    pub fn label(&self) -> &Arc<str> {
        &self.spec.label
    }

    /// Where it is and what its limits are.
    pub fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    /// Its TLS configuration.
    pub(super) fn tls(&self) -> &TlsClient {
        &self.tls
    }

    /// Whether it counts as up.
    pub fn is_up(&self) -> bool {
        self.health.is_up()
    }

    /// A connection was opened.
    pub(super) fn note_connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
        self.health.connected();
    }

    /// A connection could not be opened.
    pub(super) fn note_connect_failure(&self, error: &super::BackendError) {
        self.connect_failures.fetch_add(1, Ordering::Relaxed);
        self.note_failure(error);
    }

    /// A check or a connection failed.
    pub(super) fn note_failure(&self, error: &super::BackendError) {
        if self.health.failed() == Some(Transition::Left) {
            tracing::warn!(server = %self.label(), %error, "backend counts as down");
        }
    }

    /// A check passed.
    pub(super) fn note_passed(&self) {
        if self.health.passed() == Some(Transition::Returned) {
            tracing::info!(server = %self.label(), "backend is back");
        }
    }

    /// Takes one of the places for an open connection, if there is one.
    pub(super) fn try_reserve(self: &Arc<Self>) -> Option<Place> {
        let limit = self.spec.limits.max_connections;
        self.open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < limit).then_some(open + 1))
            .ok()
            .map(|_| Place(Some(self.clone())))
    }

    /// Joins those who wait for a connection, unless too many wait already (then their number).
    pub(super) fn join_queue(&self) -> Result<Waiting<'_>, usize> {
        let limit = self.spec.limits.max_waiting;
        self.waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| (waiting < limit).then_some(waiting + 1))
            .map(|_| Waiting(self))
    }

    /// Whether anybody waits for a connection.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Whether this server has accepted a setup step before; such a step fails only if the server was changed since.
    pub(super) fn has_accepted(&self, kind: &str, value: &str) -> bool {
        let key = self.tried_key.hash_one((kind, value));
        self.tried.lock().contains(&key)
    }

    /// Remembers that this server accepted a setup step.
    pub(super) fn note_accepted(&self, kind: &str, value: &str) {
        let key = self.tried_key.hash_one((kind, value));
        let mut tried = self.tried.lock();
        if tried.len() >= TRIED_LIMIT {
            tried.clear();
        }
        tried.insert(key);
    }

    /// Forgets that a setup step was accepted: it failed now.
    pub(super) fn note_rejected(&self, kind: &str, value: &str) {
        let key = self.tried_key.hash_one((kind, value));
        self.tried.lock().remove(&key);
    }

    /// A pooled connection was found dead: those that have been idle since before now are probed before they are used,
    /// for a restart of the server closes all of them.
    pub(super) fn suspect(&self) {
        let now_ms = self.born.elapsed().as_millis() as u64;
        self.suspect_since_ms.fetch_max(now_ms + 1, Ordering::Relaxed);
    }

    /// Whether a connection that is idle since then must be probed.
    pub(super) fn is_suspect(&self, idle_since: Instant) -> bool {
        let since_ms = self.suspect_since_ms.load(Ordering::Relaxed);
        since_ms > 0 && idle_since.saturating_duration_since(self.born) < Duration::from_millis(since_ms)
    }

    /// Counters for metrics and `SHOW`.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            open: self.open.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            connects: self.connects.load(Ordering::Relaxed),
            connect_failures: self.connect_failures.load(Ordering::Relaxed),
        }
    }
}

/// Counters of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    pub(super) open: usize,
    pub(super) waiting: usize,
    pub(super) connects: u64,
    pub(super) connect_failures: u64,
}

/// A place among a server's open connections, held for as long as the connection is open. The proxy's own control
/// connections hold none: they must work when all places are taken.
#[derive(Debug)]
pub(super) struct Place(Option<Arc<Server>>);

impl Place {
    /// The place of a control connection.
    pub(super) fn outside_the_pool() -> Self {
        Self(None)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = &self.0 {
            server.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// One who waits for a connection.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Server);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
