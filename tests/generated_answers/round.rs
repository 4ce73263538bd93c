//! One schema with its rows, on the plain server and through the proxy in every layout.

use std::time::{Duration, Instant};

use shardloom::playground::local_server::{LocalServer, greets};

use super::compare::{Answer, Difference, forgets_parameters};
use super::expression::{Source, Writer};
use super::kind::{Flavour, Kind};
use super::schema::{LAYOUTS, Schema};
use super::side::{Mode, Side};
use super::tree::{Statement, Tree};
use crate::support::backends::{Backends, block_on};
use crate::support::dice::Dice;
use crate::support::proxy::{ProxyProcess, Rules};
use crate::support::raw::{Options, capability};

/// Ways in which MySQL may run a statement otherwise than it chooses to.
const OTHER_PLANS: [&str; 4] = [
    "hash_join=off,block_nested_loop=off",
    "semijoin=off",
    "derived_merge=off",
    "semijoin=off,subquery_materialization_cost_based=off",
];

/// How long the proxy may take to find a server that was started again.
const REVIVAL: Duration = Duration::from_secs(60);

/// A view.
pub struct View {
    pub name: String,
    columns: Vec<(String, Kind)>,
    /// The statement that makes it.
    pub create: String,
}

pub struct Round {
    pub schema: Schema,
    plain: Side,
    /// The same rows in other orders and without keys, on the plain server.
    copies: Vec<Side>,
    /// Through the proxy, one for each layout.
    proxies: Vec<Side>,
    /// Views over the tables.
    pub views: Vec<View>,
    /// The servers are MySQL.
    mysql: bool,
    dice: Dice,
    _proxy: ProxyProcess,
}

/// The name of a layout's schema.
fn name(layout: usize) -> String {
    format!("gen_{}", LAYOUTS[layout])
}

impl Round {
    /// Makes the tables everywhere and fills them.
    pub fn start(backends: &Backends, flavour: Flavour, seed: u64, cursors: bool) -> Self {
        let mut dice = Dice::new(seed, 1);
        let schema = Schema::generate(flavour, &mut dice);
        let mut rules = Rules::default();
        for (layout, shards) in LAYOUTS.iter().enumerate() {
            rules = rules.and_schema(&name(layout), &schema.rules(*shards));
        }
        let proxy = ProxyProcess::start(backends, &rules);
        let drop = if cursors { capability::DEPRECATE_EOF } else { 0 };
        let through = proxy.url();
        let side = |url, schema: &str| Side::connect(Options::new(url).schema(schema).without(drop));
        let mut copies: Vec<Side> = (1..LAYOUTS.len()).map(|layout| side(&backends.plain, &name(layout))).collect();
        let mut maker = side(&backends.plain, &name(0));
        maker.run("DROP DATABASE IF EXISTS gen_copy");
        maker.run("CREATE DATABASE gen_copy");
        copies.push(side(&backends.plain, "gen_copy"));
        let mut round = Self {
            plain: side(&backends.plain, &name(0)),
            copies,
            proxies: (0..LAYOUTS.len()).map(|layout| side(&through, &name(layout))).collect(),
            schema,
            views: Vec::new(),
            mysql: flavour.mysql,
            dice,
            _proxy: proxy,
        };
        // Outside of strict mode there are days and members of ENUM that are none.
        round.on_all("SET sql_mode = ''");
        round.create();
        round.on_all("SET sql_mode = DEFAULT");
        round.create_views(flavour, seed);
        round
    }

    fn on_all(&mut self, sql: &str) {
        let sides = std::iter::once(&mut self.plain).chain(&mut self.copies).chain(&mut self.proxies);
        sides.for_each(|side| side.run(sql));
    }

    fn create(&mut self) {
        for table in &self.schema.tables {
            std::iter::once(&mut self.plain).chain(&mut self.proxies).for_each(|side| side.run(&table.create(true)));
            self.copies.iter_mut().for_each(|side| side.run(&table.create(false)));
            if let Some(insert) = table.insert(&table.rows) {
                std::iter::once(&mut self.plain).chain(&mut self.proxies).for_each(|side| side.run(&insert));
            }
            let mut rows = table.rows.clone();
            rows.reverse();
            for copy in &mut self.copies {
                table.insert(&rows).iter().for_each(|insert| copy.run(insert));
                self.dice.shuffle(&mut rows);
            }
        }
    }

