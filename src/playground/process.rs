//! Child processes that never outlive the one who started them.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

/// Pause between two looks at something that is waited for.
pub const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits for the owner's end (its pipe closes however it dies), then kills the process and removes its folder.
/// The process is only killed while its command line still holds the mark: the number could be somebody else's by then.
/// A line on the pipe means: let it be.
const GUARD_SCRIPT: &str = r#"
if read -r _; then exit 0; fi
if tr '\0' ' ' < "/proc/$1/cmdline" 2>/dev/null | grep -qF -- "$2"; then kill -KILL "$1"; sleep 0.2; fi
if [ -n "$3" ]; then rm -rf -- "$3"; rm -f -- "${3%/*}/owner.lock"; rmdir -- "${3%/*}" 2>/dev/null; fi
exit 0
"#;

/// The number of the user who runs this process.
pub fn user_id() -> u32 {
    getuid().as_raw()
}

/// A child process with a guard which ends it should this process die without doing so.
#[derive(Debug)]
pub struct GuardedChild {
    child: Child,
    guard: Option<Child>,
    exit: Option<ExitStatus>,
}

impl GuardedChild {
    /// Starts a program. `mark` is a text on its command line by which the guard knows it again;
    /// `folder` is removed by the guard if this process dies.
    pub fn spawn(mut command: Command, mark: &str, folder: Option<&Path>) -> io::Result<Self> {
        // A group of its own: Ctrl-C at the terminal reaches only us, and we stop what we started in order.
        let child = command.process_group(0).stdin(Stdio::null()).spawn()?;
        let guard = Command::new("sh")
            .args(["-c", GUARD_SCRIPT, "guard", &child.id().to_string(), mark])
            .arg(folder.unwrap_or(Path::new("")))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, guard: Some(guard), exit: None })
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().ok().flatten();
            if self.exit.is_some() {
                self.dismiss_guard();
            }
        }
        self.exit
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.exit_status().is_some() {
            return Ok(());
        }
        match i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Ends the process at once and waits for it.
    pub fn kill(&mut self) {
        let _ = self.signal(Signal::KILL);
        if self.exit.is_none() {
            self.exit = self.child.wait().ok();
        }
        self.dismiss_guard();
    }

    /// Asks the process to end, and kills it when it has not done so within `patience`.
    pub fn terminate(&mut self, patience: Duration) {
        let _ = self.signal(Signal::TERM);
        let deadline = Instant::now() + patience;
        while self.exit_status().is_none() {
            if Instant::now() > deadline {
                self.kill();
                return;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            if let Some(mut pipe) = guard.stdin.take() {
                let _ = pipe.write_all(b"leave\n");
            }
            let _ = guard.wait();
        }
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills every process of this user with an option that names a place in `folder`: what a dead run left behind.
pub fn kill_programs_of(folder: &Path) {
    let needle = format!("={}/", folder.display());
    let Ok(entries) = fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let command_line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_ours = String::from_utf8_lossy(&command_line).contains(&needle);
        if let (true, Some(pid)) = (is_ours && pid != std::process::id() as i32, Pid::from_raw(pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
