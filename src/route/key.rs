//! Sharding keys: what a column type makes of a literal or parameter.
//!
//! A key must lead to the same shard in every way of writing it that the column takes as equal, else a row is not
//! found where it was put. Folding too much is harmless (two keys that differ share a shard), folding too little loses
//! rows, so whatever is not exactly known is [`Normalised::Anywhere`]: all shards for reads, refused for writes.
//!
//! Comparing and storing are two things: `int_col = 1.5` matches no row, while inserting 1.5 stores 2; `[NO PAD]
//! char_col = 'a '` matches no row, while inserting `'a '` stores `'a'`. Hence [`normalise`] and [`normalise_stored`].
//!
//! The rules here were tried on MariaDB 10.11 and MySQL 9; where the two differ, the answer is `Anywhere`.

mod collation;
mod compare;
mod letters;
mod moment;
mod number;
mod raw;
mod store;
mod types;
mod value;

pub use collation::Fold;
pub use compare::{normalise, normalise_alone};
pub use letters::Letters;
pub use moment::{DateKey, DateTimeKey};
pub use raw::{Normalised, RawValue};
pub use store::normalise_stored;
pub use types::{KeyType, TextKey};
pub use value::KeyValue;
