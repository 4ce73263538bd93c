//! Definitions over several nodes: what is left of one whose proxy is lost, and what other proxies notice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use rustix::process::Signal;
use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, Url};
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::Response;
use support::raw::{Options, RawClient};

const SCHEMA: &str = "defs";
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..3}.items_{0..1}
        strategy: {columns: [id], algorithm: {type: mod}}
    broadcast_tables: [kinds]";
const SOON: Duration = Duration::from_secs(30);
const NODES: usize = 8;

struct Definitions {
    backends: Backends,
    rules: Rules,
}

impl Definitions {
    fn open() -> Self {
        let backends = Backends::start(&ClusterSpec { groups: 4, replicas: 0, ..ClusterSpec::default() });
        let rules = Rules {
            proxy: "recovery: {interval_ms: 100, grace_ms: 1000}\n".to_owned(),
            ..Rules::schema(SCHEMA, SCHEMA_RULES)
        };
        let proxy = ProxyProcess::start(&backends, &rules);
        let mut client = connect(&proxy.url());
        client.run("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, v INT)");
        let rows: Vec<String> = (0..40).map(|id| format!("({id}, {id})")).collect();
        client.run(&format!("INSERT INTO items VALUES {}", rows.join(", ")));
        Self { backends, rules }
    }

    fn proxy(&self, fault: Option<&str>) -> ProxyProcess {
        let environment: Vec<(&str, &str)> = fault.map(|fault| ("SHARDLOOM_FAULT_POINT", fault)).into_iter().collect();
        ProxyProcess::start_beside(&self.backends, &self.rules, &environment)
    }

    /// How many nodes have a column.
    fn nodes_with(&self, column: &str) -> usize {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{SCHEMA}' AND COLUMN_NAME = '{column}'"
        );
        let count = |group: &support::backends::GroupUrls| -> usize {
            connect(&group.primary).rows(&sql).scalar().unwrap().parse().unwrap()
        };
        self.backends.groups.iter().map(count).sum()
    }

    fn rows(&self) -> usize {
        let count = |group: &support::backends::GroupUrls| -> usize {
            let mut client = connect(&group.primary);
            let count =
                |sql: &str, client: &mut RawClient| -> usize { client.rows(sql).scalar().unwrap().parse().unwrap() };
            count("SELECT COUNT(*) FROM items_0", &mut client) + count("SELECT COUNT(*) FROM items_1", &mut client)
        };
        self.backends.groups.iter().map(count).sum()
    }
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

/// The rows of SHOW SHARDLOOM DDL.
fn shown(client: &mut RawClient) -> Vec<Vec<Option<String>>> {
    client.rows("SHOW SHARDLOOM DDL").text()
}

#[test]
fn a_definition_that_was_left_half_done_is_carried_on_by_another_proxy() {
    let setup = Definitions::open();
    for (number, fault) in ["DefinitionBegun:kill:1", "DefinedOne:kill:1", "DefinedOne:kill:3"].iter().enumerate() {
        let mut doomed = setup.proxy(Some(fault));
        let mut client = connect(&doomed.url());
        let column = format!("added_{number}");
        client.send_query(&format!("ALTER TABLE items ADD COLUMN {column} INT NOT NULL DEFAULT 7"));
        assert!(client.read_response().is_err(), "{fault}");
        doomed.wait_exit(SOON);
        let done = setup.nodes_with(&column);
        assert!(done < NODES, "{fault}: {done}");
        let survivor = setup.proxy(None);
        poll_until("all nodes have it", SOON, || setup.nodes_with(&column) == NODES);
        let mut client = connect(&survivor.url());
        poll_until("nothing is left to be done", SOON, || shown(&mut client).is_empty());
        let sum = client.rows(&format!("SELECT SUM({column}), COUNT(*) FROM items")).text();
        assert_eq!(sum[0], [Some("280".to_owned()), Some("40".to_owned())], "{fault}");
    }
}

