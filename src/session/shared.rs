//! What all sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};

use super::scratch_gate::ScratchGate;
use super::state::{DefaultCharsets, State};
use crate::backend::Backends;
use crate::catalog::Catalog;
use crate::config::{Limits, Rules};
use crate::cores::PerCore;
use crate::error::SqlError;
use crate::execute::Registry;
use crate::id::Keys;
use crate::observe::{Digests, Metrics, QueryKind, Way};
use crate::plan::{CacheStats, PlanCache};
use crate::txn::{Coordinator, Recovery};

/// Rules, and the connections to what they name. A statement keeps the snapshot that it began with.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The rules.
    pub rules: Arc<Rules>,
    /// Their backends.
    pub backends: Arc<Backends>,
    /// Columns of the tables behind.
    pub catalog: Arc<Catalog>,
    /// Who may use temporary tables now.
    pub scratch: Arc<ScratchGate>,
}

impl Snapshot {
    /// Rules with their backends, and a catalog that is still empty.
    pub fn new(rules: Arc<Rules>, backends: Arc<Backends>) -> Self {
        let catalog = Arc::new(Catalog::new(Arc::clone(&rules), Arc::clone(&backends)));
        catalog.spawn_refresh();
        let scratch = Arc::new(ScratchGate::new(&rules.proxy.scratch));
        Self { rules, backends, catalog, scratch }
    }
}

/// The snapshot in force. Each processor has a copy to count references to.
#[derive(Debug)]
pub struct Snapshots(PerCore<ArcSwap<Snapshot>>);

impl Snapshots {
    fn new(snapshot: &Snapshot) -> Self {
        Self(PerCore::new(|| ArcSwap::from_pointee(snapshot.clone())))
    }

    /// The snapshot, for a short look.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.here().load()
    }

    /// The snapshot, to keep.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.0.here().load_full()
    }

    fn store(&self, snapshot: &Snapshot) {
        self.0.iter().for_each(|copy| copy.store(Arc::new(snapshot.clone())));
    }
}

/// What all sessions share.
#[derive(Debug)]
pub struct Shared {
    /// The rules in force.
    pub snapshot: Snapshots,
    /// Plans by fingerprint.
    pub plans: PlanCache,
    /// Plans that sessions found among their own.
    pub(super) recent_hits: PerCore<AtomicU64>,
    /// All sessions.
    pub registry: Arc<Registry>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The transactions over several groups.
    pub coordinator: Arc<Coordinator>,
    /// What ends those that were left.
    pub recovery: Arc<Recovery>,
    /// What each kind of statement costs.
    pub digests: Arc<Digests>,
    /// The version that clients see.
    pub server_version: Arc<str>,
    /// When the proxy started.
    pub started: Instant,
    /// What makes keys.
    pub keys: Keys,
    is_mariadb: bool,
    /// What the servers give to clients whose collation they do not know; nothing where all are known.
    default_charsets: Option<DefaultCharsets>,
    draining: AtomicBool,
    loaded_at_unix_s: AtomicU64,
}

impl Shared {
    /// Puts it together.
    pub fn new(
        snapshot: Snapshot,
        metrics: Arc<Metrics>,
        server_version: &Arc<str>,
        default_charsets: Option<DefaultCharsets>,
    ) -> Self {
        let limits = snapshot.rules.proxy.limits.clone();
        let coordinator = Arc::new(Coordinator::new(Arc::clone(metrics.transactions())));
        Self {
            recovery: Recovery::new(Arc::clone(&coordinator)),
            coordinator,
            plans: PlanCache::new(limits.plan_cache_entries, limits.plan_cache_statement_bytes),
            snapshot: Snapshots::new(&snapshot),
            recent_hits: PerCore::new(AtomicU64::default),
            registry: Arc::new(Registry::default()),
            metrics,
            digests: Arc::new(Digests::new(limits.digest_entries)),
            draining: AtomicBool::new(false),
            loaded_at_unix_s: AtomicU64::new(now_unix_s()),
            is_mariadb: server_version.contains("MariaDB"),
            default_charsets,
            server_version: Arc::clone(server_version),
            started: Instant::now(),
            keys: Keys::default(),
        }
    }

