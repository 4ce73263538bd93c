//! Transactions over several groups, as operators see them on the servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, Url};
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::{Options, RawClient};

const SCHEMA: &str = "bank";
/// Account n is on group n modulo the number of groups.
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      accounts:
        data_nodes: g{0..2}.accounts
        strategy: {columns: [id], algorithm: by_id}
    algorithms:
      by_id: {type: mod}
";
const SOON: Duration = Duration::from_secs(20);

struct Bank {
    backends: Backends,
    proxy: ProxyProcess,
}

impl Bank {
    fn open(rules: Rules) -> Self {
        // MySQL tells who waits for whom in its performance schema only.
        let options = vec!["--performance-schema=ON".to_owned()];
        let backends = Backends::start(&ClusterSpec { groups: 3, replicas: 0, options, ..ClusterSpec::default() });
        let proxy = ProxyProcess::start(&backends, &rules.and_schema(SCHEMA, SCHEMA_RULES));
        let bank = Self { backends, proxy };
        let mut client = bank.client();
        client.run("CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)");
        client.run("INSERT INTO accounts VALUES (0, 100), (1, 100), (2, 100), (3, 100), (4, 100), (5, 100)");
        bank
    }

    fn client(&self) -> RawClient {
        connect(&self.proxy.url())
    }

    fn server(&self, group: usize) -> RawClient {
        connect(&self.backends.groups[group].primary)
    }

    fn prepared(&self) -> usize {
        (0..3).map(|group| self.server(group).rows("XA RECOVER").rows.len()).sum()
    }

    fn balances(&self) -> Vec<String> {
        balances(&mut self.client())
    }

    fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.proxy.admin("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().unwrap()
    }
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

fn balances(client: &mut RawClient) -> Vec<String> {
    let rows = client.rows("SELECT balance FROM accounts ORDER BY id").text();
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

/// What a server was told, by its own log.
fn told(server: &mut RawClient, pattern: &str) -> usize {
    let sql = format!("SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE '{pattern}'");
    server.rows(&sql).scalar().unwrap().parse().unwrap()
}

fn watch(server: &mut RawClient) {
    server.run("SET GLOBAL log_output = 'TABLE'");
    server.run("TRUNCATE TABLE mysql.general_log");
    server.run("SET GLOBAL general_log = 1");
}

#[test]
fn a_transaction_on_one_group_is_a_plain_one() {
    let bank = Bank::open(Rules::default());
    let mut client = bank.client();
    let mut server = bank.server(1);
    watch(&mut server);
    client.run("BEGIN");
    client.run("UPDATE accounts SET balance = balance - 1 WHERE id = 1");
    client.run("UPDATE accounts SET balance = balance + 1 WHERE id = 4");
    client.run("COMMIT");
    assert_eq!(told(&mut server, "XA %"), told(&mut server, "XA RECOVER"), "nothing but recovery speaks of XA");
    assert_eq!(told(&mut server, "INSERT INTO `shardloom`%"), 0);
    assert_eq!(told(&mut server, "COMMIT"), 1);
}

#[test]
fn only_branches_that_wrote_are_prepared() {
    let bank = Bank::open(Rules::default());
    let mut client = bank.client();
    let before = bank.metric("shardloom_transaction_branches_prepared_total");
    // The anchor and one branch only read: one phase is enough.
    client.run("BEGIN");
    client.rows("SELECT balance FROM accounts WHERE id = 0");
    client.rows("SELECT balance FROM accounts WHERE id = 1");
    client.run("UPDATE accounts SET balance = 7 WHERE id = 2");
    client.run("COMMIT");
    assert_eq!(bank.metric("shardloom_transaction_branches_prepared_total"), before);
    // One branch only read.
    client.run("BEGIN");
    client.run("UPDATE accounts SET balance = 8 WHERE id = 0");
    client.rows("SELECT balance FROM accounts WHERE id = 1");
    client.run("UPDATE accounts SET balance = 8 WHERE id = 2");
    client.run("COMMIT");
    assert_eq!(bank.metric("shardloom_transaction_branches_prepared_total"), before + 1);
    assert_eq!(bank.balances(), ["8", "100", "8", "100", "100", "100"]);
    assert_eq!(bank.prepared(), 0);
}

#[test]
fn a_branch_that_was_left_is_settled_by_its_anchor() {
    let rules = Rules { proxy: "recovery: {interval_ms: 100, grace_ms: 300}\n".to_owned(), ..Rules::default() };
    let bank = Bank::open(rules);
    // The schema of group 0 is there since the INSERT of all accounts.
    let name = "shardloom.00000000000000aa.1.1";
    let tag = {
        // The participants of a decision are the tags of the other groups.
        let mut client = bank.client();
        client.run("BEGIN");
        client.run("UPDATE accounts SET balance = 100 WHERE id = 1");
        client.run("UPDATE accounts SET balance = 101 WHERE id = 0");
        client.run("COMMIT");
        let rows = bank.server(1).rows("SELECT participants FROM shardloom.decisions");
        rows.text().pop().unwrap()[0].clone().unwrap()
    };
    for (outcome, balance) in [("abort", "100"), ("commit", "55")] {
        let mut branch = bank.server(1);
        let name = format!("{name}{}", if outcome == "abort" { 1 } else { 2 });
        branch.run(&format!("XA START '{name}','{tag}.1',1397247053"));
        branch.run("UPDATE accounts SET balance = 55 WHERE id = 1");
        branch.run(&format!("XA END '{name}','{tag}.1',1397247053"));
        branch.run(&format!("XA PREPARE '{name}','{tag}.1',1397247053"));
        if outcome == "commit" {
            bank.server(0).run(&format!(
                "INSERT INTO shardloom.decisions (transaction, decision, participants) VALUES ('{name}', 'commit', '')"
            ));
        }
        branch.quit();
        poll_until("nothing is prepared", SOON, || bank.prepared() == 0);
        let value = bank.client().rows("SELECT balance FROM accounts WHERE id = 1").scalar().unwrap();
        assert_eq!(value, balance, "{outcome}");
        let decision = format!("SELECT decision FROM shardloom.decisions WHERE transaction = '{name}'");
        assert_eq!(bank.server(0).rows(&decision).scalar().unwrap(), outcome);
    }
    assert_eq!(bank.metric("shardloom_transaction_branches_resolved_total{as=\"abort\"}"), 1);
    assert_eq!(bank.metric("shardloom_transaction_branches_resolved_total{as=\"commit\"}"), 1);
    // Somebody else's branch is nobody's business.
    let mut foreign = bank.server(1);
    for step in ["START", "END", "PREPARE"] {
        foreign.run(&format!("XA {step} 'theirs'"));
    }
    let before = bank.metric("shardloom_transaction_branches_in_doubt");
    assert_eq!((before, bank.prepared()), (0, 1));
    foreign.run("XA ROLLBACK 'theirs'");
}

#[test]
fn a_late_coordinator_is_told_that_it_was_overtaken() {
    let bank = Bank::open(Rules::default());
    let mut client = bank.client();
    client.run("BEGIN");
    client.run("UPDATE accounts SET balance = 0 WHERE id = 0");
    client.run("UPDATE accounts SET balance = 0 WHERE id = 1");
    // Another proxy has seen a branch of it prepared, and given it up.
    let shown = client.rows("SHOW SHARDLOOM TRANSACTIONS").text();
    let [name, state, _, _, anchor, participants] = &shown[0][..] else { panic!("{shown:?}") };
    let text = |cell: &Option<String>| cell.clone().unwrap();
    assert_eq!([text(state), text(anchor), text(participants)], ["active", "g0", "g0, g1"]);
    let name = text(name);
    bank.server(0).run(&format!(
        "INSERT INTO shardloom.decisions (transaction, decision, participants) VALUES ('{name}', 'abort', '')"
    ));
    let error = client.query("COMMIT").err();
    assert_eq!((error.errno, error.sqlstate.as_str()), (1402, "XA100"), "{error}");
    assert_eq!(bank.balances(), ["100"; 6]);
    assert_eq!(bank.prepared(), 0);
    client.run("UPDATE accounts SET balance = 1 WHERE id IN (0, 1)");
}

#[test]
fn a_group_that_dies_before_commit_rolls_all_back() {
    let bank = Bank::open(Rules::default());
    let mut client = bank.client();
    client.run("BEGIN");
    client.run("UPDATE accounts SET balance = 0 WHERE id = 0");
    client.run("UPDATE accounts SET balance = 0 WHERE id = 1");
    bank.backends.with_local(|cluster| cluster.groups[1].primary.kill()).unwrap();
    let error = client.query("COMMIT").err();
    assert_eq!((error.errno, error.sqlstate.as_str()), (1402, "XA100"), "{error}");
    assert!(error.message.contains("g1"), "{error}");
    let restart = |cluster: &mut shardloom::playground::cluster::LocalCluster| {
        support::backends::block_on(cluster.groups[1].primary.restart())
    };
    bank.backends.with_local(restart).unwrap().unwrap();
    poll_until("the group answers again", SOON, || {
        !matches!(client.query("SELECT balance FROM accounts WHERE id = 1"), support::raw::response::Response::Err(_))
    });
    assert_eq!(bank.balances(), ["100"; 6]);
    assert_eq!(bank.prepared(), 0);
}

#[test]
fn single_group_schemas_refuse_a_second_group() {
    let rules = Rules::schema("narrow", &format!("{SCHEMA_RULES}\n    transactions: single\n"));
    let bank = Bank::open(rules);
    let mut client = Options::new(&bank.proxy.url()).schema("narrow").connect().unwrap();
    client.run("CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)");
    let error = client.query("INSERT INTO accounts VALUES (0, 1), (1, 1)").err();
    assert_eq!(error.errno, 1235, "{error}");
    client.run("INSERT INTO accounts VALUES (0, 1)");
    client.run("BEGIN");
    client.run("UPDATE accounts SET balance = 2 WHERE id = 0");
    assert_eq!(client.query("INSERT INTO accounts VALUES (1, 1)").err().errno, 1235);
    assert_eq!(client.rows("SELECT * FROM accounts").rows.len(), 1);
    client.run("COMMIT");
    assert_eq!(client.rows("SELECT balance FROM accounts").scalar().unwrap(), "2");
}

#[test]
fn a_deadlock_over_two_groups_ends_its_youngest_transaction() {
    let bank = Bank::open(Rules::default());
    let (mut older, mut younger) = (bank.client(), bank.client());
    let mut bystander = bank.client();
    for (client, first) in [(&mut older, 0), (&mut younger, 1)] {
        client.run("BEGIN");
        client.rows("SELECT balance FROM accounts WHERE id IN (3, 4)");
        client.run(&format!("UPDATE accounts SET balance = balance + 1 WHERE id = {first}"));
    }
    let begun = Instant::now();
    older.send_query("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
    younger.send_query("UPDATE accounts SET balance = balance + 1 WHERE id = 0");
    let error = younger.read_response().unwrap().err();
    assert_eq!((error.errno, error.sqlstate.as_str()), (1213, "40001"), "{error}");
    older.read_response().unwrap().ok();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    older.run("COMMIT");
    // The session of the victim goes on, without a transaction.
    assert_eq!(balances(&mut younger)[..2], ["101", "101"]);
    younger.run("UPDATE accounts SET balance = 5 WHERE id = 1");
    assert_eq!(balances(&mut bystander)[..2], ["101", "5"]);
    assert_eq!(bank.metric("shardloom_transaction_deadlocks_total"), 1);
    // Who waits without a circle is left alone.
    older.run("BEGIN");
    older.run("UPDATE accounts SET balance = 6 WHERE id IN (0, 1)");
    younger.run("BEGIN");
    younger.rows("SELECT balance FROM accounts WHERE id = 2");
    younger.send_query("UPDATE accounts SET balance = 7 WHERE id IN (0, 1)");
    let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE time >= 2 AND info LIKE 'UPDATE accounts%'";
    poll_until("it has waited", SOON, || bank.server(0).rows(waits).scalar().unwrap() != "0");
    older.run("COMMIT");
    younger.read_response().unwrap().ok();
    younger.run("COMMIT");
    assert_eq!(balances(&mut bystander)[..2], ["7", "7"]);
}

#[test]
fn a_statement_by_itself_is_run_again_after_a_deadlock() {
    let bank = Bank::open(Rules::default());
    let (mut holder, mut alone) = (bank.client(), bank.client());
    holder.run("BEGIN");
    holder.rows("SELECT balance FROM accounts WHERE id IN (3, 4)");
    holder.run("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
    alone.send_query("UPDATE accounts SET balance = balance * 2 WHERE id IN (0, 1)");
    let free = format!("SELECT id FROM {SCHEMA}.accounts WHERE id = 0 FOR UPDATE SKIP LOCKED");
    poll_until("it has the row of one group", SOON, || bank.server(0).rows(&free).rows.is_empty());
    let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE accounts%'";
    poll_until("it waits for that of the other", SOON, || bank.server(1).rows(waits).scalar().unwrap() != "0");
    holder.run("UPDATE accounts SET balance = balance + 1 WHERE id = 0");
    holder.run("COMMIT");
    assert_eq!(alone.read_response().unwrap().ok().affected_rows, 2);
    assert_eq!(balances(&mut holder)[..2], ["202", "202"]);
    assert_eq!(bank.metric("shardloom_transaction_deadlocks_total"), 1);
}

#[test]
fn a_deadlock_of_two_proxies_ends_its_youngest_transaction() {
    let bank = Bank::open(Rules::default());
    let rules = Rules::default().and_schema(SCHEMA, SCHEMA_RULES);
    let other = ProxyProcess::start_beside(&bank.backends, &rules, &[]);
    for round in 0..3 {
        let (mut older, mut younger) = (bank.client(), connect(&other.url()));
        if round == 1 {
            std::mem::swap(&mut older, &mut younger);
        }
        for (client, first) in [(&mut older, 0), (&mut younger, 1)] {
            client.run("BEGIN");
            client.rows("SELECT balance FROM accounts WHERE id IN (3, 4)");
            client.run(&format!("UPDATE accounts SET balance = balance + 1 WHERE id = {first}"));
            // which one is the younger is told by the clock
            std::thread::sleep(Duration::from_millis(20));
        }
        let begun = Instant::now();
        older.send_query("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
        younger.send_query("UPDATE accounts SET balance = balance + 1 WHERE id = 0");
        let error = younger.read_response().unwrap().err();
        println!("found after {:?}", begun.elapsed());
        assert_eq!((error.errno, error.sqlstate.as_str()), (1213, "40001"), "{error}");
        older.read_response().unwrap().ok();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        older.run("COMMIT");
        assert_eq!(balances(&mut younger)[..2], [format!("{}", 101 + round), format!("{}", 101 + round)]);
    }
}
