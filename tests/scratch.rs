//! Queries over temporary tables: their bounds, what they leave behind, and what disturbs them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, GroupUrls, Url, block_on};
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::{ErrPacket, Response};
use support::raw::{Options, RawClient};

/// How soon a server must be rid of what a client has left.
const SOON: Duration = Duration::from_secs(10);

/// `items` lies on both groups, `left_only` on g0, `right_only` on g1; `twins` has a primary key without its sharding key.
const TABLES: &str = "
    default_group: g0
    tables:
      items: {data_nodes: 'g{0..1}.items_{0..1}', strategy: {columns: [id], algorithm: by_mod}}
      twins: {data_nodes: 'g{0..1}.twins', strategy: {columns: [shard], algorithm: by_mod}}
      right_only: {data_nodes: g1.right_only}
    algorithms: {by_mod: {type: mod}}";

fn start(schema: &str, scratch: &str) -> ProxyProcess {
    start_over(Backends::shared(), schema, scratch)
}

fn start_over(backends: &Backends, schema: &str, scratch: &str) -> ProxyProcess {
    let proxy = format!("scratch: {scratch}\n");
    let rules = Rules { proxy, ..Rules::schema(schema, TABLES) };
    let proxy = ProxyProcess::start(backends, &rules);
    let mut client = connect(&proxy, schema);
    client.run("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(200), n INT)");
    client.run("CREATE TABLE twins (shard INT NOT NULL, code INT NOT NULL PRIMARY KEY)");
    client.run("CREATE TABLE left_only (id INT NOT NULL PRIMARY KEY)");
    client.run("CREATE TABLE right_only (id INT NOT NULL PRIMARY KEY)");
    for first in (0..1000).step_by(250) {
        let rows: Vec<String> =
            (first..first + 250).map(|id| format!("({id}, REPEAT('x', 150), {})", id % 7)).collect();
        client.run(&format!("INSERT INTO items VALUES {}", rows.join(", ")));
    }
    client.run("INSERT INTO left_only VALUES (1), (2)");
    client.run("INSERT INTO right_only VALUES (2), (3)");
    proxy
}

fn connect(proxy: &ProxyProcess, schema: &str) -> RawClient {
    Options::new(&proxy.url()).schema(schema).connect().unwrap()
}

/// A query of which the shards cannot answer any part alone.
const COUNTED: &str = "SELECT COUNT(DISTINCT a.name, b.n) FROM items a JOIN items b ON a.n = b.n";

fn refusal(client: &mut RawClient, sql: &str) -> ErrPacket {
    match client.query(sql) {
        Response::Err(error) => error,
        other => panic!("{sql} was answered: {other:?}"),
    }
}

fn scalar(client: &mut RawClient, sql: &str) -> String {
    client.rows(sql).scalar().unwrap()
}

/// How many statements with a word in them the servers run for anyone.
fn running(word: &str) -> usize {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{word}%' AND ID <> CONNECTION_ID()"
    );
    let of = |url: &Url| -> usize {
        let mut client = Options::new(url).connect().unwrap();
        client.rows(&sql).scalar().unwrap().parse().unwrap()
    };
    Backends::shared().groups.iter().map(|group| of(&group.primary)).sum()
}

/// No connection of the pools shows a temporary table. The connection used last is used next, and the hint leads to it.
fn assert_no_tables(client: &mut RawClient) {
    for group in ["g0", "g1", "g0", "g1"] {
        for table in ["scratch_0", "parts", "groups"] {
            let error = refusal(client, &format!("/* shardloom: group={group} */ SELECT * FROM shardloom_{table}"));
            assert_eq!(error.errno, 1146, "{error}");
        }
    }
}

