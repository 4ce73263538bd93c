//! What an algorithm chooses from.

use std::collections::HashMap;
use std::sync::Arc;

/// One choice: a data node, a database of a two-level strategy, or a table of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The group, where the choice has one.
    pub group: Option<Arc<str>>,
    /// The physical schema, where the choice has one.
    pub schema: Option<Arc<str>>,
    /// The physical table, where the choice has one.
    pub table: Option<Arc<str>>,
}

/// All choices, in the order of the data nodes. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Targets {
    /// Takes the choices in order; `None` when there are none.
    pub fn new(targets: Vec<Target>) -> Option<Self> {
        (!targets.is_empty()).then_some(Self(targets))
    }

    /// `count` nameless choices.
    pub fn nameless(count: usize) -> Option<Self> {
        Self::new(vec![Target { group: None, schema: None, table: None }; count])
    }

    /// How many.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The choices.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }

    /// The name of each choice: its table, or its schema, or its group, whichever tells them all apart.
    pub fn names(&self) -> Option<Vec<Arc<str>>> {
        let all_differ = |names: &Vec<Arc<str>>| {
            let mut distinct = names.clone();
            distinct.sort();
            distinct.dedup();
            distinct.len() == names.len()
        };
        let by = |part: fn(&Target) -> &Option<Arc<str>>| self.0.iter().map(|t| part(t).clone()).collect::<Option<_>>();
        [by(|t| &t.table), by(|t| &t.schema), by(|t| &t.group)].into_iter().flatten().find(all_differ)
    }

    /// The label of each choice on the ring of a consistent hash: the group's name, with `#1`, `#2`, … for the second,
    /// third, … choice in the same group. Table names stay out of it, so that the tables of a binding group,
    /// which differ in them, keep equal keys together.
    pub fn ring_labels(&self) -> Vec<String> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut labels = Vec::with_capacity(self.0.len());
        for target in &self.0 {
            let group = target.group.as_deref().unwrap_or("");
            let before = seen.entry(group).or_default();
            labels.push(if *before == 0 && !group.is_empty() { group.to_owned() } else { format!("{group}#{before}") });
            *before += 1;
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(group: &str, schema: &str, table: &str) -> Target {
        let some = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        Target { group: some(group), schema: some(schema), table: some(table) }
    }

    #[test]
    fn names_are_what_differs() {
        let names = |targets: Vec<Target>| {
            Targets::new(targets).unwrap().names().map(|n| n.iter().map(|s| s.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names(vec![target("g0", "s", "a_0"), target("g0", "s", "a_1")]).unwrap(), ["a_0", "a_1"]);
        assert_eq!(names(vec![target("g0", "s0", "a"), target("g1", "s1", "a")]).unwrap(), ["s0", "s1"]);
        assert_eq!(names(vec![target("g0", "s", "a"), target("g1", "s", "a")]).unwrap(), ["g0", "g1"]);
        assert_eq!(names(vec![target("g0", "s", "a"), target("g0", "s", "a")]), None);
    }

    #[test]
    fn ring_labels_do_not_depend_on_tables() {
        let labels = |tables: [&str; 4]| {
            Targets::new(vec![
                target("g0", "s", tables[0]),
                target("g0", "s", tables[1]),
                target("g1", "s", tables[2]),
                target("g1", "s", tables[3]),
            ])
            .unwrap()
            .ring_labels()
        };
        assert_eq!(labels(["a0", "a1", "a0", "a1"]), ["g0", "g0#1", "g1", "g1#1"]);
        assert_eq!(labels(["a0", "a1", "a0", "a1"]), labels(["b0", "b1", "b0", "b1"]));
        assert_eq!(Targets::nameless(2).unwrap().ring_labels(), ["#0", "#1"]);
    }
}
