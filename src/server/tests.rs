//! Real clients and raw bytes against a server whose sessions answer the least that clients need.

use std::path::Path;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, OptsBuilder, SslOpts};

use super::*;
use crate::cores::Cores;
use crate::net::{Io, NetError, PacketStream};
use crate::protocol::auth::{AuthPlugin, Scramble};
use crate::protocol::auth_packets::AuthReply;
use crate::protocol::rsa_key::RsaKey;
use crate::protocol::{
    Capabilities, ColumnType, ColumnView, Command, ErrPacket, HandshakeResponse, HandshakeV10, OkPacket, StatusFlags,
};
use std::sync::Arc;
use std::time::Duration;

struct People;

impl Directory for People {
    fn server_version(&self) -> Arc<str> {
        "8.0.36-shardloom".into()
    }

    fn account(&self, user: &str) -> Option<Arc<Account>> {
        let credential = match user {
            "app" => Credential::from_password("secret"),
            "open" => Credential::from_password(""),
            "old" => Credential::from_stored_hash(b"*14E65567ABDB5135D0CFD9A70B3032C179A49EE7")?,
            "strict" => Credential::from_password("secret"),
            _ => return None,
        };
        let plugin = (user == "strict").then_some(AuthPlugin::CachingSha2);
        Some(Arc::new(Account { user: user.into(), credential, plugin }))
    }

    fn database(&self, account: &Account, host: &str, database: &str) -> Result<Arc<str>, ServerError> {
        match database {
            "shop" => Ok(database.into()),
            "secrets" => Err(ServerError::DatabaseDenied {
                user: account.user.to_string(),
                host: host.to_owned(),
                database: database.to_owned(),
            }),
            _ => Err(ServerError::UnknownDatabase(database.to_owned())),
        }
    }

    fn admit(&self, _: &Account, _: &str, _: bool) -> Result<(), ServerError> {
        Ok(())
    }
}

/// One account, whose hash MySQL stored; the credential lives as long as the directory, as real rules do.
struct Stored(Arc<Account>);

impl Stored {
    fn new() -> Self {
        let mut hash = b"$A$005$".to_vec();
        hash.extend_from_slice(b"\xF9\xCC\x98\xCE\x08\x89\x29\x24\xF5\x0A\x21\x3B\x6B\xC5\x71\xA2\xC1\x17\x78\xC5");
        hash.extend_from_slice(b"bTy95Y99eAME1dwEkHOA1ndHGBWz.1bxSSRkuTXFGV/");
        let credential = Credential::from_stored_hash(&hash).unwrap();
        Self(Arc::new(Account { user: "hashcat".into(), credential, plugin: None }))
    }
}

impl Directory for Stored {
    fn server_version(&self) -> Arc<str> {
        "8.0.36-shardloom".into()
    }

    fn account(&self, user: &str) -> Option<Arc<Account>> {
        (user == "hashcat").then(|| self.0.clone())
    }

    fn database(&self, _: &Account, _: &str, database: &str) -> Result<Arc<str>, ServerError> {
        Ok(database.into())
    }

    fn admit(&self, _: &Account, _: &str, _: bool) -> Result<(), ServerError> {
        Ok(())
    }
}

/// Answers every query with one row: user, database, host, whether TLS, `program_name`.
async fn session(mut accepted: Accepted) {
    let mut drain = accepted.drain.clone();
    loop {
        accepted.stream.set_seq(0);
        let packet = tokio::select! {
            packet = accepted.stream.read_packet() => packet,
            () = drain.requested() => return,
        };
        let Ok(packet) = packet else { return };
        match Command::parse(&packet) {
            Ok(Command::Quit) => return,
            Ok(Command::Query(_)) => answer(&mut accepted),
            Ok(Command::ChangeUser(body)) => {
                let Accepted { stream, gate, capabilities, scramble, peer, .. } = &mut accepted;
                match gate.change_user(stream, body, *capabilities, *scramble, peer).await {
                    Ok(changed) => {
                        accepted.account = changed.account;
                        accepted.database = changed.database;
                        accepted.scramble = changed.scramble;
                        ok(&mut accepted);
                    }
                    Err(error) => {
                        stream.frames().error(&error.into());
                        return stream.shutdown().await;
                    }
                }
            }
            Ok(_) => ok(&mut accepted),
            Err(error) => accepted.stream.frames().error(&error.into()),
        }
        if accepted.stream.flush().await.is_err() {
            return;
        }
    }
}

