//! Writes over shards beside one plain server: files that are loaded, counts, generated keys.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;

use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, Url};
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::{OkPacket, Response};
use support::raw::{Options, RawClient, capability};

const SCHEMA: &str = "dml";
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items_{0..1}
        strategy: {columns: [id], algorithm: {type: mod}}
      names:
        data_nodes: g{0..1}.names
        strategy: {columns: [name], algorithm: {type: hash_mod}}
      counted:
        data_nodes: g{0..1}.counted
        strategy: {columns: [owner], algorithm: {type: mod}}
    broadcast_tables: [kinds]";

const TABLES: &[&str] = &[
    "CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(20), price DECIMAL(8,2) NOT NULL DEFAULT 1.00, \
     made DATETIME, note TEXT, UNIQUE KEY (id, name)) DEFAULT CHARSET=utf8mb4",
    "CREATE TABLE names (name VARCHAR(20) NOT NULL PRIMARY KEY, n INT) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    "CREATE TABLE counted (id INT NOT NULL AUTO_INCREMENT, owner INT NOT NULL, v VARCHAR(20), PRIMARY KEY (id, owner))",
    "CREATE TABLE kinds (code CHAR(2) NOT NULL PRIMARY KEY, title VARCHAR(20)) DEFAULT CHARSET=utf8mb4",
];

/// A proxy and a plain server with the same tables.
struct Sides {
    _proxy: ProxyProcess,
    urls: [Url; 2],
}

impl Sides {
    fn open(schema: &str) -> Self {
        let backends = Backends::shared();
        let rules = Rules::schema(schema, SCHEMA_RULES);
        let proxy = ProxyProcess::start(backends, &rules);
        let sides = Self { urls: [backends.plain.clone(), proxy.url()], _proxy: proxy };
        let mut plain = Options::new(&backends.plain).connect().unwrap();
        plain.run(&format!("CREATE DATABASE IF NOT EXISTS {schema}"));
        for mut client in sides.clients(schema, 0) {
            for table in TABLES {
                client.run(table);
            }
        }
        sides
    }

    /// A connection to the plain server, and one to the proxy.
    fn clients(&self, schema: &str, capabilities: u32) -> [RawClient; 2] {
        let connect = |url: &Url| Options::new(url).schema(schema).with(capabilities).connect().unwrap();
        [connect(&self.urls[0]), connect(&self.urls[1])]
    }
}

/// Runs a statement on both sides and compares what an application sees.
fn same(clients: &mut [RawClient; 2], sql: &str) -> Response {
    let [plain, proxy] = clients;
    let (want, got) = (plain.query(sql), proxy.query(sql));
    assert_eq!(shown(&got), shown(&want), "{sql}");
    got
}

fn shown(response: &Response) -> String {
    match response {
        Response::Ok(ok) => shown_ok(ok),
        Response::Err(error) => format!("{error}"),
        Response::Rows(rows) => format!("{:?}", rows.text()),
        Response::LocalInfile(name) => format!("file {name}"),
    }
}

fn shown_ok(ok: &OkPacket) -> String {
    format!("affected {} id {} warnings {} {:?}", ok.affected_rows, ok.last_insert_id, ok.warnings, ok.info)
}

/// Sends a file in packets of `size` bytes where it is asked for.
fn load(client: &mut RawClient, sql: &str, file: &[u8], size: usize) -> Response {
    client.send_query(sql);
    match client.read_response().unwrap() {
        Response::LocalInfile(_) => {
            for part in file.chunks(size) {
                client.wire.send(part).unwrap();
            }
            client.wire.send(b"").unwrap();
            client.read_response().unwrap()
        }
        other => other,
    }
}

