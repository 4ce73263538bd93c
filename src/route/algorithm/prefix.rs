//! `prefix`: how a text begins.

use super::{Algorithm, RouteError, only, wrong};
use crate::route::key::KeyValue;

const NAME: &str = "prefix";

/// Text keys by how they begin: `values` gives each target its prefixes, the longest one that fits decides, and
/// `default`, if there is one, takes what fits none; without it such keys are refused. The case of ASCII letters
/// does not matter. Integers count as their text.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: all targets.
#[derive(Debug)]
pub struct Prefix {
    /// Small letters; the longest first.
    prefixes: Vec<(String, usize)>,
    default: Option<usize>,
    targets: usize,
}

impl Prefix {
    /// The prefixes of each target, in the order of the targets.
    pub fn new(values: &[Vec<String>], default: Option<usize>) -> Result<Self, String> {
        let targets = values.len();
        if default.is_some_and(|default| default >= targets) {
            return Err(format!("default {} of {targets} shards, counted from 0", default.unwrap_or_default()));
        }
        let mut prefixes: Vec<(String, usize)> = Vec::new();
        for (target, texts) in values.iter().enumerate() {
            for text in texts {
                let small = text.to_ascii_lowercase();
                if let Some((_, before)) = prefixes.iter().find(|(prefix, _)| *prefix == small) {
                    return Err(format!("prefix '{text}' leads to shard {before} and to shard {target}"));
                }
                prefixes.push((small, target));
            }
        }
        prefixes.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Ok(Self { prefixes, default, targets })
    }
}

impl Algorithm for Prefix {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        if !matches!(key, KeyValue::Text(_) | KeyValue::Int(_)) {
            return Err(wrong(NAME, "a text", key));
        }
        let found = key.with_text(|text| {
            let fits =
                |prefix: &str| text.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix.as_bytes()));
            self.prefixes.iter().find(|(prefix, _)| fits(prefix)).map(|(_, target)| *target)
        });
        found.or(self.default).ok_or_else(|| RouteError::NoTarget { key: key.to_string() })
    }

    fn describe(&self) -> String {
        let prefixes: Vec<String> =
            self.prefixes.iter().map(|(prefix, target)| format!("'{prefix}': {target}")).collect();
        let default = self.default.map_or(String::new(), |default| format!(", default {default}"));
        format!("prefix {}{default}", prefixes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, exact, int, text};
    use super::*;

    fn by(values: &[&[&str]], default: Option<usize>) -> Result<Prefix, String> {
        let values: Vec<Vec<String>> = values.iter().map(|v| v.iter().map(ToString::to_string).collect()).collect();
        Prefix::new(&values, default)
    }

    #[test]
    fn golden() {
        let by = by(&[&["DE", "4"], &["DE-BY", "FR"], &["Ü"]], None).unwrap();
        for (key, target) in [("DE-NW-1", 0), ("de-by-7", 1), ("FR", 1), ("Über", 2)] {
            assert_eq!(exact(&by, text(key)), Ok(target), "{key}");
        }
        assert_eq!(exact(&by, int(42)), Ok(0));
        assert!(matches!(exact(&by, text("D")), Err(RouteError::NoTarget { .. })));
        assert!(matches!(exact(&by, bytes(b"DE")), Err(RouteError::WrongKind { .. })));
    }

    #[test]
    fn default_takes_the_rest() {
        assert_eq!(exact(&by(&[&["a"], &[]], Some(1)).unwrap(), text("x")), Ok(1));
        assert_eq!(exact(&by(&[&["a"], &[""]], None).unwrap(), text("x")), Ok(1));
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(by(&[&["a"], &["A"]], None).is_err());
        assert!(by(&[&["a"]], Some(1)).is_err());
    }
}
