//! Statements that speak about the session, not about data: the session answers or tracks them itself.
//!
//! A small parser over our lexer, since these statements are where the general parser is weak, and where a driver's
//! every spelling counts. What begins like such a statement but is not understood is [`SessionStatement::Opaque`]: it
//! may change the state of the connection that it reaches, so that connection must not serve others as if it had not.

mod describe;
mod set;
mod show;
mod transaction;

use super::cursor::Cursor;
use super::digest::Verb;
use super::lexer::{LexMode, TokenKind};
use std::ops::Range;

pub use super::names::{Name, TableName};
pub use describe::{Describe, Explain};
pub use set::{Isolation, Scope, SetItem, SetTransaction, SetValue, ValueKind};
pub use show::{Filter, Show, ShowCreate};
pub use transaction::{Begin, End};

/// What `KILL` kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// `KILL QUERY`: the statement, not the connection.
    pub query: bool,
    /// The connection id.
    pub connection_id: u64,
}

/// A value given to `EXECUTE … USING` or `KILL`: the place of its expression.
pub type Argument = Range<usize>;

/// What `PREPARE` prepares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrepareSource {
    /// `FROM 'text'`, unescaped.
    Text(Vec<u8>),
    /// `FROM @name`, in lower case.
    Variable(String),
    /// Any other expression (MariaDB).
    Expression(Range<usize>),
}

/// One table of `LOCK TABLES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTable {
    /// The table.
    pub table: TableName,
    /// `AS alias`.
    pub alias: Option<Name>,
    /// `WRITE`, not `READ`.
    pub write: bool,
}

/// A statement about the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStatement {
    /// `SET a = 1, @b = 2, NAMES utf8mb4, …`, in order.
    Set(Vec<SetItem>),
    /// `SET [GLOBAL | SESSION] TRANSACTION …`.
    SetTransaction(SetTransaction),
    /// `SET STATEMENT a = 1, … FOR statement` (MariaDB).
    SetStatement {
        /// The settings for that statement alone.
        items: Vec<SetItem>,
        /// Where the statement stands.
        statement: Range<usize>,
    },
    /// `USE schema`.
    Use(Name),
    /// `BEGIN` or `START TRANSACTION`.
    Begin(Begin),
    /// `COMMIT`.
    Commit(End),
    /// `ROLLBACK`.
    Rollback(End),
    /// `SAVEPOINT name`.
    Savepoint(Name),
    /// `ROLLBACK TO name`.
    RollbackTo(Name),
    /// `RELEASE SAVEPOINT name`.
    ReleaseSavepoint(Name),
    /// `SHOW …`.
    Show(Show),
    /// `DESCRIBE table`, under each of its names.
    Describe(Describe),
    /// `EXPLAIN statement`, and `ANALYZE statement` (MariaDB).
    Explain(Explain),
    /// `EXPLAIN ROUTE statement`: how this proxy would run the statement that stands there.
    ExplainRoute(Range<usize>),
    /// `KILL …`.
    Kill(Kill),
    /// `KILL …` with an expression for the id.
    KillExpression {
        /// `KILL QUERY`.
        query: bool,
        /// The connection id.
        connection_id: Argument,
    },
    /// `PREPARE name FROM …`.
    Prepare {
        /// The statement's name, in lower case.
        name: String,
        /// Its text.
        source: PrepareSource,
    },
    /// `EXECUTE name [USING …]`.
    Execute {
        /// The statement's name, in lower case.
        name: String,
        /// What stands in the places of its `?`.
        using: Vec<Argument>,
    },
    /// `EXECUTE IMMEDIATE 'text' [USING …]` (MariaDB).
    ExecuteImmediate {
        /// The statement's text.
        source: PrepareSource,
        /// What stands in the places of its `?`.
        using: Vec<Argument>,
    },
    /// `DEALLOCATE PREPARE name`, `DROP PREPARE name`; in lower case.
    Deallocate(String),
    /// `LOCK TABLES …`.
    LockTables(Vec<LockTable>),
    /// `UNLOCK TABLES`.
    UnlockTables,
    /// `LOAD DATA …` and `LOAD XML …`.
    LoadData {
        /// `LOCAL`: the client sends the file.
        local: bool,
        /// The table it fills.
        table: TableName,
    },
    /// `XA …`.
    Xa,
    /// `FLUSH …`, `RESET …`, `PURGE …` and other commands to a server as a whole.
    Administration(Verb),
    /// The whole text is `/*!80000 … */` or `/*M!100100 … */`: a statement to servers of that version, nothing to others.
    Versioned {
        /// Who executes it.
        versions: Versions,
        /// Where the statement in it stands.
        content: Range<usize>,
    },
    /// Begins like a statement about the session, and is not understood.
    Opaque(Verb),
}

