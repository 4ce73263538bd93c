//! Figures that others keep and that are asked for when the metrics are read.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// One server's pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSample {
    /// The group's name.
    pub group: Arc<str>,
    /// The server's label, such as `g0/primary`.
    pub server: Arc<str>,
    /// Whether the server counts as up.
    pub is_up: bool,
    /// Open connections.
    pub open: u64,
    /// Those that nobody uses.
    pub idle: u64,
    /// Statements that wait for one.
    pub waiting: u64,
    /// The most that may be open.
    pub limit: u64,
    /// Connections opened so far.
    pub connects: u64,
    /// Attempts that failed so far.
    pub connect_failures: u64,
}

/// The plan cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanCacheSample {
    /// Statements whose plan was there.
    pub hits: u64,
    /// Statements that were planned.
    pub misses: u64,
    /// Plans thrown out to make room.
    pub evictions: u64,
    /// Plans held.
    pub size: u64,
    /// The most that may be held.
    pub limit: u64,
}

type Source<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Shows the pools.
pub(super) struct PoolCollector(pub(super) Source<Vec<PoolSample>>);

/// Shows the plan cache.
pub(super) struct PlanCacheCollector(pub(super) Source<PlanCacheSample>);

impl fmt::Debug for PoolCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolCollector")
    }
}

impl fmt::Debug for PlanCacheCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlanCacheCollector")
    }
}

fn gauge(encoder: MetricEncoder, value: u64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder)
}

fn counter(encoder: MetricEncoder, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(encoder)
}

impl Collector for PoolCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let pools = (self.0)();
        type Figure = fn(&PoolSample) -> u64;
        let gauges: [(&str, &str, Figure); 5] = [
            ("server_up", "Whether a server counts as up", |pool| u64::from(pool.is_up)),
            ("pool_open", "Open connections to a server", |pool| pool.open),
            ("pool_idle", "Open connections to a server that nobody uses", |pool| pool.idle),
            ("pool_waiting", "Statements that wait for a connection to a server", |pool| pool.waiting),
            ("pool_limit", "The most connections to a server that may be open", |pool| pool.limit),
        ];
        let counters: [(&str, &str, Figure); 2] = [
            ("pool_connects", "Connections to a server that were opened", |pool| pool.connects),
            ("pool_connect_failures", "Connections to a server that failed to open", |pool| pool.connect_failures),
        ];
        for (name, help, figure) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for pool in &pools {
                gauge(family.encode_family(&labels(pool))?, figure(pool))?;
            }
        }
        for (name, help, figure) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for pool in &pools {
                counter(family.encode_family(&labels(pool))?, figure(pool))?;
            }
        }
        Ok(())
    }
}

fn labels(pool: &PoolSample) -> [(&'static str, &str); 2] {
    [("group", &pool.group), ("server", &pool.server)]
}

impl Collector for PlanCacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let PlanCacheSample { hits, misses, evictions, size, limit } = (self.0)();
        for (name, help, value) in [
            ("plan_cache_hits", "Statements whose plan was cached", hits),
            ("plan_cache_misses", "Statements that had to be planned", misses),
            ("plan_cache_evictions", "Plans thrown out to make room", evictions),
        ] {
            counter(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, value)?;
        }
        for (name, help, value) in
            [("plan_cache_size", "Plans held", size), ("plan_cache_limit", "The most plans that may be held", limit)]
        {
            gauge(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?, value)?;
        }
        Ok(())
    }
}
