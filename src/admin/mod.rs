//! The admin port: health, readiness, metrics, the rules in force, the costliest statements. HTTP, for operators.
//!
//! | path | what |
//! |---|---|
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 when clients may be sent here, else 503; the body says why |
//! | `/metrics` | OpenMetrics text for Prometheus |
//! | `/rules` | version and source of the rules in force, and what became of the last reload (JSON) |
//! | `/digests` | the statements that took the most time (JSON) |
//!
//! It changes nothing and shows no secrets, but table names and statements: bind it to an address of operators.

mod listener;
mod routes;
mod status;

pub use listener::MAX_CONNECTIONS;
pub use routes::{Admin, router, serve};
pub use status::{GroupStatus, LastLoad, Readiness, RulesStatus, Status};