#[test]
fn rows_and_bytes_are_bounded() {
    let proxy = start("scratch_rows", "{max_rows: 999}");
    let mut client = connect(&proxy, "scratch_rows");
    let error = refusal(&mut client, "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM items) t");
    assert_eq!((error.errno, error.sqlstate.as_str()), (1235, "42000"));
    assert!(error.message.contains("more than 999 rows") && error.message.contains("scratch.max_rows"), "{error}");
    assert_eq!(scalar(&mut client, "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM items WHERE id < 999) t"), "7");
    // of groups only the partial ones count
    assert_eq!(scalar(&mut client, "SELECT COUNT(DISTINCT n) FROM items"), "7");
    // the tiny table is read first, and only what it leaves of the other one, whatever conditions that has
    let joined = "SELECT COUNT(*) FROM items a JOIN right_only b ON a.n = b.id WHERE a.name <> ''";
    assert_eq!(scalar(&mut client, joined), "286");
    // the session and its transaction go on
    client.run("BEGIN");
    client.run("UPDATE items SET n = 100 WHERE id = 1");
    refusal(&mut client, "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM items) t");
    refusal(&mut client, "SELECT COUNT(DISTINCT id + 1) FROM items");
    assert_eq!(scalar(&mut client, "SELECT n FROM items WHERE id = 1"), "100");
    assert_eq!(scalar(&mut client, "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM items WHERE id < 500) t"), "8");
    assert_eq!(scalar(&mut client, "SELECT COUNT(DISTINCT n) FROM items WHERE id < 500"), "8");
    client.run("ROLLBACK");

    let proxy = start("scratch_bytes", "{max_bytes: 100_000}");
    let mut client = connect(&proxy, "scratch_bytes");
    let error = refusal(&mut client, "SELECT COUNT(*) FROM (SELECT DISTINCT name FROM items) t");
    assert!(error.errno == 1235 && error.message.contains("scratch.max_bytes"), "{error}");
    assert_eq!(scalar(&mut client, "SELECT COUNT(DISTINCT n) FROM items"), "7");
}

#[test]
fn time_and_number_are_bounded() {
    let proxy = start("scratch_time", "{timeout_ms: 700, max_concurrent: 1}");
    let mut blocker = connect(&proxy, "scratch_time");
    let mut client = connect(&proxy, "scratch_time");
    blocker.run("BEGIN");
    blocker.run("UPDATE items SET n = 5 WHERE id = 0");
    // the read waits for the lock
    let error = refusal(&mut client, "SELECT COUNT(DISTINCT n) FROM items FOR UPDATE");
    assert!(error.errno == 3024 && error.message.contains("scratch.timeout_ms"), "{error}");
    let mut waiting = connect(&proxy, "scratch_time");
    waiting.send_query("SELECT /* waits */ COUNT(DISTINCT n), SLEEP(2) FROM items");
    poll_until("the first one runs", SOON, || running("waits") > 0);
    let error = refusal(&mut client, "SELECT COUNT(DISTINCT n) FROM items");
    assert!(error.errno == 1105 && error.message.contains("scratch.max_concurrent"), "{error}");
    let first = waiting.read_all(false).unwrap();
    assert!(matches!(&first[..], [Response::Rows(_)]), "{first:?}");
    blocker.run("ROLLBACK");
    assert_eq!(scalar(&mut client, "SELECT COUNT(DISTINCT n) FROM items FOR UPDATE"), "7");
}

#[test]
fn nothing_is_left_behind() {
    let proxy = start("scratch_left", "{max_concurrent: 4}");
    let mut client = connect(&proxy, "scratch_left");
    for _ in 0..4 {
        client.rows(COUNTED);
        assert_no_tables(&mut client);
    }
    refusal(&mut client, "SELECT id, (SELECT id FROM items) FROM items");
    assert_no_tables(&mut client);
    assert_eq!(client.rows("SELECT n, COUNT(*) FROM items GROUP BY n HAVING COUNT(*) > 142").rows.len(), 6);
    refusal(&mut client, "SELECT n, COUNT(*) FROM items GROUP BY n HAVING COUNT(*) > nothing");
    assert_no_tables(&mut client);

    // a client that goes away while its query runs
    let mut gone = connect(&proxy, "scratch_left");
    gone.send_query("SELECT /* leaves */ COUNT(DISTINCT n), SLEEP(60) FROM items");
    poll_until("its query runs", SOON, || running("leaves") > 0);
    drop(gone);
    poll_until("its query has ended", SOON, || running("leaves") == 0);

    // one that is killed
    let mut victim = connect(&proxy, "scratch_left");
    let id = scalar(&mut victim, "SELECT CONNECTION_ID()");
    victim.send_query("SELECT /* killed */ COUNT(DISTINCT n), SLEEP(60) FROM items");
    poll_until("its query runs", SOON, || running("killed") > 0);
    client.run(&format!("KILL QUERY {id}"));
    let answer = victim.read_all(false).unwrap();
    let is_interrupted = match &answer[..] {
        [Response::Err(error)] => error.errno == 1317,
        // MariaDB's SLEEP says that it was interrupted
        [Response::Rows(rows)] => rows.text()[0][1].as_deref() == Some("1"),
        _ => false,
    };
    assert!(is_interrupted, "{answer:?}");
    assert_eq!(scalar(&mut victim, "SELECT COUNT(DISTINCT n) FROM items"), "7");
    assert_no_tables(&mut victim);
    // all of them may run again
    for _ in 0..6 {
        assert_eq!(scalar(&mut client, "SELECT COUNT(DISTINCT n) FROM items"), "7");
    }
    let (_, metrics) = proxy.admin("/metrics");
    assert!(metrics.lines().any(|line| line.contains("way=\"scratch\"")), "{metrics}");
}

