//! Session settings on shared connections.

use std::sync::Arc;

use super::server::shared;
use crate::backend::{BackendConn, BackendError, Flavour, Settings, Variables, text};

fn settings(schema: Option<&str>, vars: &[(&str, &str)]) -> Settings {
    let vars = vars.iter().map(|(name, literal)| (Arc::from(*name), Arc::from(*literal))).collect();
    Settings::new(schema.map(Arc::from), Variables::new(vars))
}

/// Runs a query the way that the executor does; the flag says whether it went out in one write with the setup.
async fn run(
    conn: &mut BackendConn,
    want: &Settings,
    is_write: bool,
    sql: &str,
) -> Result<(String, bool), BackendError> {
    let setup = conn.queue_settings(want);
    let pipelined = setup.may_pipeline(is_write);
    if !pipelined {
        conn.flush().await?;
        conn.read_setup().await?;
    }
    let answer = conn.query(sql).await?;
    Ok((answer.rows.first().map(|row| text(row, 0).into_owned()).unwrap_or_default(), pipelined))
}

const SHOW: &str =
    "SELECT CONCAT_WS('|', DATABASE(), @@sql_mode, @@autocommit + 0, @@collation_connection, @@time_zone)";

#[tokio::test]
async fn settings_are_replayed_as_a_difference_and_what_is_gone_goes_back() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let defaults =
        text(&conn.query("SELECT CONCAT_WS('|', @@sql_mode, @@time_zone)").await.unwrap().rows[0], 0).into_owned();
    let (mode, zone) = defaults.rsplit_once('|').unwrap();
    let a = settings(
        Some("mysql"),
        &[
            ("autocommit", "0"),
            ("collation_connection", "utf8mb4_bin"),
            ("sql_mode", "'ANSI_QUOTES'"),
            ("time_zone", "'+02:00'"),
        ],
    );
    let (got, pipelined) = run(&mut conn, &a, false, SHOW).await.unwrap();
    assert_eq!(got, "mysql|ANSI_QUOTES|0|utf8mb4_bin|+02:00");
    assert!(!pipelined, "what was never tried is waited for");
    assert_eq!(conn.queue_settings(&a).steps, 0, "equal settings cost nothing");

    let b = settings(Some("mysql"), &[("autocommit", "1"), ("collation_connection", "utf8mb4_bin")]);
    let (got, _) = run(&mut conn, &b, false, SHOW).await.unwrap();
    assert_eq!(got, format!("mysql|{mode}|1|utf8mb4_bin|{zone}"));

    // Both have been accepted: from now on they go out with the statement.
    for want in [&a, &b, &a] {
        let (_, pipelined) = run(&mut conn, want, true, "DO 1").await.unwrap();
        assert!(pipelined);
    }
}

#[tokio::test]
async fn isolation_goes_by_the_name_that_the_server_knows() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    for name in ["transaction_isolation", "tx_isolation"] {
        let want = settings(None, &[(name, "'SERIALIZABLE'"), ("autocommit", "1")]);
        run(&mut conn, &want, false, "DO 1").await.unwrap();
        conn.query("BEGIN").await.unwrap();
        conn.query("COMMIT").await.unwrap();
        let shown = conn.query("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')").await;
        assert_eq!(text(&shown.unwrap().rows[0], 1), "SERIALIZABLE", "for the session, not for one transaction");
        run(&mut conn, &Settings::none(), false, "DO 1").await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_schema_is_the_servers_error_and_the_connection_goes_on() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let good = settings(Some("mysql"), &[("autocommit", "1")]);
    run(&mut conn, &good, false, "DO 1").await.unwrap();
    let bad = settings(Some("no_such_schema"), &[("autocommit", "0")]);
    let error = run(&mut conn, &bad, true, "DO 1").await.unwrap_err();
    assert!(matches!(&error, BackendError::Server(e) if e.errno == 1049 && e.sqlstate == "42000"), "{error:?}");
    // The SET behind the failed step did succeed, and that is what the connection knows.
    assert_eq!(conn.settings(), settings(Some("mysql"), &[("autocommit", "0")]));
    let (got, _) = run(&mut conn, &good, true, "SELECT CONCAT(DATABASE(), @@autocommit + 0)").await.unwrap();
    assert_eq!(got, "mysql1");
}

#[tokio::test]
async fn a_schema_that_was_dropped_stops_a_write_before_it_runs_elsewhere() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    for sql in ["CREATE OR REPLACE DATABASE gone_a", "CREATE OR REPLACE DATABASE gone_b"] {
        if conn.query(sql).await.is_err() {
            let name = sql.rsplit(' ').next().unwrap();
            conn.query(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
            conn.query(&format!("CREATE DATABASE {name}")).await.unwrap();
        }
    }
    conn.query("CREATE TABLE gone_a.t (a INT)").await.unwrap();
    let in_a = settings(Some("gone_a"), &[]);
    let in_b = settings(Some("gone_b"), &[]);
    run(&mut conn, &in_b, true, "DO 1").await.unwrap();
    run(&mut conn, &in_a, true, "DO 1").await.unwrap();
    let other = &mut pool.checkout(Flavour::OWN).await.unwrap();
    other.query("DROP DATABASE gone_b").await.unwrap();
    let error = run(&mut conn, &in_b, true, "INSERT INTO t VALUES (1)").await.unwrap_err();
    assert!(matches!(&error, BackendError::Server(e) if e.errno == 1049), "{error:?}");
    let count = text(&conn.query("SELECT COUNT(*) FROM gone_a.t").await.unwrap().rows[0], 0).into_owned();
    assert_eq!(count, "0", "the write must not land in the schema of the session before");
    conn.query("DROP DATABASE gone_a").await.unwrap();
}

