//! What a statement consists of: its query blocks, the tables that they name, and what is known of their rows.
//!
//! The shape is the planner's own view of the syntax tree: every table reference at any depth is in it, every column
//! that could be told apart, every equality and comparison that holds for the rows that matter. Where the tree says
//! something that is not understood, the shape knows *less* (a missing condition reaches more shards), never more.

mod aggregates;
mod between;
mod builder;
mod columns;
mod facts;
mod from;
mod lists;
mod merged;
mod outside;
mod usable;
mod walk;
mod with;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use builder::{Builder, Position};
pub(crate) use facts::{Comparison, Fact, bare};
pub(in crate::plan) use from::{name_range, split_name};
pub(crate) use merged::{is_cut, is_row_by_row, keeps_rows};
pub(crate) use usable::{Classes, Reader};
pub(crate) use walk::{has_query, is_aggregated, is_constant, is_default_of, names_in};

use super::exact::Number;
use super::functions::SessionFunction;
use super::place::Place;
use crate::catalog::TableInfo;
use lists::ConstantList;

/// A table reference, as an index into [`Shape::refs`].
pub(crate) type RefId = usize;
/// A query block, as an index into [`Shape::blocks`].
pub(crate) type BlockId = usize;
/// An outer join, as an index into [`Shape::joins`].
pub(crate) type JoinId = usize;
/// A column of a reference, as an index into [`Shape::columns`].
pub(crate) type ColumnId = usize;

/// The planner's view of a statement.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// All table references of all blocks.
    pub refs: Vec<TableRef>,
    /// All query blocks; a block comes before the blocks inside it, but for those of WITH.
    pub blocks: Vec<Block>,
    /// Names of columns, interned per reference.
    pub columns: Vec<Column>,
    /// How many outer joins there are.
    pub joins: usize,
    /// Names of columns that are qualified by a table: what a rewrite must follow.
    pub qualifiers: Vec<Qualifier>,
    /// Calls whose value belongs to the client's session.
    pub session_values: Vec<SessionCall>,
    /// Lists of constants that columns are compared with.
    pub lists: Vec<ConstantList>,
    /// What was met on the way.
    pub met: Met,
}

/// Things that decide where a statement may run, wherever in it they stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met {
    /// `NOW()` and its kin.
    pub statement_time: bool,
    /// `RAND()`, `UUID()`: the first one's name.
    pub random: Option<String>,
    /// `RAND()` and its kin elsewhere than as a whole item of the select list.
    pub random_in_condition: Option<String>,
    /// `GET_LOCK` and its kin.
    pub lock_function: bool,
    /// `SLEEP`, `NEXTVAL`, `LAST_INSERT_ID(x)`: the first one's name.
    pub effect: Option<String>,
    /// One of those leaves something on the connection: `SETVAL`, `LAST_INSERT_ID(x)`.
    pub leaves_state: bool,
    /// `LAST_INSERT_ID(x)`.
    pub sets_insert_id: bool,
    /// Something that only one server can do, and that the tree does not tell: its name.
    pub only_one_shard: Option<&'static str>,
    /// A function that is not the server's own: the first one's name.
    pub unknown_function: Option<String>,
    /// `@x`.
    pub user_variable: bool,
    /// `@x := …`.
    pub assigns_variable: bool,
    /// `FOR UPDATE`, `FOR SHARE`, `LOCK IN SHARE MODE`.
    pub locking: bool,
    /// `DEFAULT(column)`.
    pub column_default: bool,
    /// An aggregate in a subquery that is one of a query around it.
    pub outer_aggregate: bool,
    /// `SQL_CALC_FOUND_ROWS`.
    pub calc_found_rows: bool,
    /// `SELECT … INTO`.
    pub into: bool,
}

/// A table as it is named in FROM, UPDATE, DELETE or INSERT.
#[derive(Debug)]
pub(crate) struct TableRef {
    /// The schema as written.
    pub schema: Option<String>,
    /// The table's name as written.
    pub name: String,
    /// The alias as written.
    pub alias: Option<String>,
    /// The bytes of the name, with its schema.
    pub range: Range<usize>,
    /// The block whose FROM it stands in.
    pub block: BlockId,
    /// The item of a select list without alias whose subquery it stands in: the item's text names its column.
    pub item: Option<Range<usize>>,
    /// The outer joins that may put NULLs in place of its rows.
    pub nullable_by: Vec<JoinId>,
    /// What it is.
    pub kind: RefKind,
    /// All of its columns are used, named or not: by a `*` or by NATURAL JOIN.
    pub all_columns: bool,
}