/// The server that makes the numbers does not tell them in its answer.
#[test]
fn numbers_of_a_loaded_file_are_the_last_insert_id() {
    let sides = Sides::open("dml_load_ids");
    let mut clients = sides.clients("dml_load_ids", capability::LOCAL_FILES);
    same(&mut clients, "CREATE TABLE numbers (id INT AUTO_INCREMENT PRIMARY KEY, n INT)");
    same(&mut clients, "SELECT LAST_INSERT_ID(77)");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE numbers", b"1\t1\n2\t2\n", 100);
    same(&mut clients, "SELECT LAST_INSERT_ID()");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE numbers (n)", b"1\n2\n", 100);
    same(&mut clients, "SELECT LAST_INSERT_ID()");
    same(&mut clients, "SELECT * FROM numbers ORDER BY id");
    same(&mut clients, "DROP TABLE numbers");
}

fn load_on_both(clients: &mut [RawClient; 2], sql: &str, file: &[u8], size: usize) {
    let [plain, proxy] = clients;
    let (want, got) = (load(plain, sql, file, size), load(proxy, sql, file, size));
    assert_eq!(shown(&got), shown(&want), "{sql}");
    // those of one shard come before those of another
    let warnings = |client: &mut RawClient| {
        let mut rows = client.rows("SHOW WARNINGS").text();
        rows.sort();
        rows
    };
    let [plain, proxy] = clients;
    assert_eq!(warnings(proxy), warnings(plain), "{sql}");
}

#[test]
fn files_are_split_to_the_shards() {
    let sides = Sides::open("dml_load");
    let mut clients = sides.clients("dml_load", capability::LOCAL_FILES);
    let all = "SELECT * FROM items ORDER BY id";
    let tabs =
        b"1\tpen\t1.50\t2024-01-01 10:00:00\tline\\\nbreak\n2\t\\N\t2\t\\N\ttab\\there\n3\tink\t3.25\t2024-02-02\t\n\
                 4\t\xc3\xa9\t4\t\\N\t\\N\n";
    for size in [1, 7, 1_000] {
        load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items", tabs, size);
        same(&mut clients, all);
        same(&mut clients, "TRUNCATE TABLE items");
    }
    let csv = b"id;name\r\n# twice\r\n11;\"a;b\";9.99;\"say \"\"hi\"\"\"\r\n12;plain;1;\"two\r\nlines\"\r\n13;x;y;z";
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE items FIELDS TERMINATED BY ';' OPTIONALLY ENCLOSED BY '\"' LINES \
               TERMINATED BY '\\r\\n' IGNORE 2 LINES (id, name, @price, note) SET price = @price + 1, made = '2024-05-05'";
    load_on_both(&mut clients, sql, csv, 5);
    same(&mut clients, all);
    // what is there already is left as it is, or replaced
    let again = b"11\tnew\n12\tnew\n14\tnew\n11\tnewer\n";
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' IGNORE INTO TABLE items (id, name)", again, 100);
    same(&mut clients, all);
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE items (id, name)", again, 100);
    same(&mut clients, all);
    // fewer and more fields, values that do not fit
    let odd = b"21\tshort\n22\tlong\t1\t2024-01-01\tnote\tmore\n23\ta name that is much too long for its column\t2\n24\tx\tabc\n";
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items", odd, 100);
    same(&mut clients, all);
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items", b"", 100);
    // a query in SET would see a part of the rows on each shard
    let sums = "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name) SET price = (SELECT COUNT(*) FROM items)";
    let [_, proxy] = &mut clients;
    assert!(matches!(load(proxy, sums, b"31\ta\n32\tb\n", 100), Response::Err(error) if error.errno == 1235));
    // nor may it read, for a table that is whole, what is split
    for client in &mut clients {
        client.run("CREATE TABLE sums (id INT PRIMARY KEY, n INT)");
        client.run("CREATE VIEW v AS SELECT id FROM items");
        client.run("CREATE VIEW kept AS SELECT id FROM sums");
    }
    let [_, proxy] = &mut clients;
    for read in ["items", "v", "dml_load.v"] {
        let sums = format!("LOAD DATA LOCAL INFILE 'x' INTO TABLE sums (id) SET n = (SELECT COUNT(*) FROM {read})");
        let answer = load(proxy, &sums, b"1\n", 100);
        assert!(matches!(&answer, Response::Err(error) if error.errno == 1235), "{sums}: {answer:?}");
    }
    let counts = "LOAD DATA LOCAL INFILE 'x' INTO TABLE sums (id) SET n = (SELECT COUNT(*) FROM kept)";
    load_on_both(&mut clients, counts, b"1\n", 100);
    // a server looks at the statement, whatever is in the file
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, nosuch)", b"", 100);
    // text keys, other prefixes
    let prefixed = b"xxx:ann\t1\nskipped\nyyy:bob\t2\n";
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE names CHARACTER SET utf8mb4 LINES STARTING BY ':' (name, n)";
    load_on_both(&mut clients, sql, prefixed, 3);
    same(&mut clients, "SELECT * FROM names ORDER BY name");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE kinds", b"de\tGerman\nfr\tFrench\n", 100);
    same(&mut clients, "SELECT * FROM kinds ORDER BY code");
}

