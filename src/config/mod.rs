//! The rules.
mod problem;
mod secret;
mod shield;
mod yaml;
pub use problem::*;
pub use secret::Secret;
