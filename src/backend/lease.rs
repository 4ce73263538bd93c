//! A connection on loan from a pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use deadpool::managed::Object;

use super::conn::BackendConn;
use super::kill::KillHandle;
use super::pool::{Manager, Pool};

/// A connection on loan from deadpool, together with the right to hold it: one of its server's permits. Both go back when
/// it is dropped.
#[derive(Debug)]
pub(super) struct Loan(Option<Object<Manager>>);

impl Loan {
    /// Takes over the permit that was taken for the connection.
    pub(super) fn new(object: Object<Manager>) -> Self {
        Self(Some(object))
    }

    /// Closes the connection; its place and the permit come free.
    pub(super) fn close(mut self) {
        if let Some(object) = self.0.take() {
            let server = object.server().clone();
            drop(Object::take(object));
            server.admission.add_permits(1);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            let server = object.server().clone();
            drop(object);
            // Last: who waits must find the connection when it is woken.
            server.admission.add_permits(1);
        }
    }
}

impl Deref for Loan {
    type Target = BackendConn;

    #[inline]
    fn deref(&self) -> &BackendConn {
        match &self.0 {
            Some(object) => object,
            None => unreachable!("a loan holds a connection until it is dropped"),
        }
    }
}

impl DerefMut for Loan {
    #[inline]
    fn deref_mut(&mut self) -> &mut BackendConn {
        match &mut self.0 {
            Some(object) => object,
            None => unreachable!("a loan holds a connection until it is dropped"),
        }
    }
}

/// A connection on loan. Dropping it gives it back; if an answer was not read to its end, the connection is closed
/// instead and the server is told to stop the statement.
#[derive(Debug)]
pub struct Lease {
    /// Taken out on drop only.
    loan: Option<Loan>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn new(loan: Loan, pool: Arc<Pool>) -> Self {
        Self { loan: Some(loan), pool }
    }

    /// Closes the connection; it does not go back to the pool.
    pub fn discard(mut self) {
        self.mark_broken();
    }

    /// What it takes to stop the statement that runs on this connection, from anywhere else.
    pub fn kill_handle(&self) -> KillHandle {
        KillHandle::new(self.pool.clone(), self.thread_id(), Some(Arc::clone(self.beginning())))
    }
}

impl Deref for Lease {
    type Target = BackendConn;

    #[inline]
    fn deref(&self) -> &BackendConn {
        match &self.loan {
            Some(loan) => loan,
            None => unreachable!("a lease holds a connection until it is dropped"),
        }
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut BackendConn {
        match &mut self.loan {
            Some(loan) => loan,
            None => unreachable!("a lease holds a connection until it is dropped"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut loan) = self.loan.take() else { return };
        if loan.give_back() {
            return self.pool.put_back(loan);
        }
        let stop = loan.is_mid_response().then(|| KillHandle::new(self.pool.clone(), loan.thread_id(), None));
        loan.close();
        if let Some(handle) = stop {
            handle.kill_connection_later();
        }
    }
}