#[test]
fn a_value_by_chance_is_the_same_on_all_groups() {
    let sides = Sides::open("dml_chance");
    let [_, mut proxy] = sides.clients("dml_chance", 0);
    proxy.run("ALTER TABLE kinds MODIFY title VARCHAR(40)");
    proxy.run("INSERT INTO kinds VALUES ('de', 'German'), ('fr', 'French'), ('it', 'Italian')");
    for change in
        ["title = UUID()", "title = CONCAT(RAND(), code) WHERE code <> 'it'", "title = UUID() ORDER BY code LIMIT 2"]
    {
        proxy.run(&format!("UPDATE kinds SET {change}"));
        let on = |client: &mut RawClient, group: &str| {
            client.rows(&format!("SELECT /* shardloom: group={group} */ code, title FROM kinds ORDER BY code")).text()
        };
        let titles = on(&mut proxy, "g0");
        assert_eq!(titles, on(&mut proxy, "g1"), "{change}");
        assert!(titles.iter().all(|row| row[1].as_ref().unwrap().len() > 8), "{change}: {titles:?}");
    }
}

#[test]
fn a_loaded_file_is_a_part_of_the_transaction_and_gets_keys() {
    let sides = Sides::open("dml_load_tx");
    let mut clients = sides.clients("dml_load_tx", capability::LOCAL_FILES);
    same(&mut clients, "BEGIN");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name)", b"1\ta\n2\tb\n3\tc\n", 100);
    same(&mut clients, "SELECT * FROM items ORDER BY id");
    same(&mut clients, "ROLLBACK");
    same(&mut clients, "SELECT * FROM items ORDER BY id");
    let lines: Vec<u8> = (0..30_000).flat_map(|n| format!("{n}\tname {n}\n").into_bytes()).collect();
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name)", &lines, 60_000);
    same(&mut clients, "SELECT COUNT(*), SUM(id), MIN(name), MAX(name) FROM items");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE counted (owner, v)", b"1\ta\n2\tb\n3\tc\n", 100);
    same(&mut clients, "SELECT * FROM counted ORDER BY id");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE counted", b"\\N\t1\td\n0\t2\te\n", 100);
    same(&mut clients, "SELECT * FROM counted ORDER BY id");
    // the numbers in a file are not made once more, and what is rounded to 0 is none
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE counted", b"90\t1\tf\n91\t2\tg\n", 100);
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE counted", b"00\t1\th\n0.2\t2\ti\n", 100);
    for client in &mut clients {
        // which number comes next is the servers' own affair
        client.run("REPLACE INTO counted (owner, v) VALUES (1, 'j'), (2, 'k')");
    }
    same(&mut clients, "SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')");
    load_on_both(&mut clients, "LOAD DATA LOCAL INFILE 'x' INTO TABLE counted", b"0\t1\tl\n", 100);
    same(&mut clients, "SELECT id > 0, owner, v FROM counted ORDER BY v");
    same(&mut clients, "SELECT COUNT(DISTINCT id) FROM counted");
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE counted (owner, v) SET id = NULL";
    assert!(matches!(clients[1].query(sql), Response::Err(error) if error.errno == 1235));
    // a client that sends no files is told so, and goes on
    let mut refused = sides.clients("dml_load_tx", 0);
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name)";
    assert!(matches!(refused[1].query(sql), Response::Err(_)));
    assert_eq!(refused[1].rows("SELECT 7").scalar().as_deref(), Some("7"));
    // an error in the middle leaves nothing, and the connection in order
    let [_, proxy] = &mut clients;
    let failed =
        load(proxy, "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name)", b"50001\ta\n\\N\tb\n50003\tc\n", 4);
    assert!(matches!(&failed, Response::Err(error) if error.errno == 1048), "{failed:?}");
    assert_eq!(proxy.rows("SELECT COUNT(*) FROM items WHERE id > 50000").scalar().as_deref(), Some("0"));
}