#[test]
fn what_would_lose_rows_is_reported_and_not_carried_on() {
    let setup = Definitions::open();
    let mut doomed = setup.proxy(Some("DefinedOne:kill:3"));
    let mut client = connect(&doomed.url());
    client.send_query("TRUNCATE TABLE items");
    assert!(client.read_response().is_err());
    doomed.wait_exit(SOON);
    let left = setup.rows();
    assert!(left > 0 && left < 40, "{left}");
    let survivor = setup.proxy(None);
    let mut client = connect(&survivor.url());
    let mut found = Vec::new();
    poll_until("it is reported", SOON, || {
        found = shown(&mut client);
        found.first().is_some_and(|row| row[1].as_deref() == Some("interrupted"))
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0][3].as_deref(), Some("defs.items"));
    assert_eq!(found[0][7].as_deref(), Some("TRUNCATE TABLE items"));
    assert_eq!(setup.rows(), left);
    // Run again, it is whole.
    client.run("TRUNCATE TABLE items");
    assert_eq!(setup.rows(), 0);
}

#[test]
fn a_proxy_that_is_only_halted_is_waited_for() {
    let setup = Definitions::open();
    let mut halted = setup.proxy(Some("DefinedOne:stop:2"));
    let mut client = connect(&halted.url());
    client.send_query("ALTER TABLE items ADD COLUMN later INT");
    let survivor = setup.proxy(None);
    let mut other = connect(&survivor.url());
    poll_until("it is seen", SOON, || {
        shown(&mut other).first().is_some_and(|row| row[1].as_deref() == Some("running"))
    });
    std::thread::sleep(Duration::from_secs(1));
    assert!(setup.nodes_with("later") < NODES, "nobody carries on what is still held");
    assert_eq!(shown(&mut other)[0][1].as_deref(), Some("running"));
    halted.signal(Signal::CONT);
    match client.read_response().unwrap() {
        Response::Ok(_) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(setup.nodes_with("later"), NODES);
    poll_until("it is done", SOON, || shown(&mut other).is_empty());
}

#[test]
fn definitions_that_have_one_table_in_common_wait_for_each_other() {
    let setup = Definitions::open();
    let mut halted = setup.proxy(Some("DefinedOne:stop:2"));
    let survivor = setup.proxy(None);
    let mut other = connect(&survivor.url());
    other.run("CREATE TABLE kinds (code INT PRIMARY KEY)");
    let mut client = connect(&halted.url());
    client.send_query("ALTER TABLE items ADD COLUMN later INT");
    let mut seeing = connect(&survivor.url());
    poll_until("it is seen", SOON, || {
        shown(&mut seeing).first().is_some_and(|row| row[1].as_deref() == Some("running"))
    });
    other.send_query("DROP TABLE kinds, items");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(setup.rows(), 40, "nothing is dropped while the other definition runs");
    halted.signal(Signal::CONT);
    for client in [&mut client, &mut other] {
        assert!(matches!(client.read_response().unwrap(), Response::Ok(_)));
    }
    poll_until("both are done", SOON, || shown(&mut seeing).is_empty());
}

#[test]
fn what_a_server_refuses_is_reported() {
    let setup = Definitions::open();
    let proxy = setup.proxy(None);
    let mut client = connect(&proxy.url());
    // on one node only
    connect(&setup.backends.groups[2].primary).run("ALTER TABLE items_1 ADD COLUMN here INT");
    let error = client.query("ALTER TABLE items ADD COLUMN here INT").err();
    assert_eq!(error.errno, 1060, "{error}");
    assert!(error.message.contains("g2/defs/items_1"), "{error}");
    let found = shown(&mut client);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0][1].as_deref(), Some("failed"));
    assert_eq!(found[0][5].as_deref(), Some("g2.defs.items_1"));
}

