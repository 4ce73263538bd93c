//! Whether a server counts as up: a few failures in a row take it out, a few successes in a row bring it back.
//!
//! Fed by the periodic check of each server and by connection attempts of the traffic itself. It decides which replicas
//! reads go to; a primary is always tried, since there is no other place for a write.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A change of mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The server leaves the rotation.
    Left,
    /// The server is back.
    Returned,
}

/// The health of one server. All operations are lock-free; counts may be off by one under races, which only shifts a
/// decision by one check.
#[derive(Debug)]
pub struct Health {
    failures_to_leave: u32,
    successes_to_return: u32,
    up: AtomicBool,
    failures: AtomicU32,
    successes: AtomicU32,
}

impl Health {
    /// A server counts as up until it fails, so that a proxy is of use the moment it starts. One failure should not take it
    /// out (a lost packet or a check that met a busy moment would move load to the others), nor one success bring it back
    /// (a server that restarts in a loop answers now and then).
    pub fn new(failures_to_leave: u32, successes_to_return: u32) -> Self {
        Self {
            failures_to_leave: failures_to_leave.max(1),
            successes_to_return: successes_to_return.max(1),
            up: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            successes: AtomicU32::new(0),
        }
    }

    /// Whether the server counts as up.
    #[inline]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// A connection or a check failed.
    pub fn failed(&self) -> Option<Transition> {
        self.successes.store(0, Ordering::Relaxed);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        (failures >= self.failures_to_leave && self.up.swap(false, Ordering::Relaxed)).then_some(Transition::Left)
    }

    /// A check passed.
    pub fn passed(&self) -> Option<Transition> {
        self.failures.store(0, Ordering::Relaxed);
        if self.is_up() {
            return None;
        }
        let successes = self.successes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if successes < self.successes_to_return || self.up.swap(true, Ordering::Relaxed) {
            return None;
        }
        self.successes.store(0, Ordering::Relaxed);
        Some(Transition::Returned)
    }

    /// Traffic opened a connection: earlier failures are forgotten, but only checks bring a server back.
    pub fn connected(&self) {
        if self.is_up() {
            self.failures.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_after_failures_in_a_row_and_returns_after_successes_in_a_row() {
        let (leave, comeback) = (3, 2);
        let health = Health::new(leave, comeback);
        for _ in 0..leave - 1 {
            assert_eq!(health.failed(), None);
        }
        assert_eq!(health.passed(), None);
        for _ in 0..leave - 1 {
            assert_eq!(health.failed(), None);
        }
        assert!(health.is_up());
        assert_eq!(health.failed(), Some(Transition::Left));
        assert_eq!(health.failed(), None, "it leaves once");
        health.connected();
        assert!(!health.is_up(), "traffic alone does not bring it back");
        assert_eq!(health.passed(), None);
        assert_eq!(health.failed(), None);
        for _ in 0..comeback - 1 {
            assert_eq!(health.passed(), None);
        }
        assert_eq!(health.passed(), Some(Transition::Returned));
        assert!(health.is_up());
    }
}