#[test]
fn counts_are_those_of_one_server() {
    let sides = Sides::open("dml_counts");
    for capabilities in [0, capability::FOUND_ROWS] {
        let mut clients = sides.clients("dml_counts", capabilities);
        let insert = "INSERT INTO items (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')";
        same(&mut clients, insert);
        if capabilities == 0 {
            // rows that are found and change nothing
            let unchanged = insert.to_owned() + " ON DUPLICATE KEY UPDATE name = VALUES(name)";
            same(&mut clients, &unchanged);
        }
        for sql in [
            "UPDATE items SET name = 'a' ORDER BY id LIMIT 3",
            "SELECT ROW_COUNT()",
            "UPDATE items SET name = 'a'",
            "UPDATE items SET price = 1 WHERE id IN (1, 2)",
            "UPDATE items SET id = id + 100 WHERE id < 3",
            "UPDATE items SET id = 102 WHERE id = 102",
            "UPDATE items a JOIN items b ON a.id = b.id SET a.note = b.name WHERE a.id > 2",
            "INSERT INTO items (id, name) VALUES (3, 'x'), (4, 'y'), (6, 'z') ON DUPLICATE KEY UPDATE name = VALUES(name)",
            "REPLACE INTO items (id, name) VALUES (3, 'p'), (7, 'q')",
            "INSERT IGNORE INTO items (id, name) VALUES (3, 'p'), (8, 'q')",
            "SHOW WARNINGS",
            "INSERT INTO items (id, name) SELECT id + 1000, name FROM items",
            "SELECT ROW_COUNT()",
            "DELETE FROM items WHERE id > 1000 ORDER BY id LIMIT 2",
            "SELECT * FROM items ORDER BY id",
            "DELETE FROM items",
        ] {
            same(&mut clients, sql);
        }
    }
}

#[test]
fn rows_in_warnings_are_counted_over_the_whole_statement() {
    let sides = Sides::open("dml_rows");
    let mut clients = sides.clients("dml_rows", 0);
    for sql in [
        "INSERT INTO items (id, name) VALUES (1, 'a'), (2, 'b'), (3, REPEAT('c', 30)), (4, 'd'), (5, 'e')",
        "INSERT INTO items (id, made) VALUES (1, NULL), (2, NULL), (3, NULL), (4, 'never')",
        "SET sql_mode = ''",
        "INSERT INTO items (id, name) VALUES (1, 'a'), (2, REPEAT('b', 30)), (3, REPEAT('c', 30)), (4, 'd'), (5, 'x')",
        "SHOW WARNINGS",
        "INSERT INTO items (id, price) VALUES (11, 'abc'), (12, 1), (13, 'x'), (14, 12345678901)",
        "SHOW WARNINGS",
        "INSERT INTO items (id, price) VALUES (21, NULL), (22, NULL), (23, 5)",
        "SHOW WARNINGS",
        "INSERT INTO items (id, price) VALUES (41, NULL)",
        "UPDATE items SET price = 'abc' ORDER BY id LIMIT 3",
        "SELECT * FROM items ORDER BY id",
    ] {
        same(&mut clients, sql);
    }
}

