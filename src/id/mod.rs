//! Generated keys.
//!
//! [`Snowflake`] makes ids from the clock, with a worker id of the rules or a leased one ([`lease`]). [`segment`] gives out
//! blocks of a sequence that a group's database counts. [`uuid`] makes random keys that grow with time. [`Keys`] holds
//! what a proxy has of them: giving a key takes no wait; what must be fetched first is told, and fetched by
//! [`Keys::prepare`].

mod error;
pub mod lease;
pub mod segment;
mod sequence;
mod service;
pub mod snowflake;
pub mod uuid;

use std::sync::Arc;

pub use error::IdError;
pub use service::{Keys, MAX_FETCHES};
pub use snowflake::Snowflake;

use crate::config::{DataNode, KeyGenerator};

/// The schema on a group's servers that sequences and leases live in.
pub const SCHEMA: &str = "shardloom";

/// What makes the keys of a table's column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyMaker {
    /// The generator.
    pub generator: KeyGenerator,
    /// The name of its sequence, for generators that count: `schema.table`.
    pub sequence: Arc<str>,
    /// The column.
    pub column: Arc<str>,
    /// Where the rows are that have keys already.
    pub nodes: Arc<[DataNode]>,
    /// The greatest number that the column takes.
    pub greatest: u64,
}

/// A generated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A positive integer.
    Int(u64),
    /// A UUID.
    Uuid(u128),
}

impl Key {
    /// The number, of an integer.
    pub fn int(self) -> Option<u64> {
        match self {
            Self::Int(id) => Some(id),
            Self::Uuid(_) => None,
        }
    }
}
