//! Weaving the shards' rows into one answer: pure, no sockets. Rows go in as they came off the wire and leave as they
//! go to the client; only the cells that are compared or added up are decoded.

mod aggregate;
mod columns;
mod decimal;
mod double;
mod error;
mod input;
mod key;
mod key_expression;
mod merger;
mod pad;
mod row;
mod spec;
mod temporal;
mod tree;

#[cfg(test)]
mod tests;

pub use columns::check_columns;
pub use error::MergeError;
pub use key::MAX_SORT_LENGTH;
pub use key_expression::KeyExpression;
pub use merger::{Merger, RowSink, Step};
pub use pad::Pad;
pub use row::RowFormat;
pub use spec::{AggregateColumn, AggregateFunction, MergeSpec, SortKey, Weight};