#[test]
fn tables_of_different_groups_meet() {
    let proxy = start("scratch_groups", "{}");
    let mut client = connect(&proxy, "scratch_groups");
    let sql = "SELECT l.id, r.id FROM left_only l LEFT JOIN right_only r ON r.id = l.id ORDER BY l.id";
    let expected = vec![vec![Some("1".to_owned()), None], vec![Some("2".to_owned()), Some("2".to_owned())]];
    assert_eq!(client.rows(sql).text(), expected);
    let prepared = client.prepare(&sql.replace("ORDER", "WHERE l.id > ? ORDER")).unwrap();
    assert_eq!((prepared.parameters.len(), prepared.columns.len()), (1, 2));
    let rows = client.execute(&prepared, &[support::raw::Param::Int(0)]).rows();
    assert_eq!(rows.rows.len(), 2);
    let plan = client.rows(&format!("EXPLAIN ROUTE {sql}")).text();
    assert!(plan[0][0].as_deref().unwrap().starts_with("scratch: select (read)"), "{plan:?}");
}

#[test]
fn keys_that_shards_have_used_twice_are_no_keys() {
    let proxy = start("scratch_twins", "{}");
    let mut client = connect(&proxy, "scratch_twins");
    client.run("INSERT INTO twins VALUES (0, 1), (1, 1), (2, 5)");
    assert_eq!(scalar(&mut client, "SELECT COUNT(DISTINCT code, shard) FROM twins"), "3");
}

/// How many statements of a kind servers have run, `Com_load` for one.
fn statements<'a>(counter: &str, servers: impl IntoIterator<Item = &'a Url>) -> u64 {
    let of_server = |url: &Url| {
        let rows = Options::new(url).connect().unwrap().rows(&format!("SHOW GLOBAL STATUS LIKE '{counter}'")).text();
        rows[0][1].as_deref().unwrap().parse::<u64>().unwrap()
    };
    servers.into_iter().map(of_server).sum()
}