fn ok(accepted: &mut Accepted) {
    let ok = OkPacket { status: StatusFlags::AUTOCOMMIT, ..Default::default() };
    accepted.stream.frames().ok(&ok, accepted.capabilities);
}

fn answer(accepted: &mut Accepted) {
    let host = accepted.peer.host();
    let tls = if accepted.stream.io().is_tls() { "TLS" } else { "plain" };
    let cells = [
        Some(accepted.account.user.as_bytes()),
        accepted.database.as_ref().map(|name| name.as_bytes()),
        Some(host.as_bytes()),
        Some(tls.as_bytes()),
        accepted.attributes.get("program_name").map(str::as_bytes),
    ];
    let column = ColumnView::computed(b"x", ColumnType::VAR_STRING, 400, 45);
    let mut frames = accepted.stream.frames();
    frames.columns([column; 5].into_iter(), StatusFlags::AUTOCOMMIT, accepted.capabilities);
    frames.text_row(cells);
    frames.rows_end(StatusFlags::AUTOCOMMIT, 0, accepted.capabilities);
}

type Row = (String, Option<String>, String, String, Option<String>);

struct Running {
    port: u16,
    handle: ServerHandle,
    done: tokio::task::JoinHandle<()>,
}

async fn start_with(options: ServerOptions, directory: Arc<dyn Directory>) -> Running {
    let server = Server::bind(options, directory, Cores::only_here(), Arc::default()).await.unwrap();
    let port = server.local_addrs().first().map_or(0, |address| address.port());
    let handle = server.handle();
    Running { port, handle, done: tokio::spawn(server.run(Arc::new(session))) }
}

async fn start(options: ServerOptions) -> Running {
    start_with(options, Arc::new(People)).await
}

fn options() -> ServerOptions {
    ServerOptions { listen: vec![ListenAddress::Tcp("127.0.0.1:0".to_owned())], ..Default::default() }
}

impl Running {
    fn opts(&self, user: &str, password: &str) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some(user))
            .pass(Some(password))
            .prefer_socket(Some(false))
            .max_allowed_packet(Some(1 << 24))
            .wait_timeout(Some(100))
    }

    async fn connect(&self, user: &str, password: &str) -> Result<mysql_async::Conn, mysql_async::Error> {
        mysql_async::Conn::new(self.opts(user, password)).await
    }

    async fn raw(&self) -> PacketStream {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        PacketStream::new(Io::Tcp(tcp), 1 << 20)
    }
}

async fn who(conn: &mut mysql_async::Conn) -> Row {
    conn.query_first("SELECT").await.unwrap().unwrap()
}

