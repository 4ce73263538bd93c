//! What drivers and tools send about the session, and what is made of it.

use super::*;
use crate::sql::LexMode;
use SessionStatement as S;

fn read(sql: &str) -> SessionStatement {
    parse(sql.as_bytes(), LexMode::default()).unwrap_or_else(|| panic!("no session statement: {sql}"))
}

fn set(sql: &str) -> Vec<SetItem> {
    match read(sql) {
        S::Set(items) => items,
        other => panic!("{sql}: {other:?}"),
    }
}

/// A `SET` in short: scope, name, kind.
fn settings(sql: &str) -> Vec<String> {
    let item = |item: SetItem| match item {
        SetItem::User { name, value } => format!("@{name}={:?}", value.kind),
        SetItem::System { scope, name, value } => format!("{scope:?} {name}={:?}", value.kind),
        SetItem::Names { charset, collation } => format!("names {charset:?} {collation:?}"),
        SetItem::CharacterSet(charset) => format!("charset {charset:?}"),
    };
    set(sql).into_iter().map(item).collect()
}

#[test]
fn set_in_its_many_spellings() {
    let cases: &[(&str, &[&str])] = &[
        ("set autocommit=1", &["Session autocommit=Integer(1)"]),
        ("SET AUTOCOMMIT = ON;", &["Session autocommit=Word(\"ON\")"]),
        ("SET character_set_results = NULL", &["Session character_set_results=Null"]),
        ("SET SQL_SELECT_LIMIT=DEFAULT", &["Session sql_select_limit=Default"]),
        (
            "SET @@session.x = 1, GLOBAL y = 2, z = -3",
            &["Session x=Integer(1)", "Global y=Integer(2)", "Global z=Integer(-3)"],
        ),
        (
            "SET @@global.a := TRUE, @@local.b = 'x', `c` = y, @@`d`=1",
            &["Global a=Integer(1)", "Session b=Text([120])", "Session c=Word(\"y\")", "Unsaid d=Integer(1)"],
        ),
        (
            "SET @A = 1, @'b c' := @a, @`D`=@@sql_mode, @e=@@global.x",
            &[
                "@a=Integer(1)",
                "@b c=UserVariable(\"a\")",
                "@d=SystemVariable { scope: Unsaid, name: \"sql_mode\" }",
                "@e=SystemVariable { scope: Global, name: \"x\" }",
            ],
        ),
        (
            "SET sql_mode=CONCAT(@@sql_mode,',STRICT_TRANS_TABLES'), @a := 5",
            &["Session sql_mode=Expression", "@a=Integer(5)"],
        ),
        ("SET NAMES utf8mb4", &["names Some(\"utf8mb4\") None"]),
        ("SET NAMES 'UTF8' COLLATE 'utf8_bin', @a = 1", &["names Some(\"utf8\") Some(\"utf8_bin\")", "@a=Integer(1)"]),
        ("set names default", &["names None None"]),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci", &["names Some(\"utf8mb4\") Some(\"utf8mb4_unicode_ci\")"]),
        ("SET CHARACTER SET latin1", &["charset Some(\"latin1\")"]),
        ("SET CHARSET DEFAULT", &["charset None"]),
        ("/*!40101 SET NAMES utf8 */;", &["names Some(\"utf8\") None"]),
        (
            "/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */",
            &[
                "@old_unique_checks=SystemVariable { scope: Unsaid, name: \"unique_checks\" }",
                "Session unique_checks=Integer(0)",
            ],
        ),
        ("SET PERSIST max_connections = 10", &["Persist max_connections=Integer(10)"]),
        ("SET names = 1, session = 2", &["Session names=Integer(1)", "Session session=Integer(2)"]),
        ("SET time_zone = '+00:00' -- utc", &["Session time_zone=Text([43, 48, 48, 58, 48, 48])"]),
        ("SET @x = (SELECT MAX(a), b FROM t)", &["@x=Expression"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(&settings(sql), expected, "{sql}");
    }
}

#[test]
fn the_value_of_a_set_is_found_in_the_text() {
    let sql = "SET @a = f(1, 2), b = 'x y'";
    let ranges: Vec<&str> = set(sql)
        .iter()
        .map(|item| match item {
            SetItem::User { value, .. } | SetItem::System { value, .. } => &sql[value.range.clone()],
            _ => "",
        })
        .collect();
    assert_eq!(ranges, ["f(1, 2)", "'x y'"]);
}

#[test]
fn set_transaction() {
    let transaction = |scope, isolation, read_only| S::SetTransaction(SetTransaction { scope, isolation, read_only });
    assert_eq!(
        read("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        transaction(Some(Scope::Session), Some(Isolation::ReadCommitted), None)
    );
    assert_eq!(
        read("set transaction isolation level repeatable read, read only"),
        transaction(None, Some(Isolation::RepeatableRead), Some(true))
    );
    assert_eq!(read("SET GLOBAL TRANSACTION READ WRITE"), transaction(Some(Scope::Global), None, Some(false)));
    assert!(matches!(read("SET TRANSACTION SOMETHING"), S::Opaque(Verb::Set)));
}

#[test]
fn set_statement_for_one_statement() {
    let sql = "SET STATEMENT max_statement_time=1, sort_buffer_size = 2 FOR SELECT a, b FROM t";
    let S::SetStatement { items, statement } = read(sql) else { panic!() };
    assert_eq!(items.len(), 2);
    assert_eq!(&sql[statement], "SELECT a, b FROM t");
}

#[test]
fn set_of_other_things_is_opaque() {
    for sql in ["SET PASSWORD = 'x' FOR y", "SET ROLE admin", "SET DEFAULT ROLE a TO b", "SET", "SET a", "SET a ="] {
        assert_eq!(read(sql), S::Opaque(Verb::Set), "{sql}");
    }
}

#[test]
fn transactions() {
    let begin = |read_only, consistent_snapshot| S::Begin(Begin { read_only, consistent_snapshot });
    assert_eq!(read("/* comment */ BEGIN"), begin(None, false));
    assert_eq!(read("begin work;"), begin(None, false));
    assert_eq!(read("START TRANSACTION"), begin(None, false));
    assert_eq!(read("START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT"), begin(Some(true), true));
    assert_eq!(read("START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */"), begin(None, true));
    assert_eq!(read("COMMIT"), S::Commit(End::default()));
    assert_eq!(
        read("COMMIT WORK AND NO CHAIN NO RELEASE"),
        S::Commit(End { chain: Some(false), release: Some(false) })
    );
    assert_eq!(read("ROLLBACK AND CHAIN"), S::Rollback(End { chain: Some(true), release: None }));
    assert_eq!(read("ROLLBACK RELEASE"), S::Rollback(End { chain: None, release: Some(true) }));
    let name = |statement| match statement {
        S::Savepoint(name) | S::RollbackTo(name) | S::ReleaseSavepoint(name) => name.text,
        other => panic!("{other:?}"),
    };
    assert_eq!(name(read("SAVEPOINT `a b`")), "a b");
    assert_eq!(name(read("ROLLBACK WORK TO SAVEPOINT sp1")), "sp1");
    assert_eq!(name(read("rollback to sp1")), "sp1");
    assert_eq!(name(read("RELEASE SAVEPOINT sp1")), "sp1");
    assert_eq!(read("BEGIN NOT ATOMIC SELECT 1; END"), S::Opaque(Verb::Begin));
}

fn show(sql: &str) -> Show {
    match read(sql) {
        S::Show(show) => show,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn show_what_has_tables() {
    let Show::Tables { full: true, schema: Some(schema), filter: Filter::Like { pattern, range } } =
        show("SHOW FULL TABLES FROM db LIKE 'x%' ")
    else {
        panic!()
    };
    assert_eq!((schema.text.as_str(), pattern.as_slice(), range), ("db", b"x%".as_slice(), 30..34));
    let Show::Columns { full: true, extended: false, table, filter: Filter::None } =
        show("SHOW FULL COLUMNS FROM t IN db")
    else {
        panic!()
    };
    assert_eq!((table.schema.unwrap().text.as_str(), table.table.text.as_str()), ("db", "t"));
    assert!(matches!(show("show fields from `a`.`b` like '%'"), Show::Columns { full: false, .. }));
    assert!(matches!(show("SHOW EXTENDED COLUMNS FROM t"), Show::Columns { extended: true, .. }));
    assert!(matches!(
        show("SHOW KEYS FROM `db`.`t` WHERE Key_name = 'PRIMARY'"),
        Show::Index { filter: Filter::Where(_), .. }
    ));
    let Show::Create { kind: ShowCreate::Table, name } = show("SHOW CREATE TABLE a.b") else { panic!() };
    assert_eq!(name.schema.unwrap().range, 18..19);
    assert_eq!(name.table.range, 20..21);
    assert!(matches!(show("SHOW TABLE STATUS LIKE 't\\_1'"), Show::TableStatus { schema: None, .. }));
    assert!(matches!(show("SHOW TRIGGERS LIKE 't'"), Show::Triggers { .. }));
    assert!(matches!(show("SHOW CREATE DATABASE IF NOT EXISTS `x`"), Show::CreateDatabase { if_not_exists: true, .. }));
}

#[test]
fn show_what_has_none() {
    assert!(matches!(show("SHOW DATABASES"), Show::Databases(Filter::None)));
    assert!(matches!(
        show("SHOW VARIABLES WHERE Variable_name in ('a')"),
        Show::Variables { scope: Scope::Session, filter: Filter::Where(_) }
    ));
    assert!(matches!(show("SHOW GLOBAL STATUS LIKE 'x'"), Show::Status { scope: Scope::Global, .. }));
    assert!(matches!(show("SHOW SESSION VARIABLES LIKE 'x'"), Show::Variables { .. }));
    assert_eq!(show("SHOW WARNINGS LIMIT 1"), Show::Warnings { errors_only: false, limit: Some((0, 1)) });
    assert_eq!(show("SHOW ERRORS LIMIT 2, 3"), Show::Warnings { errors_only: true, limit: Some((2, 3)) });
    assert_eq!(show("SHOW COUNT(*) WARNINGS"), Show::CountWarnings { errors_only: false });
    assert_eq!(show("SHOW FULL PROCESSLIST"), Show::ProcessList { full: true });
    assert!(matches!(show("SHOW CHARSET"), Show::CharacterSet(Filter::None)));
    assert!(matches!(show("SHOW COLLATION WHERE `Default` = 'Yes'"), Show::Collation(_)));
    assert_eq!(show("SHOW STORAGE ENGINES"), Show::Other(vec!["storage".into(), "engines".into()]));
    assert_eq!(show("SHOW GRANTS"), Show::Grants { user: None });
    assert_eq!(show("SHOW GRANTS FOR CURRENT_USER()"), Show::Grants { user: None });
    assert_eq!(show("SHOW GRANTS FOR 'a'@'b'"), Show::Grants { user: Some("a".into()) });
    assert_eq!(show("SHOW CREATE USER a@localhost"), Show::CreateUser);
    assert_eq!(
        show("SHOW PROCEDURE STATUS WHERE db = 'x'"),
        Show::Other(["procedure", "status", "where", "db"].map(String::from).to_vec())
    );
}

#[test]
fn describe_and_explain() {
    let S::Describe(describe) = read("DESC t col") else { panic!() };
    assert_eq!((describe.table.table.text.as_str(), describe.column.as_deref()), ("t", Some("col")));
    assert!(matches!(read("EXPLAIN db.t"), S::Describe(_)));
    assert!(matches!(read("describe t 'a%'"), S::Describe(_)));
    assert!(matches!(read("DESC route"), S::Describe(_)));
    let sql = "EXPLAIN ROUTE SELECT 1;";
    let S::ExplainRoute(range) = read(sql) else { panic!() };
    assert_eq!(&sql[range], "SELECT 1");
    for sql in ["EXPLAIN SELECT 1", "EXPLAIN FORMAT=JSON (SELECT 1)", "DESC EXTENDED UPDATE t SET a = 1"] {
        assert!(matches!(read(sql), S::Explain(Explain { executes: false, .. })), "{sql}");
    }
    for sql in ["EXPLAIN ANALYZE SELECT 1", "ANALYZE FORMAT=JSON SELECT 1", "EXPLAIN ANALYZE FORMAT=TREE SELECT 1"] {
        assert!(matches!(read(sql), S::Explain(Explain { executes: true, .. })), "{sql}");
    }
    assert_eq!(parse(b"ANALYZE TABLE t", LexMode::default()), None);
}

#[test]
fn comments_in_front() {
    assert!(matches!(read("/*M!999999\\- enable the sandbox mode */ SET @a = 1"), S::Set(_)));
    for (sql, verb) in [("/*!80000 x */ SET @a = 1", Verb::Set), ("/*M! x */ /*!100100 y */ BEGIN", Verb::Begin)] {
        assert_eq!(read(sql), S::Opaque(verb), "{sql}");
    }
    assert_eq!(parse(b"/*!80000 x */ SELECT 1", LexMode::default()), None);
}

#[test]
fn kill() {
    assert_eq!(read("KILL QUERY 5"), S::Kill(Kill { query: true, connection_id: 5 }));
    assert_eq!(read("KILL 5"), S::Kill(Kill { query: false, connection_id: 5 }));
    assert_eq!(read("kill connection 5"), S::Kill(Kill { query: false, connection_id: 5 }));
    assert_eq!(read("KILL CONNECTION_ID()"), S::KillExpression { query: false, connection_id: 5..20 });
}

#[test]
fn prepared_statements_by_text() {
    assert_eq!(
        read("PREPARE S1 FROM 'SELECT ?'"),
        S::Prepare { name: "s1".into(), source: PrepareSource::Text(b"SELECT ?".to_vec()) }
    );
    assert_eq!(
        read("prepare s from @Sql"),
        S::Prepare { name: "s".into(), source: PrepareSource::Variable("sql".into()) }
    );
    assert_eq!(read("EXECUTE s USING @a, @B"), S::Execute { name: "s".into(), using: vec![16..18, 20..22] });
    assert_eq!(read("EXECUTE s"), S::Execute { name: "s".into(), using: vec![] });
    assert_eq!(read("EXECUTE s USING f(1, 2), 3"), S::Execute { name: "s".into(), using: vec![16..23, 25..26] });
    assert_eq!(
        read("EXECUTE IMMEDIATE 'SELECT ?' USING 1, @a"),
        S::ExecuteImmediate { source: PrepareSource::Text(b"SELECT ?".to_vec()), using: vec![35..36, 38..40] }
    );
    assert_eq!(
        read("EXECUTE IMMEDIATE CONCAT('SELECT ', @a)"),
        S::ExecuteImmediate { source: PrepareSource::Expression(18..39), using: vec![] }
    );
    assert_eq!(read("EXECUTE s USING"), S::Opaque(Verb::Execute));
    assert_eq!(read("DEALLOCATE PREPARE s"), S::Deallocate("s".into()));
    assert_eq!(read("DROP PREPARE S"), S::Deallocate("s".into()));
}

#[test]
fn locks_loads_and_the_rest() {
    let S::LockTables(tables) = read("LOCK TABLES a READ /*!32311 LOCAL */, db.b AS x WRITE, c y LOW_PRIORITY WRITE")
    else {
        panic!()
    };
    let short: Vec<_> = tables
        .iter()
        .map(|lock| (lock.table.table.text.as_str(), lock.alias.as_ref().map(|name| name.text.as_str()), lock.write))
        .collect();
    assert_eq!(short, [("a", None, false), ("b", Some("x"), true), ("c", Some("y"), true)]);
    assert_eq!(read("UNLOCK TABLES"), S::UnlockTables);
    assert!(matches!(
        read("LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE db.t FIELDS TERMINATED BY ','"),
        S::LoadData { local: true, .. }
    ));
    assert_eq!(read("XA START 'a','b'"), S::Xa);
    assert_eq!(read("FLUSH /*!40101 LOCAL */ TABLES"), S::Administration(Verb::Flush));
    assert!(matches!(read("USE `my db`"), S::Use(Name { text, .. }) if text == "my db"));
    let sql = "/*!80000 SET SESSION information_schema_stats_expiry=0 */";
    let S::Versioned { versions, content } = read(sql) else { panic!() };
    assert_eq!(sql[content].trim(), "SET SESSION information_schema_stats_expiry=0");
    assert!(versions.include(90_704, false) && !versions.include(50_744, false) && !versions.include(101_119, true));
    let sql = "/*M!100616 SET NOTE_VERBOSITY=0 */";
    let S::Versioned { versions, content } = read(sql) else { panic!() };
    assert_eq!(sql[content].trim(), "SET NOTE_VERBOSITY=0");
    assert!(versions.include(101_119, true) && !versions.include(100_500, true) && !versions.include(110_000, false));
    let S::Versioned { versions, .. } = read("/*M! SELECT 1 */") else { panic!() };
    assert!(versions.include(100_500, true));
}

#[test]
fn statements_about_data_are_none() {
    for sql in ["SELECT 1", "INSERT INTO t SET a = 1", "DROP TABLE t", "CALL p()", "", "-- x", "DO 1", "(SELECT 1)"] {
        assert_eq!(parse(sql.as_bytes(), LexMode::default()), None, "{sql}");
    }
}
