//! What is read of definitions.

use super::*;

fn read(sql: &str) -> Ddl {
    parse(sql.as_bytes(), LexMode::default()).unwrap_or_else(|| panic!("not read: {sql}"))
}

/// The tables in short: role and text as it stands.
fn tables(sql: &str) -> Vec<String> {
    read(sql)
        .tables
        .iter()
        .map(|table| {
            let start = table.name.schema.as_ref().map_or(table.name.table.range.start, |schema| schema.range.start);
            format!("{:?} {}", table.role, &sql[start..table.name.table.range.end])
        })
        .collect()
}

fn columns(sql: &str) -> Vec<String> {
    read(sql).columns.iter().map(|(change, name)| format!("{change:?} {}", name.text)).collect()
}

#[test]
fn create_table_names_its_tables_and_columns() {
    let sql = "CREATE TABLE IF NOT EXISTS db.`t` (id INT NOT NULL AUTO_INCREMENT, `key` ENUM('a', 'b)'), \
        PRIMARY KEY (id), UNIQUE KEY u (a, b(10)), CONSTRAINT `fk1` FOREIGN KEY (a, b) REFERENCES db.u (c, d) \
        ON DELETE CASCADE, e INT REFERENCES v(x), CHECK (e > 0), f INT CONSTRAINT c1 CHECK (f > (1))) \
        ENGINE=InnoDB UNION=(m1,m2) COMMENT='x' PARTITION BY HASH(id) PARTITIONS 4";
    assert_eq!(tables(sql), ["Target db.`t`", "Referenced db.u", "Referenced v", "Other m1", "Other m2"]);
    assert_eq!(columns(sql), ["Added id", "Added key", "Added e", "Added f"]);
    let constraints: Vec<_> = read(sql).constraints.into_iter().map(|name| name.text).collect();
    assert_eq!(constraints, ["fk1", "c1"]);
    assert!(matches!(read(sql).kind, DdlKind::CreateTable { if_not_exists: true, query: None, .. }));
}

#[test]
fn create_table_from_others() {
    assert_eq!(tables("CREATE TABLE a LIKE b.c"), ["Target a", "Model b.c"]);
    assert_eq!(tables("CREATE TABLE a (LIKE c)"), ["Target a", "Model c"]);
    for sql in [
        "CREATE TEMPORARY TABLE a SELECT 1",
        "CREATE TEMPORARY TABLE a (x INT) ENGINE=InnoDB IGNORE AS SELECT 1",
        "CREATE TEMPORARY TABLE a (SELECT 1)",
        "CREATE TEMPORARY TABLE a AS (SELECT 1)",
        "CREATE TEMPORARY TABLE a WITH c AS (SELECT 1) SELECT * FROM c",
    ] {
        let DdlKind::CreateTable { temporary: true, query: Some(query), .. } = read(sql).kind else { panic!("{sql}") };
        assert!(sql[query].contains("SELECT"), "{sql}");
    }
    assert!(matches!(
        read("CREATE TABLE t (a INT) WITH SYSTEM VERSIONING").kind,
        DdlKind::CreateTable { query: None, .. }
    ));
}

#[test]
fn alter_table() {
    let sql = "ALTER TABLE db.t ADD a INT FIRST, ADD COLUMN (b INT, c INT), DROP COLUMN d, DROP e, MODIFY f BIGINT, \
        CHANGE COLUMN g h INT, RENAME COLUMN i TO j, ADD INDEX (k, l), DROP INDEX m, DROP PRIMARY KEY, \
        ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES u (o), ALTER p SET DEFAULT 5, RENAME INDEX q TO r, \
        ENGINE=InnoDB, ALGORITHM=INPLACE, RENAME TO db.v";
    assert_eq!(tables(sql), ["Target db.t", "Referenced u", "NewName db.v"]);
    assert_eq!(
        columns(sql),
        ["Added a", "Added b", "Added c", "Dropped d", "Dropped e", "Changed f", "Changed g", "Renamed i"]
    );
    assert_eq!(tables("ALTER IGNORE TABLE t RENAME u"), ["Target t", "NewName u"]);
    assert_eq!(tables("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u"), ["Target t", "Other u"]);
    assert_eq!(
        columns("ALTER TABLE t ADD COLUMN IF NOT EXISTS b INT, DROP COLUMN IF EXISTS c"),
        ["Added b", "Dropped c"]
    );
}

