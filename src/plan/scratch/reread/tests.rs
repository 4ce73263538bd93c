use super::*;

const TABLES: &[&str] = &["shardloom_scratch_0", "shardloom_scratch_1"];

fn again(sql: &str) -> Reread {
    let sql = sql.replace("T0", "`shardloom_scratch_0`").replace("T1", "`shardloom_scratch_1`");
    reread(sql.as_bytes(), LexMode::default(), TABLES, false).unwrap().unwrap()
}

/// In the short form of the tests.
fn text(written: &Written) -> String {
    let sql = String::from_utf8(written.sql.clone()).unwrap();
    sql.replace("shardloom_scratch_", "T").replace("shardloom_with_", "W").replace('`', "")
}

fn copies(copies: &[TableCopy]) -> Vec<String> {
    copies.iter().map(|copy| copy.name.replace("shardloom_scratch_", "T").replace("shardloom_with_", "W")).collect()
}

#[test]
fn a_name_that_is_read_once_needs_nothing() {
    for sql in [
        "SELECT 1",
        "WITH c AS (SELECT a FROM `shardloom_scratch_0`) SELECT * FROM c",
        // it opens no table
        "WITH c AS (SELECT 1 AS a) SELECT * FROM c AS x, c AS y, `shardloom_scratch_0` AS t",
        // another name of the same spelling
        "WITH c AS (SELECT a FROM `shardloom_scratch_0`) SELECT * FROM c WHERE a IN (WITH c AS (SELECT 1) SELECT * FROM c)",
        "WITH RECURSIVE c AS (SELECT a FROM `shardloom_scratch_0` UNION ALL SELECT a + 1 FROM c WHERE a < 9) SELECT * FROM c",
    ] {
        assert_eq!(reread(sql.as_bytes(), LexMode::default(), TABLES, false), Ok(None), "{sql}");
    }
}

#[test]
fn a_query_that_is_merged_is_written_once_more() {
    let again = again("WITH c (x) AS (SELECT a FROM T0 AS t WHERE a > ?) SELECT ? FROM c JOIN c AS d ON c.x = d.x");
    // it is written from its end, so the last place has the name
    let expected = "WITH c (x) AS (SELECT a FROM T0_1 AS t WHERE a > ?), \
                    W0_copy_1 (x) AS (SELECT a FROM T0 AS t WHERE a > ?) \
                    SELECT ? FROM W0_copy_1 AS c JOIN c AS d ON c.x = d.x";
    assert_eq!(text(&again.statement), expected);
    assert_eq!(again.statement.params, [0, 0, 1]);
    assert_eq!(copies(&again.copies), ["T0_1"]);
    assert!(again.first.is_empty());
}

#[test]
fn a_query_that_is_evaluated_once_comes_first() {
    let again = again(
        "WITH c AS (SELECT a, SUM(b) AS s FROM T0 AS t GROUP BY a) SELECT * FROM c WHERE s = (SELECT MAX(s) FROM c)",
    );
    assert_eq!(text(&again.statement), " SELECT * FROM W0_1 AS c WHERE s = (SELECT MAX(s) FROM W0 AS c)");
    let [first] = &*again.first else { panic!() };
    assert_eq!(&*first.table, "shardloom_with_0");
    assert_eq!(text(&first.query), "WITH c AS (SELECT a, SUM(b) AS s FROM T0 AS t GROUP BY a) SELECT * FROM c");
    assert_eq!(copies(&first.copies), ["W0_1"]);
    assert!(again.copies.is_empty());
}

#[test]
fn an_item_keeps_the_name_that_its_text_gives_it() {
    let again = again(
        "WITH c AS (SELECT DISTINCT a FROM T0 AS t) SELECT (SELECT MAX(a) FROM c), (SELECT 1), (SELECT 2 FROM c) AS two FROM c",
    );
    let expected = " SELECT (SELECT MAX(a) FROM W0_2 AS c) AS (SELECT MAX(a) FROM c), (SELECT 1), \
                    (SELECT 2 FROM W0_1 AS c) AS two FROM W0 AS c";
    assert_eq!(text(&again.statement), expected);
}

#[test]
fn a_value_by_chance_is_the_same_in_all_places() {
    let again = again("WITH c AS (SELECT a, RAND() AS r FROM T0 AS t) SELECT * FROM c JOIN c AS d ON c.a = d.a");
    assert_eq!(again.first.len(), 1);
    let inside =
        "SELECT (WITH c AS (SELECT RAND() AS r FROM `shardloom_scratch_1`) SELECT COUNT(*) FROM c JOIN c AS d)";
    assert!(reread(inside.as_bytes(), LexMode::default(), TABLES, false).is_err());
}

#[test]
fn names_that_read_names_multiply() {
    let sql = "WITH a AS (SELECT x FROM T0 AS t), b AS (SELECT l.x FROM a AS l JOIN a AS r ON l.x = r.x) \
               SELECT * FROM b AS l JOIN b AS r ON l.x = r.x";
    let again = again(sql);
    let text = text(&again.statement);
    assert_eq!(copies(&again.copies), ["T0_1", "T0_2", "T0_3"]);
    for table in ["T0 ", "T0_1 ", "T0_2 ", "T0_3 "] {
        assert_eq!(text.matches(table).count(), 1, "{text}");
    }
    assert_eq!(text.matches(" AS (").count(), 6, "{text}");
}

#[test]
fn a_recursive_query_is_evaluated_with_what_it_reads() {
    let sql = "WITH RECURSIVE s AS (SELECT x FROM T0 AS t), c AS (SELECT x FROM s UNION ALL SELECT c.x + 1 FROM c JOIN s ON c.x = s.x) \
               SELECT * FROM c AS l JOIN c AS r ON l.x = r.x";
    let again = again(sql);
    let [first] = &*again.first else { panic!() };
    let query = text(&first.query);
    assert!(query.starts_with("WITH RECURSIVE "), "{query}");
    assert!(query.ends_with(" SELECT * FROM c"), "{query}");
    assert!(query.contains("FROM c JOIN "), "{query}");
    assert_eq!(copies(&again.copies), ["T0_1"]);
    let statement = text(&again.statement);
    assert!(statement.starts_with("WITH RECURSIVE s AS (SELECT x FROM T0 AS t) SELECT"), "{statement}");
}

#[test]
fn a_name_of_a_subquery_is_written_in_its_subquery() {
    let sql = "SELECT (WITH c AS (SELECT b FROM T1 AS t WHERE t.a = o.a) SELECT COUNT(*) FROM c JOIN c AS d) AS n FROM T0 AS o";
    let again = again(sql);
    assert_eq!(copies(&again.copies), ["T1_1"]);
    assert_eq!(text(&again.statement).matches("t.a = o.a").count(), 2);
    let limited = "SELECT (WITH c AS (SELECT b FROM `shardloom_scratch_1` LIMIT 1) SELECT COUNT(*) FROM c JOIN c AS d)";
    assert!(reread(limited.as_bytes(), LexMode::default(), TABLES, false).is_err());
}

#[test]
fn too_many_places_are_refused() {
    let mut sql = "WITH c0 AS (SELECT x FROM `shardloom_scratch_0` AS t)".to_owned();
    for number in 1..12 {
        let before = number - 1;
        sql += &format!(", c{number} AS (SELECT l.x FROM c{before} AS l JOIN c{before} AS r)");
    }
    sql += " SELECT * FROM c11";
    assert!(reread(sql.as_bytes(), LexMode::default(), TABLES, false).is_err());
}
