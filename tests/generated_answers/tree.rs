//! A generated statement as a tree, so that it can be made smaller piece by piece.

use super::kind::Kind;
use crate::support::raw::Param;

/// What a node is: one of a sort can stand where another of the same sort stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// A value of a kind.
    Value(Kind),
    /// A condition.
    Condition,
    /// A query with so many columns.
    Query(usize),
    /// ORDER BY of the whole statement; the places of the select list that it sorts by.
    Order(Vec<usize>),
    /// Anything that is only replaced as a whole.
    Other,
}

/// A piece of a statement.
#[derive(Debug, Clone)]
pub enum Tree {
    /// Text as it is.
    Text(String),
    /// A literal, which a prepared statement can take as a parameter.
    Literal(String, Param),
    /// Pieces that belong together.
    Node(Sort, Vec<Tree>),
    /// Pieces of which all but `least` can be left out.
    List { separator: &'static str, least: usize, items: Vec<Tree> },
    /// A piece that can be left out.
    Maybe(Option<Box<Tree>>),
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A node: its sort, then its pieces.
macro_rules! node {
    ($sort:expr; $($part:expr),* $(,)?) => {
        $crate::tree::Tree::Node($sort, vec![$($crate::tree::Tree::from($part)),*])
    };
}
pub(crate) use node;

/// A statement ready to be run.
#[derive(Debug, Clone)]
pub struct Statement {
    pub text: String,
    pub params: Vec<Param>,
}

impl Tree {
    pub fn maybe(piece: Tree) -> Self {
        Self::Maybe(Some(Box::new(piece)))
    }

    pub fn nothing() -> Self {
        Self::Maybe(None)
    }

    pub fn list(separator: &'static str, items: Vec<Tree>) -> Self {
        Self::List { separator, least: 1, items }
    }

    /// A list of which nothing can be left out.
    pub fn fixed(separator: &'static str, items: Vec<Tree>) -> Self {
        Self::List { separator, least: items.len(), items }
    }

    /// The statement with its literals in the text, or as parameters.
    pub fn statement(&self, prepared: bool) -> Statement {
        let mut statement = Statement { text: String::new(), params: Vec::new() };
        self.write(prepared, &mut statement);
        statement
    }

    fn write(&self, prepared: bool, out: &mut Statement) {
        match self {
            Self::Text(text) => out.text.push_str(text),
            Self::Literal(_, param) if prepared => {
                out.text.push('?');
                out.params.push(param.clone());
            }
            Self::Literal(text, _) => out.text.push_str(text),
            Self::Node(_, parts) => parts.iter().for_each(|part| part.write(prepared, out)),
            Self::List { separator, items, .. } => {
                for (at, item) in items.iter().enumerate() {
                    out.text.push_str(if at == 0 { "" } else { separator });
                    item.write(prepared, out);
                }
            }
            Self::Maybe(piece) => piece.iter().for_each(|piece| piece.write(prepared, out)),
        }
    }

    /// The select list's places that the whole statement is ordered by, first to last.
    pub fn order(&self) -> Option<&[usize]> {
        match self {
            Self::Node(Sort::Order(places), _) => Some(places),
            Self::Node(_, parts) | Self::List { items: parts, .. } => parts.iter().find_map(Self::order),
            Self::Maybe(piece) => piece.as_ref().and_then(|piece| piece.order()),
            _ => None,
        }
    }

    /// The same tree with one place made smaller, for every place and way; the largest cuts of a place first.
    pub fn smaller(&self) -> Vec<Tree> {
        let mut all = Vec::new();
        match self {
            Self::Text(_) => {}
            Self::Literal(..) => {}
            Self::Maybe(None) => {}
            Self::Maybe(Some(piece)) => {
                all.push(Self::Maybe(None));
                all.extend(piece.smaller().into_iter().map(Self::maybe));
            }
            Self::Node(sort, parts) => {
                all.extend(
                    sort.least()
                        .filter(|least| self.statement(false).text != *least)
                        .map(|least| Self::Node(sort.clone(), vec![Self::Text(least.to_owned())])),
                );
                parts.iter().for_each(|part| part.collect(sort, &mut all));
                for (at, part) in parts.iter().enumerate() {
                    all.extend(
                        part.smaller().into_iter().map(|one| Self::Node(sort.clone(), replaced(parts, at, one))),
                    );
                }
            }
            Self::List { separator, least, items } => {
                let list = |items| Self::List { separator, least: *least, items };
                if items.len() > *least {
                    for at in 0..items.len() {
                        let mut fewer = items.clone();
                        fewer.remove(at);
                        all.push(list(fewer));
                    }
                }
                for (at, item) in items.iter().enumerate() {
                    all.extend(item.smaller().into_iter().map(|one| list(replaced(items, at, one))));
                }
            }
        }
        all
    }

    /// The nodes of a sort in this tree, which can stand for one that holds them.
    fn collect(&self, sort: &Sort, all: &mut Vec<Tree>) {
        match self {
            Self::Node(found, parts) => {
                if found == sort && *sort != Sort::Other {
                    all.push(self.clone());
                    return;
                }
                parts.iter().for_each(|part| part.collect(sort, all));
            }
            Self::List { items, .. } => items.iter().for_each(|item| item.collect(sort, all)),
            Self::Maybe(Some(piece)) => piece.collect(sort, all),
            _ => {}
        }
    }
}

fn replaced(parts: &[Tree], at: usize, one: Tree) -> Vec<Tree> {
    let mut parts = parts.to_vec();
    parts[at] = one;
    parts
}

impl Sort {
    /// The smallest text that can stand for it.
    fn least(&self) -> Option<&'static str> {
        match self {
            Self::Value(kind) => Some(kind.least()),
            Self::Condition => Some("1 = 1"),
            _ => None,
        }
    }
}