fn server_error(error: mysql_async::Error) -> (u16, String, String) {
    match error {
        mysql_async::Error::Server(error) => (error.code, error.state, error.message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_client_logs_in_and_is_told_from_others() {
    for plugin in [AuthPlugin::MysqlNative, AuthPlugin::CachingSha2] {
        let server = start(ServerOptions { default_plugin: Some(plugin), ..options() }).await;
        for (user, password) in [("app", "secret"), ("open", ""), ("old", "secret")] {
            let opts = server.opts(user, password).db_name(Some("shop"));
            let mut conn = mysql_async::Conn::new(opts).await.unwrap();
            conn.ping().await.unwrap();
            assert_eq!(conn.server_version(), (8, 0, 36));
            let row = who(&mut conn).await;
            assert_eq!((row.0.as_str(), row.1.as_deref(), row.2.as_str()), (user, Some("shop"), "127.0.0.1"));
            assert_eq!(row.3, "plain");
            conn.disconnect().await.unwrap();
        }
        for (user, password) in [("app", "wrong"), ("app", ""), ("open", "x"), ("old", "wrong"), ("nobody", "secret")] {
            let (code, state, message) = server_error(server.connect(user, password).await.unwrap_err());
            let using = if password.is_empty() { "NO" } else { "YES" };
            assert_eq!((code, state.as_str()), (1045, "28000"), "{user} {password}");
            assert_eq!(message, format!("Access denied for user '{user}'@'127.0.0.1' (using password: {using})"));
        }
    }
}

#[tokio::test]
async fn databases_are_checked() {
    let server = start(options()).await;
    for (database, expected) in [
        ("nowhere", (1049, "42000", "Unknown database 'nowhere'")),
        ("secrets", (1044, "42000", "Access denied for user 'app'@'127.0.0.1' to database 'secrets'")),
    ] {
        let opts = server.opts("app", "secret").db_name(Some(database));
        let (code, state, message) = server_error(mysql_async::Conn::new(opts).await.unwrap_err());
        assert_eq!((code, state.as_str(), message.as_str()), expected);
    }
}

#[tokio::test]
async fn the_user_can_be_changed() {
    let server = start(options()).await;
    let mut conn = server.connect("app", "secret").await.unwrap();
    for (user, password) in [("open", ""), ("app", "secret"), ("old", "secret"), ("app", "secret")] {
        let opts = mysql_async::ChangeUserOpts::default()
            .with_user(Some(user.to_owned()))
            .with_pass(Some(password.to_owned()))
            .with_db_name(Some("shop".to_owned()));
        conn.change_user(opts).await.unwrap();
        let row = who(&mut conn).await;
        assert_eq!((row.0.as_str(), row.1.as_deref()), (user, Some("shop")));
    }
    let opts = mysql_async::ChangeUserOpts::default().with_pass(Some("wrong".to_owned()));
    assert_eq!(server_error(conn.change_user(opts).await.unwrap_err()).0, 1045);
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let server = start(ServerOptions { max_connections: 2, ..options() }).await;
    let first = server.connect("app", "secret").await.unwrap();
    let _second = server.connect("app", "secret").await.unwrap();
    assert_eq!(server.handle.connections(), 2);
    let (code, state, message) = server_error(server.connect("app", "secret").await.unwrap_err());
    assert_eq!((code, state.as_str(), message.as_str()), (1040, "08004", "Too many connections"));
    first.disconnect().await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while server.connect("app", "secret").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place of a client that left is not free again");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_silent_client_is_sent_away() {
    let server = start(ServerOptions { handshake_timeout_ms: 50, ..options() }).await;
    let mut raw = server.raw().await;
    HandshakeV10::parse(&raw.read_packet().await.unwrap()).unwrap();
    let error = raw.read_packet().await.unwrap();
    assert_eq!(ErrPacket::parse(&error).unwrap().errno, 1159);
    assert!(matches!(raw.read_packet().await, Err(NetError::Closed)));
}

#[tokio::test]
async fn nonsense_is_a_bad_handshake() {
    let server = start(options()).await;
    for nonsense in [&b""[..], b"\x00", b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 40]] {
        let mut raw = server.raw().await;
        raw.read_packet().await.unwrap();
        raw.queue(nonsense);
        raw.flush().await.unwrap();
        let error = raw.read_packet().await.unwrap();
        let error = ErrPacket::parse(&error).unwrap();
        assert_eq!((error.errno, error.message), (1043, &b"Bad handshake"[..]));
    }
    let mut raw = server.raw().await;
    raw.read_packet().await.unwrap();
    raw.queue(&vec![0; 200 * 1024]);
    raw.flush().await.unwrap();
    assert_eq!(ErrPacket::parse(&raw.read_packet().await.unwrap()).unwrap().errno, 1153);
}

/// Logs in by hand and returns what the server says to the response, packet by packet, up to OK or ERR.
async fn exchange(raw: &mut PacketStream, user: &[u8], plugin: &[u8], password: &[u8]) -> Vec<Vec<u8>> {
    let packet = raw.read_packet().await.unwrap();
    let hello = HandshakeV10::parse(&packet).unwrap();
    answer_hello(raw, &hello.scramble, user, plugin, password).await
}

async fn answer_hello(
    raw: &mut PacketStream,
    scramble: &Scramble,
    user: &[u8],
    plugin: &[u8],
    password: &[u8],
) -> Vec<Vec<u8>> {
    let respond = |name: &[u8], scramble: &Scramble| {
        AuthPlugin::from_name(name).map(|p| p.respond(password, scramble).as_bytes().to_vec()).unwrap_or_default()
    };
    let response = HandshakeResponse {
        capabilities: Capabilities::OFFERED_TO_CLIENTS,
        max_packet_bytes: 1 << 24,
        charset: 45,
        user,
        auth_response: &respond(plugin, scramble),
        database: None,
        auth_plugin: Some(plugin),
        attributes: b"",
    };
    raw.frames().packet(|out| response.put(out));
    raw.flush().await.unwrap();
    let mut said = Vec::new();
    loop {
        let packet = raw.read_packet().await.unwrap();
        said.push(packet.to_vec());
        match AuthReply::parse(&packet).unwrap() {
            AuthReply::Switch(switch) => {
                raw.queue(&respond(switch.plugin, &switch.scramble.unwrap()));
                raw.flush().await.unwrap();
            }
            AuthReply::MoreData(_) => {}
            AuthReply::Ok | AuthReply::Err => return said,
        }
    }
}

#[tokio::test]
async fn the_client_is_switched_only_where_it_must_be() {
    let server = start(options()).await;
    let login = |user: &'static [u8], plugin: &'static [u8], password: &'static [u8]| {
        let server = &server;
        async move { exchange(&mut server.raw().await, user, plugin, password).await }
    };
    let said = login(b"app", b"caching_sha2_password", b"secret").await;
    assert_eq!((said.len(), &said[0][..]), (2, &[1, 3][..]), "fast path, then OK");
    let said = login(b"app", b"mysql_native_password", b"secret").await;
    assert_eq!((said.len(), said[0][0]), (1, 0), "the other plugin does as well");
    let said = login(b"open", b"caching_sha2_password", b"").await;
    assert_eq!((said.len(), said[0][0]), (1, 0), "no fast path without a password");
    let said = login(b"app", b"client_ed25519", b"secret").await;
    assert!(said[0].starts_with(b"\xfecaching_sha2_password\0"));
    assert_eq!(said.last().map(|packet| packet[0]), Some(0));
    let said = login(b"old", b"caching_sha2_password", b"secret").await;
    assert!(said[0].starts_with(b"\xfemysql_native_password\0"));
    assert_eq!(said.last().map(|packet| packet[0]), Some(0));
    let said = login(b"strict", b"mysql_native_password", b"secret").await;
    assert!(said[0].starts_with(b"\xfecaching_sha2_password\0"), "the account's own plugin");
    assert_eq!(said.last().map(|packet| packet[0]), Some(0));
    let said = login(b"nobody", b"caching_sha2_password", b"secret").await;
    assert_eq!((said.len(), said[0][0]), (1, 0xFF));
}

#[tokio::test]
async fn a_stored_hash_takes_the_full_path_once() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("rsa.pem");
    std::fs::write(&key, RsaKey::generate(1024).unwrap().to_pem().unwrap()).unwrap();
    let server = start_with(ServerOptions { rsa_key: Some(key), ..options() }, Arc::new(Stored::new())).await;
    assert_eq!(server_error(server.connect("hashcat", "wrong").await.unwrap_err()).0, 1045);
    let mut conn = server.connect("hashcat", "hashcat").await.unwrap();
    assert_eq!(who(&mut conn).await.0, "hashcat");
    let said = exchange(&mut server.raw().await, b"hashcat", b"caching_sha2_password", b"hashcat").await;
    assert_eq!(said[0], [1, 3], "the second login takes the fast path");
}