#[test]
fn other_definitions() {
    assert_eq!(tables("DROP TABLE IF EXISTS a, `b`.c CASCADE"), ["Target a", "Target `b`.c"]);
    assert_eq!(tables("TRUNCATE a"), ["Target a"]);
    assert_eq!(tables("TRUNCATE TABLE a.b"), ["Target a.b"]);
    assert_eq!(tables("RENAME TABLE a TO b, c.d TO c.e"), ["Target a", "NewName b", "Target c.d", "NewName c.e"]);
    assert_eq!(tables("CREATE UNIQUE INDEX i USING BTREE ON a.b (c)"), ["Target a.b"]);
    assert_eq!(tables("DROP INDEX `i` ON a ALGORITHM=INPLACE LOCK=NONE"), ["Target a"]);
    assert_eq!(tables("ANALYZE NO_WRITE_TO_BINLOG TABLE a, b"), ["Target a", "Target b"]);
    assert_eq!(tables("CREATE DEFINER=`r`@`h` TRIGGER x BEFORE INSERT ON a FOR EACH ROW SET @a = 1"), ["Target a"]);
    assert_eq!(tables("DROP VIEW IF EXISTS a, b"), ["Target a", "Target b"]);
    let sql = "CREATE OR REPLACE ALGORITHM=MERGE DEFINER='a'@'b' SQL SECURITY INVOKER VIEW v (x, y) AS SELECT 1, 2";
    let DdlKind::DefineView(query) = read(sql).kind else { panic!() };
    assert_eq!(&sql[query], "SELECT 1, 2");
    assert!(matches!(read("CREATE DATABASE IF NOT EXISTS d").kind, DdlKind::CreateDatabase(name) if name.text == "d"));
    assert!(matches!(read("DROP SCHEMA `d d`").kind, DdlKind::DropDatabase(name) if name.text == "d d"));
    assert_eq!(read("CREATE USER a IDENTIFIED BY 'b'").kind, DdlKind::Other);
    assert_eq!(read("DROP PROCEDURE p").kind, DdlKind::Program);
}

#[test]
fn what_is_no_definition_is_not_read() {
    for sql in [
        "SELECT 1",
        "ANALYZE SELECT 1",
        "CREATE TABLE",
        "DROP TABLE a b c,",
        "RENAME TABLE a",
        "ALTER TABLE t ADD a INT)",
    ] {
        assert_eq!(parse(sql.as_bytes(), LexMode::default()).filter(|ddl| ddl.tables.is_empty()), None, "{sql}");
    }
}

#[test]
fn the_option_auto_increment_is_no_word_of_a_column() {
    let read = |sql: &str| parse(sql.as_bytes(), LexMode::default()).unwrap();
    let next = |sql: &str| read(sql).next_number;
    assert_eq!(next("CREATE TABLE t (id INT AUTO_INCREMENT, n INT DEFAULT 5) ENGINE=InnoDB AUTO_INCREMENT=7"), Some(7));
    assert_eq!(next("CREATE TABLE t (id INT AUTO_INCREMENT) AUTO_INCREMENT 7 COMMENT 'AUTO_INCREMENT=9'"), Some(7));
    assert_eq!(next("ALTER TABLE t ENGINE=InnoDB AUTO_INCREMENT = 7, ADD x INT AUTO_INCREMENT"), Some(7));
    assert_eq!(next("ALTER TABLE t ADD x INT AUTO_INCREMENT, ADD y INT DEFAULT 7"), None);
    assert!(read("ALTER TABLE t ADD x INT UNIQUE AUTO_INCREMENT").numbers_column);
    assert!(!read("ALTER TABLE t ADD x INT COMMENT 'AUTO_INCREMENT', AUTO_INCREMENT 7").numbers_column);
}
