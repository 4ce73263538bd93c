//! Generated queries, through the proxy over shards and on one plain server: what is not refused must be answered alike.
//!
//! The queries come from a seed, so that a difference can be had again: `SHARDLOOM_SEED` (default 1) and
//! `SHARDLOOM_QUERIES` (default 1500) choose others and more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fmt::Write as _;

use support::backends::Backends;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::Response;
use support::raw::{Options, RawClient};

/// `a`, `b`, `c` are bound by `k`; `d`, `e` by `k` and `j` in two levels; `f` is split in another way; `w` is on all
/// groups, `u` on the default one.
const RULES: &str = "    default_group: g0
    tables:
      a: {data_nodes: 'g{0..1}.a_{0..1}', strategy: {columns: [k], algorithm: by_mod}}
      b: {data_nodes: 'g{0..1}.b_{0..1}', strategy: {columns: [k], algorithm: by_mod}}
      c: {data_nodes: 'g{0..1}.c_{0..1}', strategy: {columns: [k], algorithm: by_mod}}
      d:
        data_nodes: g{0..1}.d_{0..1}
        database_strategy: {columns: [k], algorithm: by_mod}
        table_strategy: {columns: [j], algorithm: by_mod}
      e:
        data_nodes: g{0..1}.e_{0..1}
        database_strategy: {columns: [k], algorithm: by_mod}
        table_strategy: {columns: [j], algorithm: by_mod}
      f: {data_nodes: 'g{0..1}.f', strategy: {columns: [k], algorithm: by_ring}}
      t: {data_nodes: 'g{0..1}.t_{0..1}', strategy: {columns: [s], algorithm: by_text}}
    binding_tables: [[a, b, c], [d, e]]
    broadcast_tables: [w]
    algorithms: {by_mod: {type: mod}, by_ring: {type: consistent_hash}, by_text: {type: hash_mod}}";

const TABLES: &[&str] = &["a", "b", "c", "d", "e", "f", "t", "w", "u"];

/// A generator of numbers that gives the same ones for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % count
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Writes queries.
struct Writer {
    dice: Dice,
    aliases: usize,
}

impl Writer {
    fn number(&mut self) -> String {
        (self.dice.below(7) as i64 - 1).to_string()
    }

    /// A column of one of the tables in sight.
    fn column(&mut self, sight: &[String]) -> String {
        let table = &sight[self.dice.below(sight.len())];
        format!("{table}.{}", self.dice.pick(&["k", "k", "j", "x", "s"]))
    }

    fn number_column(&mut self, sight: &[String]) -> String {
        let table = &sight[self.dice.below(sight.len())];
        format!("{table}.{}", self.dice.pick(&["k", "k", "k", "j", "x"]))
    }

    fn condition(&mut self, sight: &[String], depth: usize) -> String {
        match self.dice.below(if depth == 0 { 9 } else { 14 }) {
            0..=2 => format!("{} = {}", self.number_column(sight), self.number()),
            3 => {
                let operator = self.dice.pick(&["<", "<=", ">", ">=", "<>", "<=>"]);
                format!("{} {operator} {}", self.number_column(sight), self.number())
            }
            4 => {
                let column = self.number_column(sight);
                let list: Vec<String> = (0..2 + self.dice.below(3)).map(|_| self.number()).collect();
                format!("{column} {}IN ({})", self.dice.pick(&["", "", "NOT "]), list.join(", "))
            }
            5 => format!("{} = {}", self.number_column(sight), self.number_column(sight)),
            6 => format!("{} BETWEEN {} AND {}", self.number_column(sight), self.number(), self.number()),
            7 => {
                let column = self.column(sight);
                format!("{column} IS {}NULL", self.dice.pick(&["", "NOT "]))
            }
            8 => {
                let table = &sight[self.dice.below(sight.len())];
                let text = self.dice.pick(&["'a'", "'A'", "'b '", "'c'", "''"]);
                format!("{table}.s = {text}")
            }
            9 | 10 => format!("({} AND {})", self.condition(sight, depth - 1), self.condition(sight, depth - 1)),
            11 => format!("({} OR {})", self.condition(sight, depth - 1), self.condition(sight, depth - 1)),
            12 => format!("NOT ({})", self.condition(sight, depth - 1)),
            _ => self.subquery(sight, depth - 1),
        }
    }

