//! Tests over real servers.

pub(crate) mod server;

mod login;
mod pooling;
mod replay;
mod running;
mod topology;
