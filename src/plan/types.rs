//! What a plan tells the session, and what it gives for one execution.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::shape::SessionValue;
use crate::config::GroupId;
use crate::id::KeyMaker;
use crate::merge::MergeSpec;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// Gives rows: SELECT, SHOW, DESCRIBE, …
    Select,
    /// INSERT and REPLACE.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// CREATE, ALTER, DROP, TRUNCATE, RENAME.
    Ddl,
    /// ANALYZE, CHECK, OPTIMIZE, REPAIR, CHECKSUM of tables that the rules place.
    Maintenance,
    /// CALL, DO and what else there is.
    Other,
}

/// Which server of a group may run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only reads: a replica may do.
    Read,
    /// Reads, and locks what it reads, or has an effect on the session: the primary.
    LockingRead,
    /// Changes rows: the primary.
    Write,
    /// Changes tables; commits the running transaction.
    Ddl,
}

/// What a statement leaves behind on its connection, so that this must stay with the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pins {
    /// `GET_LOCK` and its kin.
    pub named_lock: bool,
    /// `CREATE TEMPORARY TABLE`, `DROP TEMPORARY TABLE`.
    pub temporary_table: bool,
    /// `DROP TABLE`, `DROP TEMPORARY TABLE`: of a name that has a temporary table, it is that one.
    pub drops_tables: bool,
    /// It reads or sets user variables.
    pub user_variables: bool,
    /// `SQL_CALC_FOUND_ROWS`: `FOUND_ROWS()` will be asked on it.
    pub found_rows: bool,
    /// It sets what `LAST_INSERT_ID()` gives: `LAST_INSERT_ID(x)`, CALL.
    pub insert_id: bool,
    /// Anything else that is not known to leave nothing behind: CALL, stored functions, LAST_INSERT_ID(x).
    pub unknown: bool,
}

impl Pins {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self.named_lock || self.temporary_table || self.user_variables || self.found_rows || self.unknown
    }
}

/// What the session must do so that the shards give one server's answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// `NOW()` must be the same on all shards: bind `timestamp` when there are several.
    pub timestamp: bool,
    /// Rows that are written may take the time by themselves (defaults, ON UPDATE): the same holds for them.
    pub row_times: bool,
}

/// A hint comment on which server of the group is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerHint {
    /// `/* shardloom: primary */`.
    Primary,
    /// `/* shardloom: replica */`: a replica, even where the session would take the primary.
    Replica,
}

/// A literal that the planner looked at: the plan holds only for texts that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedLiteral {
    /// Its index among the literals of the digest.
    pub index: usize,
    /// Its bytes as written.
    pub text: Box<[u8]>,
}

/// A logical table that a statement names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogicalTable {
    /// Its schema.
    pub schema: Arc<str>,
    /// Its name.
    pub table: Arc<str>,
}

/// The values of the session that a statement reads, as SQL text.
pub trait SessionValues {
    /// Whether a write that meets a wrong value fails (`sql_mode`).
    fn is_strict(&self) -> bool {
        true
    }

    /// Whether the rows of an INSERT are those of a query, or one by one evaluated.
    fn writes_read_rows(&self) -> bool {
        false
    }

    /// The text of a value; `None` leaves the call to the server.
    fn value(&self, what: &SessionValue) -> Option<String>;

    /// Whether the user may see a logical schema.
    fn may_use(&self, _schema: &str) -> bool {
        true
    }
}

/// A session that knows nothing: every call is left to the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSession;

impl SessionValues for NoSession {
    fn value(&self, _: &SessionValue) -> Option<String> {
        None
    }
}

/// Physical names back to logical ones, for the metadata of results and the texts of errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap {
    /// One entry for each physical table whose name or schema differs from the logical one.
    pub entries: Vec<NameEntry>,
    /// The views that the statement reads through derived tables.
    pub views: Vec<ViewName>,
}

/// A view that a derived table stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewName {
    /// The name by which its columns are qualified.
    pub visible: Arc<str>,
    /// Its name.
    pub view: Arc<str>,
    /// How its columns are labelled.
    pub labels: ViewLabels,
}

/// How a server labels the columns of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewLabels {
    /// A view of `information_schema`.
    System {
        /// Names of tables have room for a prefix, as in MariaDB's SHOW TABLES.
        prefixed_names: bool,
    },
    /// MySQL, of a view whose query it merges into the statement: all columns are of the view.
    Merged,
    /// MySQL, of a view of this schema whose rows it makes a table of: columns that are no table's are of the view.
    Made(Arc<str>),
}

/// One physical table and its logical names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameEntry {
    /// Physical schema.
    pub physical_schema: Arc<str>,
    /// Physical table.
    pub physical_table: Arc<str>,
    /// Logical schema.
    pub schema: Arc<str>,
    /// Logical table.
    pub table: Arc<str>,
}

impl NameMap {
    /// The logical schema and table of a physical table; `None` if its names are the logical ones. Of a table behind a
    /// derived one the servers do not say the schema.
    pub fn logical(&self, schema: &str, table: &str) -> Option<(&Arc<str>, &Arc<str>)> {
        let is_in = |entry: &NameEntry| schema.is_empty() || *entry.physical_schema == *schema;
        let found = self.entries.iter().find(|entry| *entry.physical_table == *table && is_in(entry));
        found.map(|entry| (&entry.schema, &entry.table))
    }
}

