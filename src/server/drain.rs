//! How a running proxy is asked to end: sessions first finish what they are at, then they are cut off.

use tokio::sync::watch;

/// The three states of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Taking connections.
    Running,
    /// No new connections; sessions end at their next quiet moment.
    Draining,
    /// Sessions that are left are cut off.
    Closing,
}

/// What a session watches to learn that it should end: outside a transaction, between two statements.
#[derive(Debug, Clone)]
pub struct Drain(pub(super) watch::Receiver<Phase>);

impl Drain {
    /// Whether it should end.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Resolves when it should end.
    pub async fn requested(&mut self) {
        self.reached(Phase::Draining).await;
    }

    pub(super) async fn reached(&mut self, phase: Phase) {
        // The server is gone: that is an end as well.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}
