//! Reads values out of maps by their sections, and collects what is wrong.

use std::cell::RefCell;

use super::environment::Environment;
use super::keys::{Absent, Key, Kind, Section};
use super::names::nearest;
use super::problem::{Place, Problem};
use super::yaml::{Name, Node, Value};

/// What all readers share.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) environment: &'a Environment,
    /// Whether all files could be parsed. If not, a name that is not found may stand in a broken file.
    pub(super) complete: bool,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(environment: &'a Environment, complete: bool) -> Self {
        Self { environment, complete, problems: RefCell::default() }
    }

    /// Notes a problem.
    pub(super) fn problem(&self, place: &Place, text: impl Into<String>, fix: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { place: place.clone(), text: text.into(), fix: fix.into() });
    }

    /// Notes that a name is not known, unless it may stand in a file that could not be read.
    pub(super) fn unknown<'n>(&self, place: &Place, what: &str, name: &str, known: impl IntoIterator<Item = &'n str>) {
        if self.complete {
            self.problem(place, format!("unknown {what} '{name}'"), nearest(name, known));
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// The text of a node, its references replaced.
    pub(super) fn text(&self, node: &Node, wanted: &str) -> Option<String> {
        self.scalar(node, wanted, false)
    }

    /// As `text`, but leaves `${0..3}`.
    pub(super) fn expression(&self, node: &Node, wanted: &str) -> Option<String> {
        self.scalar(node, wanted, true)
    }

    fn scalar(&self, node: &Node, wanted: &str, lenient: bool) -> Option<String> {
        let Value::Scalar(text) = &node.value else {
            self.problem(&node.place, format!("{} where {wanted} should be", node.kind()), format!("write {wanted}"));
            return None;
        };
        match self.environment.substitute(text, lenient) {
            Ok(text) => Some(text),
            Err((text, fix)) => {
                self.problem(&node.place, text, fix);
                None
            }
        }
    }

    /// The entries of a list; a single entry is a list of one.
    pub(super) fn entries<'n>(&self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::List(entries) => entries,
            Value::Null => &[],
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
        }
    }

    /// The names and nodes of a map of names.
    pub(super) fn named<'n>(&self, node: &'n Node, wanted: &str) -> &'n [(Name, Node)] {
        match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Scalar(_) | Value::List(_) => {
                self.problem(
                    &node.place,
                    format!("{} where {wanted} should be", node.kind()),
                    format!("write {wanted}"),
                );
                &[]
            }
        }
    }
}

/// One map, read by its section.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapReader<'a> {
    pub(super) context: &'a Context<'a>,
    /// Where the map belongs: its key, or itself.
    pub(super) place: &'a Place,
    section: &'static Section,
    entries: &'a [(Name, Node)],
}

