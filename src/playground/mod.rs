//! A real cluster on one machine, thrown away afterwards: private MariaDB or MySQL servers with replication.
//!
//! The `playground` command starts one to try things on; the tests start theirs with the same code.

pub mod binary;
pub mod built_in_rules;
pub mod cluster;
pub mod error;
pub mod folder;
pub mod local_server;
pub mod options;
pub mod port;
pub mod process;
pub mod proxy_child;
pub mod replication;
pub mod run;
pub mod shop;
pub mod template;

pub use options::Options;
pub use run::main;
