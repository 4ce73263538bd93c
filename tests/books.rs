//! The books: transfers between accounts on four groups, while everything around them fails.
//!
//! Each transfer takes an amount from one account, gives it to another, and writes itself down in a third place. So what
//! must hold in the end can be computed: every acknowledged transfer is written down; each account holds what it began with
//! and what the written transfers say; nothing stays prepared. And while it goes on, no consistent snapshot sees a wrong
//! total. `SHARDLOOM_BOOKS_SECONDS` says how long everything fails (20 by default).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use shardloom::playground::cluster::{ClusterSpec, LocalCluster};
use support::backends::{Backends, Url, block_on};
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::Response;
use support::raw::{Options, RawClient, command};

const SCHEMA: &str = "books";
const GROUPS: usize = 4;
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      accounts:
        data_nodes: g{0..3}.accounts
        strategy: {columns: [id], algorithm: by_id}
      transfers:
        data_nodes: g{0..3}.transfers
        strategy: {columns: [id], algorithm: by_id}
    algorithms:
      by_id: {type: mod}
";
const ACCOUNTS: u64 = 40;
const OPENING_BALANCE: i64 = 1_000;
const CLIENTS: u64 = 6;
const READERS: usize = 2;
/// How long settling may take after everything is back.
const RECOVERY: Duration = Duration::from_secs(60);

struct Books {
    backends: Backends,
    rules: Rules,
}

impl Books {
    fn open() -> Self {
        let options = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", "--innodb-lock-wait-timeout=3"];
        let backends = Backends::start(&ClusterSpec {
            groups: GROUPS,
            replicas: 0,
            options: options.map(str::to_owned).to_vec(),
            ..ClusterSpec::default()
        });
        let rules = Rules {
            proxy: "recovery: {interval_ms: 100, grace_ms: 1000}\npool: {wait_timeout_ms: 2000}\n".to_owned(),
            ..Rules::schema(SCHEMA, SCHEMA_RULES)
        };
        let proxy = ProxyProcess::start(&backends, &rules);
        let mut client = connect(&proxy.url()).unwrap();
        client.run("CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)");
        client.run(
            "CREATE TABLE transfers (id BIGINT PRIMARY KEY, payer BIGINT NOT NULL, payee BIGINT NOT NULL, \
             amount BIGINT NOT NULL)",
        );
        let rows: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id}, {OPENING_BALANCE})")).collect();
        client.run(&format!("INSERT INTO accounts VALUES {}", rows.join(", ")));
        Self { backends, rules }
    }

    fn proxy(&self, fault: Option<&str>) -> ProxyProcess {
        let environment: Vec<(&str, &str)> = fault.map(|fault| ("SHARDLOOM_FAULT_POINT", fault)).into_iter().collect();
        ProxyProcess::start_beside(&self.backends, &self.rules, &environment)
    }

    fn prepared(&self) -> usize {
        let count =
            |group: &support::backends::GroupUrls| connect(&group.primary).unwrap().rows("XA RECOVER").rows.len();
        self.backends.groups.iter().map(count).sum()
    }

    /// Checks the books against what clients were told.
    fn check(&self, proxy: &Url, acknowledged: &BTreeSet<u64>) {
        poll_until("nothing stays prepared", RECOVERY, || self.prepared() == 0);
        let mut client = connect(proxy).unwrap();
        let number = |cell: &Option<String>| cell.as_ref().unwrap().parse::<i64>().unwrap();
        let mut expected: BTreeMap<i64, i64> = (0..ACCOUNTS as i64).map(|id| (id, OPENING_BALANCE)).collect();
        let mut written = BTreeSet::new();
        for row in client.rows("SELECT id, payer, payee, amount FROM transfers").text() {
            written.insert(number(&row[0]) as u64);
            *expected.get_mut(&number(&row[1])).unwrap() -= number(&row[3]);
            *expected.get_mut(&number(&row[2])).unwrap() += number(&row[3]);
        }
        let lost: Vec<&u64> = acknowledged.difference(&written).collect();
        assert!(lost.is_empty(), "acknowledged, and not there: {lost:?}");
        let accounts = client.rows("SELECT id, balance FROM accounts").text();
        let accounts: BTreeMap<i64, i64> = accounts.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
        assert_eq!(accounts, expected, "a transfer is there in part");
        assert_eq!(accounts.values().sum::<i64>(), ACCOUNTS as i64 * OPENING_BALANCE);
    }
}

