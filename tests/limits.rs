//! What bounds a statement and a client: times, KILL, clients that do not read; and the accounts of the rules.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, Url};
use support::poll_until;
use support::proxy::{PASSWORD, ProxyProcess, Rules, USER};
use support::raw::response::{ErrPacket, Response, status};
use support::raw::{Options, Param, RawClient, capability};

const SCHEMA: &str = "limits_shop";
/// Even ids are in g0, odd ones in g1; `notes` is only in g0.
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items
        strategy: {columns: [id], algorithm: {type: mod}}
";
/// A statement may run this long in the tests about that.
const STATEMENT_TIMEOUT_MS: u64 = 700;
/// A client may take this long to read.
const WRITE_TIMEOUT_MS: u64 = 500;
/// How soon something must have happened.
const SOON: Duration = Duration::from_secs(10);

fn rules(limits: &str) -> Rules {
    Rules { proxy: limits.to_owned(), ..Rules::schema(SCHEMA, SCHEMA_RULES) }
}

/// A cluster of its own, since what tests do to its tables and servers holds others up.
struct World {
    backends: Backends,
    proxy: ProxyProcess,
}

fn world(limits: &str) -> World {
    let backends = Backends::start(&ClusterSpec { replicas: 0, ..ClusterSpec::default() });
    let proxy = ProxyProcess::start(&backends, &rules(limits));
    let world = World { backends, proxy };
    let mut client = world.client();
    client.run("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40))");
    client.run("CREATE TABLE notes (id INT NOT NULL PRIMARY KEY)");
    client.run("INSERT INTO items VALUES (0, 'zero'), (1, 'one'), (2, 'two'), (3, 'three')");
    let rows: Vec<String> = (0..512).map(|number| format!("({number})")).collect();
    client.run(&format!("INSERT INTO notes VALUES {}", rows.join(", ")));
    world
}

impl World {
    fn client(&self) -> RawClient {
        connect(&self.proxy.url())
    }

    fn direct(&self, group: usize) -> RawClient {
        connect(&self.backends.groups[group].primary)
    }
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

fn name_of(client: &mut RawClient, id: u32) -> Option<String> {
    client.rows(&format!("SELECT name FROM items WHERE id = {id}")).scalar()
}

/// Statements that a server runs now and whose text contains a word.
fn running(server: &mut RawClient, word: &str) -> usize {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{word}%' AND ID <> CONNECTION_ID()"
    );
    server.rows(&sql).scalar().unwrap().parse().unwrap()
}

/// The error of a statement that ran for too long, as the server that the proxy stands for words it.
#[track_caller]
fn assert_time_up(client: &RawClient, error: &ErrPacket) {
    let expected = if client.greeting.version.contains("MariaDB") {
        (1969, "70100", "Query execution was interrupted (max_statement_time exceeded)")
    } else {
        (3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded")
    };
    assert_eq!((error.errno, error.sqlstate.as_str(), error.message.as_str()), expected);
}

static TIMED: LazyLock<World> =
    LazyLock::new(|| world(&format!("limits: {{statement_timeout_ms: {STATEMENT_TIMEOUT_MS}}}\n")));

/// Tests that lock the rows of [`TIMED`] run one after the other.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn a_statement_that_runs_for_too_long_is_killed_and_its_transaction_goes_on() {
    let _alone = alone();
    let mut locker = TIMED.direct(0);
    locker.run("BEGIN");
    locker.rows("SELECT name FROM items WHERE id = 0 FOR UPDATE");
    let mut client = TIMED.client();
    for sql in [
        "SELECT name FROM items WHERE id = 0 FOR UPDATE",
        "SELECT name FROM items ORDER BY id FOR UPDATE",
        "UPDATE items SET name = 'late' WHERE id = 0",
    ] {
        client.run("BEGIN");
        client.run("UPDATE items SET name = CONCAT(name, '+') WHERE id = 2");
        let began = Instant::now();
        let error = client.query(sql).err();
        assert!(began.elapsed() < SOON, "{sql}");
        assert_time_up(&client, &error);
        let told = client.rows("SHOW WARNINGS").text();
        assert_eq!(told[0][1], Some(error.errno.to_string()), "{sql}");
        client.run("COMMIT");
    }
    assert_eq!(name_of(&mut client, 2).as_deref(), Some("two+++"));
    // Outside of a transaction: several groups, and the other protocol.
    let error = client.query("UPDATE items SET name = 'late'").err();
    assert_time_up(&client, &error);
    let statement = client.prepare("SELECT name FROM items WHERE id = ? FOR UPDATE").unwrap();
    let error = client.execute(&statement, &[Param::Int(0)]).err();
    assert_time_up(&client, &error);
    locker.run("ROLLBACK");
    assert_eq!(name_of(&mut client, 0).as_deref(), Some("zero"));
    assert_eq!(name_of(&mut client, 1).as_deref(), Some("one"));
}

