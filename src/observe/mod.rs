//! What operators see: metrics, digest statistics, logs. Nothing here is global: whoever measures holds an `Arc`.
//!
//! Everything on the way of a statement is a handle that was looked up before ([`Metrics::query`], [`DigestEntry`]),
//! so that measuring it costs a few atomic additions.

mod digests;
mod labels;
mod latency;
pub mod logging;
mod metrics;
mod relayed;
mod samples;
mod transactions;

pub use digests::{DigestEntry, DigestRow, DigestSlot, Digests, Execution};
pub use labels::{QueryKind, Refusal, Way};
pub use latency::Latency;
pub use metrics::{ConnectionGuard, Metrics};
pub use samples::{PlanCacheSample, PoolSample};
pub use transactions::TransactionMetrics;
