//! The rules that the playground serves: a folder of the user's choice, the project's own, or a copy built in.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::PlaygroundError;
use super::options::Options;

/// Where the project keeps them.
const PROJECT_FOLDER: &str = "rules/playground";

/// The project's files, for a program that runs elsewhere.
const FILES: [(&str, &str); 3] = [
    ("proxy.yaml", include_str!("../../rules/playground/proxy.yaml")),
    ("groups.yaml", include_str!("../../rules/playground/groups.yaml")),
    ("shop.yaml", include_str!("../../rules/playground/shop.yaml")),
];

/// The folder to serve; the copy, where it is needed, is written under `folder`.
pub fn choose(options: &Options, folder: &Path) -> Result<PathBuf, PlaygroundError> {
    if let Some(path) = &options.rules {
        return Ok(path.clone());
    }
    let project = PathBuf::from(PROJECT_FOLDER);
    if project.is_dir() {
        return Ok(project);
    }
    let copy = folder.join("rules");
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(&copy)?;
        FILES.iter().try_for_each(|(name, text)| fs::write(copy.join(name), text))
    };
    write().map_err(PlaygroundError::io("cannot write the built-in rules"))?;
    Ok(copy)
}
