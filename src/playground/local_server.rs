//! One private database server with a throw-away data folder.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::{Conn, OptsBuilder};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::binary::{ServerBinary, Vendor};
use super::error::PlaygroundError;
use super::port;
use super::process::{GuardedChild, POLL_INTERVAL};
use super::template::{PASSWORD, Template, USER, last_lines, user_option};

/// How long a server may take to answer; generous, since builds may share the machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one attempt to read a greeting may take.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server may take to shut down before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// Lines of the server's log in an error.
const LOG_TAIL_LINES: usize = 20;
/// How many ports are tried when another program takes the one just found free.
const PORT_ATTEMPTS: usize = 3;

/// What distinguishes one server of a cluster from the others.
#[derive(Debug, Clone, Default)]
pub struct ServerSpec {
    /// Name in messages, and of its folder.
    pub name: String,
    /// Number in replication; must differ within a cluster.
    pub server_id: u32,
    /// Whether ordinary clients may not write.
    pub read_only: bool,
    /// Further options for its command line.
    pub options: Vec<String>,
}

/// A running (or killed) database server. Ends, with its data, when dropped.
#[derive(Debug)]
pub struct LocalServer {
    spec: ServerSpec,
    binary: ServerBinary,
    folder: PathBuf,
    port: u16,
    child: Option<GuardedChild>,
}

impl LocalServer {
    /// Starts a server on an empty copy of the template, in a new folder under `parent`, and waits until it answers.
    pub async fn start(
        binary: &ServerBinary,
        template: &Template,
        parent: &Path,
        spec: ServerSpec,
    ) -> Result<Self, PlaygroundError> {
        let folder = parent.join(&spec.name);
        fs::create_dir(&folder).map_err(PlaygroundError::io(format!("cannot make {folder:?}")))?;
        template.copy_to(&folder.join("data"))?;
        fs::create_dir(folder.join("tmp")).map_err(PlaygroundError::io("cannot make a server's tmp folder"))?;
        let mut server = Self { spec, binary: binary.clone(), folder, port: 0, child: None };
        let mut attempt = 1;
        loop {
            server.port = port::free_port()?;
            match server.launch().await {
                // Another program may have taken the port between the look and the bind.
                Err(_) if attempt < PORT_ATTEMPTS && !port::is_free(server.port) => attempt += 1,
                result => return result.map(|()| server),
            }
        }
    }

