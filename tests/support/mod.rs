//! What the integration tests share: real servers, the proxy as a process, and a client that shows every byte.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

pub mod backends;
pub mod dice;
pub mod items;
pub mod proxy;
pub mod raw;
pub mod slt;
pub mod sql_cover;

use std::time::{Duration, Instant};

/// Looks again and again until something holds; fails when it does not within the limit.
#[track_caller]
pub fn poll_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