/// What `sql` (one statement, see [`super::split`]) says about the session; nothing if it is about data.
pub fn parse(sql: &[u8], mode: LexMode) -> Option<SessionStatement> {
    let mut cursor = Cursor::new(sql, mode);
    if let Some(versioned) = versioned_comment(&cursor, sql) {
        return Some(versioned);
    }
    let behind_code = cursor.unsure_comments();
    let verb = cursor.verb();
    let statement = statement(cursor, verb)?;
    // What only some servers execute may change what it says.
    Some(if behind_code { SessionStatement::Opaque(verb) } else { statement })
}

fn statement(mut cursor: Cursor<'_>, verb: Verb) -> Option<SessionStatement> {
    let parsed = match verb {
        Verb::Set => set::parse(&mut cursor),
        Verb::Use => cursor.skip().name().map(SessionStatement::Use),
        Verb::Begin | Verb::Start => transaction::begin(&mut cursor),
        Verb::Commit => transaction::commit(&mut cursor),
        Verb::Rollback => transaction::rollback(&mut cursor),
        Verb::Savepoint => cursor.skip().name().map(SessionStatement::Savepoint),
        Verb::Release => {
            cursor.skip().word("savepoint").then(|| cursor.name()).flatten().map(SessionStatement::ReleaseSavepoint)
        }
        Verb::Show => show::parse(&mut cursor),
        Verb::Explain => describe::parse(&mut cursor),
        Verb::Analyze => return describe::analyze(&mut cursor),
        Verb::Kill => kill(&mut cursor),
        Verb::Prepare => prepare(&mut cursor),
        Verb::Execute => execute(&mut cursor),
        Verb::Deallocate => deallocate(&mut cursor),
        Verb::Drop if cursor.clone().skip().word("prepare") => deallocate(&mut cursor),
        Verb::Lock => lock_tables(&mut cursor),
        Verb::Unlock => {
            (cursor.skip().word("tables") || cursor.word("table")).then_some(SessionStatement::UnlockTables)
        }
        Verb::Load => load_data(&mut cursor),
        Verb::Xa => return Some(SessionStatement::Xa),
        Verb::Flush
        | Verb::Reset
        | Verb::Purge
        | Verb::Change
        | Verb::Stop
        | Verb::Shutdown
        | Verb::Restart
        | Verb::Binlog
        | Verb::Install
        | Verb::Uninstall
        | Verb::Cache
        | Verb::Backup
        | Verb::Clone => return Some(SessionStatement::Administration(verb)),
        _ => return None,
    };
    match parsed {
        Some(statement) if cursor.at_end() => Some(statement),
        _ => Some(SessionStatement::Opaque(verb)),
    }
}

/// A text that is nothing but `/*!80000 … */` or `/*M!100100 … */`.
fn versioned_comment(cursor: &Cursor<'_>, sql: &[u8]) -> Option<SessionStatement> {
    let token = cursor.only_token().filter(|token| token.kind == TokenKind::UnsureComment)?;
    let text = token.bytes(sql);
    let mariadb_only = text.starts_with(b"/*M!");
    let opening = if mariadb_only { 4 } else { 3 };
    let digits = text.get(opening..)?.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    // fewer than five are a part of the statement
    let digits = if digits < 5 { 0 } else { digits };
    let from = std::str::from_utf8(&text[opening..opening + digits]).ok()?.parse().unwrap_or(0);
    let start = token.start + opening + digits;
    let content = start..token.end.saturating_sub(2).max(start);
    Some(SessionStatement::Versioned { versions: Versions { from, mariadb_only }, content })
}

/// Which servers execute the code in a comment (*Comment Syntax* in the manuals of both).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The first version, as 80012 or 101119; 0 for all.
    pub from: u32,
    /// `/*M!`: a comment to MySQL.
    pub mariadb_only: bool,
}

impl Versions {
    /// Versions of MySQL that MariaDB takes for comments: they mean features that it lacks.
    const COMMENTS_TO_MARIADB: std::ops::RangeInclusive<u32> = 50_700..=99_999;

    /// Whether a server executes it.
    pub fn include(self, server: u32, is_mariadb: bool) -> bool {
        let is_comment = if is_mariadb { Self::COMMENTS_TO_MARIADB.contains(&self.from) } else { self.mariadb_only };
        !is_comment && self.from <= server
    }
}