#[tokio::test]
async fn a_read_pipelined_behind_a_failed_setup_costs_the_connection_and_is_not_answered() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    for sql in ["DROP DATABASE IF EXISTS brief", "CREATE DATABASE brief"] {
        conn.query(sql).await.unwrap();
    }
    let brief = settings(Some("brief"), &[]);
    let mysql = settings(Some("mysql"), &[]);
    run(&mut conn, &brief, false, "DO 1").await.unwrap();
    run(&mut conn, &mysql, false, "DO 1").await.unwrap();
    conn.query("DROP DATABASE brief").await.unwrap();
    let before = conn.thread_id();
    let error = run(&mut conn, &brief, false, "SELECT DATABASE()").await.unwrap_err();
    assert!(matches!(&error, BackendError::Server(e) if e.errno == 1049), "{error:?}");
    assert!(conn.is_mid_response());
    drop(conn);
    assert_ne!(pool.checkout(Flavour::OWN).await.unwrap().thread_id(), before);
}

#[tokio::test]
async fn no_schema_means_no_schema() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let before = conn.thread_id();
    run(&mut conn, &settings(Some("mysql"), &[("autocommit", "0")]), false, "DO 1").await.unwrap();
    drop(conn);
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let want = settings(None, &[("autocommit", "0")]);
    let (got, _) =
        run(&mut conn, &want, false, "SELECT CONCAT(COALESCE(DATABASE(), 'none'), @@autocommit + 0)").await.unwrap();
    assert_eq!(got, "none0");
    assert_eq!(conn.thread_id(), before);
}

#[tokio::test]
async fn a_transaction_is_not_ended_to_leave_a_schema() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    run(&mut conn, &settings(Some("mysql"), &[]), false, "SET @mine = 1").await.unwrap();
    let (got, _) = run(&mut conn, &Settings::none(), false, "SELECT CONCAT(DATABASE(), @mine)").await.unwrap();
    assert_eq!(got, "mysql1");
}

#[tokio::test]
async fn without_autocommit_a_failed_statement_leaves_nothing_behind() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    for sql in [
        "DROP DATABASE IF EXISTS half_done",
        "CREATE DATABASE half_done",
        "CREATE TABLE half_done.t (a INT PRIMARY KEY)",
        "INSERT INTO half_done.t VALUES (1), (2)",
    ] {
        conn.query(sql).await.unwrap();
    }
    let manual = settings(None, &[("autocommit", "0")]);
    // The duplicate is found after the first row was locked.
    let failed = run(&mut conn, &manual, true, "INSERT INTO half_done.t VALUES (3), (1)").await;
    assert!(matches!(failed, Err(BackendError::Server(e)) if e.errno == 1062));
    drop(conn);
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let mut other = pool.checkout(Flavour::OWN).await.unwrap();
    other.query("SET SESSION innodb_lock_wait_timeout = 1").await.unwrap();
    other.query("INSERT INTO half_done.t VALUES (3)").await.expect("the lock outlived its session");
    run(&mut conn, &Settings::none(), false, "DROP DATABASE half_done").await.unwrap();
}

#[tokio::test]
async fn a_dirty_connection_is_reset_when_it_is_given_back() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let want = settings(Some("mysql"), &[("autocommit", "1"), ("sql_mode", "'ANSI_QUOTES'")]);
    run(&mut conn, &want, false, "SELECT GET_LOCK('backend_test', 0)").await.unwrap();
    conn.query("SET @mine = 7").await.unwrap();
    conn.mark_dirty();
    let id = conn.thread_id();
    // Another connection waits for the lock: it is released at once, not when the first one is used again.
    let mut other = pool.checkout(Flavour::OWN).await.unwrap();
    drop(conn);
    let answer = other.query("SELECT GET_LOCK('backend_test', 5)").await.unwrap();
    assert_eq!(text(&answer.rows[0], 0), "1");

    let mut again = pool.checkout(Flavour::OWN).await.unwrap();
    assert_eq!(again.thread_id(), id, "the connection is kept");
    let show = "SELECT CONCAT_WS('|', @mine, @@sql_mode, DATABASE())";
    let (got, pipelined) = run(&mut again, &want, true, show).await.unwrap();
    assert_eq!((got.as_str(), pipelined), ("ANSI_QUOTES|mysql", true));
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    conn.query("DROP DATABASE IF EXISTS left_open").await.unwrap();
    conn.query("CREATE DATABASE left_open").await.unwrap();
    conn.query("CREATE TABLE left_open.t (a INT PRIMARY KEY)").await.unwrap();
    conn.query("BEGIN").await.unwrap();
    conn.query("INSERT INTO left_open.t VALUES (1)").await.unwrap();
    drop(conn);
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    // The row's lock is gone too.
    conn.query("INSERT INTO left_open.t VALUES (1)").await.unwrap();
    conn.query("DROP DATABASE left_open").await.unwrap();
}
