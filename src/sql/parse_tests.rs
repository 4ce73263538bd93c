//! What trees say, where they point to, and what is noted beside them.

use super::*;
use crate::sql::lexer::unquote_name;
use crate::sql::{literal, scan, spans};
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, SetExpr, visit_relations};

/// Statements that servers accept; the same list as in the test of the corpora.
const ACCEPTED: &str = include_str!("../../tests/sql_corpus/accepted.sql");

fn read(sql: &str) -> Parsed {
    parse(sql.as_bytes(), LexMode::default()).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The tree printed, which shows its structure where the text does not.
fn printed(sql: &str) -> String {
    read(sql).statement.to_string()
}

/// The condition of a query with all its parentheses.
fn condition(condition: &str) -> String {
    fn show(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", show(left), show(right)),
            Expr::UnaryOp { op, expr } => format!("({op} {})", show(expr)),
            Expr::Nested(expr) => show(expr),
            Expr::IsNull(expr) => format!("({} IS NULL)", show(expr)),
            Expr::Cast { expr, .. } => format!("cast({})", show(expr)),
            Expr::Like { expr, pattern, .. } => format!("({} LIKE {})", show(expr), show(pattern)),
            Expr::Between { expr, low, high, .. } => {
                format!("({} BETWEEN {} AND {})", show(expr), show(low), show(high))
            }
            other => other.to_string(),
        }
    }
    let Statement::Query(query) = read(&format!("SELECT 1 FROM t WHERE {condition}")).statement else { panic!() };
    let SetExpr::Select(select) = *query.body else { panic!() };
    show(&select.selection.unwrap())
}

#[test]
fn operators_bind_as_on_a_server() {
    let cases = [
        ("a = 1 OR b = 2 AND c = 3", "((a = 1) OR ((b = 2) AND (c = 3)))"),
        ("a = 1 XOR b = 2", "((a = 1) XOR (b = 2))"),
        ("a || b && c", "(a OR (b AND c))"),
        ("NOT a = 1", "(NOT (a = 1))"),
        ("!a = 1", "((! a) = 1)"),
        ("BINARY a = 'x' AND id = 5", "((cast(a) = 'x') AND (id = 5))"),
        ("a = b IS NULL", "((a = b) IS NULL)"),
        ("a = b LIKE c", "(a = (b LIKE c))"),
        ("a BETWEEN 1 AND 2 AND b", "((a BETWEEN 1 AND 2) AND b)"),
        ("a | b & c << d + e * f ^ g", "(a | (b & (c << (d + (e * (f ^ g))))))"),
        ("- a ^ b", "((- a) ^ b)"),
        ("a DIV b MOD c", "((a DIV b) % c)"),
        ("a->'$.x' = 5", "((a -> '$.x') = 5)"),
        ("@a := b = c", "(@a := (b = c))"),
        ("a SOUNDS LIKE b = c", "((a SOUNDS LIKE b) = c)"),
        ("a IN ((SELECT 1), 2) AND b", "(a IN ((SELECT 1), 2) AND b)"),
        ("a > ALL ((SELECT 1) EXCEPT SELECT 2) AND b", "(a > ALL((SELECT 1) EXCEPT SELECT 2) AND b)"),
        ("a NOT IN ((SELECT 1), (SELECT 2))", "a NOT IN ((SELECT 1), (SELECT 2))"),
    ];
    for (sql, expected) in cases {
        assert_eq!(condition(sql), expected, "{sql}");
    }
    assert!(matches!(
        parse(b"SELECT a LIKE b LIKE c", LexMode::default()),
        Err(ref error @ ParseError::Ambiguous(ref part)) if part == "a LIKE b" && error.errno() == 1235
    ));
    let concat = LexMode { pipes_as_concat: true, ..LexMode::default() };
    let joined = parse(b"SELECT a || b", concat).unwrap().statement.to_string();
    assert_eq!(joined, "SELECT a || b");
}

