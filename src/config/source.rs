//! The files of a rules folder, as they were at one moment.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::{Place, Problem, Problems};

/// The longest rules file.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// The most files in a rules folder.
const MAX_FILES: usize = 10_000;
/// How often the folder is read again when it changes meanwhile.
const MAX_ATTEMPTS: usize = 10;

type Files = Vec<(String, String)>;
/// What tells one state of a folder from another.
type State = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// Reads all `*.yaml` and `*.yml` of a folder, sorted by name. The folder is looked at before and after: when it
/// changed in between, what was read may be half of one state and half of another, so it is read again.
pub(super) fn read_folder(folder: &Path) -> Result<Files, Problems> {
    for _ in 0..MAX_ATTEMPTS {
        let before = state(folder)?;
        let files = read_files(&before);
        if state(folder)? == before {
            return files;
        }
    }
    Err(problem(folder, "the folder changes all the time".into(), "wait until all files are written"))
}

/// The rules files of a folder, with time and size.
pub(super) fn state(folder: &Path) -> Result<State, Problems> {
    let fix = "name a folder with YAML files that the proxy can read";
    let failed = |error: std::io::Error| problem(folder, format!("the folder cannot be read: {error}"), fix);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !is_yaml || is_hidden || path.is_dir() {
            continue;
        }
        // A file that is gone again shows in the second look.
        let (modified, size) = std::fs::metadata(&path).map_or((None, 0), |data| (data.modified().ok(), data.len()));
        files.push((path, modified, size));
    }
    if files.is_empty() {
        return Err(problem(folder, "no *.yaml file in the folder".into(), fix));
    }
    if files.len() > MAX_FILES {
        return Err(problem(folder, format!("{} files", files.len()), "use at most 10000"));
    }
    files.sort();
    Ok(files)
}

fn read_files(state: &State) -> Result<Files, Problems> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for (path, _, size) in state {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let text = if *size > MAX_FILE_BYTES {
            Err(format!("it has {size} bytes"))
        } else {
            std::fs::read_to_string(path).map_err(|error| error.to_string())
        };
        match text {
            Ok(text) => files.push((name, text)),
            Err(why) => problems.push(Problem {
                place: Place::file(&name),
                text: format!("the file cannot be read: {why}"),
                fix: "make it a text file in UTF-8 of at most 16 MiB that the proxy can read".into(),
            }),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(Problems(problems)) }
}

fn problem(folder: &Path, text: String, fix: &str) -> Problems {
    Problems(vec![Problem { place: Place::file(&folder.to_string_lossy()), text, fix: fix.into() }])
}
