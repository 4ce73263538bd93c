//! TPC-H: the 22 queries with the specification's validation parameters, through the proxy over four shards and on one
//! plain server.
//!
//! Each table is sharded on its natural key, `orders` and `lineitem` are bound, `nation` and `region` are broadcast. Rows
//! come from a generator of our own (`data.rs`). `SHARDLOOM_TPCH_SCALE` is the size in thousandths of the standard one
//! (default 1: 1500 orders). With `SHARDLOOM_TPCH_TIMES` the wall times of both sides and the proxy's CPU time are printed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod data;

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::backends::Backends;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::{Column, Response, Rows};
use support::raw::{Options, RawClient};

const RULES: &str = "    default_group: g0
    tables:
      supplier: {data_nodes: 'g{0..1}.supplier_{0..1}', strategy: {columns: [s_suppkey], algorithm: by_key}}
      customer: {data_nodes: 'g{0..1}.customer_{0..1}', strategy: {columns: [c_custkey], algorithm: by_key}}
      part: {data_nodes: 'g{0..1}.part_{0..1}', strategy: {columns: [p_partkey], algorithm: by_key}}
      partsupp: {data_nodes: 'g{0..1}.partsupp_{0..1}', strategy: {columns: [ps_partkey], algorithm: by_key}}
      orders: {data_nodes: 'g{0..1}.orders_{0..1}', strategy: {columns: [o_orderkey], algorithm: by_key}}
      lineitem: {data_nodes: 'g{0..1}.lineitem_{0..1}', strategy: {columns: [l_orderkey], algorithm: by_key}}
    binding_tables: [[orders, lineitem]]
    broadcast_tables: [nation, region]
    algorithms: {by_key: {type: mod}}";

/// Rows in one INSERT.
const BATCH_ROWS: usize = 500;
/// Key flags of a column tell how a server ran the statement.
const INCIDENTAL_COLUMN_FLAGS: u16 = 0x0002 | 0x0004 | 0x0008 | 0x4000;

fn fill(clients: &mut [&mut RawClient], scale: usize) {
    for statement in include_str!("schema.sql").split(";\n").filter(|text| !text.trim().is_empty()) {
        clients.iter_mut().for_each(|client| drop(client.run(statement)));
    }
    for (table, rows) in data::tables(scale, 1) {
        for batch in rows.chunks(BATCH_ROWS) {
            let insert = format!("INSERT INTO {table} VALUES {}", batch.join(", "));
            clients.iter_mut().for_each(|client| drop(client.run(&insert)));
        }
    }
}

/// Rows in their order, and the columns without what tells of the way that the server took.
fn comparable(rows: &Rows) -> (Vec<Column>, Vec<Vec<u8>>) {
    let without = |column: &Column| {
        // what is computed has its name for an origin where the server's plan keeps it in a temporary table
        let org_name = if column.org_table.is_empty() { String::new() } else { column.org_name.clone() };
        Column { flags: column.flags & !INCIDENTAL_COLUMN_FLAGS, org_name, ..column.clone() }
    };
    (rows.columns.iter().map(without).collect(), rows.rows.clone())
}

#[test]
fn the_22_queries_are_answered_as_by_one_server() {
    let scale = std::env::var("SHARDLOOM_TPCH_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1);
    let backends = Backends::shared();
    let proxy = ProxyProcess::start(backends, &Rules::schema("tpch", RULES));
    let mut plain = Options::new(&backends.plain).schema("tpch").connect().unwrap();
    let mut through = Options::new(&proxy.url()).schema("tpch").connect().unwrap();
    for client in [&plain, &through] {
        client.wire.set_read_timeout(Duration::from_secs(60 * scale as u64));
    }
    if std::env::var_os("SHARDLOOM_TPCH_TIMES").is_some() {
        // what is measured is to be in memory
        for server in backends.writable() {
            let mut server = Options::new(server).connect().unwrap();
            server.run("SET GLOBAL innodb_buffer_pool_size = 1024 * 1024 * 1024");
        }
    }
    fill(&mut [&mut plain, &mut through], scale);
    let queries: Vec<&str> = include_str!("queries.sql").split("-- ").skip(1).collect();
    assert_eq!(queries.len(), 22);
    let (mut wrong, mut empty) = (Vec::new(), 0);
    let mut times = Times::default();
    for (number, query) in (1..).zip(queries) {
        let sql = query.split_once('\n').unwrap().1.trim().trim_end_matches(';');
        let start = Instant::now();
        let want = plain.rows(sql);
        let (plain_time, start, before) = (start.elapsed(), Instant::now(), cpu_ms(proxy.pid()));
        empty += usize::from(want.rows.is_empty());
        let got = through.query(sql);
        times.note(number, plain_time, start.elapsed(), cpu_ms(proxy.pid()) - before);
        println!("query {number}: {plain_time:.1?} on one server, {:.1?} through the proxy", start.elapsed());
        match got {
            Response::Rows(got) if comparable(&got) == comparable(&want) => {}
            got => {
                wrong.push(format!("query {number}\n  plain: {}\n  proxy: {}", show(&Response::Rows(want)), show(&got)))
            }
        }
    }
    if std::env::var_os("SHARDLOOM_TPCH_TIMES").is_some() {
        times.print();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(empty < 2, "{empty} queries find no rows");
}

/// How long each query took on one server and through the proxy, and the proxy's CPU time.
#[derive(Default)]
struct Times(Vec<(usize, Duration, Duration, u64)>);

impl Times {
    fn note(&mut self, number: usize, plain: Duration, through: Duration, cpu_ms: u64) {
        self.0.push((number, plain, through, cpu_ms));
    }

    fn print(&self) {
        println!("| query | one server, ms | Shardloom, ms | proxy CPU, ms |\n|---|---:|---:|---:|");
        for (number, plain, through, cpu_ms) in &self.0 {
            println!("| {number} | {} | {} | {cpu_ms} |", plain.as_millis(), through.as_millis());
        }
        let plain: Duration = self.0.iter().map(|time| time.1).sum();
        let through: Duration = self.0.iter().map(|time| time.2).sum();
        let cpu_ms: u64 = self.0.iter().map(|time| time.3).sum();
        println!("| all | {} | {} | {cpu_ms} |", plain.as_millis(), through.as_millis());
    }
}

/// User and system time of a process: fields 14 and 15 of proc(5), in ticks of 10 ms.
fn cpu_ms(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

fn show(response: &Response) -> String {
    match response {
        Response::Rows(rows) => {
            let (columns, cells) = (comparable(rows).0, rows.text());
            let columns: String = columns.iter().map(|column| format!("\n    {column:?}")).collect();
            let cells: String = cells.iter().take(10).map(|row| format!("\n    {row:?}")).collect();
            format!("{} rows{columns}{cells}", rows.rows.len())
        }
        other => format!("{other:?}"),
    }
}