fn write_certificates(dir: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    TlsFiles { certificate, key, client_ca: None }
}

#[tokio::test]
async fn tls_is_optional_or_required() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_certificates(dir.path());
    let trusting = SslOpts::default()
        .with_root_certs(vec![files.certificate.clone().into()])
        .with_danger_tls_hostname_override(Some("localhost"));
    for (policy, required) in [(TlsPolicy::Optional(files.clone()), false), (TlsPolicy::Required(files.clone()), true)]
    {
        let server = start(ServerOptions { tls: policy, ..options() }).await;
        for (user, password) in [("app", "secret"), ("open", ""), ("old", "secret")] {
            let opts = server.opts(user, password).ssl_opts(Some(trusting.clone()));
            let mut conn = mysql_async::Conn::new(opts).await.unwrap();
            assert_eq!(who(&mut conn).await.3, "TLS");
        }
        let plain = server.connect("app", "secret").await;
        if required {
            assert_eq!(server_error(plain.unwrap_err()).0, 3159);
        } else {
            assert_eq!(who(&mut plain.unwrap()).await.3, "plain");
        }
    }
    let server =
        start_with(ServerOptions { tls: TlsPolicy::Optional(files.clone()), ..options() }, Arc::new(Stored::new()))
            .await;
    let opts = server.opts("hashcat", "hashcat").ssl_opts(Some(trusting.clone()));
    assert_eq!(who(&mut mysql_async::Conn::new(opts).await.unwrap()).await.3, "TLS", "the password goes through TLS");
    let off = start(options()).await;
    let opts = off.opts("app", "secret").ssl_opts(Some(trusting));
    assert!(mysql_async::Conn::new(opts).await.is_err(), "a client that insists on TLS gets none");
}

