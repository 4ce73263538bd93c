//! Statements: prepared ones, and answers that are streamed.

use super::server::shared;
use crate::backend::{BackendConn, Flavour, Prepared, Settings, StatementText, Variables};
use crate::protocol::result_scan::Stop;
use crate::protocol::{PrepareOk, ResponseKind, ResultScanner};

async fn prepare(conn: &mut BackendConn, sql: &str) -> Prepared {
    let text = StatementText::new(sql.as_bytes());
    if let Some(found) = conn.prepared(&text) {
        return found;
    }
    conn.queue_prepare(sql.as_bytes());
    conn.flush().await.unwrap();
    let ok = PrepareOk::parse(&conn.stream().read_packet().await.unwrap()).unwrap();
    for _ in 0..ok.params + ok.columns {
        conn.stream().read_packet().await.unwrap();
    }
    conn.response_done(None);
    let prepared = Prepared { id: ok.statement_id, params: ok.params, columns: ok.columns };
    conn.remember(&text, prepared);
    prepared
}

async fn server_count(conn: &mut BackendConn) -> String {
    let answer = conn.query("SHOW STATUS LIKE 'Com_stmt_close'").await.unwrap();
    crate::backend::text(&answer.rows[0], 1).into_owned()
}

#[tokio::test]
async fn prepared_statements_are_kept_by_text_and_the_oldest_is_closed() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let first = prepare(&mut conn, "SELECT 1, ?").await;
    assert_eq!((first.params, first.columns), (1, 2));
    for sql in ["SELECT 2", "SELECT 3"] {
        prepare(&mut conn, sql).await;
    }
    assert_eq!(prepare(&mut conn, "SELECT 1, ?").await, first);
    assert_eq!(server_count(&mut conn).await, "0");
    prepare(&mut conn, "SELECT 4").await;
    assert_eq!(conn.statement_count(), 3);
    assert_eq!(server_count(&mut conn).await, "1");
    assert_eq!(prepare(&mut conn, "SELECT 1, ?").await, first, "it was used after SELECT 2");
    conn.mark_dirty();
    drop(conn);
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let _ = conn.queue_settings(&Settings::none());
    assert_eq!(conn.statement_count(), 0, "a reset forgets statements, as the server does");
    conn.query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_statement_belongs_to_its_schema_and_variables() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    let statement = prepare(&mut conn, "SELECT 1").await;
    let text = StatementText::new(&b"SELECT 1"[..]);
    let elsewhere = Settings::new(Some("mysql".into()), Variables::none());
    assert_eq!(conn.queue_settings(&elsewhere).steps, 1);
    conn.read_setup().await.unwrap();
    assert_eq!(conn.prepared(&text), None);
    let quotes = elsewhere.with_var("sql_mode", Some("'ANSI_QUOTES'"));
    let statement_there = prepare(&mut conn, "SELECT 1").await;
    assert_ne!(statement_there, statement);
    assert_eq!(conn.queue_settings(&quotes).steps, 1);
    conn.read_setup().await.unwrap();
    assert_eq!(conn.prepared(&text), None);
    assert_eq!(conn.queue_settings(&elsewhere.with_var("autocommit", Some("1"))).steps, 1);
    conn.read_setup().await.unwrap();
    assert_eq!(conn.prepared(&text), Some(statement_there));
}

#[tokio::test]
async fn a_large_answer_is_streamed_in_flat_memory() {
    let pool = shared().pool();
    let mut conn = pool.checkout(Flavour::OWN).await.unwrap();
    conn.query("SET SESSION max_statement_time = 0").await.ok();
    // 128 MiB in 2 MiB rows: a cross join that the server makes as it sends.
    conn.queue_query(b"SELECT REPEAT('x', 2097152) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) a, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) b, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) c");
    conn.flush().await.unwrap();
    let mut scanner = ResultScanner::new(ResponseKind::Results, true);
    let (mut total, mut largest) = (0_usize, 0);
    loop {
        let scan = scanner.scan(conn.stream().buffer()).unwrap();
        total += scan.consumed;
        drop(conn.stream().buffer().split_to(scan.consumed));
        largest = largest.max(conn.stream().buffer().capacity());
        match scan.stop {
            Stop::Done(_) => break,
            _ => _ = conn.stream().fill().await.unwrap(),
        }
    }
    let status = scanner.outcome().status;
    conn.response_done(Some(status));
    assert!(total > 64 * 2097152, "{total}");
    assert!(largest < 1 << 20, "the buffer grew to {largest} bytes");
    conn.query("SELECT 1").await.unwrap();
}