#[test]
fn each_statement_of_a_text_has_its_own_time() {
    let options = Options::new(&TIMED.proxy.url()).with(capability::MULTI_STATEMENTS | capability::MULTI_RESULTS);
    let mut client = options.connect().unwrap();
    let sleep = format!("SELECT SLEEP({})", STATEMENT_TIMEOUT_MS as f64 * 0.6 / 1000.0);
    let answers = client.query_all(&format!("{sleep}; {sleep}; {sleep}"));
    assert_eq!(answers.len(), 3);
    for answer in answers {
        assert_eq!(answer.rows().scalar().as_deref(), Some("0"));
    }
}

#[test]
fn waiting_for_a_connection_counts() {
    let limits = format!(
        "limits: {{statement_timeout_ms: {STATEMENT_TIMEOUT_MS}}}\npool: {{max_connections: 1, wait_timeout_ms: 60000}}\n"
    );
    let world = world(&limits);
    let mut hog = world.client();
    hog.run("BEGIN");
    hog.rows("SELECT name FROM items WHERE id = 1");
    let mut client = world.client();
    let error = client.query("SELECT name FROM items WHERE id = 1").err();
    assert_time_up(&client, &error);
    hog.run("COMMIT");
    assert_eq!(name_of(&mut client, 1).as_deref(), Some("one"));
}

#[test]
fn a_frozen_server_is_given_up() {
    let world = world(&format!("limits: {{statement_timeout_ms: {STATEMENT_TIMEOUT_MS}}}\n"));
    let mut client = world.client();
    assert_eq!(name_of(&mut client, 1).as_deref(), Some("one"));
    if world.backends.with_local(|cluster| cluster.groups[1].primary.pause()).is_none() {
        return;
    }
    client.wire.set_read_timeout(Duration::from_secs(60));
    for sql in ["SELECT name FROM items WHERE id = 1", "SELECT name FROM items ORDER BY id"] {
        // It takes a moment until all of its threads stand still.
        let mut answer = client.query(sql);
        poll_until("it does not answer", SOON, || {
            let is_answered = matches!(answer, Response::Rows(_));
            if is_answered {
                answer = client.query(sql);
            }
            !is_answered
        });
        assert_time_up(&client, &answer.err());
        assert_eq!(name_of(&mut client, 0).as_deref(), Some("zero"));
    }
    world.backends.with_local(|cluster| cluster.groups[1].primary.resume()).unwrap().unwrap();
    poll_until("the server answers again", SOON, || {
        matches!(client.query("SELECT name FROM items WHERE id = 1"), Response::Rows(_))
    });
}

/// More than all buffers on the way hold.
const ENDLESS: [&str; 2] =
    ["SELECT REPEAT('y', 1000000) FROM notes a JOIN notes b ON a.id >= 0", "SELECT REPEAT('y', 60000000) FROM items"];

