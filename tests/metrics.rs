//! What operators are shown: each figure moves by what was done.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use support::backends::Backends;
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::{Options, Param, RawClient};

const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items
        strategy: {columns: [id], algorithm: {type: mod}}
";
/// How soon something must have happened.
const SOON: Duration = Duration::from_secs(10);

/// A proxy over a schema of its own, since the tests run side by side.
fn proxy(schema: &str, more: &str) -> ProxyProcess {
    let rules = Rules { proxy: more.to_owned(), ..Rules::schema(schema, SCHEMA_RULES) };
    ProxyProcess::start(Backends::shared(), &rules)
}

fn connect(proxy: &ProxyProcess) -> RawClient {
    Options::new(&proxy.url()).connect().unwrap()
}

fn figure(proxy: &ProxyProcess, name: &str) -> u64 {
    let (_, text) = proxy.admin("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[test]
fn clients_bytes_and_rules_are_counted() {
    let proxy = proxy("metrics_counted", "limits: {max_connections: 2}\n");
    poll_until("the first greeting is over", SOON, || figure(&proxy, "shardloom_connections") == 0);
    let accepted = figure(&proxy, "shardloom_connections_accepted_total");

    let mut client = connect(&proxy);
    let second = connect(&proxy);
    assert_eq!(figure(&proxy, "shardloom_connections"), 2);
    let refused = Options::new(&proxy.url()).connect().unwrap_err().refusal();
    assert_eq!(refused.errno, 1040);
    assert_eq!(figure(&proxy, "shardloom_connections_refused_total{reason=\"limit\"}"), 1);
    second.quit();
    poll_until("the second client is gone", SOON, || figure(&proxy, "shardloom_connections") == 1);
    let stranger = proxy.url().with_account("app", "wrong");
    assert_eq!(Options::new(&stranger).connect().unwrap_err().refusal().errno, 1045);
    let denied = "shardloom_connections_refused_total{reason=\"authentication\"}";
    poll_until("the denied client is counted", SOON, || figure(&proxy, denied) == 1);
    assert_eq!(figure(&proxy, "shardloom_connections_accepted_total"), accepted + 3);

    let size = 200_000;
    for (sql, times) in [
        (format!("SELECT REPEAT('x', {size})"), 1),
        (format!("SELECT REPEAT('y', {size}) /*{}*/", "z".repeat(size)), 2),
    ] {
        let to = |side| figure(&proxy, &format!("shardloom_relayed_bytes_total{{to=\"{side}\"}}"));
        let before = (to("client"), to("backend"));
        for _ in 0..times {
            client.rows(&sql);
        }
        // told of after the answer has left
        poll_until("the answers are counted", SOON, || to("client") - before.0 >= (size * times) as u64);
        let (answers, statements) = (to("client") - before.0, to("backend") - before.1);
        assert!(answers < (size * times + 1000) as u64, "{answers} bytes are more than once {times} answers");
        let sent = sql.len() * times;
        assert!((sent as u64..sent as u64 + 2000).contains(&statements), "{statements} bytes for statements of {sent}");
    }

    let rejected = "shardloom_rules_loads_total{result=\"rejected\"}";
    assert_eq!(figure(&proxy, rejected), 0);
    proxy.edit_rules("groups.yaml", |text| text + "nonsense: 1\n");
    poll_until("the mistake is counted", SOON, || figure(&proxy, rejected) == 1);
}

#[test]
fn statements_are_counted_by_their_shape() {
    let proxy = proxy("metrics_digests", "");
    let mut client = Options::new(&proxy.url()).schema("metrics_digests").connect().unwrap();
    client.run("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40))");
    client.run("INSERT INTO items VALUES (1, 'one'), (2, 'two')");
    for id in [1, 2, 1] {
        client.rows(&format!("SELECT SLEEP(0.01), name FROM items WHERE id = {id}"));
    }
    // other spaces, the same statement
    client.rows("SELECT  SLEEP(0.01),  name FROM items WHERE id = 1");
    let statement = client.prepare("SELECT SLEEP(?), name FROM items WHERE id = ?").unwrap();
    client.execute(&statement, &[Param::Int(0), Param::Int(1)]);
    client.query("INSERT INTO items VALUES (1, 'again')");
    let (_, body) = proxy.admin("/digests");
    let rows: serde_json::Value = serde_json::from_str(&body).unwrap();
    let of = |text: &str| {
        let found = rows.as_array().unwrap().iter().find(|row| row["text"].as_str().unwrap().starts_with(text));
        found.unwrap_or_else(|| panic!("no {text} in {body}")).clone()
    };
    let select = of("SELECT SLEEP");
    assert_eq!((&select["count"], &select["rows"], &select["errors"]), (&5.into(), &5.into(), &0.into()), "{body}");
    let (total, longest) = (select["total_us"].as_u64().unwrap(), select["longest_us"].as_u64().unwrap());
    assert!(total >= 40_000 && (10_000..=total).contains(&longest), "{body}");
    let insert = of("INSERT INTO items");
    assert_eq!((&insert["count"], &insert["rows"], &insert["errors"]), (&2.into(), &2.into(), &1.into()), "{body}");
}

#[test]
fn limits_of_the_door_follow_the_rules() {
    let proxy = proxy("metrics_door", "limits: {max_connections: 1}\n");
    poll_until("the first greeting is over", SOON, || figure(&proxy, "shardloom_connections") == 0);
    let first = connect(&proxy);
    assert_eq!(Options::new(&proxy.url()).connect().unwrap_err().refusal().errno, 1040);
    let loaded = "shardloom_rules_loads_total{result=\"loaded\"}";
    let change = |from: &str, to: &str| {
        let before = figure(&proxy, loaded);
        proxy.edit_rules("proxy.yaml", |text| text.replace(from, to));
        poll_until("the rules are in force", SOON, || figure(&proxy, loaded) > before);
    };
    change("{max_connections: 1}", "{max_connections: 3, handshake_timeout_ms: 300}");
    let (second, third) = (connect(&proxy), connect(&proxy));
    assert_eq!(Options::new(&proxy.url()).connect().unwrap_err().refusal().errno, 1040);
    second.quit();
    poll_until("there is room", SOON, || figure(&proxy, "shardloom_connections") == 2);
    let began = std::time::Instant::now();
    let mut silent = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    silent.set_read_timeout(Some(SOON)).unwrap();
    std::io::Read::read_to_end(&mut silent, &mut Vec::new()).unwrap();
    assert!(began.elapsed() < SOON / 2, "a silent client is cut off after {:?}", began.elapsed());
    // fewer than there are: those stay, and nobody else gets in until enough of them have left
    change("{max_connections: 3,", "{max_connections: 1,");
    assert_eq!(Options::new(&proxy.url()).connect().unwrap_err().refusal().errno, 1040);
    third.quit();
    poll_until("one is left", SOON, || figure(&proxy, "shardloom_connections") == 1);
    assert_eq!(Options::new(&proxy.url()).connect().unwrap_err().refusal().errno, 1040);
    first.quit();
    poll_until("none is left", SOON, || figure(&proxy, "shardloom_connections") == 0);
    connect(&proxy);
}
