//! All metrics of a process, and their text for Prometheus.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::labels::{QueryKind, Refusal, Way};
use super::latency::{Latencies, Latency, LatencyCollector};
use super::relayed::{Relayed, RelayedCollector};
use super::samples::{PlanCacheCollector, PlanCacheSample, PoolCollector, PoolSample};
use super::transactions::TransactionMetrics;
use crate::error::Fault;

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The metrics of one process, handed around as `Arc<Metrics>`.
pub struct Metrics {
    registry: Mutex<Registry>,
    latencies: Arc<Latencies>,
    errors: Family<Labels<2>, Counter>,
    refused_shapes: Family<Labels<1>, Counter>,
    connections: Gauge,
    connections_total: Counter,
    connections_refused: [Counter; Refusal::ALL.len()],
    relayed: Arc<Relayed>,
    rules_version: Gauge,
    rules_loaded: Counter,
    rules_rejected: Counter,
    transactions: Arc<TransactionMetrics>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// With all counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("shardloom");
        let latencies = Arc::new(Latencies::default());
        registry.register_collector(Box::new(LatencyCollector(latencies.clone())));
        let (errors, refused_shapes) = (Family::default(), Family::default());
        registry.register(
            "errors",
            "Errors sent to clients, by kind and by whose fault it was",
            Family::clone(&errors),
        );
        let help = "Statements refused because their shape is not supported";
        registry.register("refused_shapes", help, Family::clone(&refused_shapes));
        let connections = Gauge::default();
        registry.register("connections", "Clients that are connected", connections.clone());
        let connections_total = counter(&mut registry, "connections_accepted", "Clients that connected");
        let connections_refused = labelled(
            &mut registry,
            "connections_refused",
            "Clients that were not let in, by reason",
            "reason",
            Refusal::ALL.map(Refusal::label),
        );
        let relayed = Arc::new(Relayed::default());
        registry.register_collector(Box::new(RelayedCollector(relayed.clone())));
        let rules_version = Gauge::default();
        registry.register("rules_version", "The version of the rules in force", rules_version.clone());
        let [rules_loaded, rules_rejected] = labelled(
            &mut registry,
            "rules_loads",
            "Attempts to load the rules, by result",
            "result",
            ["loaded", "rejected"],
        );
        let transactions = Arc::new(TransactionMetrics::register(&mut registry));
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            registry: Mutex::new(registry),
            latencies,
            errors,
            refused_shapes,
            connections,
            connections_total,
            connections_refused,
            relayed,
            rules_version,
            rules_loaded,
            rules_rejected,
            transactions,
        }
    }

    /// Where to count a statement's duration. Counting the statement is part of it.
    #[inline]
    pub fn query(&self, kind: QueryKind, way: Way) -> &Latency {
        self.latencies.of(kind, way)
    }

    /// How many statements were counted so far.
    pub fn queries(&self) -> u64 {
        let pairs = QueryKind::ALL.into_iter().flat_map(|kind| Way::ALL.map(|way| (kind, way)));
        pairs.map(|(kind, way)| self.latencies.total(kind, way).count()).sum()
    }

    /// Counts an error by [`crate::error::Report::kind`] and fault.
    pub fn error(&self, kind: &'static str, fault: Fault) {
        self.errors.get_or_create(&[("kind", kind), ("fault", fault.label())]).inc();
    }

    /// Counts a statement that was refused with error 1235, by what was met: one of the planner's own few names.
    pub fn refused_shape(&self, shape: &'static str) {
        self.refused_shapes.get_or_create(&[("shape", shape)]).inc();
    }

    /// Counts a client in, until the guard is dropped.
    pub fn connected(self: &Arc<Self>) -> ConnectionGuard {
        self.connections.inc();
        self.connections_total.inc();
        ConnectionGuard(self.clone())
    }

    /// How many clients are connected.
    pub fn connections(&self) -> u64 {
        self.connections.get().try_into().unwrap_or(0)
    }

    /// Counts a client that was not let in.
    pub fn refused(&self, refusal: Refusal) {
        self.connections_refused[refusal as usize].inc();
    }

    /// Counts bytes of answers sent to a client.
    #[inline]
    pub fn relayed_to_client(&self, bytes: u64) {
        self.relayed.to_client(bytes);
    }

    /// Counts bytes of statements sent to a backend.
    #[inline]
    pub fn relayed_to_backend(&self, bytes: u64) {
        self.relayed.to_backend(bytes);
    }

    /// The counters of transactions over several groups.
    pub fn transactions(&self) -> &Arc<TransactionMetrics> {
        &self.transactions
    }

    /// New rules are in force.
    pub fn rules_loaded(&self, version: u64) {
        self.rules_version.set(version.try_into().unwrap_or(i64::MAX));
        self.rules_loaded.inc();
    }

    /// New rules had problems; the old ones stay in force.
    pub fn rules_rejected(&self) {
        self.rules_rejected.inc();
    }

    /// Shows the pools, asked for when the metrics are read. Call it once.
    pub fn show_pools(&self, source: impl Fn() -> Vec<PoolSample> + Send + Sync + 'static) {
        self.registry.lock().register_collector(Box::new(PoolCollector(Box::new(source))));
    }

    /// Shows the plan cache, asked for when the metrics are read. Call it once.
    pub fn show_plan_cache(&self, source: impl Fn() -> PlanCacheSample + Send + Sync + 'static) {
        self.registry.lock().register_collector(Box::new(PlanCacheCollector(Box::new(source))));
    }

    /// The OpenMetrics text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

