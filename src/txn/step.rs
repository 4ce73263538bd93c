//! The named steps of a commit over several groups, and of a definition over several nodes. Tests stop a proxy at each of them; a program compiled for release has
//! nothing there.

/// A moment of a commit over several groups, or of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is prepared.
    BeforePrepare,
    /// One branch is prepared.
    PreparedOne,
    /// All branches are prepared.
    Prepared,
    /// The decision was sent to the anchor, and nothing was heard.
    DecisionSent,
    /// The anchor has committed.
    Decided,
    /// One branch is committed.
    CommittedOne,
    /// All are committed; the client was not told.
    Committed,
    /// A definition over several nodes is written down; nothing of it is done.
    DefinitionBegun,
    /// A node has it, and is ticked off.
    DefinedOne,
}

/// Called when a step is reached.
#[cfg(not(debug_assertions))]
#[inline]
pub async fn reached(_step: Step) {}

/// Called when a step is reached. `SHARDLOOM_FAULT_POINT` names one and what happens there, such as `Prepared:kill:20`: the
/// process ends at the 20th time. `stop` instead of `kill` halts it until it is sent SIGCONT.
#[cfg(debug_assertions)]
pub async fn reached(step: Step) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, String, u64)>> = OnceLock::new();
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("SHARDLOOM_FAULT_POINT").ok()?;
        let mut parts = text.split(':').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?.parse().ok()?))
    });
    let Some((name, what, time)) = wanted else { return };
    if *name != format!("{step:?}") || SEEN.fetch_add(1, Ordering::SeqCst) + 1 != *time {
        return;
    }
    let signal = if what == "stop" { rustix::process::Signal::STOP } else { rustix::process::Signal::KILL };
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    // The signal may reach another thread first: this one must not go on meanwhile.
    std::thread::sleep(std::time::Duration::from_millis(200));
}