fn connect(url: &Url) -> io::Result<RawClient> {
    Options::new(url).schema(SCHEMA).connect().map_err(|error| io::Error::other(format!("{error:?}")))
}

/// As `RawClient::query`, where the connection may break.
fn ask(client: &mut RawClient, sql: &str) -> io::Result<Response> {
    client.wire.send_command(&[&[command::QUERY], sql.as_bytes()].concat())?;
    client.read_response()
}

/// Runs a statement; its error ends the attempt.
fn must(client: &mut RawClient, sql: &str) -> io::Result<()> {
    match ask(client, sql)? {
        Response::Err(error) => Err(io::Error::other(error.to_string())),
        _ => Ok(()),
    }
}

/// One transfer. `Ok`: it was acknowledged.
fn transfer(client: &mut RawClient, id: u64, payer: u64, payee: u64, amount: u64) -> io::Result<()> {
    must(client, "BEGIN")?;
    must(client, &format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {payer}"))?;
    must(client, &format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {payee}"))?;
    must(client, &format!("INSERT INTO transfers VALUES ({id}, {payer}, {payee}, {amount})"))?;
    must(client, "COMMIT")
}

/// A small generator, so that a run can be told apart from another by its seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_proxy_killed_at_any_step_leaves_whole_transfers() {
    let books = Books::open();
    let healthy = books.proxy(None);
    // What another proxy makes of it: nothing was decided before the decision was sent.
    let steps = [
        ("BeforePrepare", Some(false)),
        ("PreparedOne", Some(false)),
        ("Prepared", Some(false)),
        ("DecisionSent", None),
        ("Decided", Some(true)),
        ("CommittedOne", Some(true)),
        ("Committed", Some(true)),
    ];
    for (number, (step, applied)) in (1_u64..).zip(steps) {
        let mut proxy = books.proxy(Some(&format!("{step}:kill:1")));
        let mut client = connect(&proxy.url()).unwrap();
        let told = transfer(&mut client, number, 0, 1, 10);
        assert!(told.is_err(), "{step}: acknowledged by a proxy that was killed");
        proxy.wait_exit(RECOVERY);
        poll_until(step, RECOVERY, || books.prepared() == 0);
        let mut reader = connect(&healthy.url()).unwrap();
        let written = reader.rows(&format!("SELECT id FROM transfers WHERE id = {number}")).rows.len() == 1;
        assert!(applied.is_none_or(|applied| applied == written), "{step}: applied is {written}");
        books.check(&healthy.url(), &BTreeSet::new());
    }
}

#[test]
fn a_proxy_that_was_halted_too_long_is_overtaken() {
    let books = Books::open();
    let healthy = books.proxy(None);
    for (number, step) in [(1, "Prepared"), (2, "Decided")] {
        let mut halted = books.proxy(Some(&format!("{step}:stop:1")));
        let url = halted.url();
        let client = thread::spawn(move || {
            let mut client = connect(&url).unwrap();
            // Group 2 is the anchor.
            transfer(&mut client, number, 2, 3, 10)
        });
        poll_until("the proxy halts", RECOVERY, || is_halted(halted.pid()));
        poll_until("another proxy gives it up", RECOVERY, || {
            // It had been decided by the one that is halted, or is now.
            let sql = "SELECT COUNT(*) FROM shardloom.decisions WHERE decision = 'abort'";
            step == "Decided" || connect(&books.backends.groups[2].primary).unwrap().rows(sql).scalar().unwrap() == "1"
        });
        halted.signal(Signal::CONT);
        let told = client.join().unwrap();
        assert_eq!(told.is_ok(), step == "Decided", "{step}: {told:?}");
        if let Err(error) = told {
            assert!(error.to_string().contains("1402"), "{error}");
        }
    }
    books.check(&healthy.url(), &BTreeSet::from([2]));
}

fn is_halted(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('T')
}

/// What the threads of the long test share.
struct Stage {
    proxies: Mutex<Vec<Url>>,
    is_over: AtomicBool,
    acknowledged: Mutex<BTreeSet<u64>>,
    refused: AtomicU64,
    snapshots: AtomicU64,
    wrong_totals: Mutex<Vec<String>>,
    last_error: Mutex<String>,
}

impl Stage {
    fn some_proxy(&self, dice: &mut Dice) -> Url {
        let proxies = self.proxies.lock().unwrap();
        proxies[dice.roll(proxies.len() as u64) as usize].clone()
    }

    fn pay(&self, client_number: u64) {
        let mut dice = Dice(client_number);
        let mut client = None;
        let mut number = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            number += 1;
            let id = client_number << 32 | number << 4 | dice.roll(GROUPS as u64);
            let (payer, payee) = (dice.roll(ACCOUNTS), dice.roll(ACCOUNTS));
            let amount = 1 + dice.roll(20);
            let connected = client.take().map_or_else(|| connect(&self.some_proxy(&mut dice)), Ok);
            let Ok(mut connected) = connected else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            match transfer(&mut connected, id, payer, payee, amount) {
                Ok(()) => {
                    self.acknowledged.lock().unwrap().insert(id);
                    client = Some(connected);
                }
                Err(error) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    *self.last_error.lock().unwrap() = error.to_string();
                    // An error leaves the transaction open, unless the connection went with it.
                    client = must(&mut connected, "ROLLBACK").is_ok().then_some(connected);
                }
            }
        }
    }

    fn read(&self, seed: u64) {
        let mut dice = Dice(seed);
        let total = (ACCOUNTS as i64 * OPENING_BALANCE).to_string();
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(mut client) = connect(&self.some_proxy(&mut dice)) else { continue };
            loop {
                let seen = (|| {
                    must(&mut client, "START TRANSACTION WITH CONSISTENT SNAPSHOT")?;
                    let sum = match ask(&mut client, "SELECT SUM(balance) FROM accounts")? {
                        Response::Rows(rows) => rows.scalar().unwrap(),
                        other => return Err(io::Error::other(format!("{other:?}"))),
                    };
                    must(&mut client, "COMMIT").map(|()| sum)
                })();
                match seen {
                    Ok(sum) => {
                        self.snapshots.fetch_add(1, Ordering::Relaxed);
                        if sum != total {
                            self.wrong_totals.lock().unwrap().push(sum);
                        }
                    }
                    Err(_) => break,
                }
                if self.is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }
}