/// A client that is counted as connected.
#[derive(Debug)]
pub struct ConnectionGuard(Arc<Metrics>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

pub(super) fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// A counter for each value of one label, looked up here once; all of them are shown from the start.
pub(super) fn labelled<const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: [&'static str; N],
) -> [Counter; N] {
    let family: Family<Labels<1>, Counter> = Family::default();
    registry.register(name, help, family.clone());
    values.map(|value| family.get_or_create(&[(label, value)]).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lines(metrics: &Metrics) -> Vec<String> {
        metrics.text().unwrap().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[track_caller]
    fn shows(metrics: &Metrics, line: &str) {
        let lines = lines(metrics);
        assert!(lines.iter().any(|shown| shown == line), "no {line:?} in {lines:#?}");
    }

    #[test]
    fn what_happened_is_shown() {
        let metrics = Arc::new(Metrics::new());
        metrics.query(QueryKind::Select, Way::Relay).observe(Duration::from_micros(300));
        metrics.query(QueryKind::Select, Way::Relay).observe(Duration::from_millis(3));
        metrics.error("not_supported", Fault::Client);
        metrics.refused_shape("window function");
        metrics.refused(Refusal::Limit);
        metrics.relayed_to_client(1000);
        metrics.rules_loaded(7);
        metrics.rules_rejected();
        let guard = metrics.connected();
        shows(&metrics, r#"shardloom_queries_total{kind="select",way="relay"} 2"#);
        shows(&metrics, r#"shardloom_query_duration_seconds_count{kind="select",way="relay"} 2"#);
        shows(&metrics, r#"shardloom_query_duration_seconds_bucket{le="0.0005",kind="select",way="relay"} 1"#);
        shows(&metrics, r#"shardloom_query_duration_seconds_bucket{le="+Inf",kind="select",way="relay"} 2"#);
        shows(&metrics, r#"shardloom_errors_total{kind="not_supported",fault="client"} 1"#);
        shows(&metrics, r#"shardloom_refused_shapes_total{shape="window function"} 1"#);
        shows(&metrics, r#"shardloom_connections_refused_total{reason="limit"} 1"#);
        shows(&metrics, r#"shardloom_connections_refused_total{reason="draining"} 0"#);
        shows(&metrics, r#"shardloom_relayed_bytes_total{to="client"} 1000"#);
        shows(&metrics, "shardloom_rules_version 7");
        shows(&metrics, r#"shardloom_rules_loads_total{result="rejected"} 1"#);
        shows(&metrics, "shardloom_connections 1");
        drop(guard);
        shows(&metrics, "shardloom_connections 0");
        shows(&metrics, "shardloom_connections_accepted_total 1");
        assert!(!lines(&metrics).iter().any(|line| line.contains(r#"kind="ddl""#)), "what never happened is left out");
        assert!(metrics.text().unwrap().ends_with("# EOF\n"));
    }

    #[test]
    fn pools_and_plan_cache_are_asked_at_each_reading() {
        let metrics = Metrics::new();
        let idle = Arc::new(std::sync::atomic::AtomicU64::new(3));
        let seen = idle.clone();
        metrics.show_pools(move || {
            vec![PoolSample {
                group: "g0".into(),
                server: "g0/primary".into(),
                is_up: true,
                open: 5,
                idle: seen.load(std::sync::atomic::Ordering::Relaxed),
                waiting: 0,
                limit: 10,
                connects: 6,
                connect_failures: 1,
            }]
        });
        metrics.show_plan_cache(|| PlanCacheSample { hits: 9, misses: 1, evictions: 0, size: 1, limit: 100 });
        shows(&metrics, r#"shardloom_pool_idle{group="g0",server="g0/primary"} 3"#);
        idle.store(4, std::sync::atomic::Ordering::Relaxed);
        shows(&metrics, r#"shardloom_pool_idle{group="g0",server="g0/primary"} 4"#);
        shows(&metrics, r#"shardloom_server_up{group="g0",server="g0/primary"} 1"#);
        shows(&metrics, r#"shardloom_pool_connect_failures_total{group="g0",server="g0/primary"} 1"#);
        shows(&metrics, "shardloom_plan_cache_hits_total 9");
        shows(&metrics, "shardloom_plan_cache_size 1");
    }
}
