//! How many clients are in, and how many may be: a bound that new rules can move.

use std::sync::Arc;

use tokio::sync::watch;

/// The places of all clients.
#[derive(Clone)]
pub(super) struct Places(Arc<watch::Sender<usize>>);

/// A client's place, given back when it is dropped.
pub(super) struct Place(Places);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Places {
    /// A place, while fewer than `limit` are taken.
    pub(super) fn take(&self, limit: usize) -> Option<Place> {
        let is_free = self.0.send_if_modified(|taken| {
            let is_free = *taken < limit;
            *taken += usize::from(is_free);
            is_free
        });
        is_free.then(|| Place(self.clone()))
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        *self.0.borrow()
    }

    /// Resolves when none is taken.
    pub(super) async fn all_free(&self) {
        // The sender is here, so that the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|taken| *taken == 0).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.send_modify(|taken| *taken = taken.saturating_sub(1));
    }
}
