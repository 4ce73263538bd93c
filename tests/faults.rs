//! What goes wrong around the proxy: servers that die, clients that vanish, limits that are reached, broken rules.
//!
//! These tests ruin servers, so each starts its own, whatever `SHARDLOOM_TEST_BACKENDS` says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use shardloom::playground::cluster::ClusterSpec;
use support::backends::{Backends, Url, block_on};
use support::proxy::{PASSWORD, ProxyProcess, Rules, USER};
use support::raw::response::{ErrPacket, Response};
use support::raw::{ConnectError, Options, RawClient, command};
use support::{items, poll_until};

const SCHEMA: &str = "fault_shop";
/// What a recovery may take: the pool must notice, the server must be back.
const RECOVERY: Duration = Duration::from_secs(30);
/// How soon an interrupted statement must be gone from a server.
const SOON: Duration = Duration::from_secs(10);

/// A cluster without replicas that one test may ruin, with a proxy in front of it and a few rows.
fn ruinable(rules: Rules) -> (Backends, ProxyProcess) {
    let backends = Backends::start(&ClusterSpec { replicas: 0, ..ClusterSpec::default() });
    let proxy = ProxyProcess::start(&backends, &rules.and_schema(SCHEMA, items::RULES));
    fill(&proxy.url());
    (backends, proxy)
}

fn fill(url: &Url) {
    let mut client = connect(url);
    items::fill(&mut client);
    client.run("CREATE TABLE notes (id INT NOT NULL PRIMARY KEY)");
    let rows: Vec<String> = (0..512).map(|number| format!("({number})")).collect();
    client.run(&format!("INSERT INTO notes VALUES {}", rows.join(", ")));
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

fn works(client: &mut RawClient, id: u32) -> bool {
    matches!(client.query(&format!("SELECT id FROM items WHERE id = {id}")), Response::Rows(rows) if rows.rows.len() == 1)
}

/// Statements that a server runs now and whose text contains a word.
fn running_on(server: &Url, word: &str) -> usize {
    let mut client = Options::new(server).connect().unwrap();
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{word}%' AND ID <> CONNECTION_ID()"
    );
    client.rows(&sql).scalar().unwrap().parse().unwrap()
}

#[test]
fn server_killed_during_a_result() {
    let (backends, proxy) = ruinable(Rules::default());
    let mut relay = connect(&proxy.url());
    let mut scatter = connect(&proxy.url());
    let mut bystander = connect(&proxy.url());
    // More than all buffers on the way hold, so that the servers are still sending when one dies.
    let wide = "REPEAT('x', 60000000) FROM items";
    relay.send_query(&format!("SELECT {wide} WHERE id = 1"));
    scatter.send_query(&format!("SELECT id, {wide}"));
    relay.wire.receive().unwrap();
    scatter.wire.receive().unwrap();
    backends.with_local(|cluster| cluster.groups[1].primary.kill()).unwrap();

    for client in [&mut relay, &mut scatter] {
        let error = read_until_error(client);
        assert!(error.as_ref().is_none_or(|error| error.errno >= 1000), "{error:?}");
        if error.is_some() {
            assert!(works(client, 0), "the connection goes on with the other group");
        }
    }
    assert!(works(&mut bystander, 0));
    let error = bystander.query("SELECT id FROM items WHERE id = 1").err();
    assert!(error.message.contains("g1"), "the error names the group: {error}");
    bystander.query("SELECT id FROM items").err();

    backends.with_local(|cluster| block_on(cluster.groups[1].primary.restart())).unwrap().unwrap();
    poll_until("the group answers again", RECOVERY, || works(&mut bystander, 1));
}

/// Reads what is left of an answer. `None`: the connection was closed, which a client notices too.
fn read_until_error(client: &mut RawClient) -> Option<ErrPacket> {
    loop {
        let packet = match client.wire.receive() {
            Ok(packet) => packet,
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("neither an error nor an end came"),
            Err(_) => return None,
        };
        match packet[0] {
            0xff => return Some(ErrPacket::parse(&packet)),
            0xfe if packet.len() < 100 => panic!("the result ended as if it were complete"),
            _ => {}
        }
    }
}

