//! The scanner of answers against real servers: every shape of answer, in pieces of any size, is found complete exactly
//! where the server stops, and the connection is good for the next command.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Buf;
use shardloom::net::{Io, PacketStream};
use shardloom::protocol::auth::AuthPlugin;
use shardloom::protocol::auth_packets::AuthReply;
use shardloom::protocol::execute::{Param, cursor, put_execute};
use shardloom::protocol::result_scan::Watch;
use shardloom::protocol::{
    Capabilities, HandshakeResponse, HandshakeV10, Outcome, PrepareOk, ResponseKind, ResultScanner, StatusFlags, Stop,
};
use support::backends::{Backends, Url};
use tokio::net::TcpStream;

struct Server {
    stream: PacketStream,
    deprecate_eof: bool,
    watch: Watch,
}

/// What an answer came to.
#[derive(Debug, Default, Clone)]
struct Seen {
    outcome: Outcome,
    rows: u64,
    results: usize,
    columns: usize,
    prepared: Option<PrepareOk>,
}

impl Server {
    async fn connect(url: &Url, deprecate_eof: bool, watch: Watch) -> Self {
        let tcp = TcpStream::connect((url.host.as_str(), url.port)).await.unwrap();
        let mut stream = PacketStream::new(Io::Tcp(tcp), 1 << 24);
        let packet = stream.read_packet().await.unwrap();
        let hello = HandshakeV10::parse(&packet).unwrap();
        // MySQL 9 warns in each answer of a client that asks for NO_SCHEMA.
        let mut capabilities = (Capabilities::OFFERED_TO_CLIENTS & hello.capabilities).without(Capabilities::NO_SCHEMA);
        if !deprecate_eof {
            capabilities = capabilities.without(Capabilities::DEPRECATE_EOF);
        }
        let plugin = AuthPlugin::MysqlNative;
        let proof = plugin.respond(url.password.as_bytes(), &hello.scramble);
        let response = HandshakeResponse {
            capabilities,
            max_packet_bytes: 1 << 24,
            charset: 45,
            user: url.user.as_bytes(),
            auth_response: proof.as_bytes(),
            database: None,
            auth_plugin: Some(plugin.name().as_bytes()),
            attributes: b"",
        };
        stream.frames().packet(|out| response.put(out));
        stream.flush().await.unwrap();
        let deprecate_eof = capabilities.contains(Capabilities::DEPRECATE_EOF);
        let mut server = Self { stream, deprecate_eof, watch };
        server.log_in(url).await;
        server
    }

    /// Follows the server to the plugin that it wants.
    async fn log_in(&mut self, url: &Url) {
        let password = url.password.as_bytes();
        let mut scramble = Default::default();
        loop {
            let packet = self.stream.read_packet().await.unwrap();
            match AuthReply::parse(&packet).unwrap() {
                AuthReply::Ok => return,
                AuthReply::Err => panic!("{}", String::from_utf8_lossy(&packet)),
                AuthReply::Switch(switch) => {
                    scramble = switch.scramble.unwrap();
                    let plugin = AuthPlugin::from_name(switch.plugin).unwrap();
                    self.stream.queue(plugin.respond(password, &scramble).as_bytes());
                }
                AuthReply::MoreData([3]) => {}
                AuthReply::MoreData([4]) => self.stream.queue(&[2]),
                AuthReply::MoreData(key) => {
                    let encrypted = shardloom::protocol::rsa_key::encrypt_password(key, password, &scramble);
                    self.stream.queue(&encrypted.unwrap());
                }
            }
            self.stream.flush().await.unwrap();
        }
    }

    async fn ask(&mut self, kind: ResponseKind, command: &[u8], file: &[u8]) -> Seen {
        self.stream.set_seq(0);
        self.stream.queue(command);
        self.stream.flush().await.unwrap();
        let mut scanner = ResultScanner::new(kind, self.deprecate_eof).watching(self.watch);
        let mut seen = Seen { results: 1, ..Seen::default() };
        loop {
            let scan = scanner.scan(self.stream.buffer()).unwrap();
            self.stream.buffer().advance(scan.consumed);
            match scan.stop {
                Stop::NeedMore => drop(self.stream.fill().await.unwrap()),
                Stop::Done(_) => break,
                Stop::Column(_) => seen.columns += 1,
                Stop::ResultEnd(_) => seen.results += 1,
                Stop::PrepareOk(_, ok) => seen.prepared = Some(ok),
                Stop::LocalInfile(_) => {
                    self.stream.set_seq(scanner.last_seq().wrapping_add(1));
                    self.stream.queue(file);
                    self.stream.queue(b"");
                    self.stream.flush().await.unwrap();
                }
            }
        }
        assert!(self.stream.buffer().is_empty(), "bytes are left behind the answer");
        seen.outcome = *scanner.outcome();
        seen.rows = scanner.rows();
        seen
    }

