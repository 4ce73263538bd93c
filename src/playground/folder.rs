//! Throw-away folders: private to the user, removed when dropped, and swept when their owner died.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::PlaygroundError;
use super::process;

/// Name of the file in each run's folder that its owner holds locked for as long as it lives.
const OWNER_LOCK: &str = "owner.lock";
/// Prefix of the folders of runs.
const RUN_PREFIX: &str = "run-";

/// The user's own folder for everything this program throws away: `<TMPDIR>/shardloom-<uid>`.
///
/// A predictable name in a folder which all may write to is only safe if it is really ours: it is made for
/// the user alone, and refused when it belongs to somebody else.
pub fn base() -> Result<PathBuf, PlaygroundError> {
    base_in(&std::env::temp_dir())
}

/// As [`base`], in a folder of the caller's choice.
pub fn base_in(parent: &Path) -> Result<PathBuf, PlaygroundError> {
    let uid = process::user_id();
    let path = parent.join(format!("shardloom-{uid}"));
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PlaygroundError::io(format!("cannot make {}", path.display()))(error)),
    }
    let metadata = fs::symlink_metadata(&path).map_err(PlaygroundError::io(format!("cannot look at {path:?}")))?;
    let is_ours = metadata.is_dir() && metadata.uid() == uid && metadata.permissions().mode() & 0o077 == 0;
    if is_ours { Ok(path) } else { Err(PlaygroundError::ForeignFolder { path }) }
}

/// The folder of one run. Removed when dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked while this run lives; the system releases it however the process ends.
    _owner: File,
}

impl RunFolder {
    /// Makes a new folder under `base`, after sweeping what dead runs left there.
    pub fn create(base: &Path, purpose: &str) -> Result<Self, PlaygroundError> {
        // The sweep and the making are one step for others: nobody may sweep a folder which is not locked yet.
        let gate_path = base.join("runs.lock");
        let gate = File::create(&gate_path).map_err(PlaygroundError::io(format!("cannot write {gate_path:?}")))?;
        gate.lock().map_err(PlaygroundError::io(format!("cannot lock {gate_path:?}")))?;
        sweep(base);
        let (path, owner) = Self::make(base, purpose).map_err(PlaygroundError::io("cannot make a run's folder"))?;
        Ok(Self { path, _owner: owner })
    }

    fn make(base: &Path, purpose: &str) -> io::Result<(PathBuf, File)> {
        // No name twice: whoever still removes a folder would remove the next one of its name.
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("{RUN_PREFIX}{purpose}-{}-{number}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result?,
            }
            let owner = File::create(path.join(OWNER_LOCK))?;
            owner.lock()?;
            return Ok((path, owner));
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of runs whose owner is gone, and ends the servers that still use them.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(RUN_PREFIX) {
            continue;
        }
        let owner_is_alive = File::open(path.join(OWNER_LOCK)).is_ok_and(|file| file.try_lock().is_err());
        if !owner_is_alive {
            process::kill_programs_of(&path);
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Copies a folder with all it holds.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