/// A statement made ready for one execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bound {
    /// What to send where; never empty. Of one group there may be several.
    pub shards: Vec<ShardStatement>,
    /// How several shards' rows become one result. `None`: there is one shard, or there are no rows
    /// (affected rows are added up).
    pub merge: Option<Arc<MergeSpec>>,
    /// How many columns the shards must send for `merge` to be right; other numbers mean that the catalog is stale.
    pub expected_columns: Option<usize>,
    /// The first generated key, to be reported as the insert id.
    pub insert_id: Option<u64>,
    /// Where some rows may be left out as duplicates: for each of `shards` the question which of its generated keys was
    /// inserted first.
    pub first_inserted: Vec<String>,
    /// The greatest key that the statement gives itself where a generator counts: it must not be given again.
    pub given_key: Option<(Arc<KeyMaker>, u64)>,
    /// The servers report an insert id that the statement gave itself: LAST_INSERT_ID() stays what it was.
    pub keeps_last_insert_id: bool,
    /// What a server would report as the insert id is not [`insert_id`](Self::insert_id): the proxy answers itself.
    pub answers_insert_id: bool,
    /// How the server's report tells whether the row with the generated key was inserted.
    pub told: Told,
    /// A row of an INSERT that changes nothing is a duplicate that was left out.
    pub unchanged_is_duplicate: bool,
    /// Columns for which a row of an INSERT says DEFAULT.
    pub defaulted: Arc<[Box<str>]>,
    /// Affected rows are those of one shard, not their sum: each shard changed the same rows (broadcast tables).
    pub same_rows: bool,
    /// Cells of the rows hold physical names too (`SHOW CREATE TABLE`): they are restored as in metadata.
    pub names_in_rows: bool,
    /// What LIMIT leaves out before the first row.
    pub skipped: Skipped,
    /// It runs over temporary tables on one server; then `shards` is empty.
    pub scratch: Option<Box<ScratchBound>>,
}

/// The rows that LIMIT leaves out before the first one of an answer: FOUND_ROWS() counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The offset of LIMIT.
    pub offset: u64,
    /// LIMIT cuts a set operation, whose rows servers count each in their own way.
    pub of_set_operation: bool,
}

impl Skipped {
    /// What FOUND_ROWS() gives after so many rows; nothing where only the server knows.
    pub fn found(self, rows: u64) -> Option<u64> {
        let is_known = !self.of_set_operation && (rows > 0 || self.offset == 0);
        is_known.then(|| rows.saturating_add(self.offset))
    }
}

/// A query over temporary tables, made ready for one execution.
#[derive(Debug, Clone, PartialEq)]
pub struct ScratchBound {
    /// What the shards cannot do.
    pub reason: String,
    /// What is brought into temporary tables: one for each table reference.
    pub reads: Vec<ScratchRead>,
    /// The client's statement over those.
    pub sql: Text,
    /// Its parameters.
    pub params: Params,
    /// It gives rows: it is no SELECT … INTO, and no DO.
    pub gives_rows: bool,
    /// A name of WITH is read in several places, which needs copies where a temporary table opens but once.
    pub reads_again: bool,
    /// Views are among [`reads`](Self::reads): where a column of one is a literal, a server compares it as such, and a
    /// temporary table's as a column.
    pub reads_views: bool,
    /// The views that it reads through derived tables.
    pub views: Vec<ViewName>,
    /// Where it may run; never empty.
    pub places: Vec<ScratchPlace>,
    /// The cheaper way: only groups are brought there, not rows.
    pub combine: Option<CombineBound>,
}

/// A grouped query whose partial groups are put together on a scratch server, made ready for one execution. Parameters are
/// literals in all of its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct CombineBound {
    /// What gives the partial groups.
    pub shards: Vec<ShardStatement>,
    /// The temporary table that those go into.
    pub parts: &'static str,
    /// Makes it, out of the empty temporary tables of [`ScratchBound::reads`].
    pub create_parts: Bytes,
    /// Makes the table of whole groups, in the same way.
    pub create_groups: Bytes,
    /// Fills that one from the parts.
    pub whole: Bytes,
    /// The client's statement over it.
    pub sql: Bytes,
}

/// A place for temporary tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchPlace {
    /// The group; none for a server that is there for this alone.
    pub group: Option<GroupId>,
    /// The physical schema that the connection must be in.
    pub schema: Arc<str>,
    /// What EXPLAIN ROUTE calls it.
    pub label: Arc<str>,
}

/// A table reference whose rows are brought into a temporary table.
#[derive(Debug, Clone, PartialEq)]
pub struct ScratchRead {
    /// The temporary table.
    pub table: Arc<ScratchTable>,
    /// The logical schema of the reference.
    pub schema: Arc<str>,
    /// The logical table.
    pub name: Arc<str>,
    /// The name by which the statement knows it.
    pub visible: Arc<str>,
    /// What is read, and where; without `lock`.
    pub shards: Vec<ShardStatement>,
    /// The statements have a WHERE.
    pub filtered: bool,
    /// The share of rows that it is guessed to leave.
    pub share: f64,
    /// What locks the rows: ` FOR UPDATE` and its kin, at the end of each statement.
    pub lock: &'static str,
    /// Its rows matter only where they have values that other reads have.
    pub links: Vec<ScratchLink>,
}

