//! Statements that define or maintain tables.
//!
//! Their grammar is wide and differs between servers and versions, but what a proxy needs of it is little: what is
//! done, to which tables, where those names stand, and which columns are touched. So they have a parser of their own,
//! which steps over everything else; the text is what reaches the servers.

use super::cursor::Cursor;
use super::digest::Verb;
use super::lexer::{LexMode, TokenKind};
use super::names::{Name, TableName};
use std::ops::Range;

/// What a definition does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DdlKind {
    /// `CREATE TABLE`.
    CreateTable {
        /// `TEMPORARY`: of this connection only.
        temporary: bool,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE` (MariaDB).
        or_replace: bool,
        /// `… AS SELECT`: where the query stands.
        query: Option<Range<usize>>,
    },
    /// `ALTER TABLE`.
    AlterTable,
    /// `DROP TABLE`.
    DropTable {
        /// `TEMPORARY`.
        temporary: bool,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `TRUNCATE TABLE`.
    Truncate,
    /// `RENAME TABLE`: the tables are old, new, old, new, ….
    RenameTable,
    /// `CREATE INDEX`.
    CreateIndex,
    /// `DROP INDEX`.
    DropIndex,
    /// `CREATE VIEW` and `ALTER VIEW`: where the query stands.
    DefineView(Range<usize>),
    /// `DROP VIEW`.
    DropView,
    /// `CREATE DATABASE`.
    CreateDatabase(Name),
    /// `ALTER DATABASE`.
    AlterDatabase,
    /// `DROP DATABASE`.
    DropDatabase(Name),
    /// `CREATE TRIGGER`; the table is the one it belongs to.
    CreateTrigger,
    /// `CREATE`, `ALTER` or `DROP` of a procedure, function, event, package; `DROP TRIGGER`.
    Program,
    /// `ANALYZE`, `OPTIMIZE`, `CHECK`, `CHECKSUM`, `REPAIR TABLE`: they answer with rows.
    Maintenance(Verb),
    /// Anything else that is created, altered or dropped: users, servers, sequences, tablespaces, ….
    Other,
}

/// What a table is to a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is what is defined, changed or dropped.
    Target,
    /// The new name of the table before it.
    NewName,
    /// `LIKE`: the model.
    Model,
    /// `REFERENCES`: a foreign key points to it.
    Referenced,
    /// `UNION = (…)` of a MERGE table, `EXCHANGE PARTITION … WITH TABLE`.
    Other,
}

/// A table in a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdlTable {
    /// Its name.
    pub name: TableName,
    /// What it is to the statement.
    pub role: Role,
}

/// What happens to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnChange {
    /// It is defined by `CREATE TABLE` or added.
    Added,
    /// `DROP COLUMN`.
    Dropped,
    /// `MODIFY`, `CHANGE`: type or name may change.
    Changed,
    /// `RENAME COLUMN`.
    Renamed,
}

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ddl {
    /// What is done.
    pub kind: DdlKind,
    /// The tables named, in order.
    pub tables: Vec<DdlTable>,
    /// The columns named as such, in order.
    pub columns: Vec<(ColumnChange, Name)>,
    /// The names behind `CONSTRAINT`: a server may want them unique in a schema.
    pub constraints: Vec<Name>,
    /// The columns of each primary or unique key that is defined, in small letters. Those over expressions are left out.
    pub unique_keys: Vec<Vec<String>>,
    /// The foreign keys that are defined.
    pub foreign_keys: Vec<ForeignKey>,
    /// A column is AUTO_INCREMENT.
    pub numbers_column: bool,
    /// The table's option AUTO_INCREMENT: the number that the next row is to get.
    pub next_number: Option<u64>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its columns, in small letters.
    pub columns: Vec<String>,
    /// The table that it points to.
    pub table: TableName,
    /// The columns there, in small letters.
    pub referenced: Vec<String>,
}

impl Ddl {
    fn new(kind: DdlKind) -> Self {
        Self {
            kind,
            tables: Vec::new(),
            columns: Vec::new(),
            constraints: Vec::new(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            numbers_column: false,
            next_number: None,
        }
    }

    fn with(mut self, role: Role, name: TableName) -> Self {
        self.tables.push(DdlTable { name, role });
        self
    }
}

/// Reads a definition; nothing if `sql` (one statement) is none, or is one that cannot be read.
pub fn parse(sql: &[u8], mode: LexMode) -> Option<Ddl> {
    let mut cursor = Cursor::new(sql, mode);
    let verb = cursor.verb();
    match verb {
        Verb::Create | Verb::Alter | Verb::Drop => definition(cursor.skip(), verb),
        Verb::Truncate => {
            cursor.skip().word("table");
            Some(Ddl::new(DdlKind::Truncate).with(Role::Target, cursor.table_name()?))
        }
        Verb::Rename => rename(cursor.skip()),
        Verb::Analyze | Verb::Optimize | Verb::Check | Verb::Checksum | Verb::Repair => {
            maintenance(cursor.skip(), verb)
        }
        _ => None,
    }
}

fn tables_word(cursor: &mut Cursor<'_>) -> bool {
    cursor.word("table") || cursor.word("tables")
}

fn if_exists(cursor: &mut Cursor<'_>) -> bool {
    cursor.words(&["if", "exists"])
}

fn if_not_exists(cursor: &mut Cursor<'_>) -> bool {
    cursor.words(&["if", "not", "exists"])
}

/// `a, b, c`, all of them targets.
fn targets(cursor: &mut Cursor<'_>, kind: DdlKind) -> Option<Ddl> {
    let mut ddl = Ddl::new(kind);
    loop {
        ddl = ddl.with(Role::Target, cursor.table_name()?);
        if !cursor.symbol(b',') {
            return Some(ddl);
        }
    }
}

fn maintenance(cursor: &mut Cursor<'_>, verb: Verb) -> Option<Ddl> {
    let _ = cursor.word("no_write_to_binlog") || cursor.word("local");
    if !tables_word(cursor) {
        return None;
    }
    targets(cursor, DdlKind::Maintenance(verb))
}

/// `RENAME TABLE [IF EXISTS] a [WAIT n | NOWAIT] TO b, …`
fn rename(cursor: &mut Cursor<'_>) -> Option<Ddl> {
    if !tables_word(cursor) {
        return cursor.peek_word("user").then(|| Ddl::new(DdlKind::Other));
    }
    if_exists(cursor);
    let mut ddl = Ddl::new(DdlKind::RenameTable);
    loop {
        ddl = ddl.with(Role::Target, cursor.table_name()?);
        wait(cursor);
        if !cursor.word("to") {
            return None;
        }
        ddl = ddl.with(Role::NewName, cursor.table_name()?);
        if !cursor.symbol(b',') {
            return Some(ddl);
        }
    }
}

/// MariaDB's `WAIT n` and `NOWAIT`.
fn wait(cursor: &mut Cursor<'_>) {
    if cursor.word("wait") {
        cursor.integer();
    } else {
        cursor.word("nowait");
    }
}

fn definition(cursor: &mut Cursor<'_>, verb: Verb) -> Option<Ddl> {
    let or_replace = cursor.words(&["or", "replace"]);
    let _ = cursor.word("online") || cursor.word("offline");
    cursor.word("ignore");
    let temporary = cursor.word("temporary");
    view_or_program_options(cursor);
    if tables_word(cursor) {
        return match verb {
            Verb::Create => create_table(cursor, temporary, or_replace),
            Verb::Alter => alter_table(cursor),
            _ => {
                let if_exists = if_exists(cursor);
                targets(cursor, DdlKind::DropTable { temporary, if_exists })
            }
        };
    }
    let unique = cursor.word("unique");
    let _ = cursor.word("fulltext") || cursor.word("spatial");
    if cursor.word("index") {
        return index(cursor, verb, unique);
    }
    if cursor.word("view") {
        return view(cursor, verb);
    }
    if cursor.word("database") || cursor.word("schema") {
        return database(cursor, verb);
    }
    let trigger = cursor.word("trigger");
    if trigger && verb == Verb::Create {
        return create_trigger(cursor);
    }
    cursor.word("aggregate");
    let program = ["procedure", "function", "event", "package"].iter().any(|word| cursor.word(word));
    Some(Ddl::new(if trigger || program { DdlKind::Program } else { DdlKind::Other }))
}

/// `ALGORITHM = x`, `DEFINER = user`, `SQL SECURITY x` in front of `VIEW`, `TRIGGER`, `PROCEDURE`, ….
fn view_or_program_options(cursor: &mut Cursor<'_>) {
    loop {
        if cursor.word("algorithm") {
            cursor.equals();
            cursor.name();
        } else if cursor.word("definer") {
            cursor.equals();
            let _ = cursor.name().is_some() || cursor.string().is_some();
            let _ = cursor.user_variable(); // @host
            if cursor.symbol(b'(') {
                cursor.symbol(b')');
            }
        } else if cursor.words(&["sql", "security"]) {
            cursor.name();
        } else {
            return;
        }
    }
}

fn index(cursor: &mut Cursor<'_>, verb: Verb, unique: bool) -> Option<Ddl> {
    let _ = if_exists(cursor) || if_not_exists(cursor);
    cursor.name()?;
    if cursor.word("using") || cursor.word("type") {
        cursor.name();
    }
    if !cursor.word("on") {
        return None;
    }
    let kind = if verb == Verb::Create { DdlKind::CreateIndex } else { DdlKind::DropIndex };
    let mut ddl = Ddl::new(kind).with(Role::Target, cursor.table_name()?);
    if unique {
        ddl.unique_keys.extend(key_columns(cursor));
    }
    Some(ddl)
}

fn view(cursor: &mut Cursor<'_>, verb: Verb) -> Option<Ddl> {
    let _ = if_exists(cursor) || if_not_exists(cursor);
    if verb == Verb::Drop {
        return targets(cursor, DdlKind::DropView);
    }
    let name = cursor.table_name()?;
    cursor.parentheses();
    if !cursor.word("as") {
        return None;
    }
    Some(Ddl::new(DdlKind::DefineView(cursor.rest())).with(Role::Target, name))
}

fn database(cursor: &mut Cursor<'_>, verb: Verb) -> Option<Ddl> {
    let _ = if_exists(cursor) || if_not_exists(cursor);
    Some(Ddl::new(match verb {
        Verb::Create => DdlKind::CreateDatabase(cursor.name()?),
        Verb::Drop => DdlKind::DropDatabase(cursor.name()?),
        _ => DdlKind::AlterDatabase,
    }))
}

/// `CREATE TRIGGER [IF NOT EXISTS] name {BEFORE | AFTER} event ON table …`
fn create_trigger(cursor: &mut Cursor<'_>) -> Option<Ddl> {
    while !cursor.word("on") {
        if cursor.at_end() {
            return None;
        }
        cursor.skip();
    }
    Some(Ddl::new(DdlKind::CreateTrigger).with(Role::Target, cursor.table_name()?))
}

fn create_table(cursor: &mut Cursor<'_>, temporary: bool, or_replace: bool) -> Option<Ddl> {
    let if_not_exists = if_not_exists(cursor);
    let target = cursor.table_name()?;
    let kind = DdlKind::CreateTable { temporary, if_not_exists, or_replace, query: None };
    let mut ddl = Ddl::new(kind).with(Role::Target, target);
    if begins_definitions(cursor) {
        definitions(cursor, &mut ddl)?;
    }
    let mut ahead = cursor.clone();
    if ahead.word("like") || (ahead.symbol(b'(') && ahead.word("like")) {
        return Some(ddl.with(Role::Model, ahead.table_name()?));
    }
    // table options, partitions, and a query at the end
    loop {
        if is_query(cursor) || cursor.word("as") {
            let range = cursor.rest();
            if let DdlKind::CreateTable { query, .. } = &mut ddl.kind {
                *query = Some(range);
            }
            return Some(ddl);
        }
        if cursor.at_end() {
            return Some(ddl);
        }
        if cursor.word("union") {
            cursor.equals();
            members(cursor, &mut ddl)?;
        } else if cursor.word("auto_increment") {
            cursor.equals();
            ddl.next_number = cursor.integer();
        } else if !cursor.parentheses() {
            cursor.skip();
        }
    }
}

/// `(a, b)`: the tables below a MERGE table.
fn members(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    if !cursor.symbol(b'(') {
        return Some(());
    }
    while let Some(name) = cursor.table_name() {
        ddl.tables.push(DdlTable { name, role: Role::Other });
        cursor.symbol(b',');
    }
    cursor.symbol(b')').then_some(())
}

/// Whether the `(` here holds columns, not `LIKE t` or a query.
fn begins_definitions(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.symbol(b'(') && !ahead.peek_word("like") && !is_query(&ahead)
}

fn is_query(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    while ahead.symbol(b'(') {}
    ahead.peek_word("select")
        || ahead.peek_word("with") && !ahead.clone().words(&["with", "system"])
        || ahead.peek_word("values")
        || ahead.peek_word("table")
}

/// The words that begin a part of a definition which is no column.
const NO_COLUMN: &[&str] = &[
    "primary",
    "unique",
    "key",
    "index",
    "fulltext",
    "spatial",
    "constraint",
    "foreign",
    "check",
    "period",
    "partition",
    "system",
    "vector",
];

/// The columns, keys and constraints of a `CREATE TABLE`, with their parentheses.
fn definitions(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    cursor.symbol(b'(');
    loop {
        element(cursor, ddl, ColumnChange::Added)?;
        if cursor.symbol(b')') {
            return Some(());
        }
        if !cursor.symbol(b',') {
            return None;
        }
    }
}

/// One column, key or constraint, up to the comma or parenthesis that ends it.
fn element(cursor: &mut Cursor<'_>, ddl: &mut Ddl, change: ColumnChange) -> Option<()> {
    let begin = cursor.clone();
    let quoted = cursor.peek_kind() == Some(TokenKind::QuotedName);
    if quoted || !NO_COLUMN.iter().any(|word| cursor.peek_word(word)) {
        ddl.columns.push((change, cursor.name()?));
    }
    let is_column = quoted || !NO_COLUMN.iter().any(|word| begin.peek_word(word));
    rest_of_element(cursor, ddl)?;
    note_keys(begin, cursor.remaining(), is_column, ddl);
    Some(())
}

/// Notes the keys that an element defines: from `cursor` until so many tokens are left.
fn note_keys(mut cursor: Cursor<'_>, remaining: usize, is_column: bool, ddl: &mut Ddl) {
    let column = if is_column { cursor.name().map(|name| name.text.to_lowercase()) } else { None };
    while cursor.remaining() > remaining {
        let unique = cursor.word("unique") || cursor.words(&["primary", "key"]);
        match &column {
            Some(column) if unique => {
                ddl.unique_keys.push(vec![column.clone()]);
                return;
            }
            Some(column) if cursor.word("references") => {
                let Some(table) = cursor.table_name() else { return };
                let referenced = key_columns(&mut cursor).unwrap_or_default();
                ddl.foreign_keys.push(ForeignKey { columns: vec![column.clone()], table, referenced });
                return;
            }
            None if unique => {
                while cursor.remaining() > remaining && !cursor.peek_symbol(b'(') {
                    cursor.skip();
                }
                ddl.unique_keys.extend(key_columns(&mut cursor));
                return;
            }
            None if cursor.words(&["foreign", "key"]) => {
                while cursor.remaining() > remaining && !cursor.peek_symbol(b'(') {
                    cursor.skip();
                }
                let Some(columns) = key_columns(&mut cursor) else { return };
                let table = if cursor.word("references") { cursor.table_name() } else { None };
                let Some(table) = table else { return };
                let referenced = key_columns(&mut cursor).unwrap_or_default();
                ddl.foreign_keys.push(ForeignKey { columns, table, referenced });
                return;
            }
            _ if cursor.parentheses() => {}
            _ => {
                cursor.skip();
            }
        }
    }
}

/// `(a, b(10), c DESC)`; nothing where it holds an expression.
fn key_columns(cursor: &mut Cursor<'_>) -> Option<Vec<String>> {
    if !cursor.symbol(b'(') {
        return None;
    }
    let mut columns = Vec::new();
    loop {
        columns.push(cursor.name()?.text.to_lowercase());
        cursor.parentheses();
        let _ = cursor.word("asc") || cursor.word("desc");
        if cursor.symbol(b')') {
            return Some(columns);
        }
        if !cursor.symbol(b',') {
            return None;
        }
    }
}

/// Steps to the end of an element, noting references and constraints.
fn rest_of_element(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    loop {
        if cursor.at_end() || cursor.peek_symbol(b',') || cursor.peek_symbol(b')') {
            return Some(());
        }
        if cursor.word("references") {
            ddl.tables.push(DdlTable { name: cursor.table_name()?, role: Role::Referenced });
        } else if cursor.word("constraint") {
            if !["foreign", "check", "primary", "unique"].iter().any(|word| cursor.peek_word(word)) {
                ddl.constraints.extend(cursor.name());
            }
        } else if cursor.word("auto_increment") {
            cursor.equals();
            match cursor.integer() {
                Some(next) => ddl.next_number = Some(next),
                None => ddl.numbers_column = true,
            }
        } else if !cursor.parentheses() {
            cursor.skip();
        }
    }
}

fn alter_table(cursor: &mut Cursor<'_>) -> Option<Ddl> {
    if_exists(cursor);
    let mut ddl = Ddl::new(DdlKind::AlterTable).with(Role::Target, cursor.table_name()?);
    wait(cursor);
    loop {
        alteration(cursor, &mut ddl)?;
        if cursor.at_end() {
            return Some(ddl);
        }
        if !cursor.symbol(b',') {
            return None;
        }
    }
}

/// One alteration, up to the comma that ends it.
fn alteration(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    if cursor.word("add") {
        cursor.word("column");
        if_not_exists(cursor);
        if cursor.peek_symbol(b'(') {
            definitions(cursor, ddl)?;
            return rest_of_element(cursor, ddl);
        }
        return element(cursor, ddl, ColumnChange::Added);
    }
    if cursor.word("drop") {
        let column = cursor.word("column");
        if_exists(cursor);
        let is_column = column || !NO_COLUMN.iter().any(|word| cursor.peek_word(word));
        if is_column {
            ddl.columns.push((ColumnChange::Dropped, cursor.name()?));
        }
    } else if cursor.word("modify") || cursor.word("change") {
        cursor.word("column");
        if_exists(cursor);
        ddl.columns.push((ColumnChange::Changed, cursor.name()?));
    } else if cursor.word("rename") {
        if cursor.word("column") {
            if_exists(cursor);
            ddl.columns.push((ColumnChange::Renamed, cursor.name()?));
        } else if !(cursor.peek_word("index") || cursor.peek_word("key")) {
            let _ = cursor.word("to") || cursor.word("as") || cursor.equals();
            ddl.tables.push(DdlTable { name: cursor.table_name()?, role: Role::NewName });
        }
    } else if cursor.words(&["exchange", "partition"]) {
        cursor.name()?;
        if !cursor.words(&["with", "table"]) {
            return None;
        }
        ddl.tables.push(DdlTable { name: cursor.table_name()?, role: Role::Other });
    } else if cursor.word("union") {
        cursor.equals();
        members(cursor, ddl)?;
    } else if cursor.words(&["order", "by"]) || cursor.words(&["drop", "partition"]) || cursor.peek_word("partition") {
        // lists of their own, with commas
        cursor.rest();
    }
    // ORDER BY a, b and DROP PARTITION a, b have commas that end nothing; what follows is no alteration then
    rest_of_element(cursor, ddl)
}

#[cfg(test)]
#[path = "ddl_tests.rs"]
mod tests;