#[test]
fn many_rows_travel_as_a_file() {
    let proxy = start("scratch_file", "{role: primary}");
    let mut client = connect(&proxy, "scratch_file");
    for first in (1000..9000).step_by(1000) {
        let row = |id: i32| match id % 3 {
            0 => format!("({id}, CONCAT('tab\\tline\\n\\\\N nul\\0 quote\\'', REPEAT('y', {})), NULL)", id % 150),
            1 => format!("({id}, NULL, {id})"),
            _ => format!("({id}, REPEAT('ü', 180), {})", -id),
        };
        let rows: Vec<String> = (first..first + 1000).map(row).collect();
        client.run(&format!("INSERT INTO items VALUES {}", rows.join(", ")));
    }
    let sums = "COUNT(*), COUNT(name), SUM(LENGTH(name)), SUM(CRC32(name)), SUM(n), COUNT(n)";
    let merged = client.rows(&format!("SELECT {sums} FROM items")).text();
    let loads = || statements("Com_load", Backends::shared().groups.iter().map(|group| &group.primary));
    let before = loads();
    let brought = client.rows(&format!("SELECT {sums}, STD(id) FROM items")).text();
    assert_eq!(brought[0][..6], merged[0][..]);
    let allowed = scalar(&mut client, "SELECT @@global.local_infile");
    assert_eq!(loads() > before, allowed == "1", "LOCAL files are allowed: {allowed}");

    // rows with a key that another shard has used are not left out
    let rows: Vec<String> = (0..30_000).flat_map(|code| [format!("(0,{code})"), format!("(1,{code})")]).collect();
    for rows in rows.chunks(10_000) {
        client.run(&format!("INSERT INTO twins VALUES {}", rows.join(",")));
    }
    // a list of values that would be too long for a statement does not go along
    client.run("UPDATE items SET name = LPAD(id, 200, 'x')");
    assert_eq!(scalar(&mut client, "SELECT COUNT(*) FROM items a JOIN items b ON a.name = b.name"), "9000");

    let brought = client.rows("SELECT COUNT(*), SUM(code), STD(code) > 0 FROM twins").text();
    assert_eq!(brought[0][..2], [Some("60000".to_owned()), Some("899970000".to_owned())]);
}

/// A server knows nothing of a new temporary table's values by itself. A replica, which is read-only, is told them too.
#[test]
fn large_tables_are_analyzed() {
    for role in ["primary", "replica"] {
        let (schema, proxy) = (format!("scratch_large_{role}"), format!("scratch: {{role: {role}}}\n"));
        let rules = Rules { proxy, with_replicas: role == "replica", ..Rules::schema(&schema, TABLES) };
        let proxy = ProxyProcess::start(Backends::shared(), &rules);
        let mut client = connect(&proxy, &schema);
        // more than would go along as a list
        for (table, definition) in [("items", "name VARCHAR(9), n INT"), ("twins", "code INT NOT NULL")] {
            let key = if table == "items" { "id" } else { "shard" };
            client.run(&format!("CREATE TABLE {table} ({key} INT NOT NULL PRIMARY KEY, {definition})"));
        }
        let rows = |row: fn(u32) -> String| (0..3000).map(row).collect::<Vec<_>>().join(",");
        client.run(&format!("INSERT INTO items VALUES {}", rows(|id| format!("({id}, '', {})", id % 7))));
        client.run(&format!("INSERT INTO twins VALUES {}", rows(|code| format!("({code}, {})", code % 1000))));
        let joined = "SELECT COUNT(*), SUM(b.code) FROM items a JOIN twins b ON a.n = b.code";
        let of_role =
            |group: &GroupUrls| if role == "primary" { group.primary.clone() } else { group.replicas[0].clone() };
        let servers: Vec<Url> = Backends::shared().groups.iter().map(of_role).collect();
        let before = statements("Com_analyze", &servers);
        poll_until("the rows are on the replicas", SOON, || {
            client.rows(joined).text() == [[Some("9000".to_owned()), Some("26982".to_owned())]]
        });
        assert!(statements("Com_analyze", &servers) > before, "{role}");
    }
}

/// A server that holds no data does the work; what needs it fails while it is down, and nothing else.
#[test]
fn a_server_of_its_own() {
    let backends = Backends::start(&ClusterSpec { replicas: 0, plain: 1, ..ClusterSpec::default() });
    let proxy = start_over(&backends, "scratch_server", &format!("{{server: {{url: '{}'}}}}", backends.plain));
    let mut client = connect(&proxy, "scratch_server");
    let plan = client.rows(&format!("EXPLAIN ROUTE {COUNTED}")).text();
    assert!(plan.last().unwrap()[0].as_deref().unwrap().starts_with("scratch server: "), "{plan:?}");
    let brought = "SELECT DATABASE(), COUNT(DISTINCT n), STD(id) > 0 FROM items";
    let combined = "SELECT DATABASE(), COUNT(DISTINCT n) FROM items";
    let check = |client: &mut RawClient| {
        for sql in [brought, combined] {
            let rows = client.rows(sql).text();
            assert_eq!(rows[0][..2], [Some("scratch_server".to_owned()), Some("7".to_owned())], "{sql}");
        }
    };
    check(&mut client);
    let sql = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'shardloom'";
    assert_eq!(Options::new(&backends.plain).connect().unwrap().rows(sql).scalar().unwrap(), "1");

    backends.with_local(|cluster| cluster.plain[0].kill()).unwrap();
    for sql in [brought, combined] {
        let error = refusal(&mut client, sql);
        assert!(error.message.contains("scratch/"), "{error}");
    }
    assert_eq!(scalar(&mut client, "SELECT COUNT(*) FROM items"), "1000");
    backends.with_local(|cluster| block_on(cluster.plain[0].restart())).unwrap().unwrap();
    poll_until("the server is back", SOON, || matches!(client.query(combined), Response::Rows(_)));
    check(&mut client);
}