#[test]
fn server_killed_between_rows() {
    let (backends, proxy) = ruinable(Rules::default());
    let mut client = connect(&proxy.url());
    client.send_query("SELECT a.id, REPEAT('x', 2000) FROM notes a JOIN notes b ON a.id >= 0");
    client.wire.receive().unwrap();
    backends.with_local(|cluster| cluster.groups[0].primary.kill()).unwrap();
    // Rows that are on their way still come, and the packet that ends them has the next number.
    if let Some(error) = read_until_error(&mut client) {
        assert_eq!((error.errno, error.sqlstate.as_str()), (2013, "HY000"), "{error}");
        assert!(works(&mut client, 1), "the connection goes on with the other group");
    }
}

#[test]
fn server_killed_in_a_transaction() {
    let (backends, proxy) = ruinable(Rules::default());
    let mut client = connect(&proxy.url());
    client.run("BEGIN");
    client.run("UPDATE items SET name = 'lost' WHERE id = 1");
    backends.with_local(|cluster| cluster.groups[1].primary.kill()).unwrap();
    client.query("UPDATE items SET name = 'lost too' WHERE id = 1").err();
    backends.with_local(|cluster| block_on(cluster.groups[1].primary.restart())).unwrap().unwrap();
    // The transaction is gone; COMMIT must not answer as if it were there.
    // The proxy may also close the connection, as the server did.
    client.send_query("COMMIT");
    let answer = client.read_response();
    let mut second = connect(&proxy.url());
    poll_until("the group answers again", RECOVERY, || works(&mut second, 1));
    let name = second.rows("SELECT name FROM items WHERE id = 1").scalar();
    assert_eq!(name.as_deref(), Some("one"), "after {answer:?}");
}

#[test]
fn frozen_server_does_not_hold_up_the_others() {
    let (backends, proxy) = ruinable(Rules::default());
    let mut client = connect(&proxy.url());
    assert!(works(&mut client, 1));
    backends.with_local(|cluster| cluster.groups[1].primary.pause()).unwrap().unwrap();
    let mut waiting = connect(&proxy.url());
    waiting.send_query("SELECT id FROM items WHERE id = 1");
    for _ in 0..50 {
        assert!(works(&mut client, 0));
    }
    backends.with_local(|cluster| cluster.groups[1].primary.resume()).unwrap().unwrap();
    assert_eq!(waiting.read_response().unwrap().rows().rows.len(), 1);
}

#[test]
fn client_gone_during_a_statement_stops_it_on_the_shards() {
    let (backends, proxy) = ruinable(Rules::default());
    let server = &backends.groups[1].primary;
    // Whoever wants to read the table on this server has to wait.
    let mut owner = Options::new(server).schema(SCHEMA).connect().unwrap();
    owner.run("LOCK TABLES items WRITE");
    for sql in ["SELECT id /* gone */ FROM items WHERE id = 1", "SELECT id /* gone */ FROM items ORDER BY id"] {
        let mut client = connect(&proxy.url());
        client.send_query(sql);
        poll_until("the statement runs", SOON, || running_on(server, "gone") > 0);
        client.wire.close();
        poll_until("the statement is gone", SOON, || running_on(server, "gone") == 0);
    }
    owner.run("UNLOCK TABLES");
    assert!(works(&mut connect(&proxy.url()), 1));
}

#[test]
fn client_gone_during_a_result_stops_it_on_the_shards() {
    let (backends, proxy) = ruinable(Rules::default());
    let mut client = connect(&proxy.url());
    client.send_query("SELECT REPEAT('y', 1000000) FROM notes a JOIN notes b ON a.id >= 0");
    client.wire.receive().unwrap();
    assert!(running_on(&backends.groups[0].primary, "REPEAT") > 0);
    client.wire.close();
    poll_until("the statement is gone", SOON, || running_on(&backends.groups[0].primary, "REPEAT") == 0);
    assert!(works(&mut connect(&proxy.url()), 0));
}