/// An equality between columns of two reads: of the one, only rows matter whose column has a value that stands in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchLink {
    /// The column.
    pub column: Box<str>,
    /// The other read.
    pub other: usize,
    /// The column there.
    pub other_column: Box<str>,
    /// How its values are written.
    pub values: LinkValues,
}

/// How the values of a column are written into a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkValues {
    /// As they are.
    Numbers,
    /// As string literals that need no escapes.
    Dates,
    /// As UTF-8.
    Texts,
}

/// A temporary table that stands for a table reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchTable {
    /// Its name.
    pub name: Box<str>,
    /// What makes it.
    pub create: Box<str>,
    /// What makes it without a primary key: for rows that several shards have under one key.
    pub create_without_unique: Box<str>,
    /// The columns of its primary key; empty without one.
    pub primary_key: Vec<Box<str>>,
    /// The select list that reads its rows.
    pub select: Box<str>,
    /// The names of its columns; empty where only the number of rows matters.
    pub columns: Vec<Box<str>>,
    /// How the cells of a row are written, in order.
    pub cells: Vec<CellText>,
    /// Moments are read and written in UTC: in the session's time zone an hour may come twice.
    pub has_timestamp: bool,
    /// Its rows cannot be lines of a file: the number of an ENUM would be taken for its text, or a server would not take
    /// the bytes.
    pub needs_insert: bool,
}

/// How a cell of a text row is written into an INSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellText {
    /// As it is: a number.
    Plain,
    /// As a string literal.
    Quoted,
    /// As a literal of bytes, which a text column takes as they are.
    Bytes,
}

impl Bound {
    /// What LAST_INSERT_ID() becomes.
    pub fn last_insert_id(&self) -> LastInsertId {
        match self.insert_id {
            Some(id) => LastInsertId::Generated(id),
            None if self.keeps_last_insert_id => LastInsertId::Kept,
            None => LastInsertId::AsReported,
        }
    }

    /// The same, where the server's report tells whether the row was there already.
    pub fn last_insert_id_after(&self, reported: u64) -> LastInsertId {
        match (self.told, self.insert_id) {
            (Told::Number { .. }, Some(id)) if id == reported => LastInsertId::Generated(id),
            (Told::Number { sets: false }, Some(_)) => LastInsertId::Kept,
            (Told::Number { sets: true }, Some(_)) => LastInsertId::AsReported,
            (Told::Set, Some(_)) if reported != 0 => LastInsertId::AsReported,
            _ => self.last_insert_id(),
        }
    }
}

/// How a server's report of one row with ON DUPLICATE KEY UPDATE tells whether the generated key was inserted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Told {
    /// It does not.
    #[default]
    Never,
    /// Its AUTO_INCREMENT column is reported: this key if it was inserted, another if not.
    Number {
        /// A row that is there sets LAST_INSERT_ID().
        sets: bool,
    },
    /// The key is no AUTO_INCREMENT column: only a row that is there reports something, by LAST_INSERT_ID(key).
    Set,
}

/// What LAST_INSERT_ID() becomes after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastInsertId {
    /// The first key that the proxy made.
    Generated(u64),
    /// What the server reports, unless it reports none.
    AsReported,
    /// What it was.
    Kept,
}

/// What one data node gets.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardStatement {
    /// What EXPLAIN ROUTE calls the node: `g0.shop.orders_1`.
    pub node: Arc<str>,
    /// The group.
    pub group: GroupId,
    /// The physical schema that the connection must be in; `None` if it does not matter.
    pub schema: Option<Arc<str>>,
    /// The statement.
    pub sql: Text,
    /// Its parameters.
    pub params: Params,
    /// What to rename in metadata and errors.
    pub names: Option<Arc<NameMap>>,
    /// The numbers that its rows have in the client's INSERT, from 1; none where it has them all, or is no INSERT.
    pub rows: Option<Arc<[u32]>>,
}

/// The text of a statement for a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// The client's own bytes.
    Same,
    /// Other ones.
    Rewritten(Bytes),
}

impl Text {
    /// The bytes, given the client's.
    pub fn bytes<'a>(&'a self, sql: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Same => sql,
            Self::Rewritten(bytes) => bytes,
        }
    }
}

/// The parameters of a statement for a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Params {
    /// The client's own.
    Same,
    /// These, in order.
    List(Vec<ParamSource>),
}

/// Where a parameter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamSource {
    /// The client's parameter of this number, counted from 0.
    Param(u32),
    /// A number that the proxy computed.
    Const(u64),
}

impl fmt::Display for StatementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Ddl => "ddl",
            Self::Maintenance => "maintenance",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::LockingRead => "locking read",
            Self::Write => "write",
            Self::Ddl => "ddl",
        })
    }
}
