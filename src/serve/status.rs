//! The proxy as its admin port shows it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::{GroupStatus, LastLoad, Readiness, RulesStatus, Status};
use tokio::sync::watch;

use crate::config::watch::Status as Reloads;
use crate::observe::{PlanCacheSample, PoolSample};
use crate::session::Shared;

/// What the admin port asks.
pub(super) struct ProxyStatus {
    pub(super) shared: Arc<Shared>,
    folder: PathBuf,
    reloads: watch::Receiver<Reloads>,
}

impl ProxyStatus {
    pub(super) fn new(shared: Arc<Shared>, folder: PathBuf, reloads: watch::Receiver<Reloads>) -> Self {
        Self { shared, folder, reloads }
    }
}

impl Status for ProxyStatus {
    fn readiness(&self) -> Readiness {
        let snapshot = self.shared.snapshot.load();
        let groups = snapshot.backends.groups().iter().map(|group| GroupStatus {
            name: group.name().to_string(),
            primary_is_up: group.primary().server().is_up(),
        });
        Readiness { rules_loaded: true, draining: self.shared.is_draining(), groups: groups.collect() }
    }

    fn rules(&self) -> RulesStatus {
        let snapshot = self.shared.snapshot.load();
        let problems = self.reloads.borrow().problems.clone();
        RulesStatus {
            version: snapshot.rules.version,
            directory: self.folder.display().to_string(),
            loaded_at_unix_s: self.shared.loaded_at_unix_s(),
            last_load: match problems {
                None => LastLoad::Loaded,
                Some(problems) => LastLoad::Rejected { problems: problems.0.iter().map(ToString::to_string).collect() },
            },
            schemas: snapshot.rules.schemas.keys().cloned().collect(),
            groups: snapshot.rules.groups.iter().map(|group| group.name.to_string()).collect(),
        }
    }
}

/// Gives the metrics their samples: pools and the plan cache are read when they are asked for.
pub(super) fn connect_metrics(shared: &Arc<Shared>) {
    let pools = Arc::downgrade(shared);
    shared.metrics.show_pools(move || pools.upgrade().map(|shared| pool_samples(&shared)).unwrap_or_default());
    let plans = Arc::downgrade(shared);
    shared
        .metrics
        .show_plan_cache(move || plans.upgrade().map(|shared| plan_cache_sample(&shared)).unwrap_or_default());
}

fn pool_samples(shared: &Shared) -> Vec<PoolSample> {
    let stats = shared.snapshot.load().backends.stats();
    let sample = |server: crate::backend::ServerStats| PoolSample {
        group: server.group,
        server: server.server,
        is_up: server.is_up,
        open: server.open as u64,
        idle: server.idle as u64,
        waiting: server.waiting as u64,
        limit: server.max_connections as u64,
        connects: server.connects,
        connect_failures: server.connect_failures,
    };
    stats.into_iter().map(sample).collect()
}

fn plan_cache_sample(shared: &Shared) -> PlanCacheSample {
    let stats = shared.plan_cache_stats();
    PlanCacheSample {
        hits: stats.hits,
        misses: stats.misses,
        evictions: stats.evictions,
        size: stats.size as u64,
        limit: stats.limit as u64,
    }
}
