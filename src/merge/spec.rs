//! What is to be merged: the planner's description of the shards' rows and of the answer that they make.
//!
//! Columns are indexes into the rows *as the shards send them*. The shards' select list is the client's, followed by
//! `hidden_columns` that the planner added (weights, sums and counts); they are dropped from the answer.

use super::pad::Pad;

/// How the rows of several shards become one result.
///
/// What the planner must have made sure of:
/// - every shard's rows arrive sorted by `order` (the planner writes that ORDER BY, on the expressions themselves, into
///   the shards' statements). The merger checks it and fails with `OutOfOrder` rather than give a wrong answer;
/// - `group`: the first `group.len()` keys of `order` are the group keys, in any order;
/// - `distinct`: `order` holds every visible column;
/// - LIMIT on the shards, where there is one, is `limit + offset` with no offset, and is left out when the answer
///   needs `group`, `aggregates` or `distinct` (a cut partial group gives wrong sums; a cut after the *grouping*
///   by the same order is fine).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeSpec {
    /// The order in which each shard's rows arrive and in which the answer leaves. Empty: rows leave as they come.
    pub order: Vec<SortKey>,
    /// The GROUP BY keys; rows that are equal on them become one, which shows the first row's values.
    pub group: Vec<SortKey>,
    /// Columns whose value is computed over a group. Without `group`, all rows are one group: exactly one row leaves.
    pub aggregates: Vec<AggregateColumn>,
    /// Rows equal on all of `order` leave once.
    pub distinct: bool,
    /// At most this many rows leave.
    pub limit: Option<u64>,
    /// This many rows are skipped first.
    pub offset: u64,
    /// Rows that LIMIT leaves out are counted: `SQL_CALC_FOUND_ROWS`. The shards send all rows.
    pub counts_all: bool,
    /// How many columns at the end of the shards' rows the client does not see.
    pub hidden_columns: usize,
}

/// One key of an order. Which hidden column a column needs is answered by [`super::KeyExpression`].
///
/// The column that is compared is `weight`'s, or else `column` itself. Its metadata decides how:
/// integers, DECIMAL, DOUBLE, DATE, DATETIME, TIME, YEAR, BIT and binary strings compare as they are. Refused, since
/// what a client sees does not order as the server orders it:
/// - text without a weight: hidden `WEIGHT_STRING(col)`, `pad` from its collation;
/// - ENUM and SET (their order is the index): hidden `col+0`, `Pad::None`;
/// - FLOAT in text rows (printed with six digits, so equal text may be two values): hidden `col+0e0`, `Pad::None`;
/// - TIMESTAMP (an hour comes twice at the end of summer time): hidden `UNIX_TIMESTAMP(col)`, `Pad::None`;
/// - JSON, GEOMETRY, VECTOR: no hidden column helps.
///
/// Where the client does not select the column at all, only the weight is hidden in the row; then `column` and
/// `weight.column` are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// The column that the statement orders or groups by; named in errors.
    pub column: usize,
    /// The hidden column that is compared in its place.
    pub weight: Option<Weight>,
    /// DESC. NULL is less than everything: first in ascending order, last in descending.
    pub descending: bool,
}

impl SortKey {
    /// An ascending key on a column that compares as it is.
    pub fn ascending(column: usize) -> Self {
        Self { column, weight: None, descending: false }
    }

    /// The column whose bytes are compared.
    pub fn compared_column(&self) -> usize {
        self.weight.as_ref().map_or(self.column, |weight| weight.column)
    }
}

/// A hidden column that orders as the server orders the visible one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its index.
    pub column: usize,
    /// How a shorter weight is extended: `Pad::of_collation` for WEIGHT_STRING, `Pad::None` for numbers.
    pub pad: Pad,
}

/// A column whose value is computed over the rows of a group.
///
/// The shards' partial value stands in `column` itself (so the client's metadata is right), hidden columns beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateColumn {
    /// The column that holds the shard's partial value and receives the whole one. It may be a hidden column.
    pub column: usize,
    /// How.
    pub function: AggregateFunction,
}

/// The aggregates whose partial values can be put together exactly. None of them may be DISTINCT, except MIN and MAX,
/// where it changes nothing, and COUNT by a way of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AggregateFunction {
    /// COUNT: partial counts are added.
    Count,
    /// SUM: integers and decimals are added exactly, doubles as doubles.
    Sum,
    /// MIN. `weight` as for a [`SortKey`], of the partial value: `WEIGHT_STRING(MIN(col))`; for TIMESTAMP
    /// `MIN(UNIX_TIMESTAMP(col))`; not needed for FLOAT.
    Min {
        /// The hidden column that is compared.
        weight: Option<Weight>,
    },
    /// MAX, as MIN.
    Max {
        /// The hidden column that is compared.
        weight: Option<Weight>,
    },
    /// AVG(x): `column` holds the shard's AVG(x), whose metadata gives the scale; beside it SUM(x) and COUNT(x).
    Avg {
        /// The column with SUM(x).
        sum_column: usize,
        /// The column with COUNT(x).
        count_column: usize,
    },
    /// COUNT(DISTINCT x): a row for each x that a shard has in a group. `order` goes on with this key behind those of the
    /// group, so that equal ones of several shards come one after the other; NULL does not count.
    CountDistinct {
        /// x.
        key: SortKey,
    },
    /// BIT_AND of integers.
    BitAnd,
    /// BIT_OR of integers.
    BitOr,
    /// BIT_XOR of integers.
    BitXor,
}