/// Two proxies of which each may be anything but well, and what is done to them and to the servers.
struct Trouble<'a> {
    books: &'a Books,
    stage: &'a Stage,
    proxies: Vec<ProxyProcess>,
    dice: Dice,
}

impl Trouble<'_> {
    fn strike(&mut self) -> String {
        let (which, group) = (self.dice.roll(2) as usize, self.dice.roll(GROUPS as u64) as usize);
        let pause = Duration::from_millis(200 + self.dice.roll(1_800));
        match self.dice.roll(6) {
            0 => {
                self.proxies[which].signal(Signal::KILL);
                self.replace(which);
                format!("proxy {which} killed")
            }
            1 => {
                self.proxies[which].signal(Signal::STOP);
                thread::sleep(pause);
                self.proxies[which].signal(Signal::CONT);
                format!("proxy {which} halted for {pause:?}")
            }
            2 => {
                self.on_server(group, |cluster, group| {
                    cluster.groups[group].primary.kill();
                    block_on(cluster.groups[group].primary.restart()).unwrap();
                });
                format!("server {group} killed")
            }
            3 => {
                self.on_server(group, |cluster, group| cluster.groups[group].primary.pause().unwrap());
                thread::sleep(pause);
                self.on_server(group, |cluster, group| cluster.groups[group].primary.resume().unwrap());
                format!("server {group} halted for {pause:?}")
            }
            4 => {
                self.cut_off(group);
                format!("server {group} cut off")
            }
            // A while without trouble, in which a proxy may come to the step where it is killed.
            _ => {
                thread::sleep(pause / 2);
                String::new()
            }
        }
    }

    fn on_server(&self, group: usize, work: impl FnOnce(&mut LocalCluster, usize)) {
        self.books.backends.with_local(|cluster| work(cluster, group)).unwrap();
    }

    /// All connections of the proxies to a server break.
    fn cut_off(&self, group: usize) {
        let Ok(mut client) = connect(&self.books.backends.groups[group].primary) else { return };
        let Ok(Response::Rows(rows)) =
            ask(&mut client, "SELECT id FROM information_schema.PROCESSLIST WHERE id <> CONNECTION_ID()")
        else {
            return;
        };
        for row in rows.text() {
            let _ = ask(&mut client, &format!("KILL {}", row[0].as_ref().unwrap()));
        }
    }

    /// A proxy that ended is followed by one that may end at a step of its commits.
    fn replace(&mut self, which: usize) {
        const STEPS: [&str; 8] =
            ["", "BeforePrepare", "PreparedOne", "Prepared", "DecisionSent", "Decided", "CommittedOne", "Committed"];
        let step = STEPS[self.dice.roll(STEPS.len() as u64) as usize];
        let fault = format!("{step}:kill:{}", 20 + self.dice.roll(100));
        let proxy = self.books.proxy((!step.is_empty()).then_some(&fault));
        self.stage.proxies.lock().unwrap()[which] = proxy.url();
        self.proxies[which] = proxy;
    }

    fn replace_the_dead(&mut self) {
        for which in 0..self.proxies.len() {
            if self.proxies[which].has_ended() {
                self.replace(which);
            }
        }
    }
}

