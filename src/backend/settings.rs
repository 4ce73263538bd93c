//! The state of a session that a pooled connection must be brought to before a statement of that session runs on it.
//!
//! A client's variables and schema are tracked by its session and replayed here as a difference: at most one `COM_INIT_DB`
//! and one `SET`. Equality is the common case, and costs a pointer comparison.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::version::ServerVersion;

/// Variables that cannot change what a prepared statement means, so that a statement prepared under one value may run under
/// another. Every other variable (`sql_mode`, character sets, …) is part of the key of the statement cache.
const NOT_PARSED_INTO_STATEMENTS: &[&str] = &[
    "autocommit",
    "transaction_isolation",
    "tx_isolation",
    "transaction_read_only",
    "tx_read_only",
    "wait_timeout",
    "interactive_timeout",
    "net_read_timeout",
    "net_write_timeout",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
    "max_execution_time",
    "max_statement_time",
    "foreign_key_checks",
    "unique_checks",
    "timestamp",
    "insert_id",
    "last_insert_id",
];

/// Session variables: lowercase system variable name to the text of an SQL literal. What a map does not name has the
/// server's default. Immutable; its hash is computed once.
#[derive(Debug)]
pub struct Variables {
    vars: BTreeMap<Arc<str>, Arc<str>>,
    hash: u64,
    prepare_hash: u64,
}

/// How many sets of variables are known at a time. Clients of one driver share one or two; a set past this is not shared,
/// which costs comparing it by its contents.
const MAX_INTERNED: usize = 1024;

/// Sets of variables in use, by hash: sessions with equal variables share one, so that comparing them with those of a
/// pooled connection is comparing pointers.
static INTERNED: LazyLock<Mutex<HashMap<u64, Weak<Variables>>>> = LazyLock::new(Mutex::default);

fn intern(variables: Variables) -> Arc<Variables> {
    let mut interned = INTERNED.lock();
    if let Some(known) = interned.get(&variables.hash).and_then(Weak::upgrade).filter(|known| **known == variables) {
        return known;
    }
    if interned.len() >= MAX_INTERNED {
        interned.retain(|_, known| known.strong_count() > 0);
    }
    let variables = Arc::new(variables);
    if interned.len() < MAX_INTERNED {
        interned.insert(variables.hash, Arc::downgrade(&variables));
    }
    variables
}

static NO_VARIABLES: LazyLock<Arc<Variables>> = LazyLock::new(|| Variables::new(BTreeMap::new()));

impl Variables {
    /// Wraps a map of variables. `character_set_connection` is left out where `collation_connection` says more.
    pub fn new(mut vars: BTreeMap<Arc<str>, Arc<str>>) -> Arc<Self> {
        // Setting the one sets the other; keeping both would make the order of assignments matter.
        if vars.contains_key("collation_connection") {
            vars.remove("character_set_connection");
        }
        let hash = hash_all(vars.iter());
        let prepare_hash = hash_all(vars.iter().filter(|(k, _)| !NOT_PARSED_INTO_STATEMENTS.contains(&&***k)));
        intern(Self { vars, hash, prepare_hash })
    }

    /// No variable set: the state of a fresh or reset connection.
    pub fn none() -> Arc<Self> {
        NO_VARIABLES.clone()
    }

    /// A variable's literal, if it is set.
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        self.vars.get(name)
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.vars.iter()
    }

    /// These variables with one changed; `None` puts it back to the server's default.
    pub fn with(&self, name: &str, literal: Option<&str>) -> Arc<Self> {
        let mut vars = self.vars.clone();
        match literal {
            Some(literal) => vars.insert(name.into(), literal.into()),
            None => vars.remove(name),
        };
        Self::new(vars)
    }

    /// A hash of the variables that decide what a statement's text means when it is prepared.
    pub fn prepare_hash(&self) -> u64 {
        self.prepare_hash
    }

    /// Whether two are the same: by pointer in the common case, else by hash first.
    pub fn same(a: &Arc<Self>, b: &Arc<Self>) -> bool {
        Arc::ptr_eq(a, b) || (a.hash == b.hash && a.vars == b.vars)
    }

    /// The assignments that lead from `self` to `want`: name and literal, where `None` means `DEFAULT`.
    pub fn assignments<'a>(&'a self, want: &'a Self) -> Vec<(&'a str, Option<&'a str>)> {
        let changed = want
            .vars
            .iter()
            .filter(|(name, literal)| self.vars.get(*name) != Some(*literal))
            .map(|(name, literal)| (&**name, Some(&**literal)));
        let gone = self.vars.keys().filter(|name| !want.vars.contains_key(*name)).map(|name| (&**name, None));
        changed.chain(gone).collect()
    }
}

impl PartialEq for Variables {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.vars == other.vars
    }
}

