//! Real servers for the tests of this module: private, on a free port, gone with the test process.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::backend::{Limits, Pool, Server, ServerSpec};
use crate::config::{Address, Secret, ServerTls, TlsMode};
use crate::playground::port::free_port;

/// A server that runs for the tests.
pub struct TestServer {
    pub port: u16,
    pub socket: Option<PathBuf>,
    pub user: String,
    pub password: String,
    pub is_mariadb: bool,
    /// The shell that outlives neither the test nor its server: it kills the server when its input closes.
    keeper: Option<Child>,
}

/// One server for all tests that do not stop it. `SHARDLOOM_TEST_SERVER=port:user:password` names another one.
pub fn shared() -> &'static TestServer {
    static SHARED: LazyLock<TestServer> = LazyLock::new(|| match std::env::var("SHARDLOOM_TEST_SERVER") {
        Ok(given) => {
            let mut parts = given.splitn(3, ':').map(str::to_owned);
            TestServer {
                port: parts.next().unwrap().parse().unwrap(),
                socket: None,
                user: parts.next().unwrap(),
                password: parts.next().unwrap(),
                is_mariadb: false,
                keeper: None,
            }
        }
        // From 11.4 on a server makes itself a certificate.
        Err(_) => TestServer::start(&["--skip-ssl".to_owned()]),
    });
    &SHARED
}

/// TLS of a mode, and a CA's certificates.
pub fn tls(mode: TlsMode, ca: Option<PathBuf>) -> ServerTls {
    ServerTls { mode, ca, ..ServerTls::OFF }
}

impl TestServer {
    /// Starts a private mariadbd with an empty data folder.
    pub fn start(arguments: &[String]) -> Self {
        let dir = tempfile::Builder::new().prefix("shardloom-backend-").tempdir().unwrap().keep();
        // A folder for temporary files of its own: a server that starts removes those that it finds there, whosever they are.
        let install = format!(
            "TMPDIR={dir} mariadb-install-db --no-defaults --datadir={dir}/data --auth-root-authentication-method=normal \
               --user=$(id -un) --skip-test-db >{dir}/install.log 2>&1",
            dir = dir.display()
        );
        assert!(Command::new("sh").arg("-c").arg(install).status().unwrap().success(), "see {}", dir.display());
        // Chosen when the server is about to bind it, outside of the range that others' client sockets are given.
        let port = free_port().unwrap();
        let script = format!(
            "trap 'kill -9 $pid; rm -rf {dir}' EXIT\n\
             mariadbd --no-defaults --datadir={dir}/data --tmpdir={dir} --user=$(id -un) --port={port} --bind-address=127.0.0.1 \
               --socket={dir}/s --pid-file={dir}/pid --innodb-buffer-pool-size=32M --max-connections=500 \
               --innodb-flush-log-at-trx-commit=0 \"$@\" >{dir}/log 2>&1 &\n\
             pid=$!\ncat >/dev/null",
            dir = dir.display()
        );
        let keeper = Command::new("sh").arg("-c").arg(script).arg("sh").args(arguments).stdin(Stdio::piped()).spawn();
        let server = Self {
            port,
            socket: Some(dir.join("s")),
            user: "root".to_owned(),
            password: String::new(),
            is_mariadb: true,
            keeper: Some(keeper.unwrap()),
        };
        server.wait_until_up();
        server
    }

    fn wait_until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Ok(mut socket) = std::net::TcpStream::connect(("127.0.0.1", self.port))
                && socket.read(&mut [0; 1]).is_ok_and(|read| read == 1)
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = self.socket.as_ref().map(|socket| std::fs::read(socket.with_file_name("log")).unwrap_or_default());
        panic!("mariadbd did not start: {}", String::from_utf8_lossy(&log.unwrap_or_default()));
    }

    /// Its description with limits that suit tests.
    pub fn spec(&self) -> ServerSpec {
        ServerSpec {
            label: "g0/primary".into(),
            address: Address::Tcp { host: "127.0.0.1".into(), port: self.port },
            user: self.user.as_str().into(),
            password: Secret::new(self.password.clone()),
            tls: tls(TlsMode::Preferred, None),
            limits: Limits {
                max_connections: 4,
                max_waiting: 2,
                wait_timeout: Duration::from_millis(300),
                connect_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(60),
                max_lifetime: Duration::from_secs(600),
                ping_after_idle: Duration::from_secs(30),
                max_statements: 3,
                health_interval: Duration::from_millis(100),
                health_timeout: Duration::from_secs(5),
                health_failures: 2,
                health_successes: 2,
            },
        }
    }

    /// A pool of its own.
    pub fn pool(&self) -> Arc<Pool> {
        Pool::new(Server::new(self.spec()))
    }

    /// A pool with changed limits.
    pub fn pool_with(&self, change: impl FnOnce(&mut ServerSpec)) -> Arc<Pool> {
        let mut spec = self.spec();
        change(&mut spec);
        Pool::new(Server::new(spec))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}
