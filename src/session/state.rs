//! What a session remembers between statements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{Variables, default_collation};
use crate::execute::Diagnostic;
use crate::protocol::charset;
use crate::sql::LexMode;
use crate::txn::{Access, Isolation};

/// How many user variables a session may have; each is sent along with statements that name one.
pub const MAX_USER_VARIABLES: usize = 1_000;
/// Session state that does not depend on a connection to a backend.
#[derive(Debug)]
pub struct State {
    /// The logical schema in use. A copy of the session's own: counting references to it concerns no other processor.
    pub schema: Option<Arc<str>>,
    /// System variables as literals; what every backend connection is brought to.
    pub vars: Arc<Variables>,
    /// User variables: lowercase name to literal.
    pub user_vars: BTreeMap<String, String>,
    /// Whether each statement commits itself.
    pub autocommit: bool,
    /// How the statement texts are read: follows `sql_mode`.
    pub lex_mode: LexMode,
    /// Texts are in UTF-8: follows `character_set_client`.
    pub text_is_utf8: bool,
    /// `SET TRANSACTION ISOLATION LEVEL` for the next transaction alone.
    pub next_isolation: Option<Isolation>,
    /// `SET TRANSACTION READ ONLY` for the next transaction alone.
    pub next_access: Access,
    /// LAST_INSERT_ID().
    pub last_insert_id: u64,
    /// FOUND_ROWS().
    pub found_rows: u64,
    /// ROW_COUNT().
    pub row_count: i64,
    /// What SHOW WARNINGS shows.
    pub diagnostics: Vec<Diagnostic>,
    /// Of MySQL: what SHOW WARNINGS showed before this statement, which is what `@@warning_count` counts.
    pub earlier_diagnostics: Vec<Diagnostic>,
    /// An INSERT that runs writes the rows of a query.
    pub writes_read_rows: bool,
    /// When the session last wrote: its reads stay on the primary for a while.
    pub last_write: Option<Instant>,
}

/// What a server gives a client whose collation it does not know: its own settings, as literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultCharsets {
    /// `character_set_client`.
    pub client: Arc<str>,
    /// `character_set_results`.
    pub results: Arc<str>,
    /// `collation_connection`.
    pub collation: Arc<str>,
}

impl Default for DefaultCharsets {
    fn default() -> Self {
        let charset: Arc<str> = "'utf8mb4'".into();
        Self { client: Arc::clone(&charset), results: charset, collation: default_collation("utf8mb4").into() }
    }
}

impl State {
    /// The state of a session whose handshake named this collation and schema, with servers of this vendor.
    /// `defaults` are for a collation that the servers do not know.
    pub fn new(collation: u16, schema: Option<Arc<str>>, is_mariadb: bool, defaults: Option<&DefaultCharsets>) -> Self {
        let vars = initial_variables(collation, is_mariadb, defaults);
        Self {
            schema: schema.as_deref().map(Arc::from),
            text_is_utf8: is_utf8(vars.get("character_set_client").map(|literal| &**literal)),
            vars,
            user_vars: BTreeMap::new(),
            autocommit: true,
            lex_mode: LexMode::default(),
            next_isolation: None,
            next_access: Access::Default,
            last_insert_id: 0,
            found_rows: 0,
            row_count: -1,
            diagnostics: Vec::new(),
            earlier_diagnostics: Vec::new(),
            writes_read_rows: false,
            last_write: None,
        }
    }

    /// Chooses a schema.
    pub fn set_schema(&mut self, name: Option<&str>) {
        self.schema = name.map(Arc::from);
    }

    /// Sets one system variable (`None`: to the server's default), and follows it where the proxy depends on it.
    pub fn set_variable(&mut self, name: &str, literal: Option<&str>) {
        if matches!(name, "last_insert_id" | "identity") {
            // Put into statements as a value; the connections know nothing of it.
            self.last_insert_id = literal.and_then(|value| value.parse().ok()).unwrap_or(0);
            return;
        }
        self.vars = self.vars.with(name, literal);
        match name {
            "autocommit" => self.autocommit = literal.is_none_or(is_true),
            "character_set_client" => self.text_is_utf8 = is_utf8(literal),
            "sql_mode" => self.lex_mode = lex_mode(literal.unwrap_or_default()),
            _ => {}
        }
    }
}

/// The variables that SET NAMES sets, from the collation that the handshake named; unknown ids leave the servers' default.
/// MariaDB takes the default collation of a character set, as most clients name it, for the one that it has chosen itself.
fn initial_variables(collation: u16, is_mariadb: bool, defaults: Option<&DefaultCharsets>) -> Arc<Variables> {
    let is_unknown =
        if is_mariadb { charset::is_unknown_to_mariadb(collation) } else { charset::name(collation).is_none() };
    if let Some(defaults) = defaults.filter(|_| is_unknown) {
        return Variables::new(BTreeMap::from([
            ("character_set_client".into(), Arc::clone(&defaults.client)),
            ("character_set_results".into(), Arc::clone(&defaults.results)),
            ("collation_connection".into(), Arc::clone(&defaults.collation)),
            ("autocommit".into(), "1".into()),
        ]));
    }
    let name = charset::name(collation).or_else(|| charset::name(charset::UTF8MB4_GENERAL_CI));
    let mut vars = BTreeMap::new();
    if let Some(name) = name {
        let quoted = |text: &str| Arc::<str>::from(format!("'{text}'"));
        vars.insert("character_set_client".into(), quoted(name.charset));
        vars.insert("character_set_results".into(), quoted(name.charset));
        let collation = if is_mariadb && name.is_mariadb_default {
            default_collation(name.charset).into()
        } else {
            quoted(name.collation)
        };
        vars.insert("collation_connection".into(), collation);
    }
    vars.insert("autocommit".into(), "1".into());
    Variables::new(vars)
}

/// Whether texts of a client character set are UTF-8; the servers' own default is not known to be.
fn is_utf8(literal: Option<&str>) -> bool {
    let name = literal.map(|literal| literal.trim_matches('\'').to_ascii_lowercase()).unwrap_or_default();
    matches!(name.as_str(), "utf8" | "utf8mb3" | "utf8mb4" | "ascii")
}

fn is_true(literal: &str) -> bool {
    matches!(literal.trim_matches('\'').to_ascii_lowercase().as_str(), "1" | "on" | "true")
}

fn lex_mode(literal: &str) -> LexMode {
    let modes = literal.to_ascii_uppercase();
    let has = |mode: &str| modes.trim_matches('\'').split(',').any(|m| m.trim() == mode);
    LexMode {
        ansi_quotes: has("ANSI_QUOTES") || has("ANSI"),
        no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
        pipes_as_concat: has("PIPES_AS_CONCAT") || has("ANSI"),
        no_auto_value_on_zero: has("NO_AUTO_VALUE_ON_ZERO"),
    }
}
