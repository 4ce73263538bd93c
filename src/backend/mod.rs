//! Connections to the servers behind the proxy: opening, pooling, session settings, prepared statements, and the choice of
//! a server within a group.
//!
//! The executor's way: [`Backends::checkout`] gives a [`Lease`]; `queue_settings` brings it to the session's settings;
//! `queue_query` or `queue_packet` adds the statement; `flush`; `read_setup`; then the answer is read from `stream()` and
//! its end reported with `response_done`. Dropping the lease does the rest.

mod auth;
mod conn;
mod connect;
mod control;
mod error;
mod flavour;
mod kill;
mod lease;
mod pool;
mod response;
mod server;
mod settings;
mod setup;
mod shelf;
mod spec;
mod statements;
mod stats;
mod tls;
mod topology;
mod upkeep;
mod version;

#[cfg(test)]
pub(crate) mod tests;

pub use conn::BackendConn;
pub use error::{BackendError, ConnectFailure, ServerError};
pub use flavour::Flavour;
pub use kill::{Beginning, KILLS_WAITING, KillHandle};
pub use lease::Lease;
pub use pool::Pool;
pub use response::{Answer, Done, OWN_BYTES_LIMIT, OWN_ROWS_LIMIT, Row, text};
pub use server::Server;
pub use settings::{Settings, Variables, Wanted, default_collation, set_statement};
pub use setup::Setup;
pub use spec::{Limits, ServerSpec};
pub use statements::{Prepared, StatementText};
pub use stats::ServerStats;
pub use topology::{Backends, Chosen, GroupBackends, Role};
pub use version::ServerVersion;
