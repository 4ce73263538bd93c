//! What the tables look like: columns, their types, keys. Read from `information_schema` of a group's primary when a
//! statement first names a table, kept within bounds, read again when it is old.
//!
//! The planner sees it through [`CatalogView`], synchronously: the session loads the tables that a statement names before
//! it plans, and plans again when the [`epoch`](Catalog::epoch) has changed.

mod cache;
mod definition;
mod info;
mod load;
mod place;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};

pub use info::{ColumnInfo, TableInfo, TableKind, UniqueKey};

use crate::backend::{BackendError, Backends};
use crate::config::Rules;
use cache::{Cache, Found, Slot};
use place::{Place, place};

/// How many old tables one round of the background refresh reads again. The rounds are a tenth of the age apart, so that
/// the tables of most schemas are never older than the age, and a schema of thousands costs a server no more than this.
const REFRESHED_AT_ONCE: usize = 64;
/// Rounds of the refresh within the age of a table.
const ROUNDS_PER_AGE: u32 = 10;

/// What a planner asks: the columns of a logical table, if they are known.
pub trait CatalogView {
    /// The table, if it has been loaded.
    fn table(&self, schema: &str, table: &str) -> Option<Arc<TableInfo>>;
}

/// A catalog that knows nothing: for planning without backends.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCatalog;

impl CatalogView for NoCatalog {
    fn table(&self, _: &str, _: &str) -> Option<Arc<TableInfo>> {
        None
    }
}

/// The tables of one version of the rules.
#[derive(Debug)]
pub struct Catalog {
    rules: Arc<Rules>,
    backends: Arc<Backends>,
    cache: Mutex<Cache>,
    epoch: AtomicU64,
}

impl Catalog {
    /// A catalog that has loaded nothing yet.
    pub fn new(rules: Arc<Rules>, backends: Arc<Backends>) -> Self {
        let cache = Mutex::new(Cache::new(rules.proxy.limits.catalog_entries));
        Self { rules, backends, cache, epoch: AtomicU64::new(0) }
    }

    /// Counts the changes of what this catalog has said before. A plan that was made under another epoch is made again.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// A logical table, loaded if it must be; `None` if there is no such table (which is not remembered: it may be created
    /// the next moment). Loads of one table share one query. A table that cannot be read again stays what it was.
    pub async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<TableInfo>>, BackendError> {
        let Some(place) = place(&self.rules, schema, table) else { return Ok(None) };
        let found = self.cache.lock().find(&place.schema, &place.table, self.age(), Instant::now());
        let (slot, old) = match found {
            Found::Fresh(info) => return Ok(Some(info)),
            Found::Load { slot, old } => (slot, old),
        };
        let loaded = slot.get_or_try_init(|| load::load(&self.backends, &place)).await.cloned();
        self.settle(&place, &slot, old, loaded)
    }

    fn settle(
        &self,
        place: &Place,
        slot: &Slot,
        old: Option<Arc<TableInfo>>,
        loaded: Result<Option<Arc<TableInfo>>, BackendError>,
    ) -> Result<Option<Arc<TableInfo>>, BackendError> {
        match loaded {
            Ok(info) => {
                if self.cache.lock().put(&place.schema, &place.table, slot, info.clone(), Instant::now()) {
                    self.epoch.fetch_add(1, Ordering::AcqRel);
                }
                Ok(info)
            }
            Err(error) => {
                self.cache.lock().abandon(&place.schema, &place.table, slot);
                match old {
                    Some(old) => {
                        tracing::debug!(table = %place.table, %error, "a table could not be read again");
                        Ok(Some(old))
                    }
                    None => Err(error),
                }
            }
        }
    }

    /// Reads a table that is known again, whatever its age. What is known stays until then; the epoch tells whether it has
    /// changed. A name that nothing is known of costs no query.
    pub async fn reload(&self, schema: &str, table: &str) -> Result<(), BackendError> {
        let Some(place) = place(&self.rules, schema, table) else { return Ok(()) };
        if !self.cache.lock().make_old(&place.schema, &place.table) {
            return Ok(());
        }
        self.table(schema, table).await.map(drop)
    }

    /// Forgets a table: it was changed by DDL.
    pub fn invalidate(&self, schema: &str, table: &str) {
        // A name in another case may stand for the same table; to forget one too many costs a query.
        self.forget(|s, t| s.eq_ignore_ascii_case(schema) && t.to_lowercase() == table.to_lowercase());
    }

    /// Forgets all tables of a schema: DDL that does not say which.
    pub fn invalidate_schema(&self, schema: &str) {
        self.forget(|s, _| s.eq_ignore_ascii_case(schema));
    }

    /// Forgets everything: a table turned out not to be what it was.
    pub fn invalidate_all(&self) {
        self.forget(|_, _| true);
    }

    fn forget(&self, which: impl Fn(&str, &str) -> bool) {
        self.cache.lock().forget_where(which);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Number of tables held.
    pub fn count(&self) -> usize {
        self.cache.lock().count()
    }

    /// Keeps what is held from growing old, for as long as the catalog lives: changes that others made to a table reach
    /// cached plans this way. Must be called within a tokio runtime.
    pub fn spawn_refresh(self: &Arc<Self>) {
        let (this, period) = (Arc::downgrade(self), self.age() / ROUNDS_PER_AGE);
        tokio::spawn(refresh_until_gone(this, period));
    }

    /// Reads tables again that are older than the rules allow; the oldest first, a bounded number.
    pub async fn refresh(&self) {
        let old = self.cache.lock().older_than(self.age(), Instant::now(), REFRESHED_AT_ONCE);
        for (schema, table) in old {
            if let Err(error) = self.table(&schema, &table).await {
                tracing::debug!(%table, %error, "a table could not be read again");
            }
        }
    }

    fn age(&self) -> Duration {
        Duration::from_millis(self.rules.proxy.limits.catalog_age_ms)
    }
}

async fn refresh_until_gone(catalog: Weak<Catalog>, period: Duration) {
    let mut beat = interval(period.max(Duration::from_millis(100)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let Some(catalog) = catalog.upgrade() else { return };
        catalog.refresh().await;
    }
}

impl CatalogView for Catalog {
    fn table(&self, schema: &str, table: &str) -> Option<Arc<TableInfo>> {
        let place = place(&self.rules, schema, table)?;
        self.cache.lock().peek(&place.schema, &place.table)
    }
}
