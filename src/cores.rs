//! Some runtimes of one thread each, called cores here: a client's session stays on one of them, and so do the backend
//! connections it uses.
//!
//! A relayed statement is a handful of system calls. What a scheduler adds to that when it moves tasks between threads
//! (waking another worker, taking locks, fetching cache lines that another processor wrote last) is a good part of the
//! whole. So sessions are dealt out to the cores when they begin and not moved afterwards, as HAProxy does it; each
//! runtime runs on one thread, and waits for the sockets of its own sessions alone. What is not on the way of statements
//! (accepting clients, health checks, the admin port) runs on a runtime beside them.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

thread_local! {
    /// Which of the runtimes this thread runs.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// How many runtimes this process has started; at least 1 is assumed.
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// The index of the runtime that this thread runs, below [`count`]. Threads of no such runtime share the first one's.
#[inline]
pub fn current() -> usize {
    CURRENT.get()
}

/// How many parts it takes for each core to have one of its own.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// A value for each core, each on cache lines of its own: what every statement touches (counters, snapshots) does not
/// go back and forth between the processors' caches.
#[derive(Debug)]
pub struct PerCore<T>(Box<[Apart<T>]>);

#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T> PerCore<T> {
    /// Makes a value for each core.
    pub fn new(mut make: impl FnMut() -> T) -> Self {
        Self((0..count()).map(|_| Apart(make())).collect())
    }

    /// The value of this thread's core.
    #[inline]
    pub fn here(&self) -> &T {
        self.of(current())
    }

    /// The value of a core.
    #[inline]
    pub fn of(&self, core: usize) -> &T {
        // There is always a first one; a core beyond the last was started later than this was made.
        &self.0.get(core).unwrap_or(&self.0[0]).0
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

/// The runtimes. They end, with all that runs on them, when this is dropped.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Arc<Core>>,
    threads: Vec<Thread>,
}

#[derive(Debug)]
struct Core {
    runtime: Handle,
    sessions: AtomicUsize,
}

#[derive(Debug)]
struct Thread {
    /// Dropped to end the thread.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// A session's place on a core.
#[derive(Debug)]
pub struct Seat(Arc<Core>);

impl Cores {
    /// Starts `count` runtimes, each on a thread with a stack of so many bytes. For once in a process, before pools are
    /// made.
    pub fn start(count: usize, stack_bytes: usize) -> io::Result<Arc<Self>> {
        let started: io::Result<Vec<_>> = (0..count.max(1)).map(|index| start_one(index, stack_bytes)).collect();
        let (cores, threads) = started?.into_iter().unzip();
        COUNT.store(count.max(1), Ordering::Relaxed);
        Ok(Arc::new(Self { cores, threads }))
    }

    /// The runtime at hand as the only one. Must be called within a tokio runtime.
    pub fn only_here() -> Arc<Self> {
        let here = Core { runtime: Handle::current(), sessions: AtomicUsize::new(0) };
        Arc::new(Self { cores: vec![Arc::new(here)], threads: Vec::new() })
    }

    /// A place on the core that has the fewest sessions.
    pub fn seat(&self) -> Seat {
        let fewest = self.cores.iter().min_by_key(|core| core.sessions.load(Ordering::Relaxed));
        let core = fewest.unwrap_or(&self.cores[0]);
        core.sessions.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(core))
    }
}

fn start_one(index: usize, stack_bytes: usize) -> io::Result<(Arc<Core>, Thread)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let core = Core { runtime: runtime.handle().clone(), sessions: AtomicUsize::new(0) };
    let (stop, stopped) = oneshot::channel::<()>();
    let run = move || {
        CURRENT.set(index);
        // Ends when the sender is dropped.
        let _ = runtime.block_on(stopped);
    };
    let thread = std::thread::Builder::new().name(format!("core-{index}")).stack_size(stack_bytes).spawn(run)?;
    Ok((Arc::new(core), Thread { stop, thread }))
}

impl Drop for Cores {
    fn drop(&mut self) {
        for Thread { stop, thread } in self.threads.drain(..) {
            drop(stop);
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Seat {
    /// Runs a task there, and gives the place up when it has ended.
    pub fn spawn(self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let core = Arc::clone(&self.0);
        // An async block around the task would hold its state twice.
        core.runtime.spawn(task.map(move |()| drop(self))).abort_handle()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_dealt_out_evenly_and_stay_where_they_are() {
        let cores = Cores::start(2, 1 << 20).unwrap();
        let seats: Vec<Seat> = (0..4).map(|_| cores.seat()).collect();
        let (tell, told) = std::sync::mpsc::channel();
        for seat in seats {
            let tell = tell.clone();
            seat.spawn(async move {
                let before = current();
                tokio::task::yield_now().await;
                tell.send((before, current())).unwrap();
            });
        }
        let mut places: Vec<(usize, usize)> = (0..4).map(|_| told.recv().unwrap()).collect();
        places.sort_unstable();
        assert_eq!(places, [(0, 0), (0, 0), (1, 1), (1, 1)]);
        let first = cores.seat();
        let second = cores.seat();
        assert!(!Arc::ptr_eq(&first.0, &second.0));
        drop(first);
        assert!(!Arc::ptr_eq(&cores.seat().0, &second.0), "a place that came free is given again");
    }
}