/// Resident memory of a process.
fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_stays_flat_while_a_slow_client_reads() {
    let (_backends, proxy) = ruinable(Rules::default());
    let mut client = connect(&proxy.url());
    assert!(works(&mut client, 0));
    let before = resident_kib(proxy.pid());
    client.send_query("SELECT REPEAT('z', 1000000) FROM notes");
    let mut bytes = 0;
    let mut highest = 0;
    while bytes < 500_000_000 {
        bytes += client.wire.receive().unwrap().len();
        highest = highest.max(resident_kib(proxy.pid()));
    }
    let grown = highest.saturating_sub(before);
    assert!(grown < 32 * 1024, "memory grew by {grown} KiB while {bytes} bytes passed");
}

#[test]
fn two_thousand_connections() {
    // Each connection is two descriptors, one here and one in the proxy, which inherits the limit.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let rules = Rules { proxy: "limits: {max_connections: 4096}\n".to_owned(), ..Rules::default() };
    let (backends, proxy) = ruinable(rules);
    let url = proxy.url();
    let mut clients: Vec<RawClient> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..250).map(|_| connect(&url)).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(clients.len(), 2000);
    // All have a statement on the way before the first answer is read.
    for (number, client) in clients.iter_mut().enumerate() {
        client.send_query(&format!("SELECT name FROM items WHERE id = {}", number % 4));
    }
    for client in &mut clients {
        assert_eq!(client.read_response().unwrap().rows().rows.len(), 1);
    }
    // They share few connections to the servers.
    for group in &backends.groups {
        let mut admin = Options::new(&group.primary).connect().unwrap();
        let count: u32 =
            admin.rows("SELECT COUNT(*) FROM information_schema.PROCESSLIST").scalar().unwrap().parse().unwrap();
        assert!(count < 500, "{count} connections to one server");
    }
}

#[test]
fn connection_limit() {
    let rules = Rules { proxy: "limits: {max_connections: 5}\n".to_owned(), ..Rules::default() };
    let (_backends, proxy) = ruinable(rules);
    // The connection that filled the tables may take a moment to be counted out.
    let mut clients = Vec::new();
    poll_until("five connections", SOON, || {
        clients.extend(Options::new(&proxy.url()).connect().ok());
        clients.len() == 5
    });
    let error = Options::new(&proxy.url()).connect().unwrap_err().refusal();
    assert_eq!((error.errno, error.sqlstate.as_str()), (1040, "08004"), "{error}");
    assert!(clients.iter_mut().all(|client| matches!(client.query("SELECT 1"), Response::Rows(_))));
    clients.pop().unwrap().quit();
    poll_until("a place is free again", SOON, || Options::new(&proxy.url()).connect().is_ok());
}

#[test]
fn broken_rules_leave_the_running_ones_and_good_ones_take_over() {
    let (_backends, mut proxy) = ruinable(Rules::default());
    let mut client = connect(&proxy.url());
    let good = fs::read_to_string(proxy.rules_folder.join("proxy.yaml")).unwrap();

    proxy.edit_rules("proxy.yaml", |text| text.replace("users:", "userz:"));
    poll_until("the broken rules are noticed", SOON, || proxy.log_text().contains("userz"));
    assert!(works(&mut client, 1), "the open connection goes on");
    assert!(works(&mut connect(&proxy.url()), 1), "new ones too");

    let added = format!("users:\n  - {{name: second, password: other, schemas: [{SCHEMA}]}}");
    proxy.edit_rules("proxy.yaml", |_| good.replace("users:", &added));
    let second = proxy.url().with_account("second", "other");
    poll_until("the new account can log in", SOON, || Options::new(&second).schema(SCHEMA).connect().is_ok());
    assert!(works(&mut client, 1));

    // SIGHUP reloads as well: here the account goes again.
    proxy.edit_rules("proxy.yaml", |_| good);
    proxy.signal(Signal::HUP);
    poll_until("the account is gone", SOON, || match Options::new(&second).connect() {
        Err(ConnectError::Refused(error)) => error.errno == 1045,
        _ => false,
    });
    assert!(works(&mut connect(&proxy.url()), 0));
}

