//! What operators are shown: each figure moves by what was done.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use support::backends::Backends;
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::{Options, RawClient};

const SCHEMA: &str = "metrics_shop";
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items
        strategy: {columns: [id], algorithm: {type: mod}}
";
/// How soon something must have happened.
const SOON: Duration = Duration::from_secs(10);

fn proxy(more: &str) -> ProxyProcess {
    let rules = Rules { proxy: more.to_owned(), ..Rules::schema(SCHEMA, SCHEMA_RULES) };
    ProxyProcess::start(Backends::shared(), &rules)
}

fn connect(proxy: &ProxyProcess) -> RawClient {
    Options::new(&proxy.url()).schema(SCHEMA).connect().unwrap()
}

fn figure(proxy: &ProxyProcess, name: &str) -> u64 {
    let (_, text) = proxy.admin("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[test]
fn clients_bytes_and_rules_are_counted() {
    let proxy = proxy("limits: {max_connections: 2}\n");
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
