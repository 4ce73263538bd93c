//! Statements that others wrote, through the proxy and on one plain server: no answer may be wrong.
//!
//! With `SHARDLOOM_CORPORA` naming a folder with `sql_cover/*.sql` and `sqllogictest/*.test`, each statement runs on both;
//! equal answers, refusals (1235) and differences are counted and printed (`--nocapture`). Rows that differ, or an error
//! on one side only that is no refusal, fail the test. Without the variable there is nothing to run.
//! `SHARDLOOM_CORPORA_FILE` picks the files whose name holds it, `SHARDLOOM_CORPORA_STEP` takes every n-th query of
//! sqllogictest, `SHARDLOOM_CORPORA_OFFSET` of them begins with another one than the first.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use support::backends::Backends;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::Response;
use support::raw::{Options, RawClient};
use support::sql_cover;

const SCHEMA1: &str = "    default_group: g0
    tables:
      test1: {data_nodes: 'g{0..1}.test1_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
      sharding_4_t1: {data_nodes: 'g{0..1}.sharding_4_t1_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
      sharding_2_t1: {data_nodes: 'g0.sharding_2_t1_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
    algorithms: {by_mod: {type: mod}}";
const SCHEMA2: &str = "    default_group: g0
    tables:
      sharding_4_t2: {data_nodes: 'g{0..1}.sharding_4_t2_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
      test2: {data_nodes: 'g{0..1}.test2_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
    broadcast_tables: [global_4_t1, global_4_t2]
    algorithms: {by_mod: {type: mod}}";
const SCHEMA3: &str = "    default_group: g0
    tables:
      sharding_4_t3: {data_nodes: 'g{0..1}.sharding_4_t3_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
      test3: {data_nodes: 'g{0..1}.test3_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
    algorithms: {by_mod: {type: mod}}";

/// sqllogictest: every table is split by its first column, each file has a schema of its own.
fn logic_schema(key: &str) -> String {
    let mut text = "    default_group: g0\n    tables:\n".to_owned();
    for (table, column) in [("t1", "a"), ("tab0", key), ("tab1", key), ("tab2", key), ("tab3", key), ("tab4", key)] {
        writeln!(
            text,
            "      {table}: {{data_nodes: 'g{{0..1}}.{table}_{{0..1}}', strategy: {{columns: [{column}], algorithm: by_mod}}}}"
        )
        .unwrap();
    }
    text + "    algorithms: {by_mod: {type: mod}}"
}

#[derive(Default)]
struct Tally {
    same: usize,
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// What both sides must agree on: rows in any order, or the number of affected rows, or the number of the error.
fn essence(response: &Response) -> String {
    match response {
        Response::Rows(rows) => {
            let mut lines: Vec<String> = rows.text().iter().map(|row| format!("{row:?}")).collect();
            lines.sort();
            let names: Vec<&str> = rows.columns.iter().map(|column| column.name.as_str()).collect();
            format!("{names:?}\n{}", lines.join("\n"))
        }
        Response::Ok(ok) => format!("ok {}", ok.affected_rows),
        Response::Err(error) => format!("error {}", error.errno),
        Response::LocalInfile(_) => "file".to_owned(),
    }
}

impl Tally {
    fn run(&mut self, sql: &str, plain: &mut RawClient, proxy: &mut RawClient) {
        let got = proxy.query(sql);
        // 1048: NULL as a sharding key. What is refused is not run on the plain server either: the data stays the same.
        if let Response::Err(error) = &got
            && (error.errno == 1235 || error.message.contains("cannot be null"))
        {
            *self.refused.entry(error.message.clone()).or_default() += 1;
            return;
        }
        let want = plain.query(sql);
        let (want, got_text) = (essence(&want), essence(&got));
        if want == got_text {
            self.same += 1;
        } else {
            let detail = match &got {
                Response::Err(error) => format!("error {}: {}", error.errno, error.message),
                _ => got_text,
            };
            self.wrong.push(format!("{sql}\n  plain: {want}\n  proxy: {detail}"));
        }
    }

    fn report(&self, name: &str) {
        let refused: usize = self.refused.values().sum();
        println!("{name}: {} same, {refused} refused, {} differ", self.same, self.wrong.len());
        let mut reasons: Vec<(&String, &usize)> = self.refused.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons.into_iter().take(8) {
            println!("    {count} × {reason}");
        }
        for wrong in self.wrong.iter().take(12) {
            println!("  DIFFERS {wrong}");
        }
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let pick = std::env::var("SHARDLOOM_CORPORA_FILE").unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter(|path| path.to_string_lossy().contains(&pick))
        .collect();
    files.sort();
    files
}

fn sqllogictest(text: &str, step: usize, offset: usize) -> Vec<String> {
    let mut statements = Vec::new();
    let mut queries = 0;
    for record in text.split("\n\n") {
        let mut lines = record.lines().filter(|line| !line.starts_with('#')).peekable();
        let mut wanted = true;
        while let Some(condition) = lines.next_if(|line| line.starts_with("skipif") || line.starts_with("onlyif")) {
            wanted &= condition.starts_with("skipif") != condition.contains(" mysql");
        }
        let Some(head) = lines.next() else { continue };
        let is_query = head.starts_with("query");
        if !wanted || !(is_query || head.starts_with("statement")) {
            continue;
        }
        queries += usize::from(is_query);
        if is_query && queries % step != offset % step {
            continue;
        }
        let sql: Vec<&str> = lines.take_while(|line| *line != "----").collect();
        statements.push(sql.join("\n"));
    }
    statements
}

#[test]
fn answers_are_those_of_one_server() {
    let Ok(folder) = std::env::var("SHARDLOOM_CORPORA") else { return };
    let folder = Path::new(&folder);
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<usize>().ok());
    let step = number("SHARDLOOM_CORPORA_STEP").unwrap_or(1).max(1);
    let offset = number("SHARDLOOM_CORPORA_OFFSET").unwrap_or(0);
    let logic = files(&folder.join("sqllogictest"), "test");
    let mut rules = Rules::schema("schema1", SCHEMA1).and_schema("schema2", SCHEMA2).and_schema("schema3", SCHEMA3);
    let schema_of = |path: &Path| path.file_stem().unwrap().to_string_lossy().replace('.', "_");
    for path in &logic {
        let key = if path.to_string_lossy().contains("index_orderby") { "pk" } else { "col0" };
        rules = rules.and_schema(&schema_of(path), &logic_schema(key));
    }
    let backends = Backends::shared();
    let proxy = ProxyProcess::start(backends, &rules);
    let mut wrong = 0;
    for path in files(&folder.join("sql_cover"), "sql") {
        let mut tally = Tally::default();
        let mut plain = Options::new(&backends.plain).schema("schema1").connect().unwrap();
        let mut through = Options::new(&proxy.url()).schema("schema1").connect().unwrap();
        for sql in sql_cover::statements(&std::fs::read_to_string(&path).unwrap()) {
            tally.run(&sql, &mut plain, &mut through);
        }
        tally.report(&schema_of(&path));
        wrong += tally.wrong.len();
    }
    for path in logic {
        let mut tally = Tally::default();
        let schema = schema_of(&path);
        let mut plain = Options::new(&backends.plain).schema(&schema).connect().unwrap();
        let mut through = Options::new(&proxy.url()).schema(&schema).connect().unwrap();
        for sql in sqllogictest(&std::fs::read_to_string(&path).unwrap(), step, offset) {
            tally.run(&sql, &mut plain, &mut through);
        }
        tally.report(&schema);
        wrong += tally.wrong.len();
    }
    assert_eq!(wrong, 0, "answers that differ from one server");
}
