//! All client sessions of this proxy: for `SHOW PROCESSLIST`, `KILL` and the drain at shutdown.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::deadline::{Deadline, TimeLimit};

/// What another session asked a session to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// `KILL QUERY`: end the running statement, keep the connection.
    Query,
    /// The session's transaction was chosen to end a deadlock: end the statement, roll back, keep the connection.
    Deadlock,
    /// `KILL [CONNECTION]`: end the statement and close the connection.
    Connection,
}

const NOTHING: u8 = 0;
const QUERY: u8 = 1;
const DEADLOCK: u8 = 2;
const CONNECTION: u8 = 3;

/// One session as the others see it.
#[derive(Debug)]
pub struct SessionEntry {
    /// The connection id that the client was given.
    pub id: u32,
    /// The account it logged in with.
    pub user: Arc<str>,
    /// Where it comes from.
    pub peer: String,
    interrupt: AtomicU8,
    /// The session's own task, and nobody else, waits here.
    wake: AtomicWaker,
    activity: Mutex<Activity>,
    deadline: Deadline,
}

/// What a session does now: a row of `SHOW PROCESSLIST`.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The logical schema in use.
    pub schema: Option<Arc<str>>,
    /// The running statement; none while the client thinks.
    pub statement: Option<Bytes>,
    /// Since when.
    pub since: Instant,
}

impl SessionEntry {
    /// Notes that a statement begins, and when.
    pub fn begin(&self, statement: Bytes, now: Instant) {
        let mut activity = self.activity.lock();
        activity.statement = Some(statement);
        activity.since = now;
        // A KILL QUERY that came while nothing ran has no effect.
        for stale in [QUERY, DEADLOCK] {
            if self.interrupt.load(Ordering::Relaxed) == stale {
                let _ = self.interrupt.compare_exchange(stale, NOTHING, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }

    /// The time of a statement begins to run, if there is a limit to it.
    pub fn start_clock(&self, limit: Option<TimeLimit>) {
        self.deadline.start(limit);
    }

    /// How long the statement may still run.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Notes that the statement has ended, and when.
    pub fn end(&self, now: Instant) {
        self.deadline.start(None);
        let mut activity = self.activity.lock();
        activity.statement = None;
        activity.since = now;
    }

    /// Notes the schema in use.
    pub fn set_schema(&self, schema: Option<Arc<str>>) {
        self.activity.lock().schema = schema;
    }

    /// A copy of what it does.
    pub fn activity(&self) -> Activity {
        self.activity.lock().clone()
    }

    /// Asks the session to stop what it does.
    pub fn interrupt(&self, what: Interrupt) {
        let code = match what {
            Interrupt::Query => QUERY,
            Interrupt::Deadlock => DEADLOCK,
            Interrupt::Connection => CONNECTION,
        };
        self.interrupt.fetch_max(code, Ordering::AcqRel);
        self.wake.wake();
    }

    /// Takes a pending interrupt. A `Connection` interrupt stays: the session is to end.
    pub fn take_interrupt(&self) -> Option<Interrupt> {
        match self.interrupt.load(Ordering::Acquire) {
            CONNECTION => Some(Interrupt::Connection),
            DEADLOCK => {
                let _ = self.interrupt.compare_exchange(DEADLOCK, NOTHING, Ordering::AcqRel, Ordering::Acquire);
                Some(Interrupt::Deadlock)
            }
            QUERY => {
                let _ = self.interrupt.compare_exchange(QUERY, NOTHING, Ordering::AcqRel, Ordering::Acquire);
                Some(Interrupt::Query)
            }
            _ => None,
        }
    }

    /// Waits for an interrupt. For the session's own task: one waits at a time.
    pub async fn interrupted(&self) -> Interrupt {
        poll_fn(|cx| match self.take_interrupt() {
            Some(what) => Poll::Ready(what),
            None => {
                self.wake.register(cx.waker());
                // one that came before the waker stood there
                self.take_interrupt().map_or(Poll::Pending, Poll::Ready)
            }
        })
        .await
    }

    /// Waits for a `KILL` of the connection; one of the statement is kept for whoever asks for interrupts next.
    pub async fn killed(&self) {
        poll_fn(|cx| {
            let is_killed = || self.interrupt.load(Ordering::Acquire) == CONNECTION;
            if is_killed() {
                return Poll::Ready(());
            }
            self.wake.register(cx.waker());
            if is_killed() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The sessions by connection id.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<u32, Arc<SessionEntry>>>,
    next_id: AtomicU32,
}

impl Registry {
    /// The next connection id; never 0, and never one that is in use.
    pub fn next_id(&self) -> u32 {
        loop {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if id != 0 && !self.sessions.lock().contains_key(&id) {
                return id;
            }
        }
    }

    /// Enters a session; it leaves when the guard is dropped.
    pub fn enter(self: &Arc<Self>, id: u32, user: Arc<str>, peer: String, schema: Option<Arc<str>>) -> Entered {
        let entry = Arc::new(SessionEntry {
            id,
            user,
            peer,
            interrupt: AtomicU8::new(NOTHING),
            wake: AtomicWaker::new(),
            activity: Mutex::new(Activity { schema, statement: None, since: Instant::now() }),
            deadline: Deadline::default(),
        });
        self.sessions.lock().insert(id, Arc::clone(&entry));
        Entered { registry: Arc::clone(self), entry }
    }

    /// Enters a session again under another user, in the place of `old`.
    pub fn replace(self: &Arc<Self>, old: &mut Entered, user: Arc<str>, schema: Option<Arc<str>>) {
        let (id, peer) = (old.entry.id, old.entry.peer.clone());
        let entered = self.enter(id, user, peer, schema);
        // The old place must not take the new entry with it when it is dropped.
        old.entry = Arc::clone(&entered.entry);
        std::mem::forget(entered);
    }

    /// The session with this connection id.
    pub fn find(&self, id: u32) -> Option<Arc<SessionEntry>> {
        self.sessions.lock().get(&id).cloned()
    }

    /// All sessions, by connection id.
    pub fn all(&self) -> Vec<Arc<SessionEntry>> {
        let mut all: Vec<_> = self.sessions.lock().values().cloned().collect();
        all.sort_by_key(|entry| entry.id);
        all
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A session's place in the registry.
#[derive(Debug)]
pub struct Entered {
    registry: Arc<Registry>,
    entry: Arc<SessionEntry>,
}

impl std::ops::Deref for Entered {
    type Target = SessionEntry;

    fn deref(&self) -> &SessionEntry {
        &self.entry
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.entry.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kill_reaches_the_session_and_leaving_removes_it() {
        let registry = Arc::new(Registry::default());
        let id = registry.next_id();
        let me = registry.enter(id, "app".into(), "local".into(), None);
        me.begin(Bytes::from_static(b"SELECT 1"), Instant::now());
        registry.find(id).unwrap().interrupt(Interrupt::Query);
        assert_eq!(me.interrupted().await, Interrupt::Query);
        assert_eq!(me.take_interrupt(), None);
        registry.find(id).unwrap().interrupt(Interrupt::Connection);
        assert_eq!(me.interrupted().await, Interrupt::Connection);
        drop(me);
        assert!(registry.is_empty());
    }

    #[test]
    fn a_kill_query_between_statements_is_forgotten() {
        let registry = Arc::new(Registry::default());
        let me = registry.enter(1, "app".into(), "local".into(), None);
        me.interrupt(Interrupt::Query);
        me.begin(Bytes::from_static(b"SELECT 1"), Instant::now());
        assert_eq!(me.take_interrupt(), None);
    }
}
