//! Making a difference small, and writing it down as a case for `tests/slt/found`.

use std::fmt::Write as _;

use super::compare::{Answer, Difference};
use super::round::Round;
use super::schema::LAYOUTS;
use super::side::Mode;
use super::tree::Tree;
use crate::support::backends::Backends;
use crate::support::raw::Param;

/// How many smaller statements are tried.
const STATEMENT_TRIALS: usize = 400;
/// How many smaller sets of rows are tried.
const ROW_TRIALS: usize = 60;

/// A statement that is answered differently, with the rows it needs.
#[derive(Debug, Clone)]
pub struct Case {
    pub layout: usize,
    pub mode: Mode,
    pub tree: Tree,
    pub kind: Difference,
}

impl Case {
    /// The case with the least statement and the fewest rows that still differ, written down.
    pub fn shrunk(mut self, round: &mut Round) -> String {
        if self.mode != Mode::Text && self.differs(round, &self.tree, Mode::Text) {
            self.mode = Mode::Text;
        }
        let mut trials = 0;
        while let Some(smaller) = self.step(round, &mut trials) {
            self.tree = smaller;
        }
        let rows = self.fewer_rows(round);
        let text = self.write(round, &rows);
        round.fill_again(self.layout);
        text
    }

    fn differs(&self, round: &mut Round, tree: &Tree, mode: Mode) -> bool {
        let (difference, ..) = round.compare(tree, mode, self.layout);
        difference.is_some() && !round.revive(Backends::shared()) && difference == Some(self.kind)
    }

    fn step(&self, round: &mut Round, trials: &mut usize) -> Option<Tree> {
        let size = self.tree.statement(false).text.len();
        let mut smaller: Vec<Tree> = self.tree.smaller();
        smaller.retain(|tree| tree.statement(false).text.len() < size);
        smaller.sort_by_key(|tree| tree.statement(false).text.len());
        for tree in smaller {
            *trials += 1;
            if *trials > STATEMENT_TRIALS {
                return None;
            }
            if self.differs(round, &tree, self.mode) {
                return Some(tree);
            }
        }
        None
    }

    /// The statement, and the views that it names.
    fn text(&self, round: &Round) -> String {
        let text = self.tree.statement(false).text;
        let views = round.views.iter().filter(|view| is_word_of(&text, &view.name)).map(|view| view.create.as_str());
        views.fold(text.clone(), |all, view| all + "\n" + view)
    }

    fn uses(&self, round: &Round, table: &str) -> bool {
        is_word_of(&self.text(round), table)
    }

    /// The rows of each table that the difference needs.
    fn fewer_rows(&self, round: &mut Round) -> Vec<Vec<Vec<String>>> {
        let mut kept: Vec<Vec<Vec<String>>> = round.schema.tables.iter().map(|table| table.rows.clone()).collect();
        let mut trials = 0;
        for (at, kept) in kept.iter_mut().enumerate() {
            if !self.uses(round, &round.schema.tables[at].name) {
                continue;
            }
            let mut chunk = kept.len();
            while chunk > 0 && trials < ROW_TRIALS {
                let mut start = 0;
                while start < kept.len() && trials < ROW_TRIALS {
                    let mut fewer = kept.clone();
                    fewer.drain(start..(start + chunk).min(fewer.len()));
                    trials += 1;
                    round.set_rows(at, &fewer, self.layout);
                    if self.differs(round, &self.tree, self.mode) {
                        *kept = fewer;
                    } else {
                        start += chunk;
                    }
                }
                chunk /= 2;
            }
            round.set_rows(at, kept, self.layout);
        }
        kept
    }

    fn write(&self, round: &mut Round, rows: &[Vec<Vec<String>>]) -> String {
        let shards = LAYOUTS[self.layout];
        let (_, want, got) = round.compare(&self.tree, self.mode, self.layout);
        let statement = self.tree.statement(self.mode != Mode::Text);
        let route = round.route(&self.tree.statement(false).text, self.layout);
        let mut text = format!("# {:?} differ, {:?}, {shards} shards\n", self.kind, self.mode);
        for line in route.lines() {
            let _ = writeln!(text, "# route: {line}");
        }
        match self.kind {
            Difference::Columns => {
                let _ = writeln!(text, "# plain: {}\n# proxy: {}", want.show_columns(&got), got.show_columns(&want));
            }
            _ => {
                let _ = writeln!(text, "# plain: {}\n# proxy: {}", want.show(), got.show());
            }
        }
        for line in round.schema.rules_of(shards, |table| self.uses(round, &table.name)).lines() {
            let _ = writeln!(text, "#! {line}");
        }
        text += &self.setup(round, rows, &self.text(round));
        let head = match want {
            Answer::Error(errno, _) => format!("error {errno}"),
            _ if self.tree.order().is_some_and(|places| places.is_empty()) => "query".to_owned(),
            _ => "query bag".to_owned(),
        };
        let _ = writeln!(text, "\n{head}");
        if !statement.params.is_empty() {
            let params: Vec<String> = statement.params.iter().map(write_param).collect();
            let _ = writeln!(text, "params {}", params.join(", "));
        }
        let _ = writeln!(text, "{}", statement.text);
        text
    }

    /// The tables with the columns that the statement names.
    fn setup(&self, round: &Round, rows: &[Vec<Vec<String>>], sql: &str) -> String {
        let mut text = String::new();
        for (table, rows) in round.schema.tables.iter().zip(rows).filter(|(table, _)| self.uses(round, &table.name)) {
            let wanted = |name: &str| {
                let word = format!(".{name}");
                matches!(name, "id" | "k" | "j")
                    || sql.contains("NATURAL")
                    || sql
                        .match_indices(&word)
                        .any(|(at, _)| !sql[at + word.len()..].starts_with(|sign: char| sign.is_ascii_alphanumeric()))
            };
            let places: Vec<usize> =
                (0..table.columns.len()).filter(|place| wanted(&table.columns[*place].name)).collect();
            let mut table = table.clone();
            table.columns = places.iter().map(|place| table.columns[*place].clone()).collect();
            let pick = |row: &Vec<String>| places.iter().map(|place| row[*place].clone()).collect();
            let rows: Vec<Vec<String>> = rows.iter().map(pick).collect();
            let _ = writeln!(text, "\nok\n{}", table.create(true));
            if let Some(insert) = table.insert(&rows) {
                let _ = writeln!(text, "\nok loose\n{insert}");
            }
        }
        for view in round.views.iter().filter(|view| self.uses(round, &view.name)) {
            let _ = writeln!(text, "\nok\n{}", view.create);
        }
        text
    }
}

pub fn is_word_of(text: &str, name: &str) -> bool {
    text.split(|sign: char| !sign.is_ascii_alphanumeric()).any(|word| word == name)
}

fn write_param(param: &Param) -> String {
    match param {
        Param::Int(value) => value.to_string(),
        Param::UInt(value) => value.to_string(),
        Param::Double(value) => format!("{value:?}"),
        Param::Text(value) => format!("'{value}'"),
        other => format!("{other:?}").to_uppercase(),
    }
}
