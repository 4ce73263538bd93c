//! The prepared statements that one backend connection holds, by text.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh3::xxh3_64;

/// A prepared statement as the server answered `COM_STMT_PREPARE`
/// (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// The server's id, good on this connection only.
    pub id: u32,
    /// Number of placeholders.
    pub params: u16,
    /// Number of result columns.
    pub columns: u16,
}

/// The text of a statement with its hash: computed once when the client prepares, used at every execute.
#[derive(Debug, Clone)]
pub struct StatementText {
    text: Arc<[u8]>,
    hash: u64,
}

static HASH_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl StatementText {
    /// Hashes a text.
    pub fn new(text: impl Into<Arc<[u8]>>) -> Self {
        let text = text.into();
        let hash = HASH_KEY.hash_one(&*text);
        Self { text, hash }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// What a statement was prepared under: the same text means something else in another schema or `sql_mode`. Kept under
/// its [`hash`](Key::hash), so that looking one up copies nothing.
#[derive(Debug)]
struct Key {
    text: StatementText,
    schema: Option<Arc<str>>,
    prepare_hash: u64,
}

impl Key {
    fn hash(text: &StatementText, schema: &Option<Arc<str>>, prepare_hash: u64) -> u64 {
        text.hash ^ prepare_hash ^ schema.as_ref().map_or(0, |schema| xxh3_64(schema.as_bytes()))
    }

    fn is(&self, text: &StatementText, schema: &Option<Arc<str>>, prepare_hash: u64) -> bool {
        self.prepare_hash == prepare_hash
            && self.text.hash == text.hash
            && (Arc::ptr_eq(&self.text.text, &text.text) || self.text.text == text.text)
            && super::settings::same_schema(self.schema.as_ref(), schema.as_ref())
    }
}

/// The keys are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a hash is one u64")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl BuildHasher for PassThrough {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

#[derive(Debug)]
struct Entry {
    key: Key,
    prepared: Prepared,
    used: u64,
}

/// Text to prepared statement, least recently used out first.
#[derive(Debug)]
pub struct Statements {
    entries: HashMap<u64, Entry, PassThrough>,
    limit: usize,
    clock: u64,
}

impl Statements {
    /// An empty cache that holds up to `limit` statements.
    pub fn new(limit: usize) -> Self {
        Self { entries: HashMap::with_hasher(PassThrough(0)), limit: limit.max(1), clock: 0 }
    }

    /// The statement of a text, prepared under this schema and these variables.
    pub fn get(&mut self, text: &StatementText, schema: &Option<Arc<str>>, prepare_hash: u64) -> Option<Prepared> {
        self.clock += 1;
        let entry = self.entries.get_mut(&Key::hash(text, schema, prepare_hash))?;
        if !entry.key.is(text, schema, prepare_hash) {
            return None;
        }
        entry.used = self.clock;
        Some(entry.prepared)
    }

    /// Remembers a statement. Returns the id of one that must be closed: the least recently used where the cache is full,
    /// or the one that was there under the same hash.
    pub fn insert(
        &mut self,
        text: &StatementText,
        schema: &Option<Arc<str>>,
        prepare_hash: u64,
        prepared: Prepared,
    ) -> Option<u32> {
        self.clock += 1;
        let key = Key { text: text.clone(), schema: schema.clone(), prepare_hash };
        let entry = Entry { key, prepared, used: self.clock };
        if let Some(old) = self.entries.insert(Key::hash(text, schema, prepare_hash), entry) {
            return Some(old.prepared.id);
        }
        if self.entries.len() <= self.limit {
            return None;
        }
        // A walk over the whole (small, bounded) cache, once per statement that was prepared over the network.
        let oldest = self.entries.iter().min_by_key(|(_, e)| e.used).map(|(hash, e)| (*hash, e.prepared.id));
        oldest.map(|(hash, id)| {
            self.entries.remove(&hash);
            id
        })
    }

    /// Forgets one statement by its id; true if it was here.
    pub fn forget(&mut self, id: u32) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, e| e.prepared.id != id);
        self.entries.len() < before
    }

    /// Forgets all, and returns their ids.
    pub fn drain(&mut self) -> Vec<u32> {
        self.entries.drain().map(|(_, e)| e.prepared.id).collect()
    }

    /// Number of statements held.
    pub fn count(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> StatementText {
        StatementText::new(sql.as_bytes())
    }

    fn prepared(id: u32) -> Prepared {
        Prepared { id, params: 0, columns: 1 }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Statements::new(2);
        assert_eq!(cache.insert(&text("a"), &None, 0, prepared(1)), None);
        assert_eq!(cache.insert(&text("b"), &None, 0, prepared(2)), None);
        assert!(cache.get(&text("a"), &None, 0).is_some());
        assert_eq!(cache.insert(&text("c"), &None, 0, prepared(3)), Some(2));
        assert!(cache.get(&text("b"), &None, 0).is_none());
        assert_eq!(cache.get(&text("a"), &None, 0), Some(prepared(1)));
        assert_eq!(cache.count(), 2);
    }

    #[test]
    fn schema_and_variables_are_part_of_the_key() {
        let mut cache = Statements::new(8);
        let schema: Option<Arc<str>> = Some("shop".into());
        cache.insert(&text("a"), &schema, 7, prepared(1));
        assert!(cache.get(&text("a"), &None, 7).is_none());
        assert!(cache.get(&text("a"), &schema, 8).is_none());
        assert!(cache.get(&text("a"), &Some("shop".into()), 7).is_some());
    }

    #[test]
    fn a_statement_prepared_anew_closes_the_old_one() {
        let mut cache = Statements::new(8);
        cache.insert(&text("a"), &None, 0, prepared(1));
        assert_eq!(cache.insert(&text("a"), &None, 0, prepared(9)), Some(1));
        assert!(cache.forget(9) && !cache.forget(9));
        assert_eq!(cache.count(), 0);
    }
}