#[test]
fn long_chains_make_balanced_trees() {
    let chain: Vec<String> = (0..50_000).map(|id| format!("id = {id}")).collect();
    let sql = format!("SELECT * FROM t WHERE {}", chain.join(" OR "));
    let Statement::Query(query) = read(&sql).statement else { panic!() };
    let SetExpr::Select(select) = *query.body else { panic!() };
    let mut depth = 0;
    let mut at = select.selection.as_ref().unwrap();
    while let Expr::BinaryOp { left, op: BinaryOperator::Or, .. } = at {
        at = left;
        depth += 1;
    }
    assert_eq!(depth, 16);
    assert_eq!(at.to_string(), "id = 0");
    for deep in [
        format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("SELECT 1{}", " + 1".repeat(5000)),
        format!("SELECT 1 FROM t{}", " JOIN t".repeat(5000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(5000)),
    ] {
        assert!(matches!(parse(deep.as_bytes(), LexMode::default()), Err(ParseError::TooDeep)));
    }
    read(&format!("SELECT 1 FROM t{}", " JOIN t".repeat(200)));
}

#[test]
fn a_comma_joins_looser_than_join() {
    assert_eq!(
        printed("SELECT * FROM a LEFT JOIN (b, c RIGHT JOIN d USING (x)) ON 1"),
        "SELECT * FROM a LEFT JOIN (b CROSS JOIN (c RIGHT JOIN d USING(x))) ON 1"
    );
    assert_eq!(
        printed("UPDATE a, b RIGHT JOIN c USING (x) SET a.y = 1 WHERE (1, 2) = (3, 4)"),
        "UPDATE a CROSS JOIN (b RIGHT JOIN c USING(x)) SET a.y = 1 WHERE (1, 2) = (3, 4)"
    );
    assert_eq!(printed("SELECT (1, 2) IN ((1, 2)) FROM (a), b"), "SELECT (1, 2) IN ((1, 2)) FROM a, b");
    assert_eq!(
        printed("SELECT * FROM a JOIN b ON (a.x, b.y) = (1, 2), (c, d)"),
        "SELECT * FROM a JOIN b ON (a.x, b.y) = (1, 2), (c CROSS JOIN d)"
    );
    assert_eq!(
        printed("SELECT * FROM a USE INDEX FOR JOIN (i, j), (SELECT 1, 2) x"),
        "SELECT * FROM a USE INDEX FOR JOIN (i, j), (SELECT 1, 2) x"
    );
    assert_eq!(
        printed("SELECT * FROM { OJ a LEFT JOIN b ON a.x = b.x }"),
        "SELECT * FROM (a LEFT JOIN b ON a.x = b.x)"
    );
    // FULL is no keyword of a join
    assert_eq!(printed("SELECT * FROM a FULL JOIN b"), "SELECT * FROM a FULL JOIN b");
    let Statement::Query(query) = read("SELECT * FROM a FULL JOIN b").statement else { panic!() };
    let SetExpr::Select(select) = *query.body else { panic!() };
    assert!(matches!(select.from[0].joins[0].join_operator, sqlparser::ast::JoinOperator::Join(_)));
}

#[test]
fn writes_in_their_odd_forms() {
    assert_eq!(printed("DELETE a.*, d.b.* FROM a, d.b"), "DELETE a, d.b FROM a, d.b");
    assert_eq!(printed("DELETE FROM a.* USING a JOIN b"), "DELETE FROM a USING a JOIN b");
    assert_eq!(printed("UPDATE LOW_PRIORITY t SET a := @b := 1"), "UPDATE t SET a = @b := 1");
    assert_eq!(printed("TABLE d.t LIMIT 1"), "SELECT * FROM d.t LIMIT 1");
    assert_eq!(printed("INSERT INTO t TABLE u"), "INSERT INTO t SELECT * FROM u");
    assert_eq!(printed("DO SLEEP(1), 2"), "SELECT SLEEP(1), 2");
    assert_eq!(printed("SELECT 1 LOCK IN SHARE MODE"), "SELECT 1 FOR SHARE");
    assert_eq!(
        printed("SELECT 1 FROM a FOR UPDATE OF a, d.b NOWAIT"),
        "SELECT 1 FROM a FOR UPDATE OF a NOWAIT FOR UPDATE OF d.b NOWAIT"
    );
}

#[test]
fn what_is_taken_out_is_noted() {
    let notes = |sql: &str| read(sql).notes;
    let none = Notes::default();
    assert_eq!(notes("SELECT a FROM t"), none);
    let sql = "SELECT a, b INTO @x, y FROM t";
    let into = notes(sql).into.unwrap();
    assert_eq!(into.kind, IntoKind::Variables(vec!["@x".into(), "y".into()]));
    assert_eq!(&sql[into.range], "INTO @x, y");
    let sql = "SELECT a FROM t INTO OUTFILE '/x' FIELDS TERMINATED BY ',' LINES TERMINATED BY '\\n'";
    let into = notes(sql).into.unwrap();
    assert_eq!((into.kind, into.range.end), (IntoKind::Outfile, sql.len()));
    assert!(notes("INSERT INTO t SELECT a FROM u").into.is_none());
    assert_eq!(notes("UPDATE IGNORE t SET a = 1"), Notes { ignore: true, ..none.clone() });
    assert_eq!(notes("INSERT LOW_PRIORITY IGNORE INTO t VALUES (1)"), Notes { ignore: true, ..none.clone() });
    assert_eq!(notes("SELECT 1 FOR UPDATE WAIT 5"), Notes { lock: true, lock_wait: true, ..none.clone() });
    assert_eq!(notes("SELECT SQL_CALC_FOUND_ROWS 1"), Notes { calc_found_rows: true, ..none.clone() });
    assert_eq!(notes("SELECT a FROM t GROUP BY a WITH ROLLUP"), Notes { rollup: true, ..none.clone() });
    assert_eq!(notes("SELECT a FROM t GROUP BY a DESC"), Notes { group_by_order: true, ..none.clone() });
    assert_eq!(notes("SELECT 1 LIMIT 5 ROWS EXAMINED 9"), Notes { rows_examined: true, ..none.clone() });
    assert_eq!(notes("SELECT 1 FROM t FOR SYSTEM_TIME ALL"), Notes { system_time: true, ..none.clone() });
    assert_eq!(notes("INSERT INTO t PARTITION (p) (a) VALUES (1)"), Notes { insert_partition: true, ..none.clone() });
    assert_eq!(notes("SELECT 1 FROM t FORCE INDEX (i)"), Notes { index_hints: true, ..none.clone() });
    assert_eq!(notes("SELECT /*+ X */ 1"), Notes { optimizer_hints: true, ..none.clone() });
    assert_eq!(notes("SELECT 1 /*!80000 + 1 */"), Notes { unsure_comment: true, ..none.clone() });
    assert_eq!(notes("TABLE t"), Notes { table_statement: true, ..none.clone() });
    assert_eq!(notes("DO 1"), Notes { do_statement: true, ..none.clone() });
    assert_eq!(notes("SELECT @a := 1"), Notes { user_variables: true, assignments: true, ..none });
}

/// Whether the text at the span of an identifier is that identifier.
fn points_to_itself(sql: &str, ident: &Ident) -> bool {
    match spans::range_of(ident.span) {
        Some(range) => unquote_name(sql[range].as_bytes()) == ident.value,
        None => false,
    }
}

#[test]
fn spans_of_names_and_literals_are_exact() {
    let mut checked = 0;
    for sql in ACCEPTED.lines() {
        let Ok(parsed) = parse(sql.as_bytes(), LexMode::default()) else { continue };
        let mut literals = Vec::new();
        scan(sql.as_bytes(), LexMode::default(), &mut literals);
        let _ = visit_relations(&parsed.statement, |name: &ObjectName| {
            for part in &name.0 {
                if let ObjectNamePart::Identifier(ident) = part {
                    assert!(points_to_itself(sql, ident), "{sql}: {ident:?}");
                    checked += 1;
                }
            }
            ControlFlow::<()>::Continue(())
        });
        let _ = visit_expressions(&parsed.statement, |expr: &Expr| {
            match expr {
                Expr::Identifier(ident) => assert!(points_to_itself(sql, ident), "{sql}: {ident:?}"),
                Expr::CompoundIdentifier(parts) => {
                    assert!(parts.iter().all(|ident| points_to_itself(sql, ident)), "{sql}: {parts:?}");
                }
                Expr::Value(value) => {
                    let range = spans::range_of(value.span);
                    let text = range.clone().map(|range| &sql[range]);
                    let is_literal = range
                        .clone()
                        .is_some_and(|range| literal::at_range(&literals, range.start, range.end).is_some());
                    // strings side by side are several literals; the blank of TRIM(LEADING FROM …) is none
                    let known = text.is_none_or(|text| {
                        matches!(text.to_ascii_uppercase().as_str(), "NULL" | "TRUE" | "FALSE" | "?" | "\\N")
                            || text.contains("' '")
                    });
                    assert!(is_literal || known, "{sql}: {value:?}");
                }
                _ => return ControlFlow::<()>::Continue(()),
            }
            checked += 1;
            ControlFlow::Continue(())
        });
    }
    assert!(checked > 1000, "{checked}");
}

#[test]
fn errors_read_like_the_server_s() {
    let error = parse(b"SELECT 1\nFROM t WHERE", LexMode::default()).unwrap_err();
    assert_eq!((error.errno(), error.sqlstate()), (1064, "42000"));
    assert!(error.to_string().contains("near '' at line 2"), "{error}");
    assert_eq!(parse(b" -- nothing", LexMode::default()).unwrap_err(), ParseError::Empty);
}
