//! A connection on loan from a pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use deadpool::managed::Object;

use super::conn::BackendConn;
use super::kill::KillHandle;
use super::pool::{Manager, Pool};

/// A connection on loan. Dropping it gives it back; if an answer was not read to its end, the connection is closed
/// instead and the server is told to stop the statement.
#[derive(Debug)]
pub struct Lease {
    /// Taken out on drop only.
    object: Option<Object<Manager>>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn new(object: Object<Manager>, pool: Arc<Pool>) -> Self {
        Self { object: Some(object), pool }
    }

    /// Closes the connection; it does not go back to the pool.
    pub fn discard(mut self) {
        self.mark_broken();
    }

    /// What it takes to stop the statement that runs on this connection, from anywhere else.
    pub fn kill_handle(&self) -> KillHandle {
        KillHandle::new(self.pool.clone(), self.thread_id())
    }
}

impl Deref for Lease {
    type Target = BackendConn;

    #[inline]
    fn deref(&self) -> &BackendConn {
        match &self.object {
            Some(object) => object,
            None => unreachable!("a lease holds a connection until it is dropped"),
        }
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut BackendConn {
        match &mut self.object {
            Some(object) => object,
            None => unreachable!("a lease holds a connection until it is dropped"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        if object.give_back() {
            drop(object);
        } else {
            let stop = object.is_mid_response().then(|| KillHandle::new(self.pool.clone(), object.thread_id()));
            drop(Object::take(object));
            if let Some(handle) = stop {
                handle.kill_connection_later();
            }
        }
        // Last: who waits must find the connection, or its place, when it is woken.
        self.pool.server().admission.add_permits(1);
    }
}
