//! Clauses found in texts.

use super::*;

/// Each clause as `Kind: keyword | item | item`.
fn clauses(sql: &str) -> Vec<String> {
    let text = |range: &Range<usize>| sql[range.clone()].to_owned();
    locate(sql.as_bytes(), LexMode::default())
        .list
        .iter()
        .map(|clause| {
            let items: Vec<_> = clause.items.iter().map(text).collect();
            format!("{:?}: {} | {}", clause.kind, text(&clause.keyword), items.join(" | "))
        })
        .collect()
}

#[test]
fn a_select_with_everything() {
    let sql = "SELECT DISTINCT SQL_NO_CACHE a, f(b, c) AS `from`, t.from FROM t FORCE INDEX FOR ORDER BY (i) JOIN u \
        USING (x), v WHERE a = (SELECT 1 FROM z ORDER BY 1) AND EXTRACT(DAY FROM d) = 1 GROUP BY a, b + 1 WITH ROLLUP \
        HAVING COUNT(*) > 1 WINDOW w AS (ORDER BY a) ORDER BY a DESC, 2 LIMIT 5 FOR UPDATE SKIP LOCKED -- end";
    assert_eq!(
        clauses(sql),
        [
            "Select: SELECT DISTINCT SQL_NO_CACHE | a | f(b, c) AS `from` | t.from",
            "From: FROM | t FORCE INDEX FOR ORDER BY (i) JOIN u USING (x) | v",
            "Where: WHERE | a = (SELECT 1 FROM z ORDER BY 1) AND EXTRACT(DAY FROM d) = 1",
            "GroupBy: GROUP BY | a | b + 1",
            "Rollup: WITH ROLLUP | ",
            "Having: HAVING | COUNT(*) > 1",
            "Window: WINDOW | w AS (ORDER BY a)",
            "OrderBy: ORDER BY | a DESC | 2",
            "Limit: LIMIT | 5",
            "Lock: FOR UPDATE | SKIP LOCKED",
        ]
    );
    let found = locate(sql.as_bytes(), LexMode::default());
    assert_eq!(&sql[found.end..], " -- end");
    assert!(!found.is_set_operation());
}

#[test]
fn queries_with_other_parts() {
    assert_eq!(
        clauses("SELECT a INTO @x, @y FROM t LOCK IN SHARE MODE"),
        ["Select: SELECT | a", "Into: INTO | @x | @y", "From: FROM | t", "Lock: LOCK IN SHARE MODE | ",]
    );
    assert_eq!(
        clauses("SELECT 1 UNION ALL SELECT a FROM t ORDER BY 1 LIMIT 2"),
        [
            "Select: SELECT | 1",
            "SetOperator: UNION ALL | ",
            "Select: SELECT | a",
            "From: FROM | t",
            "OrderBy: ORDER BY | 1",
            "Limit: LIMIT | 2",
        ]
    );
    assert_eq!(
        clauses("WITH c (n) AS (SELECT 1), d AS (SELECT 2) SELECT * FROM c"),
        ["With: WITH | c (n) AS (SELECT 1) | d AS (SELECT 2)", "Select: SELECT | *", "From: FROM | c",]
    );
    assert_eq!(clauses("(SELECT 1) LIMIT 1"), ["Other:  | (SELECT 1)", "Limit: LIMIT | 1"]);
    assert_eq!(clauses("TABLE t ORDER BY a"), ["From: TABLE | t", "OrderBy: ORDER BY | a"]);
    assert_eq!(
        clauses("VALUES ROW(1, 2), ROW(3, 4) LIMIT 1"),
        ["Values: VALUES | ROW(1, 2) | ROW(3, 4)", "Limit: LIMIT | 1"]
    );
    assert_eq!(clauses(""), [""; 0]);
}

#[test]
fn writes() {
    assert_eq!(
        clauses(
            "INSERT IGNORE INTO t PARTITION (p) (a, `b`) VALUES (1, f(2, 3)), (4, 5) AS n (x, y) ON DUPLICATE KEY UPDATE a = VALUES(a), b = 1"
        ),
        [
            "Target: INSERT IGNORE INTO | t PARTITION (p)",
            "Columns:  | a | `b`",
            "Values: VALUES | (1, f(2, 3)) | (4, 5)",
            "RowAlias: AS | n (x, y)",
            "OnDuplicate: ON DUPLICATE KEY UPDATE | a = VALUES(a) | b = 1",
        ]
    );
    assert_eq!(clauses("INSERT t () VALUES ()"), ["Target: INSERT | t", "Columns:  | ", "Values: VALUES | ()"]);
    assert_eq!(clauses("REPLACE INTO t SET a = 1, b = 2"), ["Target: REPLACE INTO | t", "Set: SET | a = 1 | b = 2"]);
    assert_eq!(
        clauses("INSERT INTO t (a) SELECT b FROM u WHERE c RETURNING id"),
        [
            "Target: INSERT INTO | t",
            "Columns:  | a",
            "Select: SELECT | b",
            "From: FROM | u",
            "Where: WHERE | c",
            "Returning: RETURNING | id",
        ]
    );
    assert_eq!(clauses("INSERT INTO t (SELECT 1)"), ["Target: INSERT INTO | t (SELECT 1)"]);
    assert_eq!(
        clauses("UPDATE LOW_PRIORITY t, (SELECT 1) u SET a = 1, b = (SELECT 2) WHERE c ORDER BY d LIMIT 1"),
        [
            "Target: UPDATE LOW_PRIORITY | t | (SELECT 1) u",
            "Set: SET | a = 1 | b = (SELECT 2)",
            "Where: WHERE | c",
            "OrderBy: ORDER BY | d",
            "Limit: LIMIT | 1",
        ]
    );
    assert_eq!(clauses("DELETE QUICK FROM t WHERE a"), ["From: DELETE QUICK FROM | t", "Where: WHERE | a"]);
    assert_eq!(
        clauses("DELETE a, b FROM a JOIN b USING (c)"),
        ["Target: DELETE | a | b", "From: FROM | a JOIN b USING (c)"]
    );
    assert_eq!(
        clauses("DELETE FROM a USING a JOIN b USING (c)"),
        ["From: DELETE FROM | a", "Using: USING | a JOIN b USING (c)"]
    );
}

#[test]
fn the_parts_of_limit() {
    let limit = |sql: &str| {
        let found = locate(sql.as_bytes(), LexMode::default()).limit(sql.as_bytes(), LexMode::default()).unwrap();
        (sql[found.count].to_owned(), found.offset.map(|range| sql[range].to_owned()), sql[found.whole].to_owned())
    };
    assert_eq!(limit("SELECT 1 LIMIT 5"), ("5".into(), None, "LIMIT 5".into()));
    assert_eq!(limit("SELECT 1 LIMIT 3, 5"), ("5".into(), Some("3".into()), "LIMIT 3, 5".into()));
    assert_eq!(
        limit("SELECT 1 LIMIT ? OFFSET 7 FOR UPDATE"),
        ("?".into(), Some("7".into()), "LIMIT ? OFFSET 7".into())
    );
}
