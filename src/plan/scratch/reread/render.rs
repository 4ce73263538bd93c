//! Writing a statement anew, so that each name of WITH and each temporary table is read once.
//!
//! It is written from its end to its beginning: what reads a name stands behind its query, so it is known how many of it are
//! needed when its turn comes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::names::{Names, Read, What};
use super::{TableCopy, Written};
use crate::plan::scratch::table::quoted;
use crate::plan::template::item_name;
use crate::plan::unit::quote_name;

/// What the temporary tables of queries of WITH, and further names of WITH, begin with.
const PREFIX: &str = "shardloom_with_";

/// The temporary table that a query of WITH is evaluated into.
pub(super) fn evaluated_name(def: usize) -> String {
    format!("{PREFIX}{def}")
}

/// How often each temporary table is opened, in the statement that does so most often.
#[derive(Debug, Default)]
pub(super) struct Opened(BTreeMap<String, usize>);

impl Opened {
    /// Adds what another statement opens.
    pub fn add(&mut self, other: Self) {
        for (name, count) in other.0 {
            let known = self.0.entry(name).or_default();
            *known = count.max(*known);
        }
    }

    /// The copies that a table needs.
    pub fn copies(&self, table: &str) -> Vec<TableCopy> {
        let count = self.0.get(table).copied().unwrap_or_default();
        let copy = |number| TableCopy { of: table.into(), name: copy_name(table, number).into() };
        (1..count).map(copy).collect()
    }

    /// The name under which a table is opened this time.
    fn open(&mut self, table: &str) -> String {
        let count = self.0.entry(table.to_owned()).or_default();
        *count += 1;
        copy_name(table, *count - 1)
    }
}

fn copy_name(table: &str, number: usize) -> String {
    if number == 0 { table.to_owned() } else { format!("{table}_{number}") }
}

/// Writes one statement.
pub(super) struct Renderer<'a> {
    names: &'a Names<'a>,
    sql: &'a [u8],
    /// Where the parameters stand.
    params: &'a [usize],
    opened: Opened,
    /// The names that each name of WITH must be written under.
    written: Vec<Vec<Vec<u8>>>,
    /// Under which of them its query is being written.
    current: Vec<Vec<u8>>,
    made: usize,
}

/// A part of the text that is written anew.
enum Event<'a> {
    Clause(usize),
    /// An item of a select list that is named by its text.
    Item,
    Read(&'a Read),
}

impl<'a> Renderer<'a> {
    pub fn new(names: &'a Names<'a>, sql: &'a [u8], params: &'a [usize]) -> Self {
        let count = names.defs.len();
        let (written, current) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        Self { names, sql, params, opened: Opened::default(), written, current, made: 0 }
    }

    /// The whole statement, and what it opens.
    pub fn statement(mut self) -> (Written, Opened) {
        let written = self.part(0..self.sql.len());
        (written, self.opened)
    }

    /// The evaluation of a name of the statement's own WITH, and what it opens.
    pub fn evaluated(mut self, def: usize) -> (Written, Opened) {
        let name = self.sql[self.names.defs[def].name_range.clone()].to_vec();
        self.written[def].push(name.clone());
        let clause = self.names.clauses.iter().position(|clause| clause.defs.contains(&def));
        let mut written = clause.map(|clause| self.clause(clause, Some(def))).unwrap_or_default();
        written.text(b" SELECT * FROM ");
        written.text(&name);
        (written, self.opened)
    }

    /// A range of the text.
    fn part(&mut self, range: Range<usize>) -> Written {
        let mut parts = Vec::new();
        let mut end = range.end;
        for (at, event) in self.events(&range) {
            parts.push(self.copy(at.end..end));
            parts.push(match event {
                Event::Clause(clause) => self.clause(clause, None),
                Event::Item => self.item(at.clone()),
                Event::Read(read) => self.read(read),
            });
            end = at.start;
        }
        parts.push(self.copy(range.start..end));
        let mut written = Written::default();
        parts.into_iter().rev().for_each(|part| written.add(part));
        written
    }

