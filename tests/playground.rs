//! The `playground` command as a new user meets it, and the rules of the composed cluster.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shardloom::playground::port::free_port;
use support::backends::{Url, base_folder};
use support::poll_until;
use support::raw::Options;
use support::raw::response::Response;

/// A playground that is killed should a test fail.
struct Playground {
    child: Child,
    port: u16,
}

impl Playground {
    fn spawn(port: u16, admin_port: u16, temporary: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardloom"));
        command.arg("playground").arg(format!("--port={port}")).arg(format!("--admin-port={admin_port}"));
        if let Some(server) = std::env::var_os("SHARDLOOM_TEST_MYSQLD") {
            command.arg("--server").arg(server);
        }
        // Not the project's folder: the built-in rules must do.
        command.current_dir(temporary).env("TMPDIR", temporary);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), port }
    }

    /// What it prints until it is ready.
    fn welcome(&mut self) -> String {
        let output = BufReader::new(self.child.stdout.take().unwrap());
        let mut text = String::new();
        for line in output.lines() {
            let line = line.unwrap();
            text.push_str(&line);
            text.push('\n');
            if line.contains("Ctrl-C") {
                return text;
            }
        }
        panic!("{text}\n{}", self.complaint());
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn interrupt(&self) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::INT).unwrap();
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder for temporary files of one test, visible to the servers.
fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in(base_folder()).unwrap()
}

#[test]
fn from_the_welcome_to_the_end() {
    let folder = temporary();
    let mut playground = Playground::spawn(free_port().unwrap(), free_port().unwrap(), folder.path());
    let welcome = playground.welcome();
    assert!(welcome.contains(&format!("-P {} -u app -pplayground shop", playground.port)), "{welcome}");

    // The three statements to try are there, and work.
    let url = Url::local(playground.port).with_account("app", "playground");
    let mut client = Options::new(&url).schema("shop").connect().unwrap();
    let statements: Vec<&str> = welcome
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("SELECT") || line.starts_with("EXPLAIN"))
        .collect();
    assert_eq!(statements.len(), 3, "{welcome}");
    for statement in statements {
        let rows = client.rows(statement.trim_end_matches(';')).rows;
        assert!(!rows.is_empty(), "{statement}");
    }
    // The shop's books agree, over all shards.
    let orders = client.rows("SELECT COUNT(*), SUM(total) FROM orders").text();
    let items = client.rows("SELECT SUM(quantity * price) FROM order_items").text();
    assert_eq!(orders[0][0].as_deref(), Some("3000"));
    assert_eq!(orders[0][1], items[0][0]);

    // Somebody else's start on the same port says so.
    let mut second = Playground::spawn(playground.port, free_port().unwrap(), folder.path());
    let status = second.child.wait().unwrap();
    let complaint = second.complaint();
    assert!(!status.success() && complaint.contains("taken") && complaint.contains("--port"), "{complaint}");

    playground.interrupt();
    let status = playground.child.wait().unwrap();
    assert!(status.success(), "{status}: {}", playground.complaint());
    assert!(leftovers(folder.path()).is_empty(), "{:?}", leftovers(folder.path()));
}

#[test]
fn a_start_after_a_crash_sweeps_what_was_left() {
    let folder = temporary();
    let mut crashed = Playground::spawn(free_port().unwrap(), free_port().unwrap(), folder.path());
    crashed.welcome();
    crashed.child.kill().unwrap();
    crashed.child.wait().unwrap();
    let servers_of = |folder: &Path| {
        let needle = format!("={}/", folder.display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&needle)).count()
    };
    poll_until("the servers ended with their owner", Duration::from_secs(10), || servers_of(folder.path()) == 0);

    let mut next = Playground::spawn(free_port().unwrap(), free_port().unwrap(), folder.path());
    next.welcome();
    let url = Url::local(next.port).with_account("app", "playground");
    let mut client = Options::new(&url).schema("shop").connect().unwrap();
    assert!(matches!(client.query("SELECT * FROM users WHERE id = 7"), Response::Rows(rows) if rows.rows.len() == 1));
    assert_eq!(leftovers(folder.path()).len(), 1, "only the running one's folder is there");
}

/// Folders of runs that are still there.
fn leftovers(folder: &Path) -> Vec<String> {
    let base = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("shardloom-"));
    let runs = fs::read_dir(base.unwrap().path()).unwrap().flatten();
    runs.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.starts_with("run-")).collect()
}

#[test]
fn no_server_and_no_rules_are_said_clearly() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardloom"));
        let port = format!("--port={}", free_port().unwrap());
        let admin = format!("--admin-port={}", free_port().unwrap());
        let output = command.arg("playground").args([port, admin]).args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = run(&["--server", "/nonexistent/mysqld"]);
    assert!(text.contains("/nonexistent/mysqld is not a MySQL or MariaDB server"), "{text}");
    let text = run(&["--rules", "/nonexistent/rules"]);
    assert!(text.contains("no rules folder at /nonexistent/rules"), "{text}");
}

#[test]
fn rules_of_the_composed_cluster_and_of_the_benches_are_right() {
    for folder in ["docker/rules", "benches/e2e/rules"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardloom"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("check").arg(format!("--rules={folder}"));
        command.env("SHARDLOOM_APP_PASSWORD", "a").env("SHARDLOOM_BACKEND_PASSWORD", "b");
        command.env("SHARDLOOM_LISTEN", "127.0.0.1:3307").env("SHARDLOOM_ADMIN", "127.0.0.1:8307");
        for (group, port) in [("G0", 3311), ("G1", 3321)] {
            command.env(format!("SHARDLOOM_{group}_PRIMARY"), format!("mysql://x:y@127.0.0.1:{port}"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