#[test]
fn writes_in_steps_are_parts_of_a_transaction_over_groups() {
    let sides = Sides::open("dml_tx");
    let mut clients = sides.clients("dml_tx", 0);
    for sql in [
        "INSERT INTO items (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')",
        "BEGIN",
        "UPDATE items SET name = 'x' ORDER BY id DESC LIMIT 3",
        "INSERT INTO items (id, name) SELECT id + 10, name FROM items",
        "UPDATE items SET id = id + 1 WHERE id = 15",
        // a failure leaves no trace, the transaction goes on
        "INSERT INTO items (id, name) SELECT id + 2, name FROM items",
        "SELECT * FROM items ORDER BY id",
        "DELETE FROM items ORDER BY id LIMIT 2",
        "COMMIT",
        "SELECT * FROM items ORDER BY id",
        "SET autocommit = 0",
        "DELETE FROM items ORDER BY id LIMIT 3",
        "ROLLBACK",
        "SET autocommit = 1",
        "SELECT * FROM items ORDER BY id",
    ] {
        if sql.contains("id + 2") {
            let [plain, proxy] = &mut clients;
            let number = |response: Response| match response {
                Response::Err(error) => error.errno,
                other => panic!("{other:?}"),
            };
            assert_eq!(number(plain.query(sql)), number(proxy.query(sql)));
            continue;
        }
        same(&mut clients, sql);
    }
}

const KEY_RULES: &str = "
    tables:
      leased:
        data_nodes: g{0..1}.leased
        strategy: {columns: [id], algorithm: {type: mod}}
        key_generator: {column: id, generator: flakes}
      shared:
        data_nodes: g{0..1}.shared
        strategy: {columns: [id], algorithm: {type: mod}}
        key_generator: {column: id, generator: counter}
      uuids:
        data_nodes: g{0..1}.uuids
        strategy: {columns: [id], algorithm: {type: hash_mod}}
        key_generator: {column: id, generator: uuid}
      numbered:
        data_nodes: g{0..1}.numbered
        strategy: {columns: [v], algorithm: {type: mod}}
    key_generators:
      flakes: {type: snowflake, group: g1, lease_ms: 1000}
      counter: {type: auto_segment, group: g1, block: 10}
      uuid: {type: uuid_v7}";