    /// The bounds in force.
    pub fn limits(&self) -> Limits {
        self.snapshot.load().rules.proxy.limits.clone()
    }

    /// How the plan cache does, what sessions found among their own plans counted in.
    pub fn plan_cache_stats(&self) -> CacheStats {
        let stats = self.plans.stats();
        let recent: u64 = self.recent_hits.iter().map(|hits| hits.load(Ordering::Relaxed)).sum();
        CacheStats { hits: stats.hits + recent, ..stats }
    }

    /// Counts an error that a client got.
    pub fn note_error(&self, error: &SqlError) {
        self.metrics.error(error.kind, error.fault);
        match error.fault {
            // What a server answers to a client's statement is the client's business.
            _ if error.kind == "backend_error" => tracing::debug!(%error, "a server refused"),
            crate::error::Fault::Client => tracing::debug!(%error, "refused"),
            _ => tracing::warn!(%error, kind = error.kind, "a statement failed"),
        }
    }

    /// Counts a statement and how long it took.
    pub fn note_query(&self, kind: QueryKind, way: Way, took: Duration) {
        self.metrics.query(kind, way).observe(took);
    }

    /// Notes that the proxy takes no new clients any more.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the proxy takes no new clients any more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// COM_STATISTICS: one line.
    pub fn statistics(&self) -> String {
        let uptime = self.started.elapsed().as_secs();
        let threads = self.registry.len();
        let questions = self.metrics.queries();
        format!(
            "Uptime: {uptime}  Threads: {threads}  Questions: {questions}  Slow queries: 0  Opens: 0  Flush tables: 0  \
             Open tables: 0  Queries per second avg: {:.3}",
            questions as f64 / uptime.max(1) as f64
        )
    }

    /// When the rules in force were loaded, in seconds since 1970.
    pub fn loaded_at_unix_s(&self) -> u64 {
        self.loaded_at_unix_s.load(Ordering::Relaxed)
    }

    /// Takes new rules into force. Plans and columns of the old ones are keyed by their version and age out.
    pub fn replace_rules(&self, snapshot: Snapshot) {
        tracing::info!(version = snapshot.rules.version, "rules are in force");
        self.snapshot.store(&snapshot);
        self.loaded_at_unix_s.store(now_unix_s(), Ordering::Relaxed);
    }

    /// Whether clients see a MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// A fresh session's state.
    pub(super) fn fresh_state(&self, collation: u16, schema: Option<Arc<str>>) -> State {
        State::new(collation, schema, self.is_mariadb, self.default_charsets.as_ref())
    }

    /// Whether a warning is an error under a strict `sql_mode`: on MariaDB all but those about the text, on MySQL some
    /// about values.
    pub fn is_error_when_strict(&self, code: u16) -> bool {
        // ER_WARN_DEPRECATED_SYNTAX, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT
        const ABOUT_TEXT: [u16; 2] = [1287, 1681];
        // what MySQL's Strict_error_handler names
        const ABOUT_VALUES: [u16; 16] =
            [1048, 1242, 1260, 1261, 1263, 1264, 1265, 1292, 1301, 1364, 1365, 1366, 1411, 1441, 1690, 3020];
        if self.is_mariadb { !ABOUT_TEXT.contains(&code) } else { ABOUT_VALUES.contains(&code) }
    }

    /// The version as version comments count it: 8.0.36 is 80036.
    pub fn server_version_number(&self) -> u32 {
        let mut parts = self.server_version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0u32);
        next() * 10_000 + next() * 100 + next()
    }

    /// How long a client may idle.
    pub fn idle_limit(&self) -> Duration {
        Duration::from_millis(self.snapshot.load().rules.proxy.limits.idle_timeout_ms)
    }

    /// Whether a user may use a schema.
    pub fn may_use(&self, user: &str, schema: &str) -> bool {
        self.snapshot.load().rules.user(user).is_some_and(|user| user.may_use(schema))
    }
}

fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
