//! YAML text to a tree of nodes that know their places.
//!
//! The rules are read from this tree and not by derived `Deserialize` types: serde stops at the first error, and
//! whoever writes rules wants to see all of them.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::problem::{Place, Problem};
use super::shield;

/// A node of a rules file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds. Scalars keep the text as written, so that `off`, `007` and `1e3` are what the reader wrote.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Name, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) place: Place,
    pub(super) text: String,
}

impl Node {
    /// What kind of thing it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Parses one file. An empty file is an empty map.
pub(super) fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    let file: Arc<str> = Arc::from(file);
    if let Some(at) = shield::find_reserved(text) {
        let line = text[..at].matches('\n').count() + 1;
        let place = Place { file, line: u32::try_from(line).unwrap_or(u32::MAX), column: 0 };
        return Err(Problem {
            place,
            text: "a character of Unicode's private use area (U+E000 to U+E07F)".into(),
            fix: "remove it".into(),
        });
    }
    let shielded = shield::shield(text);
    if shielded.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node { place: Place { file, line: 1, column: 1 }, value: Value::Map(Vec::new()) });
    }
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(&shielded, options) {
        Ok(raw) => Ok(Convert { file: &file, text: &shielded }.node(raw)),
        Err(error) => Err(syntax_problem(&file, &error)),
    }
}

fn syntax_problem(file: &Arc<str>, error: &serde_saphyr::Error) -> Problem {
    let (line, column) = error.location().map_or((0, 0), |l| (l.line(), l.column()));
    let message = shield::unshield(&error.to_string());
    // What the library says of its own settings is nothing to whoever writes rules.
    let (message, fix) = if message.contains("duplicate mapping key") {
        ("a key stands twice in one map".to_owned(), "keep one of them")
    } else if message.contains("_multiple") {
        ("several documents ('---') in one file".to_owned(), "write one document, or several files")
    } else {
        (message, "check the indentation and the quotes around here")
    };
    // The place is told by `Problem` already.
    let message = message.split(" at line ").next().unwrap_or(&message).trim().to_owned();
    Problem {
        place: Place {
            file: Arc::clone(file),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        },
        text: format!("not valid YAML: {message}"),
        fix: fix.into(),
    }
}

struct Convert<'a> {
    file: &'a Arc<str>,
    text: &'a str,
}

impl Convert<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
        let place = self.place(raw.referenced);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(shield::unshield(&text)),
            Raw::Typed(shown) => Value::Scalar(self.as_written(raw.defined).unwrap_or(shown)),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(entries.into_iter().map(|(k, v)| self.entry(k, v)).collect()),
        };
        Node { place, value }
    }

    fn entry(&self, key: Spanned<String>, value: Spanned<Raw>) -> (Name, Node) {
        let name = Name { place: self.place(key.referenced), text: shield::unshield(&key.value) };
        (name, self.node(value))
    }

    fn place(&self, location: Location) -> Place {
        Place {
            file: Arc::clone(self.file),
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        }
    }

    fn as_written(&self, location: Location) -> Option<String> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let len = usize::try_from(span.byte_len()?).ok()?;
        let written = self.text.get(start..start.checked_add(len)?)?.trim();
        (!written.is_empty()).then(|| shield::unshield(written))
    }
}

/// What serde sees, before places are attached.
enum Raw {
    Null,
    Text(String),
    /// A number or a truth value, as Rust prints it.
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, a list or a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Scalar(text) => format!("{text}@{}:{}", node.place.line, node.place.column),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(k, v)| format!("{}@{}:{}={}", k.text, k.place.line, k.place.column, show(v)))
                    .collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let text =
            "a: off\nb: 007\nc:\n  - 1.50\n  - 'x # y'\n  - \"q\\n\"\n  -\nd: {e: ${X:-1, 2}, f: g{0..1}.t}\ng: 1e3\n";
        let node = parse("f.yaml", text).unwrap();
        assert_eq!(
            show(&node),
            "{a@1:1=off@1:4 b@2:1=007@2:4 c@3:1=[1.50@4:5 x # y@5:5 q\n@6:5 null] \
             d@8:1={e@8:5=${X:-1, 2}@8:8 f@8:20=g{0..1}.t@8:23} g@9:1=1e3@9:4}"
        );
    }

    #[test]
    fn aliases_point_to_where_they_are_used() {
        let node = parse("f.yaml", "a: &x 010\nb: *x\n").unwrap();
        assert_eq!(show(&node), "{a@1:1=010@1:7 b@2:1=010@2:4}");
    }

    #[test]
    fn broken_yaml_tells_the_line() {
        let problem = parse("f.yaml", "a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(problem.place.line >= 2, "{problem}");
        assert!(problem.to_string().starts_with("f.yaml:"), "{problem}");
        let twice = parse("f.yaml", "a: 1\na: 2\n").unwrap_err();
        assert_eq!(twice.place.line, 2, "{twice}");
    }
}
