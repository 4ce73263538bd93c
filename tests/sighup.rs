//! SIGHUP reloads the rules. In a process of its own, since a signal reaches every watcher of a process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use shardloom::config::watch::Watcher;
use shardloom::config::{Password, Secret};

const RULES: &str = "\
users: [{name: app, password: ${file:secret}}]
groups: {g0: {primary: {url: mysql://app@h0}}}
schemas: {shop: {default_group: g0}}
";

#[tokio::test]
async fn sighup_reads_secrets_outside_of_the_rules_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    std::fs::write(folder.path().join("secret"), "one").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let watcher = Watcher::start(folder.path(), move |rules| {
        sink.lock().unwrap().push(rules.user("app").unwrap().password.clone());
    });
    std::fs::write(folder.path().join("secret"), "two").unwrap();
    // Not by the `kill` program, which a bare machine lacks.
    kill_process(getpid(), Signal::HUP).unwrap();
    let mut status = watcher.status();
    let applied = tokio::time::timeout(Duration::from_secs(20), status.wait_for(|status| status.applied > 0)).await;
    applied.expect("no reload in time").unwrap();
    assert_eq!(*seen.lock().unwrap(), [Password::Plain(Secret::new("two"))]);
}