    async fn query(&mut self, sql: &str) -> Seen {
        self.ask(ResponseKind::Results, &[b"\x03", sql.as_bytes()].concat(), b"7\n8\n9\n").await
    }

    async fn prepare(&mut self, sql: &str) -> Seen {
        self.ask(ResponseKind::Prepare, &[b"\x16", sql.as_bytes()].concat(), b"").await
    }

    async fn execute(&mut self, id: u32, flags: u8, param: i64) -> Seen {
        let (mut packet, param) = (Vec::new(), param.to_le_bytes());
        put_execute(id, flags, [Param::int64(&param)].into_iter(), &mut packet);
        self.ask(ResponseKind::Results, &packet, b"").await
    }

    async fn fetch(&mut self, id: u32, rows: u32) -> Seen {
        let packet = [&b"\x1c"[..], &id.to_le_bytes(), &rows.to_le_bytes()].concat();
        self.ask(ResponseKind::Fetch, &packet, b"").await
    }
}

/// Runs a scenario on every flavour of connection.
fn on_all(name: &str, scenario: impl AsyncFn(&mut Server)) {
    let url = &Backends::shared().plain;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // So that rows of more than 16 MiB can be had; it counts for connections made from now on.
        let mut setup = Server::connect(url, true, Watch::default()).await;
        assert_eq!(setup.query("SET GLOBAL max_allowed_packet = 67108864").await.outcome.errno, None);
        for deprecate_eof in [false, true] {
            for watch in [Watch::default(), Watch { columns: true, results: true }] {
                let mut server = Server::connect(url, deprecate_eof, watch).await;
                server.query(&format!("CREATE DATABASE IF NOT EXISTS answers_{name}")).await;
                server.query(&format!("USE answers_{name}")).await;
                server.query("DROP TABLE IF EXISTS t").await;
                server.query("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(40) DEFAULT 'x')").await;
                server.query("INSERT INTO t (a) VALUES (1), (2), (3)").await;
                scenario(&mut server).await;
                let seen = server.ask(ResponseKind::Results, b"\x0e", b"").await;
                assert_eq!(seen.outcome.errno, None, "the connection is of no more use");
            }
        }
    });
}

#[test]
fn queries() {
    on_all("queries", async |server| {
        let seen = server.query("SELECT * FROM t").await;
        assert_eq!((seen.rows, seen.outcome.had_columns, seen.outcome.errno), (3, true, None));
        if server.watch.columns {
            assert_eq!(seen.columns, 2);
        }
        let seen = server.query("SELECT * FROM t WHERE a > 100").await;
        assert_eq!((seen.rows, seen.outcome.had_columns), (0, true));
        let seen = server.query("UPDATE t SET b = 'y' WHERE a < 3").await;
        assert_eq!((seen.outcome.affected_rows, seen.outcome.had_columns), (2, false));
        let seen = server.query("SELECT 1/0 FROM t").await;
        assert_eq!(seen.rows, 3);
        let seen = server.query("SELECT * FROM nowhere").await;
        assert_eq!(seen.outcome.errno, Some(1146));
        let seen = server.query("BEGIN").await;
        assert!(seen.outcome.status.contains(StatusFlags::IN_TRANSACTION));
        assert!(!server.query("COMMIT").await.outcome.status.contains(StatusFlags::IN_TRANSACTION));
        // The first row is sent, and then the subquery finds that it returns more than one.
        let seen = server.query("SELECT (SELECT a FROM t u WHERE u.a >= t.a ORDER BY a) FROM t ORDER BY a DESC").await;
        assert_eq!(seen.outcome.errno, Some(1242));
    });
}

