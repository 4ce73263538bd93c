//! `hint`: the statement says it.

use std::sync::Arc;

use super::{Algorithm, RouteError, Targets, only};
use crate::route::key::KeyValue;

const NAME: &str = "hint";

/// No column decides, but a value in a hint comment of the statement: an integer is the number of the target, counted
/// from 0; a text is its name (of its table, schema or group, whichever differs), or what its name ends with.
///
/// - A statement with a hint reaches that target; without one it reaches all, and an insert is refused.
#[derive(Debug)]
pub struct Hint {
    names: Vec<Arc<str>>,
    targets: usize,
}

impl Hint {
    /// Over these targets.
    pub fn new(targets: &Targets) -> Self {
        Self { names: targets.names().unwrap_or_default(), targets: targets.len() }
    }

    fn find(&self, text: &str) -> Option<usize> {
        let exact = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        exact.or_else(|| {
            let ends = |name: &Arc<str>| !text.is_empty() && name.ends_with(text);
            let mut matching = self.names.iter().enumerate().filter(|(_, name)| ends(name));
            // A suffix of two names tells nothing.
            matching.next().filter(|_| matching.next().is_none()).map(|(target, _)| target)
        })
    }
}

impl Algorithm for Hint {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        let target = match key {
            KeyValue::Int(value) => usize::try_from(*value).ok().filter(|target| *target < self.targets),
            KeyValue::Text(text) => self.find(text),
            _ => None,
        };
        target.ok_or_else(|| RouteError::NoTarget { key: key.to_string() })
    }

    fn describe(&self) -> String {
        format!("hint {}", self.targets)
    }

    fn is_hint(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exact, int, tables, text};
    use super::*;

    #[test]
    fn golden() {
        let by = Hint::new(&tables(&["t_a", "t_b", "t_bb"]));
        assert_eq!([exact(&by, int(0)), exact(&by, int(2))], [Ok(0), Ok(2)]);
        assert_eq!(["t_b", "T_BB", "a", "_b"].map(|t| exact(&by, text(t))), [Ok(1), Ok(2), Ok(0), Ok(1)]);
        assert!(exact(&by, int(3)).is_err());
        assert!(exact(&by, int(-1)).is_err());
        assert!(exact(&by, text("b")).is_err());
        assert!(exact(&by, text("")).is_err());
        assert!(by.is_hint());
    }
}
