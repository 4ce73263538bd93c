//! `SHOW` (*SHOW Statements*).

use super::super::cursor::Cursor;
use super::set::Scope;
use super::{Name, SessionStatement, TableName};
use std::ops::Range;

/// `LIKE` or `WHERE` of a `SHOW`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All rows.
    None,
    /// `LIKE 'pattern'`.
    Like {
        /// The pattern, unescaped; `\%` and `\_` keep their backslash.
        pattern: Vec<u8>,
        /// Where the string stands.
        range: Range<usize>,
    },
    /// `WHERE condition`: where the condition stands.
    Where(Range<usize>),
}

/// What `SHOW CREATE` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is the keyword it is named after
pub enum ShowCreate {
    Table,
    View,
    Sequence,
    Procedure,
    Function,
    Trigger,
    Event,
    Package,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// `DATABASES` or `SCHEMAS`.
    Databases(Filter),
    /// `[EXTENDED] [FULL] TABLES [FROM schema]`.
    Tables {
        /// `FULL`: with the type of each.
        full: bool,
        /// Nothing: the current one.
        schema: Option<Name>,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `TABLE STATUS [FROM schema]`.
    TableStatus {
        /// Nothing: the current one.
        schema: Option<Name>,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `[EXTENDED] [FULL] COLUMNS FROM table [FROM schema]`.
    Columns {
        /// `FULL`: with collation, privileges and comment.
        full: bool,
        /// `EXTENDED`: with hidden columns.
        extended: bool,
        /// The table; its schema may have been given as `FROM schema`.
        table: TableName,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `INDEX FROM table [FROM schema]`.
    Index {
        /// The table; its schema may have been given as `FROM schema`.
        table: TableName,
        /// `WHERE`.
        filter: Filter,
    },
    /// `CREATE TABLE name` and its kin.
    Create {
        /// What.
        kind: ShowCreate,
        /// Its name.
        name: TableName,
    },
    /// `CREATE USER [account]`.
    CreateUser,
    /// `CREATE DATABASE [IF NOT EXISTS] name`.
    CreateDatabase {
        /// `IF NOT EXISTS`: the shown statement says so too.
        if_not_exists: bool,
        /// The schema.
        name: Name,
    },
    /// `[GLOBAL | SESSION] VARIABLES`.
    Variables {
        /// Whose.
        scope: Scope,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `[GLOBAL | SESSION] STATUS`.
    Status {
        /// Whose.
        scope: Scope,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `WARNINGS [LIMIT [offset,] count]`, or `ERRORS …`.
    Warnings {
        /// `ERRORS`: without warnings and notes.
        errors_only: bool,
        /// Offset and count.
        limit: Option<(u64, u64)>,
    },
    /// `COUNT(*) WARNINGS` or `COUNT(*) ERRORS`.
    CountWarnings {
        /// `ERRORS`.
        errors_only: bool,
    },
    /// `[FULL] PROCESSLIST`.
    ProcessList {
        /// `FULL`: the whole text of each statement.
        full: bool,
    },
    /// `SHARDLOOM TRANSACTIONS`: the proxy's own.
    ShardloomTransactions,
    /// `GRANTS [FOR account]`.
    Grants {
        /// The name of the account, without its host; nothing: the client's own.
        user: Option<String>,
    },
    /// `SHARDLOOM DDL`: the proxy's own.
    ShardloomDdl,
    /// `COLLATION`.
    Collation(Filter),
    /// `CHARACTER SET`.
    CharacterSet(Filter),
    /// `TRIGGERS [FROM schema]`.
    Triggers {
        /// Nothing: the current one.
        schema: Option<Name>,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `EVENTS [FROM schema]`.
    Events {
        /// Nothing: the current one.
        schema: Option<Name>,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// `OPEN TABLES [FROM schema]`.
    OpenTables {
        /// Nothing: all.
        schema: Option<Name>,
        /// `LIKE` or `WHERE`.
        filter: Filter,
    },
    /// Anything else that any one server can answer: `ENGINES`, `PLUGINS`, `PROCEDURE STATUS`,
    /// `BINARY LOGS`, …; the words behind `SHOW`, in lower case, up to the first that is none.
    Other(Vec<String>),
}

impl Show {
    /// Whether it is about tables, whose names the planner knows.
    pub fn is_about_tables(&self) -> bool {
        matches!(
            self,
            Self::Create { kind: ShowCreate::Table | ShowCreate::View, .. }
                | Self::Tables { .. }
                | Self::TableStatus { .. }
                | Self::Columns { .. }
                | Self::Index { .. }
                | Self::Triggers { .. }
                | Self::Events { .. }
        )
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor.skip();
    let before = cursor.clone();
    let show = match known(cursor) {
        Some(show) if cursor.at_end() => show,
        _ => {
            *cursor = before;
            let mut words = Vec::new();
            while let Some(name) = cursor.name() {
                words.push(name.text.to_lowercase());
            }
            cursor.rest();
            if words.is_empty() {
                return None;
            }
            Show::Other(words)
        }
    };
    Some(SessionStatement::Show(show))
}

fn known(cursor: &mut Cursor<'_>) -> Option<Show> {
    if cursor.word("create") {
        return create(cursor);
    }
    if cursor.words(&["table", "status"]) {
        return Some(Show::TableStatus { schema: from_schema(cursor)?, filter: filter(cursor)? });
    }
    if cursor.words(&["shardloom", "transactions"]) {
        return Some(Show::ShardloomTransactions);
    }
    if cursor.word("grants") {
        return grants(cursor);
    }
    if cursor.words(&["shardloom", "ddl"]) {
        return Some(Show::ShardloomDdl);
    }
    if cursor.words(&["open", "tables"]) {
        return Some(Show::OpenTables { schema: from_schema(cursor)?, filter: filter(cursor)? });
    }
    if cursor.words(&["character", "set"]) || cursor.words(&["char", "set"]) || cursor.word("charset") {
        return Some(Show::CharacterSet(filter(cursor)?));
    }
    if cursor.words(&["count"]) {
        let star = cursor.symbol(b'(') && cursor.symbol(b'*') && cursor.symbol(b')');
        let errors_only = cursor.word("errors");
        return (star && (errors_only || cursor.word("warnings"))).then_some(Show::CountWarnings { errors_only });
    }
    if let Some(scope) = scope(cursor) {
        return variables_or_status(cursor, scope);
    }
    let extended = cursor.word("extended");
    let full = cursor.word("full");
    match cursor.name()?.text.to_ascii_lowercase().as_str() {
        "tables" => Some(Show::Tables { full, schema: from_schema(cursor)?, filter: filter(cursor)? }),
        "columns" | "fields" => {
            Some(Show::Columns { full, extended, table: from_table(cursor)?, filter: filter(cursor)? })
        }
        "processlist" => Some(Show::ProcessList { full }),
        "index" | "indexes" | "keys" => Some(Show::Index { table: from_table(cursor)?, filter: filter(cursor)? }),
        "databases" | "schemas" => Some(Show::Databases(filter(cursor)?)),
        "warnings" => Some(Show::Warnings { errors_only: false, limit: limit(cursor)? }),
        "errors" => Some(Show::Warnings { errors_only: true, limit: limit(cursor)? }),
        "collation" => Some(Show::Collation(filter(cursor)?)),
        "triggers" => Some(Show::Triggers { schema: from_schema(cursor)?, filter: filter(cursor)? }),
        "events" => Some(Show::Events { schema: from_schema(cursor)?, filter: filter(cursor)? }),
        _ => None,
    }
}

fn scope(cursor: &mut Cursor<'_>) -> Option<Scope> {
    if cursor.word("global") {
        return Some(Scope::Global);
    }
    let said = cursor.word("session") || cursor.word("local");
    (said || cursor.peek_word("variables") || cursor.peek_word("status")).then_some(Scope::Session)
}

fn variables_or_status(cursor: &mut Cursor<'_>, scope: Scope) -> Option<Show> {
    if cursor.word("variables") {
        return Some(Show::Variables { scope, filter: filter(cursor)? });
    }
    cursor.word("status").then(|| filter(cursor)).flatten().map(|filter| Show::Status { scope, filter })
}

fn create(cursor: &mut Cursor<'_>) -> Option<Show> {
    const KINDS: &[(&str, ShowCreate)] = &[
        ("table", ShowCreate::Table),
        ("view", ShowCreate::View),
        ("sequence", ShowCreate::Sequence),
        ("procedure", ShowCreate::Procedure),
        ("function", ShowCreate::Function),
        ("trigger", ShowCreate::Trigger),
        ("event", ShowCreate::Event),
        ("package", ShowCreate::Package),
    ];
    if cursor.word("user") {
        cursor.rest();
        return Some(Show::CreateUser);
    }
    if cursor.word("database") || cursor.word("schema") {
        let if_not_exists = cursor.words(&["if", "not", "exists"]);
        return Some(Show::CreateDatabase { if_not_exists, name: cursor.name()? });
    }
    let (_, kind) = KINDS.iter().find(|(word, _)| cursor.word(word))?;
    if *kind == ShowCreate::Package {
        cursor.word("body");
    }
    Some(Show::Create { kind: *kind, name: cursor.table_name()? })
}

/// `GRANTS [FOR account]`, the account as a name with or without its host, or as `CURRENT_USER [()]`.
fn grants(cursor: &mut Cursor<'_>) -> Option<Show> {
    if !cursor.word("for") || cursor.word("current_user") || cursor.word("current_role") {
        cursor.rest();
        return Some(Show::Grants { user: None });
    }
    let user = cursor.name_or_string()?;
    cursor.rest();
    Some(Show::Grants { user: Some(user) })
}

fn from(cursor: &mut Cursor<'_>) -> bool {
    cursor.word("from") || cursor.word("in")
}

/// `[FROM schema]`. The outer `None` is a syntax error.
#[allow(clippy::option_option)]
fn from_schema(cursor: &mut Cursor<'_>) -> Option<Option<Name>> {
    if from(cursor) { cursor.name().map(Some) } else { Some(None) }
}

/// `FROM table [FROM schema]`, `FROM schema.table`.
fn from_table(cursor: &mut Cursor<'_>) -> Option<TableName> {
    if !from(cursor) {
        return None;
    }
    let mut table = cursor.table_name()?;
    if let Some(schema) = from_schema(cursor)? {
        table.schema = Some(schema);
    }
    Some(table)
}

fn filter(cursor: &mut Cursor<'_>) -> Option<Filter> {
    if cursor.word("like") {
        let range = cursor.peek().map(|token| token.start..token.end)?;
        return Some(Filter::Like { pattern: cursor.string()?, range });
    }
    if cursor.word("where") {
        if cursor.at_end() {
            return None;
        }
        return Some(Filter::Where(cursor.rest()));
    }
    Some(Filter::None)
}

/// `[LIMIT [offset,] count]`. The outer `None` is a syntax error.
fn limit(cursor: &mut Cursor<'_>) -> Option<Option<(u64, u64)>> {
    if !cursor.word("limit") {
        return Some(None);
    }
    let first = cursor.integer()?;
    Some(Some(if cursor.symbol(b',') {
        (first, cursor.integer()?)
    } else if cursor.word("offset") {
        (cursor.integer()?, first)
    } else {
        (0, first)
    }))
}
