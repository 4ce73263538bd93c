//! Routing: conditions and rules to the shards that a statement must reach. Pure: no sockets, no clock, no globals.

pub mod algorithm;
pub mod condition;
pub mod key;
pub mod source;
pub mod values;
