//! Generated writes: through the proxy over 1, 2 and 4 shards, a sequence of statements does what one plain server does.
//!
//! After each statement counts, info text, insert id, warnings, errors and the rows of all tables are compared. A sequence
//! that comes to something else is made small and printed. A refused statement (1235) is left out on the plain server too.
//! docs/testing.md tells of the variables.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../generated_answers/kind.rs"]
#[allow(dead_code)]
mod kind;
#[path = "../generated_answers/schema.rs"]
#[allow(dead_code)]
mod schema;
mod side;
mod statement;
#[path = "../generated_answers/tree.rs"]
#[allow(dead_code, unused_imports, unused_macros)]
mod tree;

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kind::{Column, Flavour, Kind};
use schema::{LAYOUTS, Schema};
use side::{Refused, Seen, Side};
use statement::{FORBIDDEN_ID, Maker, Write};
use support::backends::Backends;
use support::dice::Dice;
use support::proxy::{ProxyProcess, Rules};
use support::raw::{Options, capability};

/// How often a smaller sequence is tried.
const TRIALS: usize = 250;
const STRICT: &str = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";
const NUMBERED: &str = "CREATE TABLE numbered (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL, v VARCHAR(10), \
                        n INT NOT NULL DEFAULT 0, PRIMARY KEY (id, k), UNIQUE KEY v (k, v))";

fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[derive(Debug, Default)]
struct Tally {
    statements: usize,
    errors: usize,
    refused: BTreeMap<String, (usize, String)>,
    differ: usize,
    cases: Vec<String>,
}

/// The tables of a seed on the plain server and behind a proxy.
struct Round {
    seed: u64,
    schema: Schema,
    definitions: Vec<String>,
    tables: Vec<String>,
    sql_mode: &'static str,
    plain: Options,
    through: Options,
    _proxy: ProxyProcess,
}

/// Where two sides differ.
struct Found {
    kind: &'static str,
    at: usize,
    want: Seen,
    got: Seen,
}

fn name(layout: usize) -> String {
    format!("writes_{}", LAYOUTS[layout])
}

impl Round {
    fn start(backends: &Backends, flavour: Flavour, seed: u64) -> (Self, Maker) {
        let mut dice = Dice::new(seed, 1);
        let schema = Schema::generate(flavour, &mut dice);
        let (mut definitions, mut unique, mut required) = (Vec::new(), Vec::new(), Vec::new());
        for table in &schema.tables {
            definitions.push(table.create(true));
            let name = &table.name;
            definitions.push(format!("ALTER TABLE {name} ADD CHECK (id <> {FORBIDDEN_ID})"));
            let others = &table.columns[3..];
            let plain = |kind: Kind| matches!(kind, Kind::Int | Kind::Big | Kind::Date | Kind::Decimal);
            if let Some(column) = others.iter().find(|column| plain(column.kind) && !column.is_generated())
                && dice.one_in(2)
            {
                definitions.push(format!("ALTER TABLE {name} ADD UNIQUE KEY u (k, j, {})", column.name));
                unique.push(format!("{name}.{}", column.name));
            }
            // a NULL in it is the moment of the write
            let is_moment = |column: &Column| column.declaration.starts_with("TIMESTAMP");
            if let Some(column) =
                others.last().filter(|column| !column.is_generated() && dice.one_in(2) && !is_moment(column))
            {
                let default = match column.kind {
                    Kind::Int | Kind::Big if dice.one_in(2) => " DEFAULT 1",
                    _ => "",
                };
                if default.is_empty() {
                    required.push(format!("{name}.{}", column.name));
                }
                let declaration = column.declaration.trim_end_matches(" NULL");
                definitions.push(format!("ALTER TABLE {name} MODIFY {} {declaration} NOT NULL{default}", column.name));
            }
        }
        definitions.push(NUMBERED.to_owned());
        let mut tables: Vec<String> = schema.tables.iter().map(|table| table.name.clone()).collect();
        tables.push("numbered".to_owned());
        let mut rules = Rules::default();
        for (layout, shards) in LAYOUTS.iter().enumerate() {
            rules = rules.and_schema(&name(layout), &with_numbered(&schema.rules(*shards), *shards));
        }
        // a proxy that finds a sequence does not begin it anew, since another might have numbers of it left
        for group in &backends.groups {
            let _ = Options::new(&group.primary).connect().unwrap().query("DELETE FROM shardloom.sequences");
        }
        let proxy = ProxyProcess::start(backends, &rules);
        let flags = capability::LOCAL_FILES | if seed.is_multiple_of(2) { capability::FOUND_ROWS } else { 0 };
        let round = Self {
            seed,
            definitions,
            tables,
            sql_mode: if seed.is_multiple_of(3) { "" } else { STRICT },
            plain: Options::new(&backends.plain).with(flags),
            through: Options::new(&proxy.url()).with(flags),
            _proxy: proxy,
            schema,
        };
        for options in [&round.plain, &round.through] {
            for layout in 0..LAYOUTS.len() {
                let mut client = options.clone().schema(&name(layout)).connect().unwrap();
                client.run("SET sql_mode = ''");
                round.definitions.iter().for_each(|definition| {
                    client.run(definition);
                });
            }
        }
        let maker = Maker::new(Dice::new(seed, 2), flavour, &round.schema, unique, required);
        (round, maker)
    }

