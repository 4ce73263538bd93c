//! The connections that were used last, at hand for the statement that comes next.
//!
//! A connection that comes back from a statement is put on the shelf, with the right to hold it, instead of going back
//! to deadpool and to the admission; most statements find one here, for one short lock each way. To deadpool and to the
//! admission a connection on the shelf is still on loan, so every limit holds. Those who find nothing on the shelf go the long
//! way, and one who would have to wait there [clears](Shelf::clear) the shelf first.
//!
//! No waiter is forgotten: whoever is about to wait is counted before the shelf is cleared, and under the shelf's lock
//! nothing is put onto it while somebody is counted. If the connection was put there before it was cleared, clearing finds
//! it; if after, the one who brings it sees who waits, and gives it back the long way.

use parking_lot::Mutex;

use super::flavour::Flavour;
use super::lease::Loan;

/// The connections of one server that were used last, and whose sockets one core waits for. It has no bound of its own: each
/// of them holds one of the server's `max_connections` permits.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    by_flavour: Mutex<[Vec<Loan>; Flavour::COUNT]>,
}

impl Shelf {
    /// The connection that was used last.
    pub(super) fn take(&self, flavour: Flavour) -> Option<Loan> {
        self.by_flavour.lock()[flavour.index()].pop()
    }

    /// Puts a connection at hand, unless somebody waits for one: then it comes back, to be given up.
    pub(super) fn put(&self, flavour: Flavour, loan: Loan, is_waited_for: impl FnOnce() -> bool) -> Option<Loan> {
        let mut by_flavour = self.by_flavour.lock();
        if is_waited_for() {
            return Some(loan);
        }
        by_flavour[flavour.index()].push(loan);
        None
    }

    /// Gives up all connections. True if there was one.
    pub(super) fn clear(&self) -> bool {
        let all = std::mem::take(&mut *self.by_flavour.lock());
        all.iter().any(|loans| !loans.is_empty())
    }

    /// Gives up the connections that are not fit to lie here any longer.
    pub(super) fn retain(&self, is_fit: impl Fn(&Loan) -> bool) {
        let mut unfit = Vec::new();
        for loans in self.by_flavour.lock().iter_mut() {
            unfit.extend(loans.extract_if(.., |loan| !is_fit(loan)));
        }
        // Closing connections takes system calls: not under the lock.
        drop(unfit);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_flavour.lock().iter().map(Vec::len).sum()
    }
}
