//! What can keep a local cluster from starting, said so that the reader knows what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of the playground; its text is meant for a person at a terminal.
#[derive(Debug, Error)]
pub enum PlaygroundError {
    /// Neither MariaDB nor MySQL is installed.
    #[error(
        "no database server found: neither `mariadbd` nor `mysqld` is on the PATH or in /usr/sbin; \
         install one (`make playground` does: apt-get install mariadb-server-core mariadb-client-core) \
         or name it in SHARDLOOM_MYSQLD"
    )]
    NoServerBinary,
    /// A file that should be a database server does not answer like one.
    #[error("{path} is not a MySQL or MariaDB server: {what}")]
    NotAServer {
        /// The file that was tried.
        path: PathBuf,
        /// What happened when it was asked for its version.
        what: String,
    },
    /// A helper program of the server is missing.
    #[error("`{name}` is missing: it belongs to the same package as {server}")]
    MissingHelper {
        /// The helper's name.
        name: &'static str,
        /// The server it belongs to.
        server: PathBuf,
    },
    /// The template data folder could not be made.
    #[error("cannot make an empty data folder with {program}: {what}")]
    Template {
        /// The program that was run.
        program: PathBuf,
        /// The end of what it printed.
        what: String,
    },
    /// A database server did not come up.
    #[error("database server {name} (port {port}) did not start: {what}\n--- end of its log ---\n{log}")]
    ServerStart {
        /// The server's name in the cluster.
        name: String,
        /// The port it was to listen on.
        port: u16,
        /// How it failed.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// The proxy itself did not come up.
    #[error("the proxy did not start: {what}")]
    ProxyStart {
        /// How it failed.
        what: String,
    },
    /// A port that the user asked for is in use.
    #[error(
        "port {port} ({what}) is taken by another program; choose another with {flag}, \
         or see who has it: ss -ltnp 'sport = :{port}'"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// What it was for.
        what: &'static str,
        /// The option that changes it.
        flag: &'static str,
    },
    /// No port is free for a server.
    #[error("no free port found between {low} and {high} on 127.0.0.1")]
    NoFreePort {
        /// First port tried.
        low: u16,
        /// Last port tried.
        high: u16,
    },
    /// The folder of rules is missing.
    #[error("no rules folder at {path}: name one with --rules, or leave the option out")]
    NoRules {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder belongs to somebody else, so it cannot be trusted.
    #[error("{path} belongs to another user or is open to others; remove it or set TMPDIR to a folder of your own")]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A statement sent while setting up failed.
    #[error("{step}: {source}")]
    Sql {
        /// What was being done.
        step: String,
        /// What the server said.
        source: mysql_async::Error,
    },
    /// Reading or writing a file, or starting a program, failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The operating system's error.
        source: io::Error,
    },
}

impl PlaygroundError {
    /// Wraps an input/output error with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Wraps an error of a database client with what was being done.
    pub fn sql(step: impl Into<String>) -> impl FnOnce(mysql_async::Error) -> Self {
        let step = step.into();
        move |source| Self::Sql { step, source }
    }
}