    /// Runs a sequence on both sides until they differ.
    fn run(&self, writes: &[Write], layout: usize, mut tally: Option<&mut Tally>) -> Option<Found> {
        let open = |options| Side::open(options, &name(layout), &self.tables, self.sql_mode);
        let (mut plain, mut proxy) = (open(&self.plain), open(&self.through));
        for (at, write) in writes.iter().enumerate() {
            let got = match proxy.run(write) {
                Ok(got) => got,
                Err(Refused(reason)) => {
                    if let Some(tally) = tally.as_deref_mut() {
                        tally.refuse(&reason, &write.sql().0);
                    }
                    continue;
                }
            };
            let want = match plain.run(write) {
                Ok(want) => want,
                // the proxy has found a server's own error where this one has none of its own
                Err(Refused(reason)) => Seen { outcome: reason, warnings: Vec::new(), contents: Vec::new() },
            };
            if let Some(tally) = tally.as_deref_mut() {
                tally.statements += 1;
                tally.errors += usize::from(want.outcome.starts_with("error"));
            }
            // of a row that lacks its key and has a NULL where none may be, MySQL tells the second
            let lacks_both = want.outcome.starts_with("error 1048") && got.outcome.starts_with("error 1364");
            let both_fail = want.is_error() && got.is_error() && (write.has_several_rows() || lacks_both);
            if let Some(kind) = want.difference(&got).filter(|kind| *kind != "outcome" || !both_fail) {
                return Some(Found { kind, at, want, got });
            }
        }
        None
    }

    /// The shortest sequence that still differs, written down.
    fn shrunk(&self, mut writes: Vec<Write>, layout: usize, found: Found) -> String {
        writes.truncate(found.at + 1);
        let mut least = found;
        let mut trials = 0;
        let mut again = |writes: &[Write], kind: &str| {
            trials += 1;
            if trials > TRIALS { None } else { self.run(writes, layout, None).filter(|found| found.kind == kind) }
        };
        let mut chunk = writes.len() / 2;
        while chunk > 0 {
            let mut start = 0;
            while start < writes.len().saturating_sub(1) {
                let mut fewer = writes.clone();
                fewer.drain(start..(start + chunk).min(writes.len() - 1));
                match again(&fewer, least.kind) {
                    Some(found) => {
                        fewer.truncate(found.at + 1);
                        (writes, least) = (fewer, found);
                    }
                    None => start += chunk,
                }
            }
            chunk /= 2;
        }
        let mut at = writes.len();
        while at > 0 {
            at -= 1;
            while let Some((smaller, found)) = writes[at].smaller().into_iter().find_map(|smaller| {
                let mut fewer = writes.clone();
                fewer[at] = smaller;
                again(&fewer, least.kind).filter(|found| found.at + 1 == fewer.len()).map(|found| (fewer, found))
            }) {
                (writes, least) = (smaller, found);
            }
        }
        self.write(&writes, layout, &least)
    }