#[test]
fn two_proxies_never_give_the_same_key() {
    let backends = Backends::start(&ClusterSpec { replicas: 0, ..ClusterSpec::default() });
    let rules = Rules::schema(SCHEMA, KEY_RULES);
    let proxies = [ProxyProcess::start(&backends, &rules), ProxyProcess::start(&backends, &rules)];
    let connect = |proxy: &ProxyProcess| Options::new(&proxy.url()).schema(SCHEMA).connect().unwrap();
    let mut clients = [connect(&proxies[0]), connect(&proxies[1])];
    clients[0].run("CREATE TABLE leased (id BIGINT NOT NULL PRIMARY KEY, v INT)");
    clients[0].run("CREATE TABLE shared (id BIGINT NOT NULL PRIMARY KEY, v INT)");
    clients[0].run("CREATE TABLE uuids (id CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY, v INT)");
    for round in 0..20 {
        for client in &mut clients {
            let ok = client.run(&format!("INSERT INTO leased (v) VALUES ({round}), ({round}), ({round})"));
            assert!(ok.last_insert_id > 1 << 22, "{}", ok.last_insert_id);
            let ok = client.run(&format!("INSERT INTO shared (v) VALUES ({round}), ({round}), ({round})"));
            assert!(ok.last_insert_id > 0 && ok.last_insert_id < 1_000, "{}", ok.last_insert_id);
            client.run(&format!("INSERT INTO uuids (v) VALUES ({round}), ({round})"));
        }
    }
    for (table, count) in [("leased", 120), ("shared", 120), ("uuids", 80)] {
        let rows = clients[0].rows(&format!("SELECT id FROM {table}")).text();
        let ids: HashSet<_> = rows.iter().map(|row| row[0].clone()).collect();
        assert_eq!((rows.len(), ids.len()), (count, count), "{table}");
    }
    // the worker part of the ids tells the proxies apart
    let rows = clients[0].rows("SELECT DISTINCT (id >> 12) & 1023 AS w FROM leased ORDER BY w").text();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let mut server = Options::new(&backends.groups[1].primary).connect().unwrap();
    assert_eq!(server.rows("SELECT COUNT(DISTINCT holder) FROM shardloom.workers").scalar().as_deref(), Some("2"));
    // A lease that another took is not used any more: the proxy takes a worker id anew.
    server.run("UPDATE shardloom.workers SET holder = 'someone else', expires = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR");
    let fresh = || {
        let mut client = connect(&proxies[0]);
        client.run("INSERT INTO leased (v) VALUES (-1)");
        let last = client.rows("SELECT MAX((id >> 12) & 1023) FROM leased WHERE v = -1").scalar().unwrap();
        last.parse::<u64>().unwrap() >= 2
    };
    support::poll_until("a worker id that nobody holds", std::time::Duration::from_secs(10), fresh);
    // A file of given keys moves the sequence on.
    clients[0].run("INSERT INTO shared VALUES (5000, 0)");
    let next = clients[0].run("INSERT INTO shared (v) VALUES (1)").last_insert_id;
    assert!(next > 5000, "{next}");
    // Where one proxy empties the table, the other has ids of the sequence left.
    for definition in
        ["TRUNCATE TABLE shared", "DROP TABLE shared", "CREATE TABLE shared (id BIGINT NOT NULL PRIMARY KEY)"]
    {
        clients[0].run(definition);
    }
    for _ in 0..20 {
        for client in &mut clients {
            let ok = client.run("REPLACE INTO shared VALUES (DEFAULT), (DEFAULT), (DEFAULT)");
            assert_eq!(ok.affected_rows, 3);
        }
    }
    assert_eq!(clients[1].rows("SELECT COUNT(*) FROM shared").scalar().as_deref(), Some("120"));
}

#[test]
fn an_emptied_table_counts_from_one_whoever_counted_before() {
    let backends = Backends::start(&ClusterSpec { replicas: 0, ..ClusterSpec::default() });
    let rules = Rules::schema(SCHEMA, KEY_RULES);
    let connect = |proxy: &ProxyProcess| Options::new(&proxy.url()).schema(SCHEMA).connect().unwrap();
    let insert = |client: &mut RawClient| client.run("INSERT INTO shared (v) VALUES (1)").last_insert_id;
    let mut server = Options::new(&backends.groups[1].primary).connect().unwrap();
    let [mut killed, proxy, third] = [(); 3].map(|()| ProxyProcess::start(&backends, &rules));
    let mut client = connect(&killed);
    client.run("CREATE TABLE shared (id BIGINT NOT NULL PRIMARY KEY, v INT)");
    assert_eq!(insert(&mut client), 1);
    killed.signal(rustix::process::Signal::KILL);
    let mut client = connect(&proxy);
    assert_eq!(insert(&mut client), 11, "the first proxy had a block of ten");
    // It may live, for all that is known.
    client.run("TRUNCATE TABLE shared");
    assert_eq!(insert(&mut client), 11);
    // A minute later it does not.
    let outdate = "UPDATE shardloom.sequences SET held = REGEXP_REPLACE(held, '@[0-9]+', '@1')";
    server.run(outdate);
    client.run("TRUNCATE TABLE shared");
    let ids: Vec<u64> = (0..25).map(|_| insert(&mut client)).collect();
    assert_eq!(ids, (1..=25).collect::<Vec<_>>());
    // A table of sequences from before ranges were noted.
    server.run("ALTER TABLE shardloom.sequences DROP COLUMN held");
    let id = insert(&mut connect(&third));
    assert!(id > 25, "{id}");
}

