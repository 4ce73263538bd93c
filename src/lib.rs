//! Shardloom: a sharding proxy that speaks the MySQL protocol.
//!
//! The modules in the order in which a statement meets them:
//!
//! `server` → `protocol` → `session` → `sql` → `plan` → `route` → `execute` → `backend`, and back through `merge`.
//! Beside them: `config` (rules), `catalog` (columns of the tables), `txn` (transactions), `definitions` (the progress of
//! definitions over several nodes), `id` (generated keys), `net` (framed sockets), `cores` (the runtimes), `error`, `governance`, `observe`, `admin`. A module uses only what stands to its right, plus those
//! beside.

#![forbid(unsafe_code)]

pub mod admin;
pub mod backend;
pub mod catalog;
pub mod config;
pub mod cores;
pub mod definitions;
pub mod error;
pub mod execute;
pub mod governance;
pub mod id;
pub mod merge;
pub mod net;
pub mod observe;
pub mod plan;
pub mod playground;
pub mod protocol;
pub mod route;
pub mod serve;
pub mod server;
pub mod session;
pub mod sql;
pub mod txn;
