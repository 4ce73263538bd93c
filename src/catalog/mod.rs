//! What the tables look like: columns, their types, keys. Read from `information_schema` of a group's primary when a
//! statement first names a table, kept within bounds, read again when it is old.
//!
//! The planner sees it through [`CatalogView`], synchronously: the session loads the tables that a statement names before
//! it plans, and plans again when the [`epoch`](Catalog::epoch) has changed.

mod cache;
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

/// The tables that statements have named.
#[derive(Debug)]
pub struct Catalog {
    cache: Mutex<Cache>,
    age: Duration,
    epoch: AtomicU64,
}

impl Catalog {
    /// A catalog that has loaded nothing yet, for up to `entries` tables that are read again when they are older than `age`.
    pub fn new(entries: usize, age: Duration) -> Self {
        Self { cache: Mutex::new(Cache::new(entries)), age, epoch: AtomicU64::new(0) }
    }

    /// Counts the changes of what this catalog has said before. A plan that was made under another epoch is made again.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What is known now, for a planner.
    pub fn view<'a>(&'a self, rules: &'a Rules) -> View<'a> {
        View { catalog: self, rules }
    }

    /// A logical table, loaded if it must be; `None` if there is no such table (which is not remembered: it may be created
    /// the next moment). Loads of one table share one query. A table that cannot be read again stays what it was.
    pub async fn load(
        &self,
        rules: &Rules,
        backends: &Backends,
        schema: &str,
        table: &str,
    ) -> Result<Option<Arc<TableInfo>>, BackendError> {
        let Some(place) = place(rules, schema, table) else { return Ok(None) };
        let found = self.cache.lock().find(&place.key, &place.table, self.age, Instant::now());
        let (slot, old) = match found {
            Found::Fresh(info) => return Ok(Some(info)),
            Found::Load { slot, old } => (slot, old),
        };
        let loaded = slot.get_or_try_init(|| load::load(backends, &place)).await.cloned();
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
                if self.cache.lock().put(&place.key, &place.table, slot, info.clone(), Instant::now()) {
                    self.epoch.fetch_add(1, Ordering::AcqRel);
                }
                Ok(info)
            }
            Err(error) => {
                self.cache.lock().abandon(&place.key, &place.table, slot);
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

    /// Forgets a table: it was changed by DDL.
    pub fn invalidate(&self, schema: &str, table: &str) {
        // A name in another case may stand for the same table; to forget one too many costs a query.
        self.forget(|s, t| s.eq_ignore_ascii_case(schema) && t.to_lowercase() == table.to_lowercase());
    }

    /// Forgets all tables of a schema: DDL that does not say which.
    pub fn invalidate_schema(&self, schema: &str) {
        self.forget(|s, _| s.eq_ignore_ascii_case(schema));
    }

    /// Forgets everything.
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
    /// cached plans this way. `current` gives the rules in force and their backends. Must be called within a tokio runtime.
    pub fn spawn_refresh<F>(self: &Arc<Self>, current: F)
    where
        F: Fn() -> (Arc<Rules>, Arc<Backends>) + Send + 'static,
    {
        let (this, period) = (Arc::downgrade(self), self.age / ROUNDS_PER_AGE);
        tokio::spawn(refresh_until_gone(this, period, current));
    }

    /// Reads tables again that are older than they may be; the oldest first, a bounded number.
    pub async fn refresh(&self, rules: &Rules, backends: &Backends) {
        let old = self.cache.lock().older_than(rules.version, self.age, Instant::now(), REFRESHED_AT_ONCE);
        for (schema, table) in old {
            if let Err(error) = self.load(rules, backends, &schema, &table).await {
                tracing::debug!(%table, %error, "a table could not be read again");
            }
        }
    }
}

async fn refresh_until_gone(
    catalog: Weak<Catalog>,
    period: Duration,
    current: impl Fn() -> (Arc<Rules>, Arc<Backends>),
) {
    let mut beat = interval(period.max(Duration::from_millis(100)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let Some(catalog) = catalog.upgrade() else { return };
        let (rules, backends) = current();
        catalog.refresh(&rules, &backends).await;
    }
}

/// A catalog as a planner sees it under some rules: what is loaded.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    catalog: &'a Catalog,
    rules: &'a Rules,
}

impl CatalogView for View<'_> {
    fn table(&self, schema: &str, table: &str) -> Option<Arc<TableInfo>> {
        let place = place(self.rules, schema, table)?;
        self.catalog.cache.lock().peek(&place.key, &place.table)
    }
}