#[test]
fn the_number_that_a_definition_says_holds_for_all_proxies() {
    let backends = Backends::start(&ClusterSpec { replicas: 0, ..ClusterSpec::default() });
    let rules = Rules::schema(SCHEMA, KEY_RULES);
    let proxies = [(); 3].map(|()| ProxyProcess::start(&backends, &rules));
    let mut clients = proxies.each_ref().map(|proxy| Options::new(&proxy.url()).schema(SCHEMA).connect().unwrap());
    let insert = |client: &mut RawClient| client.run("INSERT INTO numbered (v) VALUES (1)").last_insert_id;
    clients[0].run(
        "CREATE TABLE numbered (id BIGINT NOT NULL AUTO_INCREMENT, v INT NOT NULL, PRIMARY KEY (v, id), KEY (id)) \
         AUTO_INCREMENT = 500",
    );
    assert!(insert(&mut clients[1]) >= 500);
    assert_eq!(insert(&mut clients[0]), 500);
    clients[0].run("ALTER TABLE numbered AUTO_INCREMENT = 9000");
    assert_eq!(insert(&mut clients[0]), 9000);
    let other = insert(&mut clients[2]);
    assert!(other > 9000, "{other}");
}

#[test]
fn a_proxy_that_is_halted_while_its_lease_ends_uses_its_worker_id_no_more() {
    let backends = Backends::start(&ClusterSpec { replicas: 0, ..ClusterSpec::default() });
    let rules = Rules::schema(SCHEMA, KEY_RULES);
    let mut proxy = ProxyProcess::start(&backends, &rules);
    let mut client = Options::new(&proxy.url()).schema(SCHEMA).connect().unwrap();
    client.run("CREATE TABLE leased (id BIGINT NOT NULL PRIMARY KEY, v INT)");
    let worker = |id: u64| (id >> 12) & 1023;
    let before = worker(client.run("INSERT INTO leased (v) VALUES (1), (2)").last_insert_id);
    proxy.signal(rustix::process::Signal::STOP);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    // Its lease has ended, so another one may take the worker id.
    let mut server = Options::new(&backends.groups[1].primary).connect().unwrap();
    let taken = server.run(
        "UPDATE shardloom.workers SET holder = 'someone else', expires = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR \
         WHERE expires < UTC_TIMESTAMP(6)",
    );
    assert_eq!(taken.affected_rows, 1);
    client.send_query("INSERT INTO leased (v) VALUES (3), (4)");
    proxy.signal(rustix::process::Signal::CONT);
    let id = client.read_response().unwrap().ok().last_insert_id;
    assert_ne!(worker(id), before);
}

#[test]
fn keys_that_each_shard_keeps_for_itself_are_warned_of() {
    let sides = Sides::open("dml_warn");
    let [_, mut proxy] = sides.clients("dml_warn", 0);
    for sql in
        ["ALTER TABLE items ADD UNIQUE KEY by_name (name)", "CREATE UNIQUE INDEX by_note ON items (note(10) DESC)"]
    {
        assert_eq!(proxy.run(sql).warnings, 1, "{sql}");
        let warnings = proxy.rows("SHOW WARNINGS").text();
        let text = warnings[0][2].clone().unwrap();
        assert!(text.contains("unique on each shard only") && text.contains("'id'"), "{text}");
    }
    assert_eq!(proxy.run("ALTER TABLE items ADD UNIQUE KEY whole (name, id)").warnings, 0);
}