    /// The server's name in the cluster.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// Its URL in the form the rules take.
    pub fn url(&self) -> String {
        format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// Who made it.
    pub fn vendor(&self) -> Vendor {
        self.binary.vendor
    }

    /// The number of its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(GuardedChild::id)
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let text = fs::read(self.folder.join("log")).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&text), LOG_TAIL_LINES)
    }

    /// Opens a connection for setting things up.
    pub async fn connect(&self) -> Result<Conn, mysql_async::Error> {
        connect(self.port, USER, PASSWORD).await
    }

    /// Runs statements one after the other.
    pub async fn run(&self, statements: &[&str]) -> Result<(), PlaygroundError> {
        use mysql_async::prelude::Queryable;
        let mut conn = self.connect().await.map_err(PlaygroundError::sql(format!("connect to {}", self.name())))?;
        for statement in statements {
            let step = || format!("on {}: {statement}", self.name());
            conn.query_drop(*statement).await.map_err(|source| PlaygroundError::Sql { step: step(), source })?;
        }
        conn.disconnect().await.map_err(PlaygroundError::sql("disconnect"))
    }

    /// Ends the server as a crash would: SIGKILL. Its data stay for [`LocalServer::restart`].
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill();
        }
    }

    /// Shuts the server down in good order.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.terminate(STOP_PATIENCE);
        }
    }

    /// Freezes the server: its sockets stay open and nobody answers.
    pub fn pause(&mut self) -> Result<(), PlaygroundError> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen server go on.
    pub fn resume(&mut self) -> Result<(), PlaygroundError> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), PlaygroundError> {
        let name = self.spec.name.clone();
        match &mut self.child {
            Some(child) => child.signal(signal).map_err(PlaygroundError::io(format!("cannot signal {name}"))),
            None => Ok(()),
        }
    }

    /// Starts a killed or stopped server again, on the same port and data.
    pub async fn restart(&mut self) -> Result<(), PlaygroundError> {
        self.stop();
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), PlaygroundError> {
        let log = File::create(self.folder.join("log")).map_err(PlaygroundError::io("cannot write a server's log"))?;
        let output = log.try_clone().map_err(PlaygroundError::io("cannot write a server's log"))?;
        let mut command = Command::new(&self.binary.path);
        command.args(self.arguments()).stdout(Stdio::from(output)).stderr(Stdio::from(log));
        let mark = format!("={}/", self.folder.display());
        let child = GuardedChild::spawn(command, &mark, Some(&self.folder))
            .map_err(PlaygroundError::io(format!("cannot start {}", self.binary.path.display())))?;
        self.child = Some(child);
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<(), PlaygroundError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let what = loop {
            if greets(self.port).await {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().and_then(GuardedChild::exit_status) {
                break format!("it ended with {status}");
            }
            if Instant::now() > deadline {
                break format!("no answer within {} s", START_TIMEOUT.as_secs());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        self.kill();
        Err(PlaygroundError::ServerStart { name: self.spec.name.clone(), port: self.port, what, log: self.log_tail() })
    }

    /// The command line. `--loose-` options are for one vendor or some versions only.
    fn arguments(&self) -> Vec<String> {
        let folder = self.folder.display();
        let mut list = vec!["--no-defaults".to_owned()];
        list.extend(user_option().map(str::to_owned));
        list.push(format!("--datadir={folder}/data"));
        list.push(format!("--tmpdir={folder}/tmp"));
        list.push(format!("--socket={folder}/s"));
        list.push(format!("--pid-file={folder}/pid"));
        list.push(format!("--port={}", self.port));
        list.push(format!("--server-id={}", self.spec.server_id));
        list.extend(SMALL_SERVER_OPTIONS.map(str::to_owned));
        list.extend(
            match self.binary.vendor {
                Vendor::MariaDb => MARIADB_OPTIONS.as_slice(),
                Vendor::MySql => MYSQL_OPTIONS.as_slice(),
            }
            .iter()
            .map(|option| (*option).to_owned()),
        );
        if self.binary.vendor == Vendor::MariaDb {
            list.push(format!("--gtid-domain-id={}", self.spec.server_id));
        }
        if self.spec.read_only {
            list.push("--read-only=ON".to_owned());
        }
        list.extend(self.spec.options.iter().cloned());
        list
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Small buffers, loopback only, binary log on, and no waiting for the disk: a killed process loses nothing
/// that it wrote to the operating system, and no test pulls the plug.
const SMALL_SERVER_OPTIONS: [&str; 17] = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--sync-binlog=0",
    "--log-slave-updates=ON",
    "--skip-slave-start",
    "--max-connections=2600",
    "--max-allowed-packet=64M",
    "--innodb-buffer-pool-size=16M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=OFF",
    "--performance-schema=OFF",
    "--table-open-cache=400",
    "--key-buffer-size=1M",
    "--secure-file-priv=",
    "--local-infile=ON",
];

/// Options of MariaDB only. Asynchronous I/O is off because containers limit its queues.
const MARIADB_OPTIONS: [&str; 4] = [
    "--innodb-log-file-size=8M",
    "--innodb-use-native-aio=OFF",
    "--gtid-strict-mode=ON",
    "--aria-pagecache-buffer-size=1M",
];

/// Options of MySQL only.
const MYSQL_OPTIONS: [&str; 5] = [
    "--innodb-redo-log-capacity=16M",
    "--innodb-use-native-aio=OFF",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--mysqlx=OFF",
];

/// Whether something on a port of this machine sends a MySQL greeting.
pub async fn greets(port: u16) -> bool {
    let attempt = async {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let mut head = [0_u8; 5];
        socket.read_exact(&mut head).await.ok()?;
        // https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
        (head[4] == 10).then_some(())
    };
    tokio::time::timeout(GREETING_TIMEOUT, attempt).await.ok().flatten().is_some()
}

/// Connects over TCP to a port of this machine.
pub async fn connect(port: u16, user: &str, password: &str) -> Result<Conn, mysql_async::Error> {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(user))
        .pass(Some(password))
        // Otherwise the client moves to the Unix socket by itself and the proxy's TCP side is never tried.
        .prefer_socket(false);
    Conn::new(options).await
}
