//! The one trait every layer's error implements, and the flat form that reaches a client.
//!
//! Each layer has its own enum (`thiserror`). What they share is [`Report`]: the MySQL error number and SQLSTATE,
//! a metric label, whose fault it was, and whether trying again can help. The `Display` text of an error is what the
//! client reads, so it never holds a password, a backend address or a physical table name that the rules hide.

use std::fmt;

/// Whose fault an error was; decides the log level and the `fault` metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client sent something that cannot be done.
    Client,
    /// The proxy failed, or refused for a limit or a gap of its own.
    Proxy,
    /// A backend failed or refused.
    Backend,
}

impl Fault {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Proxy => "proxy",
            Self::Backend => "backend",
        }
    }
}

/// What every error of every layer can tell. `Display` is the text that is safe to show to a client.
pub trait Report: std::error::Error {
    /// The MySQL error number (*MySQL Server Error Reference*).
    fn errno(&self) -> u16;
    /// The five-character SQLSTATE that belongs to it. (Not static: a backend's error is passed on with its own.)
    fn sqlstate(&self) -> &str;
    /// A short stable name: the `kind` label of the error metric.
    fn kind(&self) -> &'static str;
    /// Whose fault it was.
    fn fault(&self) -> Fault;
    /// Whether the same statement may succeed if it is sent again.
    fn retryable(&self) -> bool {
        false
    }
}

/// An error as a client sees it: the payload of an ERR packet, with what logs and metrics need beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// MySQL error number.
    pub errno: u16,
    /// SQLSTATE, five ASCII characters.
    pub sqlstate: String,
    /// The text that the client reads.
    pub message: String,
    /// Metric label.
    pub kind: &'static str,
    /// Whose fault it was.
    pub fault: Fault,
    /// Whether trying again can help.
    pub retryable: bool,
}

impl SqlError {
    /// Flattens a layer's error.
    pub fn from_report(error: &dyn Report) -> Self {
        Self {
            errno: error.errno(),
            sqlstate: error.sqlstate().to_owned(),
            message: error.to_string(),
            kind: error.kind(),
            fault: error.fault(),
            retryable: error.retryable(),
        }
    }

    /// Error 1235, `ER_NOT_SUPPORTED_YET`: a shape that is not proven right is refused. `what` names what was met,
    /// `instead` what to do.
    pub fn not_supported(what: impl fmt::Display, instead: impl fmt::Display) -> Self {
        Self {
            errno: 1235,
            sqlstate: "42000".to_owned(),
            message: format!("Shardloom does not yet support {what}; {instead}"),
            kind: "not_supported",
            fault: Fault::Client,
            retryable: false,
        }
    }

    /// Whether it says that a shape is refused.
    pub fn is_not_supported(&self) -> bool {
        self.kind == "not_supported"
    }

    /// An error of the client's with a number of its own.
    pub fn client(errno: u16, sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            errno,
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            kind: "client",
            fault: Fault::Client,
            retryable: false,
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR {} ({}): {}", self.errno, self.sqlstate, self.message)
    }
}

impl std::error::Error for SqlError {}

impl<E: Report> From<E> for SqlError {
    fn from(error: E) -> Self {
        Self::from_report(&error)
    }
}
