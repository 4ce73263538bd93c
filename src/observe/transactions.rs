//! Counters of transactions over several groups.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{counter, labelled};

/// Counters of transactions over several groups.
#[derive(Debug, Default, Clone)]
pub struct TransactionMetrics {
    /// Branches prepared.
    pub prepared: Counter,
    /// Branches that recovery committed.
    pub resolved_commit: Counter,
    /// Branches that recovery rolled back.
    pub resolved_abort: Counter,
    /// Prepared branches that no living transaction of this proxy owns, as seen last.
    pub in_doubt: Gauge,
    /// Deadlocks over several groups that were ended.
    pub deadlocks: Counter,
}

impl TransactionMetrics {
    /// All at zero, and shown.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let prepared =
            counter(registry, "transaction_branches_prepared", "Branches prepared for a commit over several groups");
        let [resolved_commit, resolved_abort] = labelled(
            registry,
            "transaction_branches_resolved",
            "Branches that were left prepared, ended by recovery",
            "as",
            ["commit", "abort"],
        );
        let deadlocks =
            counter(registry, "transaction_deadlocks", "Deadlocks over several groups, ended by a rollback");
        let in_doubt = Gauge::default();
        registry.register(
            "transaction_branches_in_doubt",
            "Prepared branches whose coordinator is not a living transaction of this proxy",
            in_doubt.clone(),
        );
        Self { prepared, resolved_commit, resolved_abort, in_doubt, deadlocks }
    }
}