#[test]
fn another_proxy_notices_what_was_defined() {
    let setup = Definitions::open();
    let proxies = [setup.proxy(None), setup.proxy(None)];
    let mut clients = [connect(&proxies[0].url()), connect(&proxies[1].url())];
    clients[1].run("INSERT INTO items VALUES (100, 1)");
    clients[0].run("ALTER TABLE items ADD COLUMN first INT FIRST");
    // The second proxy reads the key from the second column then.
    let is_known = |client: &mut RawClient| {
        let Response::Rows(rows) = client.query("EXPLAIN ROUTE INSERT INTO items VALUES (1, 106, 2)") else {
            return false;
        };
        let route: String = rows.text().into_iter().flatten().flatten().collect();
        route.contains("g1.defs.items_0")
            && matches!(client.query("INSERT INTO items VALUES (1, 106, 2)"), Response::Ok(_))
    };
    poll_until("the other proxy knows", SOON, || is_known(&mut clients[1]));
    assert_eq!(clients[0].rows("SELECT v FROM items WHERE id = 106").text().len(), 1);
    clients[1].run("ALTER TABLE items DROP COLUMN first");
}

/// A proxy beside another one that does not look at definitions while the test runs, with the columns of `items` known.
fn proxy_behind(setup: &Definitions) -> ProxyProcess {
    let rules = Rules {
        proxy: "recovery: {interval_ms: 3600000, grace_ms: 1000}\nlimits: {catalog_age_ms: 3600000}\n".to_owned(),
        ..setup.rules.clone()
    };
    ProxyProcess::start_beside(&setup.backends, &rules, &[])
}

/// The rows whose ids are from `from` on, in `id`, `v`.
fn rows_from(client: &mut RawClient, from: u32) -> Vec<Vec<Option<String>>> {
    client.rows(&format!("SELECT id, v FROM items WHERE id >= {from} ORDER BY id")).text()
}

#[test]
fn rows_without_a_list_of_columns_go_where_a_proxy_that_is_behind_takes_them_for() {
    let setup = Definitions::open();
    let (ahead, behind) = (setup.proxy(None), proxy_behind(&setup));
    let (mut ahead, mut late) = (connect(&ahead.url()), connect(&behind.url()));
    late.run("INSERT INTO items VALUES (100, 1)");
    late.run("CREATE TABLE kinds (a INT PRIMARY KEY, b INT)");
    late.run("INSERT INTO kinds VALUES (1, 2)");
    ahead.run("ALTER TABLE items MODIFY v INT FIRST");
    for sql in [
        "INSERT INTO items VALUES (101, 1)",
        "INSERT INTO items () VALUES (102, 1), (103, 1)",
        "REPLACE items VALUES (104, 1)",
        "INSERT items SELECT id + 100, 1 FROM items WHERE id IN (5, 6)",
        "INSERT INTO items SELECT 107, 1",
        "INSERT INTO items VALUES (108, 1) ON DUPLICATE KEY UPDATE v = 2",
        "INSERT IGNORE INTO items VALUES (109, 1), (109, 2) -- twice",
    ] {
        assert!(matches!(late.query(sql), Response::Ok(_)), "{sql}");
    }
    let expected: Vec<_> = (100..110).map(|id: u32| vec![Some(id.to_string()), Some("1".to_owned())]).collect();
    assert_eq!(rows_from(&mut ahead, 100), expected);
    // by its key each is found on its shard only
    for id in 100..110 {
        assert_eq!(ahead.rows(&format!("SELECT v FROM items WHERE id = {id}")).text().len(), 1, "{id}");
    }
}