impl Eq for Variables {}

/// Variables that sessions often set and that `SET … = DEFAULT` puts back. What is not named here may have no default.
const HAVE_DEFAULT: &[&str] = &[
    "autocommit",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "foreign_key_checks",
    "group_concat_max_len",
    "innodb_lock_wait_timeout",
    "interactive_timeout",
    "lock_wait_timeout",
    "max_execution_time",
    "max_statement_time",
    "net_read_timeout",
    "net_write_timeout",
    "sql_mode",
    "sql_safe_updates",
    "sql_select_limit",
    "time_zone",
    "timestamp",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "unique_checks",
    "wait_timeout",
];

/// Whether a variable is known to go back to the server's default by `SET … = DEFAULT`.
pub(super) fn has_default(name: &str) -> bool {
    HAVE_DEFAULT.contains(&name)
}

/// The text under which it is remembered that a server accepted a value. A moment is another one each time, and the server
/// takes all of them or (`secure_timestamp`) none.
pub(super) fn remembered<'a>(name: &str, literal: &'a str) -> &'a str {
    let is_moment = name == "timestamp" && literal.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_moment { "a moment" } else { literal }
}

/// The variables that SET NAMES sets.
const NAMES: [&str; 3] = ["character_set_client", "character_set_results", "collation_connection"];

/// Behind a quoted character set as the value of `collation_connection`: the server's default collation of that set, which
/// differs between versions and is a server's to choose (MariaDB's `character_set_collations`).
const DEFAULT_COLLATION: &str = " COLLATE DEFAULT";

/// The value of `collation_connection` which stands for the server's default collation of a character set.
pub fn default_collation(charset: &str) -> String {
    format!("'{charset}'{DEFAULT_COLLATION}")
}

/// The one `SET` statement that takes a connection from `have` to `want`, in the names that this server knows. The word
/// SESSION matters: without it, the isolation level would be that of the next transaction only.
pub fn set_statement(have: &Variables, want: &Variables, version: &ServerVersion) -> String {
    let assignments = have.assignments(want);
    let names = assignments.iter().any(|(name, _)| NAMES.contains(name)).then(|| names_clause(want)).flatten();
    let by_names = names.is_some();
    let others = assignments
        .iter()
        .filter(|(name, _)| !by_names || !NAMES.contains(name))
        .map(|(name, literal)| format!("SESSION {}={}", version.variable_name(name), literal.unwrap_or("DEFAULT")));
    let parts: Vec<String> = names.into_iter().chain(others).collect();
    format!("SET {}", parts.join(","))
}

/// `NAMES charset COLLATE collation`, where the three variables say just that, or that the collation is the default. It is more than the three: the collation
/// that results are labelled with follows it.
fn names_clause(want: &Variables) -> Option<String> {
    let [client, results, collation] = NAMES.map(|name| want.get(name));
    let (client, results, collation) = (client?, results?, collation?);
    if let Some(charset) = collation.strip_suffix(DEFAULT_COLLATION) {
        // No assignment to the collation alone can say it, so the other two follow where they differ.
        let others = NAMES.into_iter().zip([client, results]).filter(|(_, literal)| ***literal != *charset);
        let others: String = others.map(|(name, literal)| format!(",SESSION {name}={literal}")).collect();
        return Some(format!("NAMES {charset}{others}"));
    }
    let charset = client.strip_prefix('\'')?.strip_suffix('\'')?;
    let of_charset =
        collation.strip_prefix('\'')?.strip_prefix(charset).is_some_and(|rest| rest.starts_with(['_', '\'']));
    (client == results && of_charset).then(|| format!("NAMES {client} COLLATE {collation}"))
}

/// What a session wants of the connection that its statement runs on. Two pointers: cheap to clone and to compare.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The default schema, under the name that the backend knows; `None` where no statement may depend on one.
    pub schema: Option<Arc<str>>,
    /// The session variables.
    pub vars: Arc<Variables>,
}

impl Settings {
    /// Puts the two parts together.
    pub fn new(schema: Option<Arc<str>>, vars: Arc<Variables>) -> Self {
        Self { schema, vars }
    }

    /// The state of a fresh connection: no schema, no variable set.
    pub fn none() -> Self {
        Self { schema: None, vars: Variables::none() }
    }

    /// The same variables with another schema.
    pub fn with_schema(&self, schema: Option<Arc<str>>) -> Self {
        Self { schema, vars: self.vars.clone() }
    }

    /// The same schema with one variable changed; `None` puts it back to the server's default.
    pub fn with_var(&self, name: &str, literal: Option<&str>) -> Self {
        Self { schema: self.schema.clone(), vars: self.vars.with(name, literal) }
    }
}