#[tokio::test]
async fn client_certificates_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_certificates(dir.path());
    let with_ca = TlsFiles { client_ca: Some(files.certificate.clone()), ..files.clone() };
    let server = start(ServerOptions { tls: TlsPolicy::Required(with_ca), ..options() }).await;
    let trusting = SslOpts::default()
        .with_root_certs(vec![files.certificate.clone().into()])
        .with_danger_tls_hostname_override(Some("localhost"));
    let opts = server.opts("app", "secret").ssl_opts(Some(trusting.clone()));
    assert!(mysql_async::Conn::new(opts).await.is_err());
    let identity = ClientIdentity::new(files.certificate.clone().into(), files.key.clone().into());
    let opts = server.opts("app", "secret").ssl_opts(Some(trusting.with_client_identity(Some(identity))));
    assert_eq!(who(&mut mysql_async::Conn::new(opts).await.unwrap()).await.3, "TLS");
}

#[tokio::test]
async fn bad_key_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_certificates(dir.path());
    std::fs::write(&files.key, "no key").unwrap();
    let bad = ServerOptions { tls: TlsPolicy::Optional(files.clone()), ..options() };
    let Err(error) = Server::bind(bad, Arc::new(People), Cores::only_here(), Arc::default()).await else {
        panic!("a server without a key")
    };
    assert!(error.to_string().contains("key.pem"), "{error}");
    let server = start(options()).await;
    assert!(server.handle.reload_tls(&TlsPolicy::Optional(files)).is_err());
    server.handle.reload_tls(&TlsPolicy::Optional(write_certificates(dir.path()))).unwrap();
}

#[tokio::test]
async fn a_unix_socket_is_served_and_its_file_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shardloom.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "what a dead process left");
    let server = start(ServerOptions { listen: vec![ListenAddress::Unix(path.clone())], ..options() }).await;
    let opts = server.opts("app", "secret").socket(Some(path.display().to_string()));
    let mut conn = mysql_async::Conn::new(opts).await.unwrap();
    assert_eq!(who(&mut conn).await.2, "localhost");
    let again = ServerOptions { listen: vec![ListenAddress::Unix(path.clone())], ..options() };
    assert!(
        Server::bind(again, Arc::new(People), Cores::only_here(), Arc::default()).await.is_err(),
        "somebody listens there"
    );
    server.handle.drain();
    server.done.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_drain_ends_sessions_and_takes_no_more() {
    let server = start(options()).await;
    let mut conn = server.connect("app", "secret").await.unwrap();
    conn.ping().await.unwrap();
    server.handle.drain();
    server.done.await.unwrap();
    assert!(conn.ping().await.is_err());
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
}

#[tokio::test]
async fn who_logs_in_while_the_server_drains_is_told_so() {
    let server = start(options()).await;
    let mut raw = server.raw().await;
    let scramble = HandshakeV10::parse(&raw.read_packet().await.unwrap()).unwrap().scramble;
    server.handle.drain();
    let said = answer_hello(&mut raw, &scramble, b"app", b"mysql_native_password", b"secret").await;
    assert_eq!(ErrPacket::parse(&said[0]).map(|error| error.errno), Ok(1053));
    server.done.await.unwrap();
}

#[tokio::test]
async fn a_session_that_does_not_end_is_cut_off() {
    let options = ServerOptions { drain_timeout_ms: 50, ..options() };
    let bound = Server::bind(options, Arc::new(People), Cores::only_here(), Arc::default()).await.unwrap();
    let (port, handle) = (bound.local_addrs()[0].port(), bound.handle());
    let stubborn = |accepted: Accepted| async move {
        let _accepted = accepted;
        std::future::pending::<()>().await;
    };
    let done = tokio::spawn(bound.run(Arc::new(stubborn)));
    let running = Running { port, handle, done };
    let mut raw = running.raw().await;
    exchange(&mut raw, b"app", b"mysql_native_password", b"secret").await;
    running.handle.drain();
    running.done.await.unwrap();
    assert!(matches!(raw.read_packet().await, Err(NetError::Closed)));
}

#[tokio::test]
async fn scrambles_are_printable_and_differ() {
    let scramble = super::gate::new_scramble();
    assert!(scramble.iter().all(|byte| (b'!'..=b'~').contains(byte) && *byte != b'$'));
    assert_ne!(scramble, super::gate::new_scramble());
}
