//! How a running proxy is asked to end: sessions first finish what they are at, then they are cut off.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::cores::Seat;

/// What a session watches to learn that it should end: outside a transaction, between two statements.
#[derive(Debug, Clone)]
pub struct Drain(pub(super) watch::Receiver<bool>);

impl Drain {
    /// Whether it should end.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it should end.
    pub async fn requested(&mut self) {
        // The server is gone: that is an end as well.
        let _ = self.0.wait_for(|requested| *requested).await;
    }
}

/// The tasks of all clients, to cut them off by. (Watching for that in each session would cost every statement a lock.)
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<HashMap<u64, AbortHandle>>>);

/// Takes a client's task off the list when it ends, however it ends.
pub(super) struct OnList {
    tasks: Tasks,
    key: u64,
}

impl Tasks {
    /// Starts a client's task on a processor.
    pub(super) fn spawn<F>(&self, seat: Seat, key: u64, task: impl FnOnce(OnList) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Under the lock, so that a task which ends at once is on the list before it takes itself off.
        let mut list = self.0.lock();
        let handle = seat.spawn(task(OnList { tasks: self.clone(), key }));
        list.insert(key, handle);
    }

    /// Cuts off all that are left.
    pub(super) fn abort_all(&self) {
        // Not under the lock: a task that ends takes itself off.
        let handles: Vec<_> = self.0.lock().drain().map(|(_, handle)| handle).collect();
        handles.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for OnList {
    fn drop(&mut self) {
        self.tasks.0.lock().remove(&self.key);
    }
}