    /// Makes some views that both the plain server and the proxy take.
    fn create_views(&mut self, flavour: Flavour, seed: u64) {
        let tables = self.sources();
        for number in 0..3 {
            let mut writer = Writer {
                dice: Dice::new(seed, 1_000_000 + number),
                flavour,
                tables: &tables,
                common: Vec::new(),
                names: 0,
            };
            let (body, kinds) = writer.view();
            let name = format!("v{number}");
            let columns = kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}"), *kind)).collect();
            let create = format!("CREATE VIEW {name} AS {}", body.statement(false).text);
            let drop = format!("DROP VIEW IF EXISTS {name}");
            let mut sides: Vec<&mut Side> =
                std::iter::once(&mut self.plain).chain(&mut self.copies).chain(&mut self.proxies).collect();
            let statement = |text: &str| Statement { text: text.to_owned(), params: Vec::new() };
            let is_error = |answer: &Answer| matches!(answer, Answer::Error(..));
            if sides.iter_mut().any(|side| is_error(&side.ask(&statement(&create), Mode::Text))) {
                sides.iter_mut().for_each(|side| side.run(&drop));
            } else {
                self.views.push(View { name, columns, create });
            }
        }
    }

    /// What queries may name.
    pub fn sources(&self) -> Vec<Source> {
        let columns = |table: &super::schema::Table| {
            table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect()
        };
        let tables =
            self.schema.tables.iter().map(|table| Source { alias: table.name.clone(), columns: columns(table) });
        let views = self.views.iter().map(|view| Source { alias: view.name.clone(), columns: view.columns.clone() });
        tables.chain(views).collect()
    }

    /// Runs a statement plainly and through the proxy.
    pub fn compare(&mut self, tree: &Tree, mode: Mode, layout: usize) -> (Option<Difference>, Answer, Answer) {
        let statement = tree.statement(mode != Mode::Text);
        let want = self.plain.ask(&statement, mode);
        let (difference, got) = self.against(&want, tree, mode, layout);
        (difference, want, got)
    }

    /// Runs a statement plainly.
    pub fn plain(&mut self, statement: &Statement, mode: Mode) -> Answer {
        self.plain.ask(statement, mode)
    }

    /// Runs a statement through the proxy and compares it with the plain answer. A refusal is no difference.
    pub fn against(&mut self, want: &Answer, tree: &Tree, mode: Mode, layout: usize) -> (Option<Difference>, Answer) {
        let statement = &tree.statement(mode != Mode::Text);
        let got = self.proxies[layout].ask(statement, mode);
        if got.refusal().is_some() {
            return (None, got);
        }
        let copies = &mut self.copies;
        let copies = || copies.iter_mut().map(|copy| copy.ask(statement, mode)).collect();
        let difference = want.difference(&got, tree.order(), &statement.text, self.mysql, copies);
        if difference == Some(Difference::Rows)
            && self.mysql
            && mode != Mode::Text
            && forgets_parameters(&statement.text)
        {
            let want = self.plain(&tree.statement(false), Mode::Text);
            return self.against(&want, tree, Mode::Text, layout);
        }
        let may_depend = self.mysql && difference == Some(Difference::Error) && got.is_out_of_range();
        if may_depend && self.errs_by_another_plan(&got, statement, mode) {
            return (None, got);
        }
        (difference, got)
    }

    /// Whether the plain server comes to an error too when it runs a statement another way.
    fn errs_by_another_plan(&mut self, error: &Answer, statement: &Statement, mode: Mode) -> bool {
        OTHER_PLANS.iter().any(|switches| {
            std::iter::once(&mut self.plain).chain(&mut self.copies).any(|side| {
                side.run(&format!("SET optimizer_switch = '{switches}'"));
                let answer = side.ask(statement, mode);
                side.run("SET optimizer_switch = DEFAULT");
                answer.is_error_of(error)
            })
        })
    }

    /// Starts servers again that a statement has ended, and tells whether there were any: servers have faults of their own,
    /// and one that takes a server down says nothing of the proxy.
    pub fn revive(&mut self, backends: &Backends) -> bool {
        let restart = |server: &mut LocalServer| {
            let is_down = !block_on(greets(server.port()));
            if is_down {
                block_on(server.restart()).unwrap();
            }
            is_down
        };
        let restarted = backends.with_local(|cluster| cluster.servers_mut().map(restart).filter(|done| *done).count());
        if restarted.unwrap_or_default() == 0 {
            return false;
        }
        std::iter::once(&mut self.plain).chain(&mut self.copies).for_each(Side::reconnect);
        let text = format!("SELECT COUNT(*) FROM {}", self.schema.tables[0].name);
        let statement = Statement { text, params: Vec::new() };
        let deadline = Instant::now() + REVIVAL;
        for side in &mut self.proxies {
            while !matches!(side.ask(&statement, Mode::Text), Answer::Rows { .. }) {
                assert!(Instant::now() < deadline, "the proxy does not find a server that was started again");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        true
    }

    /// EXPLAIN ROUTE.
    pub fn route(&mut self, sql: &str, layout: usize) -> String {
        let statement = Statement { text: format!("EXPLAIN ROUTE {sql}"), params: Vec::new() };
        match self.proxies[layout].ask(&statement, Mode::Text) {
            Answer::Rows { cells, .. } => {
                let cell =
                    |cell: &Option<Vec<u8>>| String::from_utf8_lossy(cell.as_deref().unwrap_or_default()).into_owned();
                cells.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" | ") + "\n").collect()
            }
            other => other.show(),
        }
    }

    /// Gives a table other rows, plainly and in one layout.
    pub fn set_rows(&mut self, table: usize, rows: &[Vec<String>], layout: usize) {
        self.on_all("SET sql_mode = ''");
        let table = &self.schema.tables[table];
        let sides =
            std::iter::once(&mut self.plain).chain(&mut self.copies).chain(std::iter::once(&mut self.proxies[layout]));
        for side in sides {
            side.run(&format!("DELETE FROM {}", table.name));
        }
        let mut rows = rows.to_vec();
        let fill =
            |side: &mut Side, rows: &[Vec<String>]| table.insert(rows).iter().for_each(|insert| side.run(insert));
        fill(&mut self.plain, &rows);
        fill(&mut self.proxies[layout], &rows);
        rows.reverse();
        for copy in &mut self.copies {
            fill(copy, &rows);
            self.dice.shuffle(&mut rows);
        }
        self.on_all("SET sql_mode = DEFAULT");
    }

    /// Puts all rows back.
    pub fn fill_again(&mut self, layout: usize) {
        for table in 0..self.schema.tables.len() {
            let rows = self.schema.tables[table].rows.clone();
            self.set_rows(table, &rows, layout);
        }
    }
}
