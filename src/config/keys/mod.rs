//! Every key that the rules know, with its type, its default and what it means.
//!
//! The readers take types, limits and defaults from here, `docs/rules.md` shows these tables (a test compares them), and
//! a key that is not here is an error.

mod algorithms;
mod groups;
mod proxy;
mod schemas;

pub(super) use algorithms::*;
pub(super) use groups::*;
pub(super) use proxy::*;
pub(super) use schemas::*;

/// The keys of one kind of map.
#[derive(Debug)]
pub struct Section {
    /// The heading in `docs/rules.md`; what messages call it.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not there.
    pub absent: Absent,
    /// What it means.
    pub about: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is not shown.
    Secret,
    /// A path of a file; relative to the rules folder.
    Path,
    /// `true` or `false`.
    Flag,
    /// An integer, with its least and its greatest value.
    Int(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A map; its section.
    Map(&'static str),
    /// A map of names to maps; the section of those.
    MapOf(&'static str),
    /// A list, or a single entry; of what.
    ListOf(&'static str),
    /// Something else, in words.
    Other(&'static str),
}

/// What holds when a key is not there.
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// It must be there.
    Required,
    /// This value, as it would be written.
    Default(&'static str),
    /// What these words say.
    Means(&'static str),
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, absent: Absent::Required, about }
}

const fn default(name: &'static str, kind: Kind, value: &'static str, about: &'static str) -> Key {
    Key { name, kind, absent: Absent::Default(value), about }
}

const fn optional(name: &'static str, kind: Kind, means: &'static str, about: &'static str) -> Key {
    Key { name, kind, absent: Absent::Means(means), about }
}

/// All sections, in the order of the documentation.
pub const SECTIONS: &[&Section] = &[
    &RULES,
    &LISTEN,
    &CLIENT_TLS,
    &USER,
    &LIMITS,
    &READS,
    &HEALTH,
    &RECOVERY,
    &SCRATCH,
    &GROUP,
    &SERVER,
    &SERVER_TLS,
    &POOL,
    &SCHEMA,
    &TABLE,
    &STRATEGY,
    &TABLE_KEY,
    &KEY_GENERATOR,
    &MOD,
    &HASH_MOD,
    &CONSISTENT_HASH,
    &RANGE,
    &VOLUME_RANGE,
    &INTERVAL,
    &LIST,
    &PREFIX,
    &SLICE,
    &JUMP,
    &COMPLEX,
    &HINT,
];

impl Section {
    /// A key of it.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The table of its keys in Markdown.
    pub fn table(&self) -> String {
        let mut table = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
        for key in self.keys {
            table.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                key.name,
                key.kind.words(),
                key.absent.words(),
                key.about
            ));
        }
        table
    }
}

impl Kind {
    /// The type in words.
    pub fn words(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Secret => "text, secret".into(),
            Self::Path => "path".into(),
            Self::Flag => "`true` or `false`".into(),
            Self::Int(least, i64::MAX) => format!("integer from {least}"),
            Self::Int(i64::MIN, _) => "integer".into(),
            Self::Int(least, most) => format!("integer, {least} to {most}"),
            Self::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Map(section) => format!("map, see {section}"),
            Self::MapOf(section) => format!("names to maps, see {section}"),
            Self::ListOf(what) => format!("list of {what}"),
            Self::Other(words) => words.into(),
        }
    }
}

impl Absent {
    /// What holds, in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Required => "required".into(),
            Self::Default(value) => format!("`{value}`"),
            Self::Means(words) => words.into(),
        }
    }
}