#[test]
fn several_results() {
    on_all("several", async |server| {
        let seen = server.query("SELECT 1; UPDATE t SET b = 'z'; SELECT a FROM t; DO 1").await;
        assert_eq!((seen.rows, seen.outcome.errno), (4, None));
        if server.watch.results {
            assert_eq!(seen.results, 4);
        }
        let seen = server.query("SELECT 1; SELECT * FROM nowhere; SELECT 2").await;
        assert_eq!((seen.rows, seen.outcome.errno), (1, Some(1146)));
        server.query("DROP PROCEDURE IF EXISTS p").await;
        server.query("CREATE PROCEDURE p() BEGIN SELECT 1; SELECT a FROM t; END").await;
        assert_eq!(server.query("CALL p()").await.rows, 4);
        let id = server.prepare("CALL p()").await.prepared.unwrap().statement_id;
        let mut packet = Vec::new();
        put_execute(id, cursor::NONE, std::iter::empty(), &mut packet);
        assert_eq!(server.ask(ResponseKind::Results, &packet, b"").await.rows, 4);
    });
}

#[test]
fn large_rows() {
    on_all("large", async |server| {
        for len in [0xFF_FFF0, 0xFF_FFFB, 0xFF_FFFC, 0x100_0000, 0x100_0010] {
            let seen = server.query(&format!("SELECT REPEAT(X'FE', {len}) UNION ALL SELECT 'x'")).await;
            assert_eq!((seen.rows, seen.outcome.errno, seen.outcome.warnings), (2, None, 0), "{len} bytes");
        }
    });
}

#[test]
fn prepared_statements_and_cursors() {
    on_all("prepared", async |server| {
        let prepared = server.prepare("SELECT a, b FROM t WHERE a >= ?").await.prepared.unwrap();
        assert_eq!((prepared.params, prepared.columns), (1, 2));
        let id = prepared.statement_id;
        assert_eq!(server.execute(id, cursor::NONE, 2).await.rows, 2);
        let opened = server.execute(id, cursor::READ_ONLY, 1).await;
        assert!(opened.outcome.status.contains(StatusFlags::CURSOR_EXISTS), "{opened:?}");
        assert_eq!(opened.rows, 0);
        assert_eq!(server.fetch(id, 2).await.rows, 2);
        let last = server.fetch(id, 2).await;
        assert_eq!(last.rows, 1);
        assert!(last.outcome.status.contains(StatusFlags::LAST_ROW_SENT));
        let empty = server.execute(id, cursor::READ_ONLY, 100).await;
        assert_eq!((empty.rows, empty.outcome.errno), (0, None));
        assert!(server.fetch(9999, 1).await.outcome.errno.is_some());
        let prepared = server.prepare("UPDATE t SET b = 'p' WHERE a = ?").await.prepared.unwrap();
        assert_eq!((prepared.params, prepared.columns), (1, 0));
        assert_eq!(server.execute(prepared.statement_id, cursor::READ_ONLY, 1).await.outcome.affected_rows, 1);
        let prepared = server.prepare("DO 1").await.prepared.unwrap();
        assert_eq!((prepared.params, prepared.columns), (0, 0));
        let prepared = server.prepare("SELECT 1").await.prepared.unwrap();
        assert_eq!((prepared.params, prepared.columns), (0, 1));
        assert_eq!(server.prepare("SELECT FROM").await.outcome.errno, Some(1064));
    });
}

#[test]
fn other_commands() {
    on_all("other", async |server| {
        let seen = server.ask(ResponseKind::FieldList, b"\x04t\0", b"").await;
        assert_eq!(seen.outcome.errno, None);
        if server.watch.columns {
            assert_eq!(seen.columns, 2);
        }
        assert_eq!(server.ask(ResponseKind::FieldList, b"\x04nowhere\0", b"").await.outcome.errno, Some(1146));
        server.ask(ResponseKind::Text, b"\x09", b"").await;
        server.ask(ResponseKind::Results, b"\x1b\x01\0", b"").await;
        let seen = server.query("SELECT 1; SELECT 2").await;
        assert_eq!(seen.outcome.errno, Some(1064), "multi-statements are off");
        server.ask(ResponseKind::Results, b"\x1b\0\0", b"").await;
        let seen = server.query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t (a)").await;
        assert_eq!((seen.outcome.affected_rows, seen.outcome.errno), (3, None));
        server.ask(ResponseKind::Results, b"\x1f", b"").await;
    });
}
