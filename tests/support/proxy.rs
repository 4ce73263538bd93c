//! The proxy as a process of its own, with a rules folder made for the test.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use shardloom::playground::folder::RunFolder;
use shardloom::playground::local_server::greets;
use shardloom::playground::port::free_port;
use shardloom::playground::process::GuardedChild;
use shardloom::playground::template::last_lines;

use super::backends::{Backends, Url, base_folder, block_on};
use super::poll_until;

/// The account that tests use on the proxy.
pub const USER: &str = "app";
/// Its password; not the servers', so that mixing them up shows.
pub const PASSWORD: &str = "app-secret";
/// Names another program to test than the one that was built along: an optimised one, to measure.
const PROXY_VARIABLE: &str = "SHARDLOOM_TEST_PROXY";
/// How long the proxy may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of its log a failing test prints.
const LOG_TAIL_LINES: usize = 40;

/// A rules folder in the making.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Lines added to proxy.yaml.
    pub proxy: String,
    /// Lines added under each group.
    pub group: String,
    /// Logical schemas: name and the YAML under it, indented by four spaces.
    pub schemas: Vec<(String, String)>,
    /// Without replicas all reads go to the primaries, and a test sees its writes at once.
    pub with_replicas: bool,
    /// Further accounts, as lines of the `users:` list.
    pub users: String,
}

impl Rules {
    /// One schema with the given rules.
    pub fn schema(name: &str, body: &str) -> Self {
        Self::default().and_schema(name, body)
    }

    /// Adds a schema.
    pub fn and_schema(mut self, name: &str, body: &str) -> Self {
        self.schemas.push((name.to_owned(), body.to_owned()));
        self
    }

    /// Writes the folder.
    pub fn write(&self, folder: &Path, backends: &Backends, port: u16, admin_port: u16) {
        fs::create_dir_all(folder).unwrap();
        let names: Vec<&str> = self.schemas.iter().map(|(name, _)| name.as_str()).collect();
        let proxy = format!(
            "listen: {{mysql: 127.0.0.1:{port}, admin: 127.0.0.1:{admin_port}}}\nusers:\n  \
             - {{name: {USER}, password: {PASSWORD}, schemas: [{}]}}\n{}{}",
            names.join(", "),
            self.users,
            self.proxy
        );
        fs::write(folder.join("proxy.yaml"), proxy).unwrap();
        fs::write(folder.join("groups.yaml"), self.groups_yaml(backends)).unwrap();
        for (name, body) in &self.schemas {
            fs::write(folder.join(format!("{name}.yaml")), format!("schemas:\n  {name}:\n{body}\n")).unwrap();
        }
    }

    fn groups_yaml(&self, backends: &Backends) -> String {
        let mut text = "groups:\n".to_owned();
        for (number, group) in backends.groups.iter().enumerate() {
            writeln!(text, "  g{number}:\n    primary: {{url: '{}'}}", group.primary).unwrap();
            if self.with_replicas {
                writeln!(text, "    replicas:").unwrap();
                for replica in &group.replicas {
                    writeln!(text, "      - {{url: '{replica}'}}").unwrap();
                }
            }
            text.push_str(&self.group);
        }
        text
    }
}

/// A running proxy. Ends when dropped, or with the test process.
#[derive(Debug)]
pub struct ProxyProcess {
    child: GuardedChild,
    pub port: u16,
    pub admin_port: u16,
    pub rules_folder: PathBuf,
    log: PathBuf,
    _folder: RunFolder,
}

impl ProxyProcess {
    /// Makes the physical schemas on all servers, writes the rules, starts the proxy and waits until it greets.
    pub fn start(backends: &Backends, rules: &Rules) -> Self {
        make_schemas(backends, rules);
        Self::start_beside(backends, rules, &[])
    }

    /// As [`ProxyProcess::start`], over schemas that are there and are left as they are, and with more environment.
    pub fn start_beside(backends: &Backends, rules: &Rules, environment: &[(&str, &str)]) -> Self {
        let run = RunFolder::create(&base_folder(), "proxy").unwrap_or_else(|error| panic!("{error}"));
        let folder = run.path().join("proxy");
        let rules_folder = folder.join("rules");
        let (port, admin_port) = (free_port().unwrap(), free_port().unwrap());
        rules.write(&rules_folder, backends, port, admin_port);

        let log = folder.join("log");
        let output = File::create(&log).unwrap();
        let program = std::env::var_os(PROXY_VARIABLE).unwrap_or_else(|| env!("CARGO_BIN_EXE_shardloom").into());
        let mut command = Command::new(program);
        command.arg("serve").arg(format!("--rules={}", rules_folder.display()));
        command.envs(environment.iter().copied());
        command.env("SHARDLOOM_LOG", std::env::var("SHARDLOOM_TEST_LOG").unwrap_or_else(|_| "info".to_owned()));
        command.stdout(Stdio::from(output.try_clone().unwrap())).stderr(Stdio::from(output));
        let mark = format!("={}/", folder.display());
        let child = GuardedChild::spawn(command, &mark, Some(&folder)).unwrap();
        let mut proxy = Self { child, port, admin_port, rules_folder, log, _folder: run };
        proxy.wait_until_ready();
        proxy
    }

    /// As [`ProxyProcess::start`], for a proxy that all tests of a binary share: none of them ends it.
    pub fn start_shared(rules: &Rules) -> Self {
        let proxy = Self::start(Backends::shared(), rules);
        print_log_on_panic(proxy.log.clone());
        proxy
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while !block_on(greets(self.port)) {
            let ended = self.child.exit_status();
            assert!(ended.is_none(), "the proxy ended with {ended:?}:\n{}", self.log_tail());
            assert!(Instant::now() < deadline, "the proxy does not listen:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where tests connect.
    pub fn url(&self) -> Url {
        Url::local(self.port).with_account(USER, PASSWORD)
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it logged.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// All it logged.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.child.signal(signal).unwrap();
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.exit_status().is_some()
    }

    /// Waits for the process's own end.
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let mut status = None;
        poll_until("the proxy ends", limit, || {
            status = self.child.exit_status();
            status.is_some()
        });
        status.unwrap()
    }

    /// Replaces the text of one file of the rules.
    pub fn edit_rules(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let path = self.rules_folder.join(file);
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    }

    /// What the admin port answers to GET: status line and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        http_get(self.admin_port, path)
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- end of the proxy's log ---\n{}", self.log_tail());
        }
    }
}

/// A schema is empty at the start of a test run, also on servers that outlive it.
fn make_schemas(backends: &Backends, rules: &Rules) {
    for url in backends.writable().filter(|url| url.port != 0) {
        let mut client = super::raw::Options::new(url).connect().unwrap();
        for (name, _) in &rules.schemas {
            client.run(&format!("DROP DATABASE IF EXISTS `{name}`"));
            client.run(&format!("CREATE DATABASE `{name}`"));
        }
    }
}

fn tail(log: &Path) -> String {
    last_lines(&String::from_utf8_lossy(&fs::read(log).unwrap_or_default()), LOG_TAIL_LINES)
}

/// When a test fails, what the proxies of this test binary logged last is printed with it.
fn print_log_on_panic(log: PathBuf) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        eprintln!("--- end of the proxy's log ---\n{}", tail(&log));
    }));
}

fn http_get(port: u16, path: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
