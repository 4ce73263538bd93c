//! Where log lines go: standard error, for people or, with a flag, as JSON for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The environment variable that holds the level, or directives such as `info,shardloom::backend=debug`.
pub const LEVEL_VARIABLE: &str = "SHARDLOOM_LOG";
/// The level if nothing is said.
pub const DEFAULT_LEVEL: &str = "info";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error("the log level {text:?} is not valid: {source} (try error, warn, info, debug or trace)")]
    Level {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// It was set up before.
    #[error("logging is set up already")]
    AlreadySet,
}

/// What the command line says about logs.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// JSON lines instead of text.
    pub json: bool,
    /// The level; before the environment's.
    pub level: Option<String>,
}

impl LogOptions {
    /// The level in force: the option's, or the environment's, or the default.
    fn level(&self, environment: Option<String>) -> String {
        let given = self.level.clone().or(environment).filter(|level| !level.trim().is_empty());
        given.unwrap_or_else(|| DEFAULT_LEVEL.to_owned())
    }

    fn filter(&self, environment: Option<String>) -> Result<EnvFilter, LogError> {
        let text = self.level(environment);
        EnvFilter::try_new(&text).map_err(|source| LogError::Level { text, source })
    }
}

/// Sets logging up for the process. Colours only where a person reads.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let filter = options.filter(std::env::var(LEVEL_VARIABLE).ok())?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let result = if options.json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_target(false).try_init()
    };
    result.map_err(|_| LogError::AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_goes_before_the_environment() {
        let options = LogOptions { level: Some("debug".into()), json: false };
        assert_eq!(options.level(Some("warn".into())), "debug");
        assert_eq!(LogOptions::default().level(Some("warn".into())), "warn");
        assert_eq!(LogOptions::default().level(Some(" ".into())), "info");
        assert_eq!(LogOptions::default().level(None), "info");
    }

    #[test]
    fn a_wrong_level_is_named() {
        let options = LogOptions { level: Some("loud=very".into()), json: false };
        let error = options.filter(None).unwrap_err().to_string();
        assert!(error.contains("loud=very") && error.contains("debug"), "{error}");
        assert!(LogOptions::default().filter(Some("info,shardloom::merge=trace".into())).is_ok());
    }
}
