//! Tests over real servers.

mod server;

mod login;
mod pooling;
mod replay;
mod running;
