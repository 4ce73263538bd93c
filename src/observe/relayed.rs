//! Bytes sent to clients and to backends, counted on each processor by itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::cores::PerCore;

/// Where bytes went to, in the order of their counters.
const TO: [&str; 2] = ["client", "backend"];

/// How many bytes went where.
#[derive(Debug)]
pub(super) struct Relayed(PerCore<[AtomicU64; TO.len()]>);

impl Default for Relayed {
    fn default() -> Self {
        Self(PerCore::new(Default::default))
    }
}

impl Relayed {
    #[inline]
    pub(super) fn to_client(&self, bytes: u64) {
        self.0.here()[0].fetch_add(bytes, Relaxed);
    }

    #[inline]
    pub(super) fn to_backend(&self, bytes: u64) {
        self.0.here()[1].fetch_add(bytes, Relaxed);
    }
}

/// Shows them when the metrics are read.
#[derive(Debug)]
pub(super) struct RelayedCollector(pub(super) Arc<Relayed>);

impl Collector for RelayedCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Bytes of answers sent to clients, and of statements sent to backends";
        let mut family = encoder.encode_descriptor("relayed_bytes", help, None, MetricType::Counter)?;
        for (place, to) in TO.into_iter().enumerate() {
            let bytes: u64 = self.0.0.iter().map(|counters| counters[place].load(Relaxed)).sum();
            ConstCounter::new(bytes).encode(family.encode_family(&[("to", to)])?)?;
        }
        Ok(())
    }
}