/// [`Settings`], borrowed: asking a connection whether it has them touches no count that sessions share.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The default schema.
    pub schema: Option<&'a Arc<str>>,
    /// The session variables.
    pub vars: &'a Arc<Variables>,
}

impl<'a> From<&'a Settings> for Wanted<'a> {
    fn from(settings: &'a Settings) -> Self {
        Self { schema: settings.schema.as_ref(), vars: &settings.vars }
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        same_schema(self.schema.as_ref(), other.schema.as_ref()) && Variables::same(&self.vars, &other.vars)
    }
}

impl Eq for Settings {}

/// Whether two schemas are the same; by pointer first.
pub(super) fn same_schema(a: Option<&Arc<str>>, b: Option<&Arc<str>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}

/// Hashes a sequence. Keyed with a secret of this process: clients choose the values, and two that collide must not be
/// something that one can compute.
fn hash_all<T: Hash>(items: impl Iterator<Item = T>) -> u64 {
    let mut hasher = HASH_KEY.build_hasher();
    items.for_each(|item| item.hash(&mut hasher));
    hasher.finish()
}

static HASH_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Arc<Variables> {
        Variables::new(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    }

    fn mysql() -> ServerVersion {
        ServerVersion::parse("8.4.3")
    }

    #[test]
    fn equal_by_value_and_by_pointer() {
        let a = vars(&[("autocommit", "1"), ("sql_mode", "''")]);
        let b = vars(&[("sql_mode", "''"), ("autocommit", "1")]);
        assert!(Variables::same(&a, &a) && Variables::same(&a, &b));
        assert!(!Variables::same(&a, &a.with("autocommit", Some("0"))));
        assert_eq!(Settings::new(Some("s".into()), a.clone()), Settings::new(Some("s".into()), b));
        assert_ne!(Settings::new(Some("s".into()), a.clone()), Settings::new(None, a));
    }

    #[test]
    fn the_difference_is_one_set_and_what_is_gone_becomes_default() {
        let have = vars(&[("autocommit", "0"), ("sql_mode", "'ANSI'"), ("time_zone", "'+00:00'")]);
        let want = vars(&[("autocommit", "1"), ("time_zone", "'+00:00'"), ("transaction_isolation", "'SERIALIZABLE'")]);
        assert_eq!(
            set_statement(&have, &want, &mysql()),
            "SET SESSION autocommit=1,SESSION transaction_isolation='SERIALIZABLE',SESSION sql_mode=DEFAULT"
        );
        assert!(want.assignments(&want).is_empty());
        let maria = ServerVersion::parse("5.5.5-10.11.19-MariaDB");
        assert_eq!(
            set_statement(&vars(&[]), &vars(&[("transaction_isolation", "'READ-COMMITTED'")]), &maria),
            "SET SESSION tx_isolation='READ-COMMITTED'"
        );
        let named = [
            ("autocommit", "1"),
            ("character_set_client", "'utf8mb4'"),
            ("character_set_results", "'utf8mb4'"),
            ("collation_connection", "'utf8mb4_unicode_ci'"),
        ];
        assert_eq!(
            set_statement(&vars(&[]), &vars(&named), &maria),
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci',SESSION autocommit=1"
        );
        let mut other_results = named;
        other_results[2].1 = "NULL";
        assert_eq!(
            set_statement(&vars(&named), &vars(&other_results), &maria),
            "SET SESSION character_set_results=NULL"
        );
    }

    #[test]
    fn the_default_collation_of_a_character_set_is_the_server_s_to_choose() {
        let collation = default_collation("utf8mb4");
        let mut named = [
            ("character_set_client", "'utf8mb4'"),
            ("character_set_results", "'utf8mb4'"),
            ("collation_connection", &*collation),
        ];
        assert_eq!(set_statement(&vars(&[]), &vars(&named), &mysql()), "SET NAMES 'utf8mb4'");
        named[1].1 = "NULL";
        assert_eq!(
            set_statement(&vars(&[]), &vars(&named), &mysql()),
            "SET NAMES 'utf8mb4',SESSION character_set_results=NULL"
        );
    }

    #[test]
    fn the_collation_says_the_connection_character_set() {
        let a = vars(&[("character_set_connection", "latin1"), ("collation_connection", "utf8mb4_bin")]);
        assert!(a.get("character_set_connection").is_none());
    }

    #[test]
    fn autocommit_is_not_part_of_a_prepared_statement_but_the_sql_mode_is() {
        let a = vars(&[("autocommit", "0"), ("sql_mode", "''")]);
        assert_eq!(a.prepare_hash(), a.with("autocommit", Some("1")).prepare_hash());
        assert_ne!(a.prepare_hash(), a.with("sql_mode", Some("'ANSI_QUOTES'")).prepare_hash());
    }
}