#[test]
fn a_statement_that_columns_have_left_behind_is_planned_again() {
    let setup = Definitions::open();
    let (ahead, behind) = (setup.proxy(None), proxy_behind(&setup));
    let (mut ahead, mut late) = (connect(&ahead.url()), connect(&behind.url()));
    late.run("INSERT INTO items VALUES (100, 1)");
    // too many values for what the proxy knows
    ahead.run("ALTER TABLE items ADD COLUMN w INT FIRST");
    late.run("INSERT INTO items VALUES (7, 101, 1)");
    // a column of the list is gone: the server says so
    ahead.run("ALTER TABLE items DROP COLUMN w");
    assert_eq!(late.query("INSERT INTO items VALUES (7, 102, 1)").err().errno, 1136);
    ahead.run("ALTER TABLE items CHANGE v u INT");
    late.run("INSERT INTO items VALUES (102, 1)");
    late.run("INSERT INTO items VALUES (103, 1), (104, 1)");
    ahead.run("ALTER TABLE items CHANGE u v INT");
    assert_eq!(late.rows("SELECT v FROM items WHERE id = 104").text().len(), 1);
    ahead.run("ALTER TABLE items CHANGE v u INT");
    assert_eq!(late.rows("SELECT COUNT(u) FROM items WHERE id >= 100").scalar().as_deref(), Some("5"));
    ahead.run("ALTER TABLE items CHANGE u v INT");
    late.run("BEGIN");
    late.run("INSERT INTO items VALUES (105, 1)");
    late.run("INSERT INTO items VALUES (106, 1), (107, 1)");
    late.run("COMMIT");
    let expected: Vec<_> = (100..108).map(|id: u32| vec![Some(id.to_string()), Some("1".to_owned())]).collect();
    assert_eq!(rows_from(&mut ahead, 100), expected);
    // what is wrong stays wrong
    for (sql, errno) in [
        ("INSERT INTO items VALUES (1, 2, 3)", 1136),
        ("INSERT INTO items (id, nosuch) VALUES (200, 2)", 1054),
        ("SELECT nosuch FROM items WHERE id = 1", 1054),
        ("SELECT id FROM items WHERE id = 1 AND nosuch = 1", 1054),
        ("SELECT id FROM nosuch", 1146),
    ] {
        assert_eq!(late.query(sql).err().errno, errno, "{sql}");
    }
    assert_eq!(late.rows("SELECT @@warning_count, ROW_COUNT()").text().len(), 1);
}

#[test]
fn nodes_whose_columns_are_in_another_order_take_rows_as_the_others_do() {
    let setup = Definitions::open();
    let proxy = setup.proxy(None);
    let mut client = connect(&proxy.url());
    client.run("CREATE TABLE kinds (a INT PRIMARY KEY, b INT)");
    for group in &setup.backends.groups[1..3] {
        connect(&group.primary).run("ALTER TABLE kinds MODIFY b INT FIRST");
        connect(&group.primary).run("ALTER TABLE items_0 MODIFY v INT FIRST");
    }
    client.run("INSERT INTO kinds VALUES (1, 2)");
    client.run("REPLACE INTO kinds VALUES (1, 3)");
    let values: Vec<String> = (100..116).map(|id| format!("({id}, 1)")).collect();
    client.run(&format!("INSERT INTO items VALUES {}", values.join(", ")));
    let expected: Vec<_> = (100..116).map(|id: u32| vec![Some(id.to_string()), Some("1".to_owned())]).collect();
    assert_eq!(rows_from(&mut client, 100), expected);
    for group in &setup.backends.groups {
        let rows = connect(&group.primary).rows("SELECT a, b FROM kinds").text();
        assert_eq!(rows, [[Some("1".to_owned()), Some("3".to_owned())]]);
    }
}

#[test]
fn check_tells_what_the_shards_cannot_keep_together() {
    let setup = Definitions::open();
    let proxy = setup.proxy(None);
    let check = |connect: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shardloom"));
        command.arg("check").arg(format!("--rules={}", proxy.rules_folder.display()));
        command.args(connect.then_some("--connect"));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (succeeded, text) = check(true);
    assert!(succeeded && text.contains("warning: defs.kinds: there is no such table yet"), "{text}");
    assert!(!text.contains("unique"), "{text}");
    connect(&proxy.url()).run("ALTER TABLE items ADD UNIQUE KEY by_v (v)");
    connect(&setup.backends.groups[3].primary).run("ALTER TABLE items_0 ADD COLUMN more INT");
    connect(&setup.backends.groups[1].primary).run("DROP TABLE items_1");
    let (succeeded, text) = check(true);
    assert!(succeeded, "{text}");
    for part in
        ["by_v (v) is unique on each shard only", "'id'", "g3.defs.items_0 differ", "missing on g1.defs.items_1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!check(false).1.contains("warning"));
}
