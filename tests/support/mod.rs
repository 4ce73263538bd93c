//! What the integration tests share: real servers, the proxy as a process, and a client that shows every byte.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

pub mod backends;
pub mod raw;