#[test]
fn a_client_that_does_not_read_is_closed() {
    let world = world(&format!("limits: {{write_timeout_ms: {WRITE_TIMEOUT_MS}}}\n"));
    let mut server = world.direct(0);
    let mut other = world.client();
    for sql in ENDLESS {
        let mut client = world.client();
        let id = client.greeting.connection_id.to_string();
        client.send_query(sql);
        client.wire.receive().unwrap();
        poll_until("its statement is killed", SOON, || running(&mut server, "REPEAT") == 0);
        poll_until("it is gone", SOON, || {
            !other.rows("SHOW PROCESSLIST").text().iter().any(|row| row[0].as_deref() == Some(&id))
        });
    }
    // One that reads slowly, but reads, is not.
    let mut slow = world.client();
    slow.send_query("SELECT REPEAT('y', 100000) FROM notes");
    let mut rows = 0;
    loop {
        let packet = slow.wire.receive().unwrap();
        assert_ne!(packet[0], 0xff, "{}", ErrPacket::parse(&packet));
        rows += usize::from(packet.len() > 90_000);
        if packet[0] == 0xfe && packet.len() < 100 && rows > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(rows, 512);
}

static OPEN: LazyLock<World> = LazyLock::new(|| world(""));

#[test]
fn kill_query_ends_a_result_that_is_being_read() {
    let mut killer = OPEN.client();
    let mut server = OPEN.direct(0);
    for sql in ENDLESS {
        let mut client = OPEN.client();
        client.send_query(sql);
        client.wire.receive().unwrap();
        killer.run(&format!("KILL QUERY {}", client.greeting.connection_id));
        let mut killed = false;
        loop {
            match client.wire.receive() {
                // Rows of several packets begin as they like.
                Ok(packet) if packet[0] == 0xff && packet.len() < 200 => {
                    let error = ErrPacket::parse(&packet);
                    assert_eq!(error.errno, 1317, "{error}");
                    killed = true;
                    break;
                }
                Ok(packet) => {
                    assert!(packet[0] != 0xfe || packet.len() > 100, "the result ended as if it were complete")
                }
                Err(_) => break,
            }
        }
        assert!(killed, "{sql}");
        assert_eq!(name_of(&mut client, 1).as_deref(), Some("one"), "only the query was killed");
        poll_until("its statement is gone", SOON, || running(&mut server, "REPEAT") == 0);
    }
}

#[test]
fn kill_ends_a_client_that_does_not_read() {
    let mut killer = OPEN.client();
    let mut client = OPEN.client();
    let id = client.greeting.connection_id.to_string();
    client.send_query(ENDLESS[0]);
    client.wire.receive().unwrap();
    killer.run(&format!("KILL {id}"));
    poll_until("it is gone", SOON, || {
        !killer.rows("SHOW PROCESSLIST").text().iter().any(|row| row[0].as_deref() == Some(&id))
    });
}

#[test]
fn a_wait_outside_of_a_query_ends_with_its_client() {
    let world = world("");
    let mut server = world.direct(0);
    let mut owner = world.direct(0);
    owner.run("LOCK TABLES notes WRITE");
    // PREPARE waits for the table, SET for a server.
    let waits: [&dyn Fn(&mut RawClient); 2] =
        [&|client| client.wire.send_command(b"\x16SELECT id /* waits */ FROM notes").unwrap(), &|client| {
            client.send_query("SET @x = SLEEP(/* waits */ 60)")
        }];
    for wait in waits {
        let mut client = world.client();
        wait(&mut client);
        let mut waited = false;
        let began = Instant::now();
        // Some servers prepare without waiting for the table.
        while !waited && began.elapsed() < Duration::from_secs(3) {
            waited = running(&mut server, "waits") > 0;
        }
        client.wire.close();
        poll_until("the statement is gone", SOON, || running(&mut server, "waits") == 0);
    }
    let mut client = world.client();
    client.send_query("SET @x = SLEEP(/* waits */ 60)");
    poll_until("the statement runs", SOON, || running(&mut server, "waits") > 0);
    world.client().run(&format!("KILL QUERY {}", client.greeting.connection_id));
    client.read_response().unwrap();
    assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
    owner.run("UNLOCK TABLES");
}

#[test]
fn a_commit_that_waits_ends_with_kill_and_not_with_its_client() {
    let world = world("");
    let mut server = world.direct(1);
    let mut owner = world.direct(1);
    let begin = |name: &str| {
        let mut client = world.client();
        client.run("BEGIN");
        client.run(&format!("UPDATE items SET name = '{name}' WHERE id = 1"));
        client
    };
    let mut client = begin("committed");
    owner.run("FLUSH TABLES WITH READ LOCK");
    client.send_query("COMMIT");
    poll_until("COMMIT waits", SOON, || running(&mut server, "COMMIT") > 0);
    client.wire.close();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(running(&mut server, "COMMIT"), 1, "the client asked for it before it went");
    owner.run("UNLOCK TABLES");
    poll_until("it is committed", SOON, || name_of(&mut server, 1).as_deref() == Some("committed"));

    let mut client = begin("killed");
    owner.run("FLUSH TABLES WITH READ LOCK");
    client.send_query("COMMIT");
    poll_until("COMMIT waits", SOON, || running(&mut server, "COMMIT") > 0);
    world.client().run(&format!("KILL {}", client.greeting.connection_id));
    client.wire.set_read_timeout(SOON);
    client.wire.read_to_end();
    owner.run("UNLOCK TABLES");
}

#[test]
fn every_answer_tells_of_the_transaction_without_autocommit() {
    let mut client = OPEN.client();
    client.run("SET autocommit = 0");
    for sql in [
        "SELECT name FROM items WHERE id = 0",
        "SELECT name FROM items WHERE id = 1",
        "SELECT name FROM items ORDER BY id",
        "SELECT name FROM items WHERE id = 1",
        "SELECT id FROM notes LIMIT 1",
    ] {
        let status = client.query(sql).status();
        assert_ne!(status & status::IN_TRANSACTION, 0, "{sql}");
    }
    assert_eq!(client.run("COMMIT").status & status::IN_TRANSACTION, 0);
}

/// `hashcat`, as MySQL stored it.
const SHA2_HASH: &str = "0x24412430303524F9CC98CE08892924F50A213B6BC571A2C11778C5625479393559393965414D4531\
    6477456B484F41316E64484742577A2E3162785353526B7554584647562F";

#[test]
fn accounts_are_checked_as_the_rules_say() {
    let users = format!(
        "  - {{name: hashed, password_hash: '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7'}}\n  \
           - {{name: stored, password_hash: '{SHA2_HASH}'}}\n  \
           - {{name: modern, password: m, plugin: caching_sha2_password}}\n  \
           - {{name: legacy, password: l, plugin: mysql_native_password}}\n"
    );
    let proxy = ProxyProcess::start(Backends::shared(), &Rules { users, ..rules("") });
    let cases = [("hashed", "secret"), ("stored", "hashcat"), ("modern", "m"), ("legacy", "l"), (USER, PASSWORD)];
    for (user, password) in cases {
        for plugin in ["mysql_native_password", "caching_sha2_password"] {
            let log_in =
                |password: &str| Options::new(&proxy.url().with_account(user, password)).plugin(plugin).connect();
            let mut client = log_in(password).unwrap_or_else(|error| panic!("{user}, {plugin}: {error:?}"));
            assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
            for wrong in ["", "wrong", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"] {
                assert_eq!(log_in(wrong).unwrap_err().refusal().errno, 1045, "{user}, {plugin}, '{wrong}'");
            }
        }
    }
}

#[test]
fn what_the_rules_ask_of_an_account_is_asked_at_login_and_of_a_change_of_user() {
    let users =
        "  - {name: secure, password: s, require_tls: true}\n  - {name: few, password: f, max_connections: 1}\n";
    let proxy = ProxyProcess::start(Backends::shared(), &Rules { users: users.to_owned(), ..rules("") });
    let few = proxy.url().with_account("few", "f");
    let mut only = Options::new(&few).connect().unwrap();
    assert_eq!(only.rows("SELECT 7").scalar().as_deref(), Some("7"));
    for (user, password, errno) in [("secure", "s", 1045), ("few", "f", 1226)] {
        let url = proxy.url().with_account(user, password);
        assert_eq!(Options::new(&url).connect().err().unwrap().refusal().errno, errno, "{user}");
        let mut client = connect(&proxy.url());
        assert_eq!(client.change_user(user, password, SCHEMA).unwrap_err().refusal().errno, errno, "{user}");
    }
}

#[test]
fn character_sets_that_cannot_be_read_byte_by_byte_are_refused() {
    let url = OPEN.proxy.url();
    // gbk, sjis, big5, cp932
    for collation in [28, 13, 1, 95] {
        let options = Options { charset: collation, ..Options::new(&url) };
        let error = options.connect().unwrap_err().refusal();
        assert_eq!((error.errno, error.sqlstate.as_str()), (1231, "42000"), "{error}");
        assert!(error.message.contains("utf8mb4"), "{error}");
    }
    // Nobody reads statements in utf16: servers ignore it.
    let mut client = Options { charset: 54, ..Options::new(&url) }.connect().unwrap();
    assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
    for sql in [
        "SET NAMES gbk",
        "SET NAMES 'sjis' COLLATE sjis_bin",
        "SET CHARACTER SET big5",
        "SET character_set_client = gb18030",
        "SET NAMES utf16",
        "SET character_set_client = ucs2",
        "SET character_set_client = CONCAT('cp', '932')",
    ] {
        let error = client.query(sql).err();
        assert!(error.errno == 1231 || (sql.contains("gb18030") && error.errno == 1115), "{sql}: {error}");
    }
    // A backslash in a second byte would hide the end of a string.
    let error = client.query("SET NAMES gbk").err();
    assert!(error.message.contains("utf8mb4"), "{error}");
    assert_eq!(client.rows("SELECT @@character_set_client").scalar().as_deref().map(|name| &name[..4]), Some("utf8"));
    client.run("SET NAMES latin1");
}