#[test]
fn drain_lets_a_transaction_end() {
    let (_backends, mut proxy) = ruinable(Rules::default());
    let mut busy = connect(&proxy.url());
    let mut idle = connect(&proxy.url());
    busy.run("BEGIN");
    busy.run("UPDATE items SET name = 'kept' WHERE id = 1");
    proxy.signal(Signal::TERM);
    poll_until("nobody new is let in", SOON, || Options::new(&proxy.url()).connect().is_err());
    let (ready, _) = proxy_admin(&proxy, "/readyz");
    assert!(ready != 200, "a proxy that drains is not ready");
    assert_eq!(busy.rows("SELECT name FROM items WHERE id = 1").scalar().as_deref(), Some("kept"));
    busy.run("COMMIT");
    let status = proxy.wait_exit(RECOVERY);
    assert!(status.success(), "{status}\n{}", proxy.log_tail());
    // The idle client was told, or at least cut off.
    idle.wire.read_to_end();
}

/// The admin port may be closed already, which is as good as "not ready".
fn proxy_admin(proxy: &ProxyProcess, path: &str) -> (u16, String) {
    match TcpStream::connect(("127.0.0.1", proxy.admin_port)) {
        Ok(_) => proxy.admin(path),
        Err(_) => (503, String::new()),
    }
}

#[test]
fn nonsense_on_the_port_harms_nobody() {
    let (_backends, proxy) = ruinable(Rules::default());
    let mut bystander = connect(&proxy.url());
    let nonsense: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x00\x00\x01",
        b"\xff\xff\xff\x01\x00",
        b"\x01\x00\x00\x01\x00",
        b"\x20\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x04\x00\x00\x09\x01\x02\x03\x04",
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in nonsense {
        let mut socket = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.write_all(bytes).unwrap();
        // The proxy may have closed already.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.is_empty(), "at least the greeting came");
        assert!(works(&mut bystander, 1));
    }
    // After the handshake: lengths that promise more than comes, wrong numbers, truncated executions.
    let inner: [&[u8]; 6] = [
        b"\x05\x00\x00\x00\x17\x01\x00",
        b"\x05\x00\x00\x00\x17\x01\x00\x00\x00",
        b"\x01\x00\x00\x05\x0e",
        b"\x00\x00\x00\x00",
        b"\x03\x00\x00\x00\x1c\x01\x01",
        b"\x02\x00\x00\x00\x11\x00",
    ];
    for bytes in inner {
        let mut client = connect(&proxy.url());
        client.wire.send_bytes(bytes).unwrap();
        client.wire.set_read_timeout(Duration::from_millis(300));
        client.wire.read_to_end();
        assert!(works(&mut bystander, 1), "after {bytes:?}");
    }
}

#[test]
fn a_full_pool_makes_clients_wait_and_then_says_so() {
    let rules = Rules { proxy: "pool: {max_connections: 2, wait_timeout_ms: 300}\n".to_owned(), ..Rules::default() };
    let (_backends, proxy) = ruinable(rules);
    let mut holders: Vec<RawClient> = (0..2).map(|_| connect(&proxy.url())).collect();
    for client in &mut holders {
        client.run("BEGIN");
        client.rows("SELECT name FROM items WHERE id = 1");
    }
    let mut third = connect(&proxy.url());
    let error = third.query("SELECT name FROM items WHERE id = 1").err();
    assert!(error.message.contains("g1"), "{error}");
    assert!(works(&mut third, 0), "the other group's pool is its own");
    holders[0].run("COMMIT");
    assert!(works(&mut third, 1));
    holders[1].simple(&[command::RESET_CONNECTION]).ok();
    let (status, metrics) = proxy.admin("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("shardloom"), "{metrics}");
}

#[test]
fn accounts_and_their_schemas() {
    let rules = Rules { users: "  - {name: narrow, password: n, schemas: []}\n".to_owned(), ..Rules::default() };
    let (_backends, proxy) = ruinable(rules);
    let wrong = Options::new(&proxy.url().with_account(USER, "wrong")).connect().unwrap_err().refusal();
    assert_eq!(wrong.message, format!("Access denied for user '{USER}'@'127.0.0.1' (using password: YES)"));
    let narrow = proxy.url().with_account("narrow", "n");
    let error = Options::new(&narrow).schema(SCHEMA).connect().unwrap_err().refusal();
    assert_eq!((error.errno, error.sqlstate.as_str()), (1044, "42000"), "{error}");
    let right =
        Options::new(&proxy.url().with_account(USER, PASSWORD)).schema("nosuch").connect().unwrap_err().refusal();
    assert!([1044, 1049].contains(&right.errno), "{right}");
}
