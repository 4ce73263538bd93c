//! Generated keys.

pub mod snowflake;

pub use snowflake::{IdError, Snowflake};