/// `KILL [HARD | SOFT] [CONNECTION | QUERY] id`
fn kill(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor.skip();
    let _ = cursor.word("hard") || cursor.word("soft");
    let query = cursor.word("query");
    if !query {
        cursor.word("connection");
    }
    let mut ahead = cursor.clone();
    if let Some(connection_id) = ahead.integer().filter(|_| ahead.at_end()) {
        *cursor = ahead;
        return Some(SessionStatement::Kill(Kill { query, connection_id }));
    }
    Some(SessionStatement::KillExpression { query, connection_id: cursor.expression()? })
}

/// `PREPARE name FROM 'text' | @variable`
fn prepare(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    let name = cursor.skip().name()?.text.to_lowercase();
    if !cursor.word("from") {
        return None;
    }
    let source = prepare_source(cursor)?;
    Some(SessionStatement::Prepare { name, source })
}

fn prepare_source(cursor: &mut Cursor<'_>) -> Option<PrepareSource> {
    let mut ahead = cursor.clone();
    let simple = match ahead.peek_kind() {
        Some(TokenKind::UserVariable) => ahead.user_variable().map(PrepareSource::Variable),
        Some(TokenKind::String) => ahead.string().map(PrepareSource::Text),
        _ => None,
    };
    if let Some(source) = simple.filter(|_| ahead.at_end() || ahead.peek_word("using")) {
        *cursor = ahead;
        return Some(source);
    }
    cursor.expression_until(&["using"]).map(PrepareSource::Expression)
}

/// `EXECUTE name [USING a, b]`, `EXECUTE IMMEDIATE 'text' [USING a, b]`
fn execute(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    if cursor.skip().clone().word("immediate") && cursor.remaining() > 1 {
        cursor.word("immediate");
        let source = prepare_source(cursor)?;
        return Some(SessionStatement::ExecuteImmediate { source, using: arguments(cursor)? });
    }
    let name = cursor.name()?.text.to_lowercase();
    Some(SessionStatement::Execute { name, using: arguments(cursor)? })
}

/// `[USING a, b]`
fn arguments(cursor: &mut Cursor<'_>) -> Option<Vec<Argument>> {
    let mut using = Vec::new();
    if cursor.word("using") {
        loop {
            using.push(cursor.expression()?);
            if !cursor.symbol(b',') {
                break;
            }
        }
    }
    Some(using)
}

/// `{DEALLOCATE | DROP} PREPARE name`
fn deallocate(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor
        .skip()
        .word("prepare")
        .then(|| cursor.name())
        .flatten()
        .map(|name| SessionStatement::Deallocate(name.text.to_lowercase()))
}

/// `LOCK TABLES t [[AS] alias] READ [LOCAL] | [LOW_PRIORITY] WRITE, …`
fn lock_tables(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    if !(cursor.skip().word("tables") || cursor.word("table")) {
        return None;
    }
    let mut tables = Vec::new();
    loop {
        let table = cursor.table_name()?;
        let is_lock = |cursor: &Cursor<'_>| ["read", "write", "low_priority"].iter().any(|word| cursor.peek_word(word));
        let alias = if cursor.word("as") || !is_lock(cursor) { Some(cursor.name()?) } else { None };
        let write = !cursor.word("read");
        if write {
            cursor.word("low_priority");
            if !cursor.word("write") {
                return None;
            }
            cursor.word("concurrent");
        } else {
            cursor.word("local");
        }
        tables.push(LockTable { table, alias, write });
        if !cursor.symbol(b',') {
            break;
        }
    }
    // MariaDB: WAIT n, NOWAIT
    if cursor.word("wait") {
        cursor.integer()?;
    } else {
        cursor.word("nowait");
    }
    Some(SessionStatement::LockTables(tables))
}

/// `LOAD {DATA | XML} [LOW_PRIORITY | CONCURRENT] [LOCAL] INFILE 'file' [REPLACE | IGNORE] INTO TABLE t …`
fn load_data(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    if !(cursor.skip().word("data") || cursor.word("xml")) {
        return None;
    }
    let _ = cursor.word("low_priority") || cursor.word("concurrent");
    let local = cursor.word("local");
    if !cursor.word("infile") {
        return None;
    }
    cursor.string()?;
    let _ = cursor.word("replace") || cursor.word("ignore");
    if !(cursor.word("into") && cursor.word("table")) {
        return None;
    }
    let table = cursor.table_name()?;
    cursor.rest();
    Some(SessionStatement::LoadData { local, table })
}

#[cfg(test)]
#[path = "../session_statement_tests.rs"]
mod tests;
