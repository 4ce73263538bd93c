//! `list`: named values.

use std::collections::HashMap;

use super::{Algorithm, RouteError, only};
use crate::route::key::KeyValue;

const NAME: &str = "list";

/// Keys that the rules name one by one, as a MySQL `LIST` partition: `values` gives each target the keys it holds, and
/// `default`, if there is one, takes all others; without it they are refused. Texts are the same when they differ
/// in nothing but the case of ASCII letters, unless the rules name both.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: all targets.
#[derive(Debug)]
pub struct List {
    exact: HashMap<KeyValue, usize>,
    folded: HashMap<String, usize>,
    default: Option<usize>,
    targets: usize,
}

impl List {
    /// The values of each target, in the order of the targets.
    pub fn new(values: &[Vec<KeyValue>], default: Option<usize>) -> Result<Self, String> {
        let targets = values.len();
        if default.is_some_and(|default| default >= targets) {
            return Err(format!("default {} of {targets} shards, counted from 0", default.unwrap_or_default()));
        }
        let mut list = Self { exact: HashMap::new(), folded: HashMap::new(), default, targets };
        for (target, keys) in values.iter().enumerate() {
            for key in keys {
                if list.exact.insert(key.clone(), target).is_some_and(|before| before != target) {
                    return Err(format!("{key} is in two shards"));
                }
                if let KeyValue::Text(text) = key {
                    list.folded.entry(text.to_ascii_lowercase()).or_insert(target);
                }
            }
        }
        Ok(list)
    }

    fn find(&self, key: &KeyValue) -> Option<usize> {
        if let Some(target) = self.exact.get(key) {
            return Some(*target);
        }
        match key {
            KeyValue::Text(text) => self.folded.get(&text.to_ascii_lowercase()).copied(),
            _ => None,
        }
    }
}

impl Algorithm for List {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        self.find(key).or(self.default).ok_or_else(|| RouteError::NoTarget { key: key.to_string() })
    }

    fn describe(&self) -> String {
        let mut values: Vec<String> = self.exact.iter().map(|(key, target)| format!("{key}: {target}")).collect();
        values.sort();
        let default = self.default.map_or(String::new(), |default| format!(", default {default}"));
        format!("list {}{default}", values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exact, int, text};
    use super::*;

    #[test]
    fn golden() {
        let by = List::new(&[vec![text("DE"), text("AT")], vec![text("FR")], vec![]], Some(2)).unwrap();
        for (key, target) in [("DE", 0), ("at", 0), ("fr", 1), ("us", 2), ("", 2)] {
            assert_eq!(exact(&by, text(key)), Ok(target), "{key}");
        }
        let by = List::new(&[vec![int(1), int(3)], vec![int(2)]], None).unwrap();
        assert_eq!([exact(&by, int(3)), exact(&by, int(2))], [Ok(0), Ok(1)]);
        assert_eq!(exact(&by, int(4)), Err(RouteError::NoTarget { key: "4".into() }));
    }

    #[test]
    fn both_cases_may_be_named() {
        let by = List::new(&[vec![text("a")], vec![text("A")]], None).unwrap();
        assert_eq!([exact(&by, text("a")), exact(&by, text("A"))], [Ok(0), Ok(1)]);
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(List::new(&[vec![int(1)], vec![int(1)]], None).is_err());
        assert!(List::new(&[vec![int(1)]], Some(1)).is_err());
        assert!(List::new(&[vec![int(1), int(1)]], None).is_ok());
    }
}