    fn write(&self, writes: &[Write], layout: usize, found: &Found) -> String {
        let mut text = format!("# seed {}, {} differ, {} shards\n", self.seed, found.kind, LAYOUTS[layout]);
        let used = |table: &str| writes.iter().any(|write| write.sql().0.contains(table));
        for line in self.schema.rules_of(LAYOUTS[layout], |table| used(&table.name)).lines() {
            let _ = writeln!(text, "#! {line}");
        }
        let definitions = self.definitions.iter().filter(|text| {
            let table = text.split(' ').nth(2).unwrap_or_default();
            used(table)
        });
        definitions.for_each(|definition| writeln!(text, "{definition};").unwrap());
        let _ = writeln!(text, "SET sql_mode = '{}';", self.sql_mode);
        for write in writes {
            let how = if write.prepared { " -- prepared" } else { "" };
            let _ = writeln!(text, "{};{how}", write.sql().0);
            if write.prepared {
                let _ = writeln!(text, "# {:?}", write.sql().1);
            }
            write.file.iter().flatten().for_each(|line| writeln!(text, "# file: {line}").unwrap());
        }
        let _ = write!(text, "# plain: {}# proxy: {}", found.want, found.got);
        for (at, (want, got)) in found.want.contents.iter().zip(&found.got.contents).enumerate() {
            if want != got {
                let only = |these: &[String], those: &[String]| {
                    these.iter().filter(|row| !those.contains(row)).cloned().collect::<Vec<_>>().join("\n#     ")
                };
                let _ = writeln!(
                    text,
                    "# {} plain: {}\n#     proxy: {}",
                    self.tables[at],
                    only(want, got),
                    only(got, want)
                );
            }
        }
        text
    }
}

/// The rules with the table whose numbers are made.
fn with_numbered(rules: &str, shards: usize) -> String {
    let rule = match shards {
        1 => "      numbered: {data_nodes: g0.numbered}",
        2 => "      numbered: {data_nodes: 'g{0..1}.numbered', strategy: {columns: [k], algorithm: {type: mod}}}",
        _ => {
            "      numbered: {data_nodes: 'g{0..1}.numbered_{0..1}', strategy: {columns: [k], algorithm: {type: mod}}}"
        }
    };
    if rules.contains("    tables:\n") {
        rules.replacen("    tables:\n", &format!("    tables:\n{rule}\n"), 1)
    } else {
        rules.replacen("    default_group: g0", &format!("    default_group: g0\n    tables:\n{rule}"), 1)
    }
}

impl Tally {
    fn refuse(&mut self, reason: &str, sql: &str) {
        let kind: String = reason.split(['\'', '"', '`']).step_by(2).collect::<Vec<_>>().join("…");
        let (count, shortest) = self.refused.entry(kind).or_insert_with(|| (0, sql.to_owned()));
        *count += 1;
        if sql.len() < shortest.len() {
            *shortest = sql.to_owned();
        }
    }
}

#[test]
fn what_is_written_is_right() {
    let seed = number_of("SHARDLOOM_SEED", 1);
    let rounds = number_of("SHARDLOOM_ROUNDS", 6);
    let statements = number_of("SHARDLOOM_STATEMENTS", 60);
    let sequences = number_of("SHARDLOOM_SEQUENCES", 2);
    let shown = number_of("SHARDLOOM_DIFFERENCES", 5) as usize;
    let deadline = Instant::now() + Duration::from_secs(number_of("SHARDLOOM_SECONDS", 600));
    let backends = Backends::shared();
    let plain = Options::new(&backends.plain).connect().unwrap();
    let flavour = Flavour { mysql: !plain.greeting.version.contains("MariaDB") };
    let mut tally = Tally::default();
    'rounds: for number in 0..rounds {
        let (round, mut maker) = Round::start(backends, flavour, seed + number);
        for _ in 0..sequences {
            if Instant::now() > deadline {
                println!("the time is over after {number} of {rounds} rounds");
                break 'rounds;
            }
            let writes: Vec<Write> = (0..statements).map(|_| maker.next()).collect();
            // what differs in the same way in several layouts is made small once
            let mut known = Vec::new();
            for layout in 0..LAYOUTS.len() {
                let Some(found) = round.run(&writes, layout, Some(&mut tally)) else { continue };
                tally.differ += 1;
                if tally.cases.len() < shown && !known.contains(&(found.kind, found.at)) {
                    known.push((found.kind, found.at));
                    let case = round.shrunk(writes.clone(), layout, found);
                    println!("{case}\n");
                    tally.cases.push(case);
                }
            }
        }
    }
    let refused: usize = tally.refused.values().map(|(count, _)| count).sum();
    println!(
        "{} statements ({} of them errors): {refused} refused, {} sequences differ",
        tally.statements, tally.errors, tally.differ
    );
    tally.refused.iter().for_each(|(kind, (count, sql))| println!("    refused {count} × {kind}\n        {sql}"));
    assert!(
        tally.differ == 0,
        "seed {seed}: {} sequences differ; of them:\n\n{}",
        tally.differ,
        tally.cases.join("\n\n")
    );
    assert!(tally.statements > tally.errors * 2, "too few statements did something");
}