impl<'a> MapReader<'a> {
    /// Opens a map; notes keys that its section does not know.
    pub(super) fn open(
        context: &'a Context<'a>,
        section: &'static Section,
        place: &'a Place,
        node: &'a Node,
    ) -> Option<Self> {
        let entries: &[(Name, Node)] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Scalar(_) | Value::List(_) => {
                let text = format!("{} where a map ({}) should be", node.kind(), section.name);
                let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
                context.problem(&node.place, text, format!("write its keys: {}", known.join(", ")));
                return None;
            }
        };
        let reader = Self { context, place, section, entries };
        for (name, _) in entries {
            if section.key(&name.text).is_none() {
                let known = section.keys.iter().map(|key| key.name);
                context.problem(
                    &name.place,
                    format!("unknown key '{}' in {}", name.text, section.name),
                    nearest(&name.text, known),
                );
            }
        }
        // What the top level lacks may stand in a file that could not be parsed.
        let is_whole = context.complete || section.name != "rules";
        for key in section.keys.iter().filter(|_| is_whole) {
            if matches!(key.absent, Absent::Required) && reader.node(key.name).is_none() {
                let kind = key.kind.words();
                context.problem(
                    place,
                    format!("{} without '{}'", section.name, key.name),
                    format!("add '{}': {kind}", key.name),
                );
            }
        }
        Some(reader)
    }

    /// An empty map: all defaults.
    pub(super) fn empty(context: &'a Context<'a>, section: &'static Section, place: &'a Place) -> Self {
        Self { context, place, section, entries: &[] }
    }

    /// The value of a key; `None` when it is not there or empty.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// A key and its value.
    pub(super) fn entry(&self, key: &str) -> Option<(&'a Name, &'a Node)> {
        debug_assert!(self.section.key(key).is_some(), "{key} is not in the section {}", self.section.name);
        let found = self.entries.iter().find(|(name, _)| name.text == key);
        found.map(|(name, node)| (name, node)).filter(|(_, node)| !matches!(node.value, Value::Null))
    }

    /// Opens the map of a key.
    pub(super) fn map(&self, key: &str, section: &'static Section) -> Option<MapReader<'a>> {
        let (name, node) = self.entry(key)?;
        MapReader::open(self.context, section, &name.place, node)
    }

    /// Opens the map of a key; all defaults when it is not there.
    pub(super) fn map_or_defaults(&self, key: &str, section: &'static Section) -> MapReader<'a> {
        self.map(key, section).unwrap_or_else(|| MapReader::empty(self.context, section, self.place))
    }

    /// A text; the default when there is one.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.node(key) {
            Some(node) => self.context.text(node, "a text"),
            None => self.default(key).map(ToOwned::to_owned),
        }
    }

    /// Where a key or, when it is not there, the map stands.
    pub(super) fn place_of(&self, key: &str) -> &'a Place {
        self.node(key).map_or(self.place, |node| &node.place)
    }

    /// An integer within the bounds of its key. After a problem, the nearest allowed value.
    pub(super) fn number<T: TryFrom<i64> + Default>(&self, key: &str) -> T {
        self.optional_number(key).unwrap_or_default()
    }

    /// An integer, `None` when it is not there and has no default.
    pub(super) fn optional_number<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        let Some(Kind::Int(least, most)) = self.section.key(key).map(|key| key.kind) else {
            debug_assert!(false, "{key} is no integer");
            return None;
        };
        let text = self.text(key)?;
        let digits = text.replace('_', "");
        let value = match digits.parse::<i64>() {
            Ok(value) if (least..=most).contains(&value) => value,
            _ => {
                let wanted = self.section.key(key).map_or_else(String::new, |key| key.kind.words());
                self.context.problem(self.place_of(key), format!("{key}: '{text}'"), format!("write an {wanted}"));
                least.max(0).min(most)
            }
        };
        T::try_from(value).ok()
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> bool {
        let Some(text) = self.text(key) else { return false };
        match text.as_str() {
            "true" => true,
            "false" => false,
            _ => {
                self.context.problem(self.place_of(key), format!("{key}: '{text}'"), "write true or false");
                false
            }
        }
    }

    /// One of the words of its key.
    pub(super) fn word(&self, key: &str) -> Option<&'static str> {
        let Some(Kind::OneOf(words)) = self.section.key(key).map(|key| key.kind) else {
            debug_assert!(false, "{key} is no choice");
            return None;
        };
        let text = self.text(key)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let words = words.iter().copied();
            self.context.problem(self.place_of(key), format!("{key}: '{text}'"), nearest(&text, words));
        }
        found
    }

    /// The texts of a list, each with its place.
    pub(super) fn texts(&self, key: &str) -> Vec<(String, &'a Place)> {
        match self.node(key) {
            Some(node) => {
                let read = |node: &'a Node| Some((self.context.text(node, "a text")?, &node.place));
                self.context.entries(node).iter().filter_map(read).collect()
            }
            None => self.default(key).map(|text| (text.to_owned(), self.place)).into_iter().collect(),
        }
    }

    /// A path, from the rules folder; notes a file that is not there.
    pub(super) fn path(&self, key: &str) -> Option<std::path::PathBuf> {
        let path = self.context.environment.path(&self.text(key)?);
        if self.context.environment.has_files() && !path.exists() {
            let text = format!("{key}: there is no file {}", path.display());
            self.context.problem(
                self.place_of(key),
                text,
                "name an existing file; relative paths begin at the rules folder",
            );
        }
        Some(path)
    }

    fn default(&self, key: &str) -> Option<&'static str> {
        match self.section.key(key) {
            Some(Key { absent: Absent::Default(value), .. }) => Some(value),
            _ => None,
        }
    }
}
