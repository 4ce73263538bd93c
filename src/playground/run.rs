//! The playground from start to end: servers, proxy, sample data, a line to connect with, and a clean end.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::signal::unix::{SignalKind, signal};

use super::binary::{ServerBinary, find_program};
use super::built_in_rules;
use super::cluster::{ClusterSpec, LocalCluster};
use super::error::PlaygroundError;
use super::folder;
use super::local_server::connect;
use super::options::Options;
use super::port;
use super::proxy_child::{PASSWORD, ProxyChild, USER};
use super::shop;

/// How often a running playground looks whether its proxy still lives.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// From this version on MariaDB's client insists on TLS unless told otherwise.
const CLIENT_INSISTS_ON_TLS: (u32, u32) = (11, 4);

/// Runs the playground until Ctrl-C; what is wrong goes to the error output.
pub fn main(options: Options, log_filter: &str, log_json: bool) -> ExitCode {
    let mut log_arguments = vec![format!("--log={log_filter}")];
    log_arguments.extend(log_json.then(|| "--log-json".to_owned()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_interrupted(&options, &log_arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever is running when the user stops it is dropped here, and with it all servers and folders.
async fn until_interrupted(options: &Options, log_arguments: &[String]) -> Result<(), PlaygroundError> {
    let listen = |kind| signal(kind).map_err(PlaygroundError::io("cannot listen for signals"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        result = run(options, log_arguments) => return result,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    eprintln!("\nplayground: all servers stopped, their folder removed");
    Ok(())
}

async fn run(options: &Options, log_arguments: &[String]) -> Result<(), PlaygroundError> {
    check(options)?;
    let binary = match &options.server {
        Some(path) => ServerBinary::at(path)?,
        None => ServerBinary::find()?,
    };
    eprintln!("playground: starting 2 groups, each a primary and a replica, of {}", binary.version);
    let cluster = LocalCluster::start(&binary, &folder::base()?, "playground", &ClusterSpec::default()).await?;
    make_physical_schemas(&cluster).await?;
    let rules = built_in_rules::choose(options, cluster.folder())?;
    let mut proxy = ProxyChild::start(options, &rules, &cluster, log_arguments).await?;
    if !options.no_shop {
        eprintln!("playground: filling the schema {} through the proxy", shop::SCHEMA);
        fill_shop(options.port).await?;
        // A client that did not write the rows may be answered by a replica.
        cluster.wait_for_replicas().await?;
    }
    print_welcome(options, &rules, &cluster, proxy.log());
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        if let Some(error) = proxy.ended() {
            return Err(error);
        }
    }
}

/// What can be known to fail before anything is started.
fn check(options: &Options) -> Result<(), PlaygroundError> {
    if let Some(path) = options.rules.as_ref().filter(|path| !path.is_dir()) {
        return Err(PlaygroundError::NoRules { path: path.clone() });
    }
    let ports = [(options.port, "for MySQL clients", "--port"), (options.admin_port, "for metrics", "--admin-port")];
    match ports.into_iter().find(|(port, ..)| !port::is_free(*port)) {
        Some((port, what, flag)) => Err(PlaygroundError::PortTaken { port, what, flag }),
        None => Ok(()),
    }
}

/// The schemas behind the logical one; replicas get theirs by replication.
async fn make_physical_schemas(cluster: &LocalCluster) -> Result<(), PlaygroundError> {
    let statement = format!("CREATE DATABASE IF NOT EXISTS {}", shop::SCHEMA);
    for group in &cluster.groups {
        group.primary.run(&[&statement]).await?;
    }
    Ok(())
}

async fn fill_shop(port: u16) -> Result<(), PlaygroundError> {
    let mut conn = connect(port, USER, PASSWORD).await.map_err(PlaygroundError::sql("log in to the proxy"))?;
    let change = format!("USE {}", shop::SCHEMA);
    conn.query_drop(&change).await.map_err(PlaygroundError::sql(change))?;
    shop::fill(&mut conn).await?;
    conn.disconnect().await.map_err(PlaygroundError::sql("log out from the proxy"))
}

fn print_welcome(options: &Options, rules: &Path, cluster: &LocalCluster, log: &Path) {
    let servers = cluster.groups.iter().enumerate().map(|(number, group)| {
        let replicas: Vec<String> = group.replicas.iter().map(|replica| replica.port().to_string()).collect();
        format!("g{number} primary {} replica {}", group.primary.port(), replicas.join(", "))
    });
    println!(
        "
The shop is open. Connect with

    {}

and try

    SELECT * FROM orders WHERE user_id = 7;
    SELECT status, COUNT(*), SUM(total) FROM orders GROUP BY status ORDER BY status;
    EXPLAIN ROUTE SELECT o.order_id, i.product FROM orders o JOIN order_items i USING (order_id, user_id) WHERE o.user_id = 7;

Servers behind it, on 127.0.0.1: {}
Metrics: http://127.0.0.1:{}/metrics   Rules: {}   Log: {}
Ctrl-C stops everything and removes it.",
        connect_line(options.port),
        servers.collect::<Vec<_>>().join("; "),
        options.admin_port,
        rules.display(),
        log.display(),
    );
}

/// The line to connect with, for the client that is installed.
fn connect_line(port: u16) -> String {
    let installed = ["mariadb", "mysql"].into_iter().find(|name| find_program(name, &[]).is_some());
    let client = installed.unwrap_or("mariadb");
    let plain = if insists_on_tls(client) { " --skip-ssl" } else { "" };
    format!("{client}{plain} -h 127.0.0.1 -P {port} -u {USER} -p{PASSWORD} {}", shop::SCHEMA)
}

fn insists_on_tls(client: &str) -> bool {
    let output = Command::new(client).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    mariadb_version(&text).is_some_and(|version| version >= CLIENT_INSISTS_ON_TLS)
}

/// Major and minor version of MariaDB in what its client prints of itself.
fn mariadb_version(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().find(|word| word.contains("-MariaDB"))?;
    let mut parts = word.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_s_version_is_read_in_both_its_forms() {
        let old = "mariadb  Ver 15.1 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64) using  EditLine wrapper";
        assert_eq!(mariadb_version(old), Some((10, 11)));
        let new = "mariadb from 11.8.2-MariaDB, client 15.2 for debian-linux-gnu (x86_64) using  EditLine wrapper";
        assert_eq!(mariadb_version(new), Some((11, 8)));
        assert_eq!(mariadb_version("mysql  Ver 8.4.6 for Linux on x86_64 (MySQL Community Server - GPL)"), None);
    }
}
