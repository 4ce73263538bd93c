//! A histogram of durations that costs two atomic additions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use super::labels::{QueryKind, Way};
use crate::cores::PerCore;

/// Upper bounds, inclusive: from a point select on one machine to a report that runs for a minute.
const BOUNDS_US: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Durations of one kind of work.
#[derive(Debug, Default)]
pub struct Latency {
    /// One for each bound, and one for what is longer.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    total_us: AtomicU64,
}

impl Latency {
    /// Counts one duration.
    #[inline]
    pub fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|&bound| bound < us);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
    }

    /// Adds what another one counted.
    fn add(&mut self, other: &Self) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum.get_mut() += bucket.load(Relaxed);
        }
        *self.total_us.get_mut() += other.total_us.load(Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// The buckets as Prometheus wants them, and the sum in seconds. A bucket that grows meanwhile is counted next time.
    fn snapshot(&self) -> (Vec<(f64, u64)>, f64) {
        let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets = bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        (buckets, self.total_us.load(Relaxed) as f64 / 1e6)
    }
}

/// A [`Latency`] for each kind of statement and way of answering, and each processor; those that never happened are not
/// shown.
#[derive(Debug)]
pub(super) struct Latencies(PerCore<[[Latency; Way::ALL.len()]; QueryKind::ALL.len()]>);

impl Default for Latencies {
    fn default() -> Self {
        Self(PerCore::new(Default::default))
    }
}

impl Latencies {
    /// Where to count.
    #[inline]
    pub(super) fn of(&self, kind: QueryKind, way: Way) -> &Latency {
        &self.0.here()[kind as usize][way as usize]
    }

    /// What all processors have counted.
    pub(super) fn total(&self, kind: QueryKind, way: Way) -> Latency {
        let mut total = Latency::default();
        self.0.iter().for_each(|latencies| total.add(&latencies[kind as usize][way as usize]));
        total
    }

    fn used(&self) -> impl Iterator<Item = (QueryKind, Way, Latency)> {
        let all = QueryKind::ALL.into_iter().flat_map(|kind| Way::ALL.map(|way| (kind, way)));
        all.map(|(kind, way)| (kind, way, self.total(kind, way))).filter(|(.., latency)| latency.count() > 0)
    }
}

/// Shows the latencies when the metrics are read.
#[derive(Debug)]
pub(super) struct LatencyCollector(pub(super) Arc<Latencies>);

impl Collector for LatencyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Statements answered, by kind and by way of answering";
        let mut queries = encoder.encode_descriptor("queries", help, None, MetricType::Counter)?;
        for (kind, way, latency) in self.0.used() {
            let labels = [("kind", kind.label()), ("way", way.label())];
            let count = ConstCounter::new(latency.count());
            prometheus_client::encoding::EncodeMetric::encode(&count, queries.encode_family(&labels)?)?;
        }
        let help = "Time from a statement's arrival to the end of its answer";
        let mut durations =
            encoder.encode_descriptor("query_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (kind, way, latency) in self.0.used() {
            let labels = [("kind", kind.label()), ("way", way.label())];
            let (buckets, sum) = latency.snapshot();
            let count = buckets.iter().map(|bucket| bucket.1).sum();
            durations.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_ascending() {
        assert!(BOUNDS_US.is_sorted_by(|a, b| a < b));
        let latency = Latency::default();
        for us in [0, 100, 101, 60_000_000, 60_000_001] {
            latency.observe(Duration::from_micros(us));
        }
        latency.observe(Duration::ZERO);
        let (buckets, sum) = latency.snapshot();
        assert_eq!((buckets[0], buckets[1]), ((0.0001, 3), (0.00025, 1)));
        assert_eq!((buckets[17], buckets[18]), ((60.0, 1), (f64::INFINITY, 1)));
        assert!((sum - 120.000_202).abs() < 1e-9);
        assert_eq!(latency.count(), 6);
    }
}