impl TableRef {
    /// The name by which columns are qualified.
    pub fn visible_name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// What a name in FROM stands for.
#[derive(Debug)]
pub(crate) enum RefKind {
    /// A table, and where it is; its columns if the catalog has them.
    Table {
        /// Where it is.
        place: Place,
        /// Its columns.
        info: Option<Arc<TableInfo>>,
    },
    /// A query in FROM, or one of WITH that is read here and nowhere else.
    Derived(BlockId),
    /// Another name that WITH defines: its columns are not followed.
    Cte,
    /// JSON_TABLE and its kin.
    Function,
}

/// A query block: one SELECT, or a set operation over several.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// The block around it, and where in that it stands.
    pub parent: Option<(BlockId, Position)>,
    /// Where its SELECT stands in the text; not for a set operation.
    pub select_at: Option<usize>,
    /// It stands in the select list of a block around it, or after that one's WHERE.
    pub in_tail: bool,
    /// The references of its own FROM.
    pub refs: Vec<RefId>,
    /// What holds for its rows.
    pub filters: Vec<Filter>,
    /// What it gives to the block around it, where it is a derived table; `None` for what is not followed.
    pub outputs: Option<Vec<Output>>,
    /// Columns that NATURAL or USING joined: unqualified, they stand for the side given here.
    pub joined_columns: Vec<(String, RefId)>,
    /// NATURAL or USING joined columns that could not be told: unqualified names and `*` are not understood.
    pub natural_unseen: bool,
    /// It is UNION, INTERSECT, EXCEPT or VALUES.
    pub set_operation: bool,
    /// It has aggregates and no GROUP BY: always one row.
    pub implicit_group: bool,
    /// It has GROUP BY or DISTINCT.
    pub grouped: bool,
    /// It has GROUP BY.
    pub has_group_keys: bool,
    /// It has DISTINCT.
    pub distinct: bool,
    /// WITH ROLLUP and the like.
    pub rollup: bool,
    /// It has LIMIT.
    pub limited: bool,
    /// It has window functions.
    pub windowed: bool,
    /// Columns that GROUP BY or DISTINCT tells apart.
    pub group_columns: Vec<ColumnId>,
}

/// A column that a derived table shows.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Its name in lower case.
    pub name: String,
    /// The column that it shows unchanged.
    pub column: Option<ColumnId>,
    /// It is surely a number.
    pub is_number: bool,
    /// What kind of number, if that is known.
    pub number: Option<Number>,
}

/// A condition of a block.
#[derive(Debug)]
pub(crate) struct Filter {
    /// What holds.
    pub fact: Fact,
    /// The outer joins that only guarantee it for rows which they did not fill with NULLs.
    pub guards: Vec<JoinId>,
    /// It was taken over from a derived table.
    pub from_derived: Option<RefId>,
}

/// A column of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Whose.
    pub table: RefId,
    /// Its name in lower case.
    pub name: String,
}

/// A qualified name of a column (or `t.*`), whose qualifier a rewrite may have to change.
#[derive(Debug, Clone)]
pub(crate) struct Qualifier {
    /// The bytes of the qualifier, without the last dot.
    pub range: Range<usize>,
    /// The reference that it names.
    pub table: RefId,
    /// The schema, if it is part of it.
    pub schema: Option<String>,
}

/// A call of a session function, or a system variable, in an expression.
#[derive(Debug, Clone)]
pub(crate) struct SessionCall {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it is.
    pub what: SessionValue,
    /// The item of a select list without alias that it stands in.
    pub item: Option<Range<usize>>,
}

/// A value of the client's session that a statement reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionValue {
    /// A function.
    Function(SessionFunction),
    /// `@@name`, `@@session.name`, `@@global.name`.
    Variable {
        /// `@@global.`.
        global: bool,
        /// In lower case.
        name: String,
    },
}

impl Shape {
    /// The interned column.
    pub fn column(&mut self, table: RefId, name: &str) -> ColumnId {
        let name = name.to_lowercase();
        let found = self.columns.iter().position(|column| column.table == table && column.name == name);
        found.unwrap_or_else(|| {
            self.columns.push(Column { table, name });
            self.columns.len() - 1
        })
    }

    /// The interned column, if anything in the statement named it.
    pub fn find_column(&self, table: RefId, name: &str) -> Option<ColumnId> {
        self.columns.iter().position(|column| column.table == table && column.name.eq_ignore_ascii_case(name))
    }
}