    /// What is written anew in a range, without what stands inside of another, last first.
    fn events(&self, range: &Range<usize>) -> Vec<(Range<usize>, Event<'a>)> {
        let names = self.names;
        let clauses = names.clauses.iter().enumerate();
        let mut events: Vec<(Range<usize>, Event<'a>)> =
            clauses.map(|(number, clause)| (clause.range.clone(), Event::Clause(number))).collect();
        events.extend(names.items.iter().map(|item| (item.clone(), Event::Item)));
        events.extend(names.reads.iter().map(|read| (read.range.clone(), Event::Read(read))));
        let holds = |outer: &Range<usize>, inner: &Range<usize>| outer.start <= inner.start && inner.end <= outer.end;
        events.retain(|(at, event)| holds(range, at) && !(matches!(event, Event::Item) && at == range));
        // what holds another comes before it
        events.sort_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)));
        let mut end = range.start;
        events.retain(|(at, _)| {
            let is_outside = at.start >= end;
            end = end.max(at.end);
            is_outside
        });
        events.reverse();
        events
    }

    /// A text as it stands, without anything in it that is written anew.
    fn copy(&self, range: Range<usize>) -> Written {
        let inside = self.params.iter().enumerate().filter(|(_, at)| range.contains(at));
        let params = inside.filter_map(|(number, _)| u32::try_from(number).ok()).collect();
        Written { sql: self.sql[range].to_vec(), params }
    }

    /// A WITH, with as many of each name as are read. `last`: without those behind it, and with the query of that one.
    fn clause(&mut self, clause: usize, last: Option<usize>) -> Written {
        let names = self.names;
        let Some(clause) = names.clauses.get(clause) else { return Written::default() };
        let mut queries = Vec::new();
        for def in clause.defs.iter().copied().filter(|def| last.is_none_or(|last| *def <= last)).rev() {
            let known = &names.defs[def];
            if known.evaluated && last != Some(def) {
                continue;
            }
            let mut written = std::mem::take(&mut self.written[def]);
            if written.is_empty() {
                written.push(self.sql[known.name_range.clone()].to_vec());
            }
            for name in written.into_iter().rev() {
                self.current[def].clone_from(&name);
                let mut query = Written::default();
                query.text(&name);
                query.add(self.part(known.name_range.end..known.end));
                queries.push(query);
            }
        }
        let mut written = Written::default();
        let Some(first) = clause.defs.first().filter(|_| !queries.is_empty()) else { return written };
        written.add(self.copy(clause.range.start..names.defs[*first].name_range.start));
        for (index, query) in queries.into_iter().rev().enumerate() {
            if index > 0 {
                written.text(b", ");
            }
            written.add(query);
        }
        written
    }

    /// An item without alias, which keeps its name.
    fn item(&mut self, range: Range<usize>) -> Written {
        let original = &self.sql[range.clone()];
        let mut written = self.part(range);
        if written.sql != original {
            let mut alias = b" AS ".to_vec();
            quote_name(item_name(&String::from_utf8_lossy(original)), &mut alias);
            written.text(&alias);
        }
        written
    }

    /// A name in FROM.
    fn read(&mut self, read: &Read) -> Written {
        let original = &self.sql[read.range.clone()];
        let name = match read.what {
            What::Table(table) => quoted(&self.opened.open(self.names.tables[table])).into_bytes(),
            What::Itself(def) => self.current[def].clone(),
            What::Def(def) if self.names.defs[def].evaluated => {
                quoted(&self.opened.open(&evaluated_name(def))).into_bytes()
            }
            What::Def(def) => self.another(def),
        };
        let mut written = Written::default();
        written.text(&name);
        if !read.aliased && name != original {
            written.text(b" AS ");
            written.text(original);
        }
        written
    }

    /// The name under which the query of a name of WITH is written for one more place: at first its own.
    fn another(&mut self, def: usize) -> Vec<u8> {
        let name = if self.written[def].is_empty() {
            self.sql[self.names.defs[def].name_range.clone()].to_vec()
        } else {
            self.made += 1;
            quoted(&format!("{PREFIX}{def}_copy_{}", self.made)).into_bytes()
        };
        self.written[def].push(name.clone());
        name
    }
}

impl Written {
    fn text(&mut self, text: &[u8]) {
        self.sql.extend_from_slice(text);
    }

    fn add(&mut self, other: Self) {
        self.sql.extend_from_slice(&other.sql);
        self.params.extend(other.params);
    }
}
