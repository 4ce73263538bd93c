//! The tables that are known, within bounds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::info::TableInfo;

/// Where those who need the same table meet: the first one loads it, the others take what it got.
pub(super) type Slot = Arc<OnceCell<Option<Arc<TableInfo>>>>;

/// What a look at the cache came to.
pub(super) enum Found {
    /// Here it is.
    Fresh(Arc<TableInfo>),
    /// It must be loaded through the slot; `old` is what it was, if that is known.
    Load { slot: Slot, old: Option<Arc<TableInfo>> },
}

#[derive(Debug, Default)]
struct Entry {
    info: Option<Arc<TableInfo>>,
    loaded: Option<Instant>,
    loading: Option<Slot>,
    used: u64,
}

/// Tables by schema and name; the least recently used goes when there are too many.
#[derive(Debug)]
pub(super) struct Cache {
    schemas: HashMap<Arc<str>, HashMap<Arc<str>, Entry>>,
    count: usize,
    limit: usize,
    clock: u64,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { schemas: HashMap::new(), count: 0, limit: limit.max(1), clock: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A table, if it was loaded at all.
    pub(super) fn peek(&self, schema: &str, table: &str) -> Option<Arc<TableInfo>> {
        self.schemas.get(schema)?.get(table)?.info.clone()
    }

    /// A table that is not older than `age`, or the slot to load it through.
    pub(super) fn find(&mut self, schema: &Arc<str>, table: &Arc<str>, age: Duration, now: Instant) -> Found {
        self.clock += 1;
        let clock = self.clock;
        let entry = self.entry(schema, table);
        entry.used = clock;
        if let (Some(info), Some(loaded)) = (&entry.info, entry.loaded)
            && now.saturating_duration_since(loaded) < age
        {
            return Found::Fresh(info.clone());
        }
        let slot = entry.loading.get_or_insert_default().clone();
        Found::Load { slot, old: entry.info.clone() }
    }

    fn entry(&mut self, schema: &Arc<str>, table: &Arc<str>) -> &mut Entry {
        let is_new = self.schemas.get(schema).is_none_or(|tables| !tables.contains_key(table));
        if is_new {
            if self.count >= self.limit {
                self.evict();
            }
            self.count += 1;
        }
        self.schemas.entry(schema.clone()).or_default().entry(table.clone()).or_default()
    }

    /// A walk over all of it, once per table that is loaded over the network while the cache is full.
    fn evict(&mut self) {
        let all = self.schemas.iter().flat_map(|(schema, tables)| tables.iter().map(move |(t, e)| (schema, t, e.used)));
        if let Some((schema, table)) = all.min_by_key(|(_, _, used)| *used).map(|(s, t, _)| (s.clone(), t.clone())) {
            self.forget(&schema, &table);
        }
    }

    /// Notes what was loaded through a slot. True if that differs from what was known before. What was asked for before the
    /// table was forgotten may be old, and is not kept; nor is a table that does not exist.
    pub(super) fn put(
        &mut self,
        schema: &str,
        table: &str,
        slot: &Slot,
        info: Option<Arc<TableInfo>>,
        now: Instant,
    ) -> bool {
        let Some(entry) = self.loading(schema, table, slot) else { return false };
        entry.loading = None;
        let Some(info) = info else {
            let was_known = entry.info.is_some();
            self.forget(schema, table);
            return was_known;
        };
        entry.loaded = Some(now);
        let changed = entry.info.as_ref().is_some_and(|old| **old != *info);
        if changed || entry.info.is_none() {
            entry.info = Some(info);
        }
        changed
    }

    /// What is known of a table counts as old; false if nothing is. A load that is under way may have begun before whatever
    /// made it so.
    pub(super) fn make_old(&mut self, schema: &str, table: &str) -> bool {
        let entry = self.schemas.get_mut(schema).and_then(|tables| tables.get_mut(table));
        entry.map(|entry| (entry.loaded, entry.loading) = (None, None)).is_some()
    }

    /// A load failed: the next one tries anew, and an entry that never was loaded goes.
    pub(super) fn abandon(&mut self, schema: &str, table: &str, slot: &Slot) {
        let Some(entry) = self.loading(schema, table, slot) else { return };
        entry.loading = None;
        if entry.info.is_none() {
            self.forget(schema, table);
        }
    }

    fn loading(&mut self, schema: &str, table: &str, slot: &Slot) -> Option<&mut Entry> {
        let entry = self.schemas.get_mut(schema)?.get_mut(table)?;
        entry.loading.as_ref().is_some_and(|loading| Arc::ptr_eq(loading, slot)).then_some(entry)
    }

    fn forget(&mut self, schema: &str, table: &str) {
        let Some(tables) = self.schemas.get_mut(schema) else { return };
        if tables.remove(table).is_some() {
            self.count -= 1;
        }
        if tables.is_empty() {
            self.schemas.remove(schema);
        }
    }

    /// Forgets what `which` names (schema and table).
    pub(super) fn forget_where(&mut self, which: impl Fn(&str, &str) -> bool) {
        self.schemas.retain(|schema, tables| {
            tables.retain(|table, _| !which(schema, table));
            !tables.is_empty()
        });
        self.count = self.schemas.values().map(HashMap::len).sum();
    }

    /// The tables that were loaded longest ago, if that is longer than `age`.
    pub(super) fn older_than(&self, age: Duration, now: Instant, limit: usize) -> Vec<(Arc<str>, Arc<str>)> {
        let all =
            self.schemas.iter().flat_map(|(schema, tables)| tables.iter().map(move |(t, e)| (schema, t, e.loaded)));
        let mut old: Vec<_> = all
            .filter_map(|(schema, table, loaded)| Some((loaded?, schema, table)))
            .filter(|(loaded, ..)| now.saturating_duration_since(*loaded) >= age)
            .collect();
        old.sort_by_key(|(loaded, ..)| *loaded);
        old.into_iter().take(limit).map(|(_, schema, table)| (schema.clone(), table.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TableKind;

    const AGE: Duration = Duration::from_secs(60);

    fn table(columns: usize) -> Arc<TableInfo> {
        Arc::new(TableInfo {
            kind: TableKind::Base,
            on_mysql: false,
            columns: Vec::new(),
            primary_key: vec!["id".to_owned(); columns],
            unique_keys: Vec::new(),
            engine: None,
            collation: None,
            definition: None,
        })
    }

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    fn slot(cache: &mut Cache, table: &str, now: Instant) -> Slot {
        match cache.find(&name("s"), &name(table), AGE, now) {
            Found::Load { slot, .. } => slot,
            Found::Fresh(_) => panic!("{table} is loaded already"),
        }
    }

    fn load(cache: &mut Cache, table_name: &str, info: Option<Arc<TableInfo>>, now: Instant) -> bool {
        let slot = slot(cache, table_name, now);
        cache.put("s", table_name, &slot, info, now)
    }

    #[test]
    fn fresh_then_old_then_replaced() {
        let (mut cache, now) = (Cache::new(10), Instant::now());
        assert!(!load(&mut cache, "t", Some(table(1)), now), "what was unknown is no change");
        assert!(matches!(cache.find(&name("s"), &name("t"), AGE, now), Found::Fresh(_)));
        let later = now + AGE;
        assert_eq!(cache.older_than(AGE, later, 5), [(name("s"), name("t"))]);
        assert!(matches!(cache.find(&name("s"), &name("t"), AGE, later), Found::Load { old: Some(_), .. }));
        assert!(!load(&mut cache, "t", Some(table(1)), later), "the same is no change");
        assert!(load(&mut cache, "t", Some(table(2)), later + AGE));
        assert!(load(&mut cache, "t", None, later + 2 * AGE), "a table that is gone is a change");
        assert_eq!(cache.count(), 0);
    }

    #[test]
    fn those_who_load_the_same_table_share_a_slot_and_a_failure_gives_a_new_one() {
        let (mut cache, now) = (Cache::new(10), Instant::now());
        let (a, b) = (slot(&mut cache, "t", now), slot(&mut cache, "t", now));
        assert!(Arc::ptr_eq(&a, &b));
        cache.abandon("s", "t", &a);
        assert_eq!(cache.count(), 0);
        assert!(!Arc::ptr_eq(&a, &slot(&mut cache, "t", now)));
    }

    #[test]
    fn what_was_loaded_before_a_change_is_not_kept() {
        let (mut cache, now) = (Cache::new(10), Instant::now());
        let before = slot(&mut cache, "t", now);
        cache.forget("s", "t");
        let after = slot(&mut cache, "t", now);
        cache.put("s", "t", &before, Some(table(1)), now);
        assert!(cache.peek("s", "t").is_none());
        cache.put("s", "t", &after, Some(table(2)), now);
        assert_eq!(cache.peek("s", "t"), Some(table(2)));
    }

    #[test]
    fn the_least_recently_used_goes_when_it_is_full() {
        let (mut cache, now) = (Cache::new(2), Instant::now());
        for table_name in ["a", "b"] {
            load(&mut cache, table_name, Some(table(1)), now);
        }
        cache.find(&name("s"), &name("b"), AGE, now);
        cache.find(&name("s"), &name("a"), AGE, now);
        load(&mut cache, "c", Some(table(1)), now);
        assert_eq!(cache.count(), 2);
        assert!(cache.peek("s", "a").is_some() && cache.peek("s", "b").is_none());
        cache.forget_where(|schema, _| schema == "s");
        assert_eq!(cache.count(), 0);
    }
}
