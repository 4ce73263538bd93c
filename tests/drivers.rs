//! Real clients in other languages, each first against a plain server and then through the proxy.
//!
//! They need more than cargo brings, so they are ignored by default: `make test` runs those in Python and the
//! command line client, `make test-drivers` the others. With `SHARDLOOM_TEST_SELF_CHECK=1` only the plain server
//! is used, which shows whether the expectations are those of a real server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use support::backends::{Backends, Url};
use support::proxy::{ProxyProcess, Rules};

/// The tables that all the driver programs use.
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items_{0..1}
        strategy: {columns: [id], algorithm: by_id}
      tickets:
        data_nodes: g{0..1}.tickets
        strategy: {columns: [id], algorithm: by_id}
        key_generator: {column: id, generator: snowflake}
    algorithms:
      by_id: {type: mod}
    key_generators:
      snowflake: {type: snowflake, worker_id: 1}
";

/// One schema per driver, so that none meets the tables of another.
const SCHEMAS: [&str; 7] =
    ["drv_pymysql", "drv_connector", "drv_cli", "drv_mysql2", "drv_connector_j", "drv_mariadb_j", "drv_go"];

static PROXY: LazyLock<ProxyProcess> = LazyLock::new(|| {
    let rules = SCHEMAS.iter().fold(Rules::default(), |rules, name| rules.and_schema(name, SCHEMA_RULES));
    ProxyProcess::start_shared(&rules)
});

fn is_self_check() -> bool {
    std::env::var_os("SHARDLOOM_TEST_SELF_CHECK").is_some()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program against the plain server, then through the proxy; it must end well on both, with the same output.
fn check<A: AsRef<OsStr>>(schema: &str, program: impl AsRef<OsStr>, arguments: &[A]) {
    let run = |side: &str, url: &Url| {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(root());
        command.env("DB_HOST", &url.host).env("DB_PORT", url.port.to_string()).env("DB_SCHEMA", schema);
        command.env("DB_USER", &url.user).env("DB_PASSWORD", &url.password);
        let output = command.stdin(Stdio::null()).output();
        succeeded(side, &program.as_ref().to_string_lossy(), output.unwrap_or_else(|error| panic!("{error}")))
    };
    let plain = &Backends::shared().plain;
    make_schema(plain, schema);
    let want = run("the plain server", plain);
    assert!(want.contains("ok "), "the program said nothing: {want}");
    if !is_self_check() {
        assert_eq!(run("the proxy", &PROXY.url()), want);
    }
}

fn make_schema(plain: &Url, schema: &str) {
    support::raw::Options::new(plain).connect().unwrap().run(&format!("CREATE DATABASE IF NOT EXISTS {schema}"));
}

fn succeeded(side: &str, program: &str, output: Output) -> String {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let ended = output.status;
    assert!(ended.success(), "{program} against {side} ended with {ended}\n{said}\n{complained}");
    said.into_owned()
}

fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

#[test]
#[ignore = "needs the Python drivers: make test"]
fn python_pymysql() {
    check("drv_pymysql", python(), &["tests/drivers/python/pymysql_check.py"]);
}

#[test]
#[ignore = "needs the Python drivers: make test"]
fn python_mysql_connector() {
    check("drv_connector", python(), &["tests/drivers/python/connector_check.py"]);
}

#[test]
#[ignore = "needs Node: make test-drivers"]
fn node_mysql2() {
    check("drv_mysql2", "node", &["tests/drivers/node/check.js"]);
}

const JAVA_CLASSES: &str = "tests/drivers/java/target/classes:tests/drivers/java/target/lib/*";

#[test]
#[ignore = "needs a JDK and Maven: make test-drivers"]
fn java_mysql_connector() {
    check("drv_connector_j", "java", &["-cp", JAVA_CLASSES, "Check", "mysql"]);
}

#[test]
#[ignore = "needs a JDK and Maven: make test-drivers"]
fn java_mariadb_connector() {
    check("drv_mariadb_j", "java", &["-cp", JAVA_CLASSES, "Check", "mariadb"]);
}

#[test]
#[ignore = "needs Go: make test-drivers"]
fn go_sql_driver() {
    check("drv_go", root().join("target/drivers/go-driver"), &[] as &[&str]);
}

/// What a person types; `rehash` fetches the names for completion, `status` asks about the connection.
const CLI_SCRIPT: &str = r"
DROP TABLE IF EXISTS items;
CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, price DECIMAL(10,2) NOT NULL);
INSERT INTO items VALUES (1, 'one', 1.10), (2, 'zwei', -2.20), (3, 'troïs', 3.30), (4, 'four', 0);
rehash
SHOW TABLES;
DESCRIBE items;
SELECT * FROM items ORDER BY id;
SELECT COUNT(*), SUM(price) FROM items;
SELECT * FROM items WHERE id = 3\G
SELECT NULL, 'tab	in text', 1.50;
UPDATE items SET name = 'changed' WHERE id = 2;
BEGIN;
DELETE FROM items WHERE id = 1;
ROLLBACK;
SELECT name FROM items ORDER BY name DESC LIMIT 2;
SELECT * FROM nosuch;
SELEKT 1;
INSERT INTO items VALUES (1, 'again', 0);
SELECT 'after errors';
USE nosuchschema
DELIMITER //
SELECT 1; SELECT 2//
DELIMITER ;
SHOW WARNINGS;
DROP TABLE items;
SHOW TABLES;
";

#[test]
#[ignore = "needs the mariadb or mysql client: make test"]
fn command_line_client() {
    let plain = &Backends::shared().plain;
    make_schema(plain, "drv_cli");
    for options in [&["--batch"][..], &["--table", "--comments", "--show-warnings"], &["--quick", "--xml"]] {
        let want = command_line(plain, options);
        assert!(want.contains("after errors"), "{want}");
        if !is_self_check() {
            assert_eq!(command_line(&PROXY.url(), options), want, "{options:?}");
        }
    }
}

/// Output and error output of the client, which goes on after errors.
fn command_line(url: &Url, options: &[&str]) -> String {
    let program =
        ["mariadb", "mysql"].into_iter().find(|name| shardloom::playground::binary::find_program(name, &[]).is_some());
    let program = program.expect("neither mariadb nor mysql is installed");
    let mut command = Command::new(program);
    let port = url.port.to_string();
    // No file of options, and TCP: a client that is told `localhost` takes a Unix socket.
    command.args(["--no-defaults", "--protocol=tcp", "--force", "--unbuffered", "--auto-rehash"]);
    command.args(["-h", &url.host, "-P", &port, "-u", &url.user, "--default-character-set=utf8mb4"]);
    command.arg(format!("--password={}", url.password)).args(options).arg("drv_cli");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(CLI_SCRIPT.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let texts = [output.stdout, b"--- errors ---\n".to_vec(), output.stderr].concat();
    String::from_utf8_lossy(&texts).into_owned()
}
