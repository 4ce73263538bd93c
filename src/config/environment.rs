//! Where `${NAME}` and `${file:/path}` get their values.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest secret that a file may hold.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;

/// Gives a variable's value.
type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The outside world as the rules see it: environment variables and files.
#[derive(Clone)]
pub struct Environment {
    variable: Variables,
    folder: Option<PathBuf>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Environment {
    /// The variables of this process; relative paths begin at the folder of the rules.
    pub fn process(folder: impl Into<PathBuf>) -> Self {
        Self { variable: Arc::new(|name| std::env::var(name).ok()), folder: Some(folder.into()) }
    }

    /// These variables and no files, for tests and tools.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables: std::collections::HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { variable: Arc::new(move |name| variables.get(name).cloned()), folder: None }
    }

    /// The same variables; relative paths begin at `folder`.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Whether files can be looked at.
    pub(super) fn has_files(&self) -> bool {
        self.folder.is_some()
    }

    /// A path of the rules as the process can open it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.as_deref().unwrap_or_else(|| Path::new("")).join(path)
    }

    /// Replaces `${NAME}`, `${NAME:-default}` and `${file:path}`; `$${` stands for `${`. Any other `${…}` is left as it
    /// is when `lenient`, as data nodes need it, and an error else. The error says what is wrong and what would be
    /// right.
    pub(super) fn substitute(&self, text: &str, lenient: bool) -> Result<String, (String, String)> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if let Some(before) = rest[..at].strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else {
                return Err((
                    format!("'{text}' has a '${{' without '}}'"),
                    "close it, or write $${ for a plain ${".into(),
                ));
            };
            let body = &rest[at + 2..at + end];
            match self.value(body) {
                Some(value) => out.push_str(&value?),
                None if lenient => out.push_str(&rest[at..=at + end]),
                None => {
                    let right = "write ${NAME}, ${NAME:-default} or ${file:/path}, or $${ for a plain ${".into();
                    return Err((format!("'${{{body}}}' is no reference"), right));
                }
            }
            rest = &rest[at + end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// `None` when it is no reference at all.
    fn value(&self, body: &str) -> Option<Result<String, (String, String)>> {
        if let Some(path) = body.strip_prefix("file:") {
            return Some(self.file(path));
        }
        let (name, default) = body.split_once(":-").map_or((body, None), |(name, default)| (name, Some(default)));
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        // As in a shell, `:-` also replaces an empty value.
        let value = (self.variable)(name).filter(|value| default.is_none() || !value.is_empty());
        Some(value.or_else(|| default.map(ToOwned::to_owned)).ok_or_else(|| {
            let right = format!("set it, or give a default: ${{{name}:-default}}");
            (format!("the environment variable {name} is not set"), right)
        }))
    }

    fn file(&self, path: &str) -> Result<String, (String, String)> {
        let full = self.path(path);
        let readable = "name a text file of at most 64 KiB that the proxy can read";
        let failed = |why: String| (format!("the file {path} cannot be read: {why}"), readable.to_owned());
        if !self.has_files() && full.is_relative() {
            return Err(failed("a relative path needs a rules folder".into()));
        }
        let size = std::fs::metadata(&full).map_err(|error| failed(error.to_string()))?.len();
        if size > MAX_SECRET_FILE_BYTES {
            return Err(failed(format!("it has {size} bytes")));
        }
        let text = std::fs::read_to_string(&full).map_err(|error| failed(error.to_string()))?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substitute(text: &str) -> Result<String, String> {
        let environment = Environment::of(&[("A", "x y"), ("EMPTY", ""), ("_B1", "b")]);
        environment.substitute(text, false).map_err(|(text, _)| text)
    }

    #[test]
    fn references_are_replaced() {
        assert_eq!(substitute("p${A}q${_B1}").unwrap(), "px yqb");
        assert_eq!(substitute("${NONE:-3306}").unwrap(), "3306");
        assert_eq!(substitute("${EMPTY:-d}|${EMPTY}|${NONE:-}").unwrap(), "d||");
        assert_eq!(substitute("$${A} $A costs 5$").unwrap(), "${A} $A costs 5$");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(substitute("${NONE}").unwrap_err(), "the environment variable NONE is not set");
        assert_eq!(substitute("${0..1}").unwrap_err(), "'${0..1}' is no reference");
        assert!(substitute("${A").unwrap_err().contains("without"));
        assert!(substitute("${file:/no/such/file}").unwrap_err().contains("/no/such/file"));
        let lenient = Environment::of(&[("A", "g")]).substitute("${A}${0..1}.t", true);
        assert_eq!(lenient.unwrap(), "g${0..1}.t");
    }

    #[test]
    fn files_lose_their_last_newline_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "  pass word \n").unwrap();
        std::fs::write(folder.path().join("big"), vec![b'x'; 70_000]).unwrap();
        let environment = Environment::of(&[]).with_folder(folder.path());
        assert_eq!(environment.substitute("${file:secret}", false).unwrap(), "  pass word ");
        assert!(environment.substitute("${file:big}", false).unwrap_err().0.contains("70000 bytes"));
    }
}
