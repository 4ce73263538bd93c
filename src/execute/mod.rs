//! Statements on their way to the shards and answers on their way back.
//!
//! [`relay`]: one target, bytes pass untouched. [`gather`]: rows of several shards, merged. [`write`](mod@write): writes on
//! several shards, whose counts are added up. [`scratch`]: temporary tables, filled. All of them run over [`Lane`]s, one backend connection each.

pub mod chain;
pub mod client;
pub mod deadline;
pub mod diagnostics;
pub mod error;
pub mod gather;
pub mod infile;
pub mod lane;
pub mod own_query;
pub mod registry;
pub mod relay;
pub mod rows;
pub mod scratch;
pub mod watch;
pub mod write;

pub use client::Client;
pub use deadline::TimeLimit;
pub use diagnostics::Diagnostic;
pub use error::ExecuteError;
pub use lane::Lane;
pub use registry::{Entered, Interrupt, Registry, SessionEntry};
pub use watch::Watch;