#[test]
fn transactions_see_their_own_rows() {
    let proxy = start("scratch_own", "{}");
    let (mut client, mut other) = (connect(&proxy, "scratch_own"), connect(&proxy, "scratch_own"));
    client.run("BEGIN");
    client.run("UPDATE items SET n = 1000 WHERE id = 2");
    client.run("SAVEPOINT s");
    client.run("UPDATE items SET n = 1001 WHERE id = 6");
    let brought = "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM items) t";
    assert_eq!(scalar(&mut client, brought), "9");
    let sql = "SELECT COUNT(DISTINCT n) FROM items";
    assert_eq!(scalar(&mut client, sql), "9");
    assert_eq!(scalar(&mut other, sql), "7");
    client.run("ROLLBACK TO s");
    assert_eq!(scalar(&mut client, sql), "8");
    client.run("COMMIT");
    assert_eq!(scalar(&mut other, sql), "8");
    client.run("SET autocommit = 0");
    client.run("UPDATE items SET n = 0 WHERE id = 2");
    assert_eq!(scalar(&mut client, sql), "7");
    client.run("ROLLBACK");
    assert_eq!(scalar(&mut client, sql), "8");
    client.run("SET autocommit = 1");
    client.run("START TRANSACTION READ ONLY");
    assert_eq!(scalar(&mut client, sql), "8");
    client.run("COMMIT");
    client.run("SET SESSION TRANSACTION READ ONLY");
    assert_eq!(scalar(&mut client, sql), "8");
}

#[test]
fn cursors_give_their_rows_in_pieces() {
    let proxy = start("scratch_cursor", "{}");
    let mut client = connect(&proxy, "scratch_cursor");
    let sql = "SELECT a.id, RANK() OVER (ORDER BY a.id) FROM items a WHERE a.id < ? ORDER BY a.id";
    let prepared = client.prepare(sql).unwrap();
    let Response::Rows(head) = client.execute_with_cursor(&prepared, &[support::raw::Param::Int(5)]) else { panic!() };
    assert!(head.rows.is_empty() && head.columns.len() == 2);
    let mut seen = 0;
    for _ in 0..3 {
        seen += client.fetch(&prepared, 2).rows().rows.len();
    }
    assert_eq!(seen, 5);
    client.close_statement(&prepared);
    assert_eq!(scalar(&mut client, "SELECT 1"), "1");
}

/// While one table is locked, another is read; what is inserted then comes too late for the statement.
#[test]
fn the_tables_of_a_group_are_read_at_one_moment() {
    let proxy = start("scratch_moment", "{}");
    let mut client = connect(&proxy, "scratch_moment");
    let group = &Backends::shared().groups[0].primary;
    let mut holder = Options::new(group).schema("scratch_moment").connect().unwrap();
    let sql = "SELECT COUNT(*) FROM items i JOIN left_only l ON i.id = l.id * 1 WHERE i.n >= 0";
    // The columns are known then: asking for them would wait for the lock too.
    assert_eq!(scalar(&mut client, sql), "2");
    holder.run("LOCK TABLES left_only WRITE");
    let reading = std::thread::spawn(move || (scalar(&mut client, sql), scalar(&mut client, sql)));
    poll_until("the locked table is waited for", SOON, || running("left_only") > 0);
    holder.run("INSERT INTO left_only VALUES (500)");
    holder.run("UNLOCK TABLES");
    assert_eq!(reading.join().unwrap(), ("2".to_owned(), "3".to_owned()));
}
