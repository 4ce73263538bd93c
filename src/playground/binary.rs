//! Finding the database server that is installed, and learning what it is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::PlaygroundError;

/// Environment variable that names the `mysqld` or `mariadbd` to use, or a script which behaves like one.
pub const SERVER_VARIABLE: &str = "SHARDLOOM_MYSQLD";

/// Where servers live that are not on an ordinary user's `PATH`.
const EXTRA_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin"];

/// Who made a server; start options and replication statements differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// MariaDB.
    MariaDb,
    /// Oracle's MySQL (or a build that keeps its options, such as Percona's).
    MySql,
}

/// A database server that is installed.
#[derive(Debug, Clone)]
pub struct ServerBinary {
    /// The program.
    pub path: PathBuf,
    /// Who made it.
    pub vendor: Vendor,
    /// What `--version` printed.
    pub version: String,
}

impl ServerBinary {
    /// The server named by [`SERVER_VARIABLE`], else `mariadbd`, else `mysqld`.
    pub fn find() -> Result<Self, PlaygroundError> {
        if let Some(path) = env::var_os(SERVER_VARIABLE) {
            return Self::at(Path::new(&path));
        }
        let path = ["mariadbd", "mysqld"].iter().find_map(|name| find_program(name, &[]));
        Self::at(&path.ok_or(PlaygroundError::NoServerBinary)?)
    }

    /// The server at a given path.
    pub fn at(path: &Path) -> Result<Self, PlaygroundError> {
        let not_a_server = |what: String| PlaygroundError::NotAServer { path: path.to_owned(), what };
        let output = Command::new(path)
            .args(["--no-defaults", "--version"])
            .output()
            .map_err(|error| not_a_server(error.to_string()))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || !version.contains("Ver ") {
            return Err(not_a_server(format!("`--version` printed {version:?}")));
        }
        let vendor = if version.contains("MariaDB") { Vendor::MariaDb } else { Vendor::MySql };
        Ok(Self { path: path.to_owned(), vendor, version })
    }

    /// A program that comes with this server: beside it, in its sister folders, or on the `PATH`.
    pub fn helper(&self, names: &[&'static str]) -> Result<PathBuf, PlaygroundError> {
        let base = self.path.parent().and_then(Path::parent);
        let beside: Vec<PathBuf> =
            base.into_iter().flat_map(|base| ["bin", "sbin", "scripts"].map(|folder| base.join(folder))).collect();
        names.iter().find_map(|name| find_program(name, &beside)).ok_or_else(|| PlaygroundError::MissingHelper {
            name: names.first().copied().unwrap_or_default(),
            server: self.path.clone(),
        })
    }
}

/// Looks for a program in `first`, on the `PATH`, and in the folders of system programs.
pub fn find_program(name: &str, first: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = first.iter().cloned().chain(env::split_paths(&path)).chain(EXTRA_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
