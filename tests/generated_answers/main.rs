//! Generated schemas, rows and queries: through the proxy over 1, 2 and 4 shards, each query is answered as one plain
//! server answers it, or refused.
//!
//! Rows are compared as far as the statement determines them: where the same server gives other answers to the same rows
//! stored in another order, only what those have in common counts. Columns are compared with all their metadata. A
//! difference is made small and printed as a case for `tests/slt/found`. docs/testing.md tells of the variables.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod case;
mod compare;
mod expression;
mod kind;
mod query;
mod round;
mod schema;
mod side;
mod tree;

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use case::Case;
use compare::{Answer, Difference};

use expression::Writer;
use kind::Flavour;
use round::Round;
use schema::LAYOUTS;
use side::Mode;
use support::backends::Backends;
use support::dice::Dice;
use support::raw::Options;

/// What a run has seen.
#[derive(Debug, Default)]
struct Tally {
    statements: usize,
    same: usize,
    /// Alike but for what a server says of a view only.
    of_views: usize,
    errors: usize,
    /// Statements that ended a server, or were not answered in time.
    ended: usize,
    /// How often, and the shortest statement.
    refused: BTreeMap<String, (usize, String)>,
    differ: BTreeMap<String, usize>,
    cases: Vec<String>,
}

fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A refusal without the names and numbers that stand in it.
fn kind_of_refusal(message: &str) -> String {
    let outside = message.split(['\'', '"', '`']).step_by(2).collect::<Vec<_>>().join("…");
    outside.chars().take(110).collect()
}

#[test]
fn what_is_answered_is_right() {
    let seed = number_of("SHARDLOOM_SEED", 1);
    let rounds = number_of("SHARDLOOM_ROUNDS", 6);
    let queries = number_of("SHARDLOOM_QUERIES", 150);
    let shown = number_of("SHARDLOOM_DIFFERENCES", 5) as usize;
    let deadline = Instant::now() + Duration::from_secs(number_of("SHARDLOOM_SECONDS", 600));
    let backends = Backends::shared();
    let plain = Options::new(&backends.plain).connect().unwrap();
    let flavour = Flavour { mysql: !plain.greeting.version.contains("MariaDB") };
    let mut tally = Tally::default();
    for number in 0..rounds {
        if Instant::now() > deadline {
            println!("the time is over after {number} of {rounds} rounds");
            break;
        }
        run_round(backends, flavour, seed + number, queries, shown, &mut tally);
    }
    tally.report();
    tally.cases.sort_by_key(String::len);
    let total: usize = tally.differ.values().sum();
    assert!(total == 0, "seed {seed}: {total} answers differ; the first of them:\n\n{}", tally.cases.join("\n\n"));
    assert!(flavour.mysql || tally.ended == 0, "{} statements had no answer", tally.ended);
    assert!(tally.same * 4 > tally.statements, "too few statements were answered to show anything");
}

fn run_round(backends: &Backends, flavour: Flavour, seed: u64, queries: u64, shown: usize, tally: &mut Tally) {
    // Cursors are looked at where the end of the columns tells of them.
    let cursors = seed.is_multiple_of(2);
    let mut round = Round::start(backends, flavour, seed, cursors);
    let sources = round.sources();
    for number in 0..queries {
        let dice = Dice::new(seed, 2 + number);
        let mut writer = Writer { dice, flavour, tables: &sources, common: Vec::new(), names: 0 };
        let tree = writer.statement();
        let mode = match writer.dice.below(6) {
            0 | 1 => Mode::Prepared,
            2 if cursors => Mode::Cursor,
            _ => Mode::Text,
        };
        let statement = tree.statement(mode != Mode::Text);
        let want = round.plain(&statement, mode);
        tally.statements += 1;
        if let Answer::Other(reason) = &want {
            let is_down = round.revive(backends);
            tally.end(&statement.text, if is_down { "the server ended" } else { reason });
            continue;
        }
        tally.errors += usize::from(matches!(want, Answer::Error(..)));
        if let Answer::Error(errno, message) = &want
            && std::env::var_os("SHARDLOOM_SHOW_ERRORS").is_some()
        {
            println!("{errno} {message}\n    {}", statement.text);
        }
        for layout in 0..LAYOUTS.len() {
            let (difference, got) = round.against(&want, &tree, mode, layout);
            if let Some(reason) = got.refusal() {
                tally.refuse(kind_of_refusal(reason), &statement.text);
            }
            let Some(kind) = difference else {
                tally.same += usize::from(got.refusal().is_none());
                continue;
            };
            if round.revive(backends) && flavour.mysql {
                tally.end(&statement.text, "a server of a shard ended");
                break;
            }
            // A server says other things of the columns of a view than of those of its query in FROM, and takes some
            // aggregates over the latter only.
            let names_view = round.views.iter().any(|view| case::is_word_of(&statement.text, &view.name));
            let parts = if kind == Difference::Columns { want.column_parts(&got) } else { String::new() };
            let is_servers = kind == Difference::Columns && !parts.split(' ').any(|part| part == "name")
                || matches!(want, Answer::Error(1111, _));
            if names_view && is_servers {
                tally.of_views += 1;
                continue;
            }
            let name = match (kind, &want, &got) {
                (Difference::Columns, ..) => format!("columns: {parts}"),
                (_, Answer::Error(errno, _), Answer::Rows { .. }) => format!("error {errno} is missing"),
                (_, _, Answer::Error(errno, message)) => format!("error {errno}: {}", kind_of_refusal(message)),
                (_, _, Answer::Other(text)) => format!("other: {text}"),
                _ => "rows".to_owned(),
            };
            let count = tally.differ.entry(name).or_default();
            *count += 1;
            // One of each kind is made small; of wrong rows, as many as are shown.
            if tally.cases.len() < shown && (*count == 1 || kind == Difference::Rows) {
                let case = Case { layout, mode, tree: tree.clone(), kind };
                tally.cases.push(format!("# seed {seed}, query {number}\n{}", case.shrunk(&mut round)));
            }
        }
    }
}

impl Tally {
    fn refuse(&mut self, kind: String, sql: &str) {
        let (count, shortest) = self.refused.entry(kind).or_insert_with(|| (0, sql.to_owned()));
        *count += 1;
        if sql.len() < shortest.len() {
            *shortest = sql.to_owned();
        }
    }

    /// A statement has ended a server, or a server's patience.
    fn end(&mut self, sql: &str, what: &str) {
        println!("no answer, {what}: {sql}");
        self.ended += 1;
    }

    fn report(&self) {
        let refused: usize = self.refused.values().map(|(count, _)| count).sum();
        let differ: usize = self.differ.values().sum();
        println!(
            "{} statements ({} of them errors, {} without any answer) in {} layouts: {} alike, {} but for what is a view's, {refused} refused, {differ} differ",
            self.statements,
            self.errors,
            self.ended,
            LAYOUTS.len(),
            self.same,
            self.of_views
        );
        let mut kinds: Vec<_> = self.refused.iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        kinds.iter().take(40).for_each(|(kind, (count, sql))| println!("    refused {count} × {kind}\n        {sql}"));
        self.differ.iter().for_each(|(kind, count)| println!("    differ {count} × {kind}"));
    }
}
