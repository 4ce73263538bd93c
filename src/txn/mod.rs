//! Transactions: over one group as the server does them, over several by the anchor protocol.
//!
//! A transaction begins lazily: BEGIN is answered by the proxy, and goes out to a group in front of the first statement
//! that reaches it. That group is the *anchor*, and has a plain transaction. Each further group that joins has an XA
//! *branch*. A transaction that stays on one group ends with a plain COMMIT and costs nothing more.
//!
//! A COMMIT over several groups that were written to ([`commit`]):
//!
//! 1. all branches are prepared, in parallel;
//! 2. on the anchor a decision row is written and the transaction committed, in one round trip: this commit decides;
//! 3. all branches are committed, in parallel, and the client reads OK.
//!
//! Nothing is kept by the proxy. Whoever finds a prepared branch later knows from its name ([`xid`]) where its fate is
//! decided, and asks there by writing an *abort* row with the same key ([`ledger`]): either that succeeds, and the branch is
//! rolled back for good, or a decision is there. [`recovery`] does so for what any proxy left.

mod begin;
mod commit;
mod coordinator;
mod cut;
pub mod deadlock;
mod error;
mod ledger;
mod recovery;
pub(crate) mod step;
mod transaction;
mod xid;

#[cfg(test)]
mod model_tests;

pub use begin::{Access, Begin, Isolation};
pub use coordinator::{Coordinator, Participant, Phase, Running};
pub use cut::Cut;
pub use error::{CommitError, TransactionError};
pub use ledger::Decision;
pub use recovery::{InDoubt, Recovery};
pub use transaction::{MAX_SAVEPOINTS, Mode, Start, Transaction, Want};
pub use xid::{GroupTag, Gtrid, Xid};
