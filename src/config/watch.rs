//! Hot reload: when the rules change on disk, and on SIGHUP.
//!
//! All files are read, at a moment when the folder does not change, and taken as a whole or not at all. Rules with a
//! problem leave the running ones as they are; the problems are logged and kept as the [`Status`]. A file outside the
//! folder (a secret, a certificate) is not watched: send SIGHUP after changing one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::environment::Environment;
use super::problem::Problems;
use super::{Rules, source};

/// The folder must be quiet for so long before it is read, since editors and copies write in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// A folder that is never quiet is read after so long all the same.
const MAX_UNQUIET: Duration = Duration::from_secs(2);
/// How often the folder is looked at besides, for file systems that tell nothing (network drives, some containers).
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// How the reloads went.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Reloads that were taken into use.
    pub applied: u64,
    /// Reloads that were refused.
    pub refused: u64,
    /// Version of the rules that were last taken into use by a reload.
    pub version: Option<u64>,
    /// What is wrong with the files on disk, when the last reload was refused: the running rules are not those.
    pub problems: Option<Arc<Problems>>,
}

/// Watches a rules folder until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    task: JoinHandle<()>,
    /// One place: a request that is waiting serves all.
    requests: mpsc::Sender<()>,
    status: watch::Receiver<Status>,
}

impl Watcher {
    /// Watches `folder`; `apply` gets each new set of rules. To be called within a tokio runtime.
    pub fn start(folder: impl Into<PathBuf>, apply: impl FnMut(Rules) + Send + 'static) -> Self {
        let folder = folder.into();
        let environment = Environment::process(&folder);
        Self::start_with(folder, environment, apply)
    }

    /// As `start`, with an environment of one's own.
    pub fn start_with(
        folder: impl Into<PathBuf>,
        environment: Environment,
        apply: impl FnMut(Rules) + Send + 'static,
    ) -> Self {
        let folder = folder.into();
        let (requests, requested) = mpsc::channel(1);
        let (report, status) = watch::channel(Status::default());
        let known = source::read_folder(&folder).ok();
        let (changes, changed) = mpsc::channel(1);
        let notifier = notifier(&folder, changes);
        let reloader = Reloader { folder, environment, known, report };
        let task = tokio::spawn(run(reloader, notifier, Wakeups { requested, changed, hangup: hangup() }, apply));
        Self { task, requests, status }
    }

    /// Asks for a reload, as SIGHUP does.
    pub fn reload(&self) {
        // When the place is taken, a reload is about to begin anyway.
        let _ = self.requests.try_send(());
    }

    /// How the reloads went; the receiver tells when that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The file system's own notice of changes; without it the folder is polled.
fn notifier(folder: &Path, changes: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    use notify::Watcher as _;
    let on_event = move |event: notify::Result<notify::Event>| {
        // Reading the files is an access, which must not lead to reading them again.
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            let _ = changes.try_send(());
        }
    };
    let started = notify::recommended_watcher(on_event)
        .and_then(|mut watcher| watcher.watch(folder, RecursiveMode::NonRecursive).map(|()| watcher));
    started
        .inspect_err(|error| {
            tracing::warn!(folder = %folder.display(), %error, "no notice of changes to the rules; they are polled");
        })
        .ok()
}

fn hangup() -> Option<Signal> {
    signal(SignalKind::hangup()).inspect_err(|error| tracing::warn!(%error, "SIGHUP will not reload the rules")).ok()
}

/// What can make the rules be read again.
struct Wakeups {
    requested: mpsc::Receiver<()>,
    changed: mpsc::Receiver<()>,
    hangup: Option<Signal>,
}

/// Why the rules are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// Somebody asked: reload even if the files are the same, for secrets and certificates outside the folder.
    Asked,
    /// The files may have changed.
    Changed,
}

impl Wakeups {
    /// Waits for a reason. `None` when the watcher is gone.
    async fn next(&mut self) -> Option<Reason> {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            request = self.requested.recv() => request.map(|()| Reason::Asked),
            Some(()) = hangup => Some(Reason::Asked),
            Some(()) = self.changed.recv() => {
                self.settle().await;
                Some(Reason::Changed)
            }
            () = tokio::time::sleep(POLL_INTERVAL) => Some(Reason::Changed),
        }
    }

    /// Waits until the folder is quiet.
    async fn settle(&mut self) {
        let deadline = Instant::now() + MAX_UNQUIET;
        while Instant::now() < deadline && matches!(timeout(QUIET, self.changed.recv()).await, Ok(Some(()))) {}
    }
}

async fn run(
    mut reloader: Reloader,
    notifier: Option<RecommendedWatcher>,
    mut wakeups: Wakeups,
    mut apply: impl FnMut(Rules) + Send + 'static,
) {
    while let Some(reason) = wakeups.next().await {
        // Reading files blocks, so it is done beside the runtime's own threads.
        let read = tokio::task::spawn_blocking(move || {
            let rules = reloader.read(reason);
            (reloader, rules)
        });
        let Ok((returned, rules)) = read.await else {
            tracing::error!("reading the rules panicked; they will not be reloaded again");
            return;
        };
        reloader = returned;
        if let Some(outcome) = rules {
            reloader.finish(outcome, &mut apply);
        }
    }
    drop(notifier);
}

struct Reloader {
    folder: PathBuf,
    environment: Environment,
    /// The files as they were last read; `None` when they could not be.
    known: Option<Vec<(String, String)>>,
    report: watch::Sender<Status>,
}

impl Reloader {
    /// Reads the rules; `None` when there is nothing new.
    fn read(&mut self, reason: Reason) -> Option<Result<Rules, Problems>> {
        let files = source::read_folder(&self.folder);
        let is_same = match (&files, &self.known) {
            (Ok(files), Some(known)) => files == known,
            // It could not be read before either: say so once.
            (Err(_), None) => true,
            _ => false,
        };
        if is_same && reason == Reason::Changed {
            return None;
        }
        self.known = files.as_ref().ok().cloned();
        Some(files.and_then(|files| Rules::read(&files, &self.environment)))
    }

    fn finish(&self, outcome: Result<Rules, Problems>, apply: &mut impl FnMut(Rules)) {
        match outcome {
            Ok(rules) => {
                let version = rules.version;
                apply(rules);
                tracing::info!(version, "rules reloaded");
                self.report.send_modify(|status| {
                    status.applied += 1;
                    status.version = Some(version);
                    status.problems = None;
                });
            }
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!(%problem, "the rules on disk are not taken into use");
                }
                self.report.send_modify(|status| {
                    status.refused += 1;
                    status.problems = Some(Arc::new(problems));
                });
            }
        }
    }
}
