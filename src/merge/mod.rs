//! Weaving the shards' rows into one answer: pure, no sockets. Rows go in as they came off the wire and leave as they
//! go to the client; only the cells that are compared or added up are decoded.

mod error;
mod key_expression;
mod pad;
mod spec;

pub use error::MergeError;
pub use key_expression::KeyExpression;
pub use pad::Pad;
pub use spec::{AggregateColumn, AggregateFunction, MergeSpec, SortKey, Weight};
