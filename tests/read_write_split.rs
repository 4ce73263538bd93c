//! Reads go to replicas and come back when replicas die; writes, locks and a session's own writes see the primary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, Url, block_on};
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::Response;
use support::raw::{Options, RawClient};
use support::{items, poll_until};

const SCHEMA: &str = "split_shop";
const SOON: Duration = Duration::from_secs(20);

struct Fixture {
    backends: Backends,
    proxy: ProxyProcess,
}

impl Fixture {
    fn start(proxy_settings: &str) -> Self {
        let backends = Backends::start(&ClusterSpec { replicas: 1, ..ClusterSpec::default() });
        let rules =
            Rules { proxy: proxy_settings.to_owned(), with_replicas: true, ..Rules::schema(SCHEMA, items::RULES) };
        let proxy = ProxyProcess::start(&backends, &rules);
        items::fill(&mut connect(&proxy.url()));
        let fixture = Self { backends, proxy };
        poll_until("the rows are on the replicas", SOON, || fixture.replicas().all(has_row));
        fixture
    }

    fn replicas(&self) -> impl Iterator<Item = &Url> {
        self.backends.groups.iter().flat_map(|group| &group.replicas)
    }
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

fn has_row(url: &Url) -> bool {
    let mut client = Options::new(url).connect().unwrap();
    let answer = client.query(&format!("SELECT COUNT(*) FROM {SCHEMA}.items"));
    matches!(answer, Response::Rows(rows) if rows.scalar().as_deref() == Some("2"))
}

/// Which server answers a statement about one row: the servers are told apart by their number.
fn server_of(client: &mut RawClient, tail: &str) -> String {
    client.rows(&format!("SELECT @@server_id FROM items WHERE id = 1 {tail}")).scalar().unwrap()
}

fn number_of(url: &Url) -> String {
    Options::new(url).connect().unwrap().rows("SELECT @@server_id").scalar().unwrap()
}

#[test]
fn plain_reads_go_to_the_replica_and_everything_else_to_the_primary() {
    let fixture = Fixture::start("reads: {read_after_write_ms: 60000}\n");
    let group = &fixture.backends.groups[1];
    let (primary, replica) = (number_of(&group.primary), number_of(&group.replicas[0]));
    let mut client = connect(&fixture.proxy.url());
    assert_eq!(server_of(&mut client, ""), replica);
    assert_eq!(server_of(&mut client, "FOR UPDATE"), primary);
    assert_eq!(server_of(&mut client, "LOCK IN SHARE MODE"), primary);
    client.run("BEGIN");
    assert_eq!(server_of(&mut client, ""), primary);
    client.run("COMMIT");

    // The session may now be taken for one that wrote; another one is not.
    let mut client = connect(&fixture.proxy.url());
    assert_eq!(server_of(&mut client, ""), replica);
    let statement = client.prepare("SELECT @@server_id FROM items WHERE id = 1").unwrap();
    let binary = client.execute(&statement, &[]).rows().rows;
    assert!(!binary.is_empty());

    // After its own write a session reads from the primary; others do not have to.
    client.run("UPDATE items SET name = 'changed' WHERE id = 1");
    assert_eq!(server_of(&mut client, ""), primary);
    assert_eq!(client.rows("SELECT name FROM items WHERE id = 1").scalar().as_deref(), Some("changed"));
    assert_eq!(server_of(&mut connect(&fixture.proxy.url()), ""), replica);
}

#[test]
fn a_dead_replica_leaves_the_rotation_and_comes_back() {
    let fixture = Fixture::start("health: {interval_ms: 100, timeout_ms: 500}\n");
    let group = &fixture.backends.groups[1];
    let (primary, replica) = (number_of(&group.primary), number_of(&group.replicas[0]));
    let mut client = connect(&fixture.proxy.url());
    assert_eq!(server_of(&mut client, ""), replica);
    fixture.backends.with_local(|cluster| cluster.groups[1].replicas[0].kill()).unwrap();
    // The statement that meets the dead replica may fail; soon none does.
    let sql = "SELECT @@server_id FROM items WHERE id = 1";
    let mut seen = BTreeSet::new();
    poll_until("reads go to the primary", SOON, || match client.query(sql) {
        Response::Rows(rows) => {
            seen.insert(rows.scalar().unwrap());
            seen.contains(&primary)
        }
        _ => false,
    });
    for _ in 0..20 {
        assert_eq!(server_of(&mut client, ""), primary);
    }
    fixture.backends.with_local(|cluster| block_on(cluster.groups[1].replicas[0].restart())).unwrap().unwrap();
    poll_until("reads go to the replica again", SOON, || server_of(&mut client, "") == replica);
}