#[test]
fn the_books_balance_whatever_fails() {
    let seconds = std::env::var("SHARDLOOM_BOOKS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let books = Books::open();
    let proxies = vec![books.proxy(None), books.proxy(None)];
    let stage = Arc::new(Stage {
        proxies: Mutex::new(proxies.iter().map(ProxyProcess::url).collect()),
        is_over: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        refused: AtomicU64::new(0),
        snapshots: AtomicU64::new(0),
        wrong_totals: Mutex::default(),
        last_error: Mutex::default(),
    });
    let mut threads = Vec::new();
    for number in 1..=CLIENTS {
        let stage = Arc::clone(&stage);
        threads.push(thread::spawn(move || stage.pay(number)));
    }
    for number in 0..READERS {
        let stage = Arc::clone(&stage);
        threads.push(thread::spawn(move || stage.read(1_000 + number as u64)));
    }
    let seed = u64::from(std::process::id());
    let mut trouble = Trouble { books: &books, stage: &stage, proxies, dice: Dice(seed) };
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut struck = Vec::new();
    while Instant::now() < deadline {
        struck.push(trouble.strike());
        trouble.replace_the_dead();
    }
    stage.is_over.store(true, Ordering::Relaxed);
    drop(trouble.proxies);
    for thread in threads {
        thread.join().unwrap();
    }
    let last = books.proxy(None);
    let acknowledged = stage.acknowledged.lock().unwrap().clone();
    let (refused, snapshots) = (stage.refused.load(Ordering::Relaxed), stage.snapshots.load(Ordering::Relaxed));
    struck.retain(|what| !what.is_empty());
    println!(
        "seed {seed}: {} transfers acknowledged, {refused} not, {snapshots} snapshots; {struck:?}; last error: {}",
        acknowledged.len(),
        stage.last_error.lock().unwrap()
    );
    let wrong = stage.wrong_totals.lock().unwrap().clone();
    assert!(wrong.is_empty(), "snapshots that saw half a transfer: {wrong:?}");
    assert!(acknowledged.len() > 50 && snapshots > 10, "nothing was tried");
    books.check(&last.url(), &acknowledged);
}