    fn subquery(&mut self, sight: &[String], depth: usize) -> String {
        let (from, own) = self.from(1);
        let mut all = sight.to_vec();
        all.extend(own.clone());
        let outer = self.number_column(sight);
        let tie = if self.dice.one_in(3) { "1 = 1".to_owned() } else { format!("{}.k = {}.k", own[0], sight[0]) };
        let condition = self.condition(&all, depth);
        match self.dice.below(4) {
            0 => format!("EXISTS (SELECT 1 FROM {from} WHERE {tie} AND {condition})"),
            1 => format!("NOT EXISTS (SELECT 1 FROM {from} WHERE {tie} AND {condition})"),
            2 => format!("{outer} IN (SELECT {}.k FROM {from} WHERE {tie} AND {condition})", own[0]),
            _ => format!("{outer} = (SELECT MAX({}.k) FROM {from} WHERE {tie} AND {condition})", own[0]),
        }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A table or a derived table; gives its text and its name.
    fn factor(&mut self) -> (String, String) {
        let alias = self.alias();
        let table = self.dice.pick(TABLES);
        if !self.dice.one_in(6) {
            return (format!("{table} {alias}"), alias);
        }
        let inner = self.alias();
        let condition = self.condition(std::slice::from_ref(&inner), 1);
        let text = match self.dice.below(4) {
            0 => format!(
                "(SELECT k, MIN(j) AS j, COUNT(x) AS x, MIN(s) AS s FROM {table} {inner} WHERE {condition} GROUP BY k)"
            ),
            1 => format!("(SELECT DISTINCT k, j, x, s FROM {table} {inner} WHERE {condition})"),
            2 => format!("(SELECT k, j, x, s FROM {table} {inner} WHERE {condition} ORDER BY k, j, x, s LIMIT 5)"),
            _ => format!("(SELECT * FROM {table} {inner} WHERE {condition})"),
        };
        (format!("{text} {alias}"), alias)
    }

    /// FROM with up to `most` tables; gives its text and the names in it.
    fn from(&mut self, most: usize) -> (String, Vec<String>) {
        let (mut text, first) = self.factor();
        let mut sight = vec![first];
        for _ in 1..=self.dice.below(most) {
            let (factor, alias) = self.factor();
            let before = sight.clone();
            sight.push(alias.clone());
            let kind = self.dice.pick(&["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", ","]);
            if kind == "," {
                let _ = write!(text, " CROSS JOIN {factor}");
                continue;
            }
            let partner = &before[self.dice.below(before.len())];
            let mut on = format!("{alias}.k = {partner}.k");
            if self.dice.one_in(2) {
                let _ = write!(on, " AND {alias}.j = {partner}.j");
            }
            if self.dice.one_in(4) {
                on = self.condition(&sight, 1);
            } else if self.dice.one_in(3) {
                let _ = write!(on, " {} {}", self.dice.pick(&["AND", "OR"]), self.condition(&sight, 0));
            }
            let _ = write!(text, " {kind} {factor} ON {on}");
        }
        (text, sight)
    }

    fn query(&mut self) -> String {
        self.aliases = 0;
        match self.dice.below(9) {
            0 => self.set_operation(),
            1 => self.with(),
            2 => self.nested_select(),
            _ => self.simple_query(),
        }
    }

    /// FROM and WHERE; gives their texts and the names in sight.
    fn source(&mut self, most: usize) -> (String, String, Vec<String>) {
        let most = 1 + self.dice.below(most);
        let (from, sight) = self.from(most);
        let condition = match self.dice.below(4) {
            0 => String::new(),
            1 => format!(" WHERE {}.k = {}", sight[0], self.number()),
            _ => format!(" WHERE {}", self.condition(&sight, 2)),
        };
        (from, condition, sight)
    }

    fn leg(&mut self) -> String {
        let (from, condition, sight) = self.source(2);
        let second = self.number_column(&sight);
        let table = &sight[0];
        match self.dice.below(6) {
            0 => format!("SELECT {table}.k, COUNT({second}) FROM {from}{condition} GROUP BY {table}.k"),
            1 => format!("SELECT DISTINCT {table}.k, {second} FROM {from}{condition}"),
            2 => format!("SELECT {second}, {table}.k FROM {from}{condition}"),
            _ => format!("SELECT {table}.k, {second} FROM {from}{condition}"),
        }
    }

    /// The columns have no names that are sure, so ORDER BY is by ordinals.
    fn set_operation(&mut self) -> String {
        let mut text = self.leg();
        for _ in 0..1 + self.dice.below(2) {
            let operation = self.dice.pick(&["UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
            let leg = self.leg();
            let _ = write!(text, " {operation} {leg}");
        }
        if self.dice.one_in(2) {
            let limit = self.limit();
            let _ = write!(text, " ORDER BY 1, 2{limit}");
        }
        text
    }

    fn with(&mut self) -> String {
        let (from, condition, sight) = self.source(2);
        let (column, grouped) = (self.number_column(&sight), self.dice.one_in(3));
        let first = &sight[0];
        let body = if grouped {
            format!("SELECT {first}.k AS k, MAX({column}) AS x FROM {from}{condition} GROUP BY {first}.k")
        } else {
            format!("SELECT {first}.k AS k, {column} AS x FROM {from}{condition}")
        };
        let (table, alias) = self.factor();
        let tie = self.dice.pick(&["c.k", "c.k", "c.x"]);
        let kind = self.dice.pick(&["JOIN", "LEFT JOIN"]);
        format!("WITH c AS ({body}) SELECT c.k, c.x, {alias}.j FROM c {kind} {table} ON {alias}.k = {tie}")
    }

    fn nested_select(&mut self) -> String {
        let (from, condition, sight) = self.source(2);
        let (inner, own) = self.from(1);
        let mut all = sight.clone();
        all.extend(own.clone());
        let tie = if self.dice.one_in(4) { "1 = 1".to_owned() } else { format!("{}.k = {}.k", own[0], sight[0]) };
        let filter = self.condition(&all, 0);
        let function = self.dice.pick(&["COUNT", "MAX", "SUM"]);
        let column = self.column(&sight);
        let value = format!("(SELECT {function}({}.x) FROM {inner} WHERE {tie} AND {filter})", own[0]);
        match self.dice.below(4) {
            0 => format!("SELECT {}.k, {value} AS v FROM {from}{condition} ORDER BY v", sight[0]),
            1 => format!("SELECT DISTINCT {column}, {value} FROM {from}{condition}"),
            _ => format!("SELECT {column}, {value} FROM {from}{condition}"),
        }
    }

    fn simple_query(&mut self) -> String {
        let (from, condition, sight) = self.source(3);
        match self.dice.below(6) {
            0 => self.grouped(&from, &sight, &condition),
            1 => {
                let (one, two) = (self.number_column(&sight), self.column(&sight));
                let avg = self.number_column(&sight);
                format!("SELECT COUNT(*), SUM({one}), MIN({two}), MAX({two}), AVG({avg}) FROM {from}{condition}")
            }
            2 => {
                let (one, two) = (self.column(&sight), self.column(&sight));
                let limit = self.limit();
                format!("SELECT DISTINCT {one}, {two} FROM {from}{condition} ORDER BY 1, 2{limit}")
            }
            _ => {
                let columns: Vec<String> = (0..2).map(|_| self.column(&sight)).collect();
                let limit = self.limit();
                let direction = self.dice.pick(&["", " DESC"]);
                let hidden = self.column(&sight);
                format!(
                    "SELECT {} FROM {from}{condition} ORDER BY {hidden}{direction}, {}{limit}",
                    columns.join(", "),
                    columns.join(", ")
                )
            }
        }
    }

    fn grouped(&mut self, from: &str, sight: &[String], condition: &str) -> String {
        let (key, value) = (self.column(sight), self.number_column(sight));
        let number = self.number();
        let extra = match self.dice.below(5) {
            0 => " HAVING COUNT(*) > 1".to_owned(),
            1 => " ORDER BY 1 DESC".to_owned(),
            2 => format!(" HAVING {key} >= {number}"),
            _ => String::new(),
        };
        format!("SELECT {key}, COUNT(*), SUM({value}), MAX({value}) FROM {from}{condition} GROUP BY {key}{extra}")
    }

    /// All keys are in the select list or before it, so a cut is always the same but for equal rows.
    fn limit(&mut self) -> String {
        match self.dice.below(4) {
            0 => format!(" LIMIT {}", 1 + self.dice.below(5)),
            1 => format!(" LIMIT {}, {}", self.dice.below(3), 1 + self.dice.below(5)),
            _ => String::new(),
        }
    }
}

/// Rows without order, text as its collation compares it: which of equal texts a group shows is open.
fn essence(response: &Response) -> String {
    match response {
        Response::Rows(rows) => {
            let cell = |cell: &Option<String>| cell.as_ref().map(|text| text.trim_end().to_lowercase());
            let mut lines: Vec<String> =
                rows.text().iter().map(|row| format!("{:?}", row.iter().map(cell).collect::<Vec<_>>())).collect();
            lines.sort();
            lines.join("\n")
        }
        Response::Err(error) => format!("error {}: {}", error.errno, error.message),
        other => format!("{other:?}"),
    }
}

fn fill(clients: &mut [&mut RawClient], dice: &mut Dice) {
    for table in TABLES {
        let mut rows = Vec::new();
        for _ in 0..14 {
            let x = if dice.one_in(5) { "NULL".to_owned() } else { dice.below(5).to_string() };
            // the key of `t` is its text, which is never NULL
            let s = dice.pick(&["'a'", "'A'", "'b'", "'b '", "'c'", "''"]);
            let s = if dice.one_in(6) && *table != "t" { "NULL" } else { s };
            rows.push(format!("({}, {}, {x}, {s})", dice.below(6), dice.below(4)));
        }
        for client in clients.iter_mut() {
            client.run(&format!(
                "CREATE TABLE {table} (k INT NOT NULL, j INT NOT NULL, x INT, s VARCHAR(8)) \
                 DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci"
            ));
            client.run(&format!("INSERT INTO {table} (k, j, x, s) VALUES {}", rows.join(", ")));
        }
    }
}

fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn what_is_answered_is_right() {
    let seed = number_of("SHARDLOOM_SEED", 1);
    let count = number_of("SHARDLOOM_QUERIES", 1500);
    let backends = Backends::shared();
    let proxy = ProxyProcess::start(backends, &Rules::schema("generated", RULES));
    let mut plain = Options::new(&backends.plain).schema("generated").connect().unwrap();
    let mut through = Options::new(&proxy.url()).schema("generated").connect().unwrap();
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    fill(&mut [&mut plain, &mut through], &mut dice);
    let mut writer = Writer { dice, aliases: 0 };
    let (mut same, mut refused, mut wrong) = (0, 0, Vec::new());
    for _ in 0..count {
        let sql = writer.query();
        let got = through.query(&sql);
        if matches!(&got, Response::Err(error) if error.errno == 1235) {
            refused += 1;
            continue;
        }
        let (want, got) = (essence(&plain.query(&sql)), essence(&got));
        if want == got {
            same += 1;
        } else {
            let route = essence(&through.query(&format!("EXPLAIN ROUTE {sql}")));
            wrong.push(format!("{sql}\nplain:\n{want}\nproxy:\n{got}\nroute:\n{route}"));
        }
    }
    println!("{same} alike, {refused} refused, {} differ", wrong.len());
    wrong.sort_by_key(String::len);
    wrong.truncate(5);
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n\n"));
    assert!(same * 5 > count, "too few queries were answered to show anything: {same} of {count}");
}
