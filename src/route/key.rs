//! Sharding keys: what a column type makes of a literal or parameter.
//!
//! A key must lead to the same shard in every way of writing it that the column takes as equal, else a row is not
//! found where it was put. What is not exactly known is [`Normalised::Anywhere`]: all shards for reads, refused
//! for writes.

mod value;

pub use value::{DateKey, DateTimeKey, KeyValue};
