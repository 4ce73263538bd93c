//! What a session has set, begun or written holds for it, and for no other, whatever happens to the connections behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use support::backends::{Backends, Url};
use support::poll_until;
use support::proxy::{ProxyProcess, Rules};
use support::raw::response::{Response, Rows};
use support::raw::{Options, Param, RawClient};

const SCHEMA: &str = "state_shop";
/// All that the account `narrow` may see.
const OTHER_SCHEMA: &str = "state_other";
/// Even ids are in g0, odd ones in g1; `notes` is only in g0; `items` has four tables in each group.
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      one:
        data_nodes: g{0..1}.one
        strategy: {columns: [id], algorithm: mod}
      items:
        data_nodes: g{0..1}.items_{0..3}
        database_strategy: {columns: [id], algorithm: mod}
        table_strategy: {columns: [sub], algorithm: mod}
    algorithms:
      mod: {type: mod}
";
/// How long a replica may lag.
const SOON: Duration = Duration::from_secs(20);

/// Two connections to each server: what one session leaves behind, the next one finds.
const SMALL_POOL: &str = "    pool: {max_connections: 2, wait_timeout_ms: 2000}\n";

fn proxy() -> &'static ProxyProcess {
    static PROXY: OnceLock<ProxyProcess> = OnceLock::new();
    PROXY.get_or_init(|| {
        let rules = Rules {
            group: SMALL_POOL.to_owned(),
            with_replicas: false,
            users: format!("  - {{name: narrow, password: narrow-secret, schemas: [{OTHER_SCHEMA}]}}\n"),
            ..Rules::schema(SCHEMA, SCHEMA_RULES).and_schema(OTHER_SCHEMA, "    default_group: g0\n")
        };
        let proxy = ProxyProcess::start(Backends::shared(), &rules);
        fill(&proxy.url());
        proxy
    })
}

/// Tests use up the pool, so they run one after the other.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn fill(url: &Url) {
    let mut client = connect(url);
    client.run("CREATE TABLE one (id INT NOT NULL PRIMARY KEY, v VARCHAR(40))");
    client.run("CREATE TABLE items (id INT NOT NULL, sub INT NOT NULL, PRIMARY KEY (id, sub))");
    client.run("CREATE TABLE notes (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40))");
    client.run("INSERT INTO one VALUES (0, 'zero'), (1, 'one'), (2, 'two'), (3, 'three')");
    client.run("INSERT INTO items VALUES (0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)");
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

fn client() -> RawClient {
    connect(&proxy().url())
}

fn scalar(client: &mut RawClient, sql: &str) -> Option<String> {
    client.rows(sql).scalar()
}

fn v_of(id: u32) -> Option<String> {
    scalar(&mut client(), &format!("SELECT v FROM one WHERE id = {id}"))
}

#[test]
fn a_variable_without_a_default_hurts_no_other_session() {
    let _alone = alone();
    let mut first = client();
    first.run("SET SESSION rand_seed1 = 5, SESSION rand_seed2 = 6");
    for id in 0..4 {
        first.run(&format!("UPDATE one SET v = v WHERE id = {id}"));
    }
    let mut second = client();
    assert_eq!(second.rows("SELECT id FROM one ORDER BY id").rows.len(), 4);
    assert_eq!(first.rows("SELECT id FROM one ORDER BY id").rows.len(), 4);
}

#[test]
fn last_insert_id_can_be_set() {
    let _alone = alone();
    let mut client = client();
    client.run("SET last_insert_id = 9");
    assert_eq!(scalar(&mut client, "SELECT LAST_INSERT_ID()").as_deref(), Some("9"));
}

#[test]
fn a_named_statement_cannot_run_itself() {
    let _alone = alone();
    let mut client = client();
    let error = client.query("PREPARE s FROM 'EXECUTE s'").err();
    assert_eq!(error.errno, 1295, "{error}");
    assert_eq!(client.query("EXECUTE s").err().errno, 1243);
}

#[test]
fn scatters_share_a_small_pool() {
    let _alone = alone();
    let url = proxy().url();
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || {
                let mut client = connect(&url);
                for _ in 0..20 {
                    assert_eq!(client.rows("SELECT id, sub FROM items ORDER BY id, sub").rows.len(), 8);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
}

#[test]
fn a_read_that_finds_no_connection_leaves_the_transaction_whole() {
    let _alone = alone();
    let hogs = hogs();
    let mut writer = client();
    writer.run("BEGIN");
    writer.run("UPDATE one SET v = 'kept' WHERE id = 2");
    let error = writer.query("SELECT * FROM one").err();
    assert_eq!(error.errno, 1040, "{error}");
    writer.run("COMMIT");
    drop(hogs);
    assert_eq!(v_of(2).as_deref(), Some("kept"));
}

#[test]
fn an_error_of_one_shard_leaves_the_transaction_whole() {
    let _alone = alone();
    let mut client = client();
    client.run("BEGIN");
    client.run("UPDATE one SET v = 'still' WHERE id = 1");
    let error = client.query("SELECT id, 9223372036854775807 + id FROM one").err();
    assert_eq!(error.errno, 1690, "{error}");
    assert_eq!(client.rows("SELECT id FROM one ORDER BY id").rows.len(), 4);
    client.run("COMMIT");
    assert_eq!(v_of(1).as_deref(), Some("still"));
}

#[test]
fn rows_that_a_limit_cuts_off_leave_the_transaction_whole() {
    let _alone = alone();
    let mut client = client();
    client.run("BEGIN");
    client.run("UPDATE one SET v = 'cut' WHERE id = 3");
    let rows = client.rows("SELECT id, REPEAT('x', 4000000) FROM one ORDER BY id LIMIT 1");
    assert_eq!(rows.rows.len(), 1);
    client.run("COMMIT");
    assert_eq!(v_of(3).as_deref(), Some("cut"));
}

#[test]
fn warnings_of_several_shards_are_shown() {
    let _alone = alone();
    let mut client = client();
    client.run("INSERT IGNORE INTO one VALUES (0, 'again'), (1, 'again')");
    let warnings: Rows = client.rows("SHOW WARNINGS");
    assert_eq!(warnings.rows.len(), 2);
    client.rows("SELECT id, 'a' + 0 FROM one WHERE id IN (0, 1)");
    assert_eq!(client.rows("SHOW WARNINGS").rows.len(), 2);
}

#[test]
fn a_query_in_set_is_not_answered_by_one_shard() {
    let _alone = alone();
    let mut client = client();
    client.run("SET @n = (SELECT COUNT(*) FROM one)");
    let (assigned, counted) = (client.rows("SELECT @n").scalar(), client.rows("SELECT COUNT(*) FROM one").scalar());
    assert_eq!(assigned, counted);
    client.run("SET @n = (SELECT COUNT(*) FROM notes)");
}

#[test]
fn a_write_beside_an_open_cursor_goes_to_the_primary() {
    let _alone = alone();
    proxy();
    let backends = Backends::shared();
    let other = "state_split";
    let rules = Rules {
        with_replicas: true,
        proxy: "reads: {read_after_write_ms: 0}\n".to_owned(),
        ..Rules::schema(other, SCHEMA_RULES)
    };
    let split = ProxyProcess::start(backends, &rules);
    let connect = || Options::new(&split.url()).schema(other).connect().unwrap();
    let mut client = connect();
    client.run("CREATE TABLE one (id INT NOT NULL PRIMARY KEY, v VARCHAR(40))");
    client.run("INSERT INTO one VALUES (1, 'before')");
    poll_until("the row is on the replica", SOON, || {
        let mut replica = connect();
        matches!(replica.query("/* replica */ SELECT v FROM one WHERE id = 1"), Response::Rows(rows) if rows.rows.len() == 1)
    });
    let mut client = connect();
    let statement = client.prepare("SELECT v FROM one WHERE id = 1").unwrap();
    client.execute_with_cursor(&statement, &[]).rows();
    client.run("UPDATE one SET v = 'after' WHERE id = 1");
    let mut primary = Options::new(&backends.groups[1].primary).connect().unwrap();
    assert_eq!(scalar(&mut primary, &format!("SELECT v FROM {other}.one WHERE id = 1")).as_deref(), Some("after"));
}

/// Sessions that hold all connections of the pool to g1.
fn hogs() -> Vec<RawClient> {
    let hog = |_| {
        let mut hog = client();
        hog.run("BEGIN");
        hog.rows("SELECT v FROM one WHERE id = 1");
        hog
    };
    (0..2).map(hog).collect()
}

/// A statement that waits for a lock, stopped by KILL QUERY.
fn killed_while_waiting(victim: &mut RawClient, sql: &str) -> u16 {
    let mut locker = client();
    locker.run("BEGIN");
    locker.rows("SELECT v FROM one WHERE id = 0 FOR UPDATE");
    let id = scalar(victim, "SELECT CONNECTION_ID()").unwrap();
    victim.send_query(sql);
    poll_until("the statement waits", SOON, || {
        let waiting = locker.rows("SHOW PROCESSLIST").text();
        waiting.iter().any(|row| row[0].as_deref() == Some(&id) && row[4].as_deref() == Some("Query"))
    });
    // The locks of the other group's rows come at once; what waits is the row that is locked.
    thread::sleep(Duration::from_millis(300));
    locker.run(&format!("KILL QUERY {id}"));
    let error = victim.read_response().unwrap().err().errno;
    locker.run("ROLLBACK");
    error
}

#[test]
fn a_killed_read_of_several_shards_leaves_the_transaction_whole() {
    let _alone = alone();
    let mut client = client();
    client.run("BEGIN");
    client.run("UPDATE one SET v = 'after kill' WHERE id = 1");
    assert_eq!(killed_while_waiting(&mut client, "SELECT * FROM one FOR UPDATE"), 1317);
    client.run("COMMIT");
    assert_eq!(v_of(1).as_deref(), Some("after kill"));
}

#[test]
fn a_killed_write_of_several_shards_changes_nothing_and_the_session_goes_on() {
    let _alone = alone();
    let mut client = client();
    let before = client.rows("SELECT id, v FROM one ORDER BY id").text();
    assert_eq!(killed_while_waiting(&mut client, "UPDATE one SET v = 'killed'"), 1317);
    assert_eq!(client.rows("SELECT id, v FROM one ORDER BY id").text(), before);
}

#[test]
fn sql_select_limit_limits_the_whole_answer() {
    let _alone = alone();
    let mut client = client();
    client.run("SET sql_select_limit = 1");
    assert_eq!(client.rows("SELECT id FROM one ORDER BY id").text(), [[Some("0".to_owned())]]);
    assert_eq!(scalar(&mut client, "SELECT COUNT(*) FROM items").as_deref(), Some("8"));
    assert_eq!(client.rows("SELECT id FROM one ORDER BY id LIMIT 3").rows.len(), 3);
    client.run("SET sql_select_limit = DEFAULT");
    assert_eq!(client.rows("SELECT id FROM one ORDER BY id").rows.len(), 4);
}

#[test]
fn an_announced_access_mode_holds_for_the_next_transaction_without_autocommit() {
    let _alone = alone();
    let mut client = client();
    client.run("SET autocommit = 0");
    client.run("SET TRANSACTION READ ONLY");
    assert_eq!(client.query("UPDATE one SET v = v WHERE id = 1").err().errno, 1792);
    client.run("ROLLBACK");
    client.run("UPDATE one SET v = v WHERE id = 1");
    client.run("ROLLBACK");
}

#[test]
fn a_statement_beside_a_transaction_goes_where_its_tables_are() {
    let _alone = alone();
    let mut client = client();
    client.run("BEGIN");
    client.rows("SELECT v FROM one WHERE id = 1");
    client.run("SET @n = (SELECT COUNT(*) FROM notes)");
    client.run("COMMIT");
    client.run("LOCK TABLES notes WRITE");
    assert_eq!(client.query("SELECT * FROM one").err().errno, 1100);
    client.run("UNLOCK TABLES");
    assert_eq!(client.rows("SELECT * FROM one").rows.len(), 4);
}

#[test]
fn locked_tables_are_locked_on_all_shards_until_they_are_unlocked() {
    let _alone = alone();
    let (mut owner, mut other) = (client(), client());
    owner.run("LOCK TABLES one READ");
    assert_eq!(owner.query("UPDATE one SET v = v WHERE id = 1").err().errno, 1099, "locked for reading");
    assert_eq!(owner.query("SELECT * FROM items").err().errno, 1100, "not locked");
    owner.run("LOCK TABLES one WRITE, notes READ");
    assert_eq!(owner.rows("SELECT * FROM one").rows.len(), 4);
    owner.rows("SELECT * FROM notes");
    owner.run("UPDATE one SET v = v WHERE id = 1");
    // a dump that is loaded writes to all shards so
    assert_eq!(owner.run("UPDATE one SET v = CONCAT(v, 'x')").affected_rows, 4);
    assert_eq!(owner.run("INSERT INTO one (id, v) VALUES (70, 1), (71, 2), (72, 3)").affected_rows, 3);
    assert_eq!(owner.query("INSERT INTO one (id, v) VALUES (73, 1), (74, 2), (70, 3)").err().errno, 1062);
    assert_eq!(owner.rows("SELECT COUNT(*) FROM one WHERE id > 72").scalar().as_deref(), Some("0"), "all or nothing");
    assert_eq!(owner.run("DELETE FROM one WHERE id >= 70").affected_rows, 3);
    assert_eq!(owner.rows("SELECT @@autocommit").scalar().as_deref(), Some("1"));
    for id in [0, 1] {
        other.run("SET lock_wait_timeout = 1");
        let refused = other.query(&format!("UPDATE one SET v = v WHERE id = {id}"));
        assert_eq!(refused.err().errno, 1205, "shard {id} is locked");
    }
    owner.run("UNLOCK TABLES");
    other.run("UPDATE one SET v = v WHERE id IN (0, 1)");
    assert_eq!(owner.rows("SELECT * FROM items").rows.len(), 8);
    assert_eq!(owner.query("LOCK TABLES items READ").err().errno, 1235, "two parts in one group have one name");
}

#[test]
fn begin_and_a_refused_lock_leave_no_table_locked() {
    let _alone = alone();
    let (mut owner, mut other) = (client(), client());
    other.run("SET lock_wait_timeout = 1");
    owner.run("LOCK TABLES one AS o WRITE");
    owner.rows("SELECT * FROM one AS o");
    owner.run("BEGIN");
    other.run("UPDATE one SET v = v");
    owner.run("ROLLBACK");
    let refused = owner.query("LOCK TABLES one WRITE, no_such_table READ").err();
    assert_eq!((refused.errno, &*refused.message), (1146, "Table 'state_shop.no_such_table' doesn't exist"));
    other.run("UPDATE one SET v = v");
    owner.rows("SELECT * FROM notes");
}

#[test]
fn values_in_set_can_be_parameters() {
    let _alone = alone();
    let mut client = client();
    let set = client.prepare("SET @a = ?, @b = CONCAT(?, '?'), sort_buffer_size = ?").unwrap();
    assert_eq!(set.parameters.len(), 3);
    client.execute(&set, &[Param::Int(7), Param::Text("it's".to_owned()), Param::Int(65536)]).ok();
    let rows = client.rows("SELECT @a, @b, @@sort_buffer_size").text();
    assert_eq!(rows, [[Some("7".to_owned()), Some("it's?".to_owned()), Some("65536".to_owned())]]);
    client.execute(&set, &[Param::Null, Param::Text(String::new()), Param::Int(65536)]).ok();
    assert_eq!(client.rows("SELECT @a, @b").text(), [[None, Some("?".to_owned())]]);
    let kill = client.prepare("KILL QUERY ?").unwrap();
    assert_eq!(client.execute(&kill, &[Param::Int(4_000_000)]).err().errno, 1094);
}

#[test]
fn a_query_in_set_opens_no_schema() {
    let _alone = alone();
    let url = Url { user: "narrow".to_owned(), password: "narrow-secret".to_owned(), ..proxy().url() };
    let mut narrow = Options::new(&url).schema(OTHER_SCHEMA).connect().unwrap();
    for sql in [
        format!("SET @x = (SELECT COUNT(*) FROM {SCHEMA}.notes)"),
        format!("SET @x = EXISTS (SELECT 1 FROM `{SCHEMA}`.items_0)"),
        format!("EXECUTE IMMEDIATE 'SELECT ?' USING (SELECT COUNT(*) FROM {SCHEMA}.notes)"),
        format!("CREATE TABLE stolen AS SELECT * FROM {SCHEMA}.notes"),
        "SET @x = (SELECT COUNT(*) FROM mysql.user)".to_owned(),
    ] {
        assert_eq!(narrow.query(&sql).err().errno, 1044, "{sql}");
    }
    // nor does one in a comment that the server executes
    let is_mariadb = narrow.greeting.version.contains("MariaDB");
    let opening = if is_mariadb { "/*M!100100" } else { "/*!80000" };
    assert_eq!(narrow.query(&format!("{opening} SELECT user FROM mysql.user */")).err().errno, 1044);
    // a part is no table
    assert_eq!(client().query("SET @x = (SELECT COUNT(*) FROM items_0)").err().errno, 1146);
}

fn narrow() -> RawClient {
    let url = Url { user: "narrow".to_owned(), password: "narrow-secret".to_owned(), ..proxy().url() };
    Options::new(&url).schema(OTHER_SCHEMA).connect().unwrap()
}

#[test]
fn a_definition_opens_no_schema() {
    let _alone = alone();
    let mut narrow = narrow();
    for sql in [
        format!("CREATE VIEW seen AS SELECT * FROM {SCHEMA}.notes"),
        format!("CREATE OR REPLACE VIEW seen AS SELECT (SELECT COUNT(*) FROM {SCHEMA}.notes) AS n"),
        format!("CREATE VIEW seen AS SELECT 1 AS n WHERE EXISTS (SELECT 1 FROM `{SCHEMA}`.one)"),
        "CREATE VIEW seen AS SELECT user FROM mysql.user".to_owned(),
        format!("CREATE TABLE stolen LIKE {SCHEMA}.notes"),
        format!("CREATE TABLE stolen AS SELECT * FROM {SCHEMA}.one"),
        format!("CREATE PROCEDURE steals() SELECT * FROM {SCHEMA}.notes"),
        format!("CREATE FUNCTION steals() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM {SCHEMA}.notes)"),
        format!("CREATE TRIGGER {SCHEMA}.steals BEFORE INSERT ON {SCHEMA}.notes FOR EACH ROW SET NEW.v = 'x'"),
        format!("CREATE EVENT steals ON SCHEDULE EVERY 1 YEAR DO DELETE FROM {SCHEMA}.notes"),
    ] {
        assert_eq!(narrow.query(&sql).err().errno, 1044, "{sql}");
    }
    narrow.run("CREATE VIEW seen AS SELECT 1 AS n");
    assert_eq!(narrow.query(&format!("ALTER VIEW seen AS SELECT * FROM {SCHEMA}.notes")).err().errno, 1044);
    narrow.run("CREATE OR REPLACE VIEW seen AS SELECT schema_name FROM information_schema.schemata");
    narrow.run("DROP VIEW seen");
    assert_eq!(narrow.query("SELECT * FROM stolen").err().errno, 1146);
}

#[test]
fn show_opens_no_schema() {
    let _alone = alone();
    let mut wide = client();
    wide.run("CREATE PROCEDURE shown_program() SELECT 1");
    let mut narrow = narrow();
    narrow.run("CREATE PROCEDURE own_program() SELECT 1");
    for sql in [
        format!("SHOW CREATE PROCEDURE {SCHEMA}.shown_program"),
        format!("SHOW CREATE FUNCTION {SCHEMA}.shown_program"),
        format!("SHOW CREATE DATABASE {SCHEMA}"),
        format!("SHOW CREATE TABLE {SCHEMA}.notes"),
        format!("SHOW TABLES FROM {SCHEMA}"),
        "SHOW TABLES FROM mysql".to_owned(),
        "SHOW TABLE STATUS FROM mysql".to_owned(),
        "SHOW COLUMNS FROM mysql.user".to_owned(),
    ] {
        assert_eq!(narrow.query(&sql).err().errno, 1044, "{sql}");
    }
    wide.run("CREATE FUNCTION shown_function() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM notes)");
    for sql in [
        format!("SELECT {SCHEMA}.shown_function()"),
        format!("DO `{SCHEMA}` . shown_function()"),
        format!("SET @x = {SCHEMA}.shown_function()"),
        format!("CALL {SCHEMA}.shown_program()"),
        format!("DROP PROCEDURE {SCHEMA}.shown_program"),
        format!("SHOW STATUS WHERE {SCHEMA}.shown_function() = 0"),
        format!("CREATE VIEW by_function AS SELECT {SCHEMA}.shown_function() AS n"),
    ] {
        assert_eq!(narrow.query(&sql).err().errno, 1044, "{sql}");
    }
    assert_eq!(wide.rows(&format!("SELECT {SCHEMA}.shown_function() >= 0")).scalar().as_deref(), Some("1"));
    wide.run("DROP FUNCTION shown_function");
    let mut names = |sql: &str| {
        let rows = narrow.rows(sql).text();
        rows.iter().map(|row| row[1].clone().unwrap()).collect::<Vec<_>>()
    };
    let own = ["own_program".to_owned()];
    assert_eq!(names("SHOW PROCEDURE STATUS"), own);
    assert_eq!(names("SHOW PROCEDURE STATUS LIKE '%program'"), own);
    assert_eq!(names("SHOW PROCEDURE STATUS WHERE Name LIKE '%program' OR TRUE"), own);
    assert!(names("SHOW PROCEDURE STATUS LIKE 'shown%'").is_empty());
    assert!(names(&format!("SHOW PROCEDURE STATUS WHERE Db = '{SCHEMA}'")).is_empty());
    assert_eq!(narrow.query("SHOW PROCEDURE STATUS WHERE FALSE) OR (TRUE").err().errno, 1235);
    assert_eq!(wide.rows(&format!("SHOW PROCEDURE STATUS WHERE Db = '{SCHEMA}'")).text().len(), 1);
    narrow.run("DROP PROCEDURE own_program");
    wide.run("DROP PROCEDURE shown_program");
}

#[test]
fn show_reads_no_table_of_one_server() {
    let _alone = alone();
    let mut client = client();
    for sql in [
        "SHOW VARIABLES WHERE variable_name = 'autocommit' AND (SELECT COUNT(*) FROM one) = 4",
        "SHOW STATUS WHERE (SELECT COUNT(*) FROM items_0) = 1",
        "SHOW COLLATION WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW CHARACTER SET WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW DATABASES WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW COLUMNS FROM one WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW INDEX FROM one WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW TABLES WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW TABLE STATUS WHERE EXISTS (SELECT 1 FROM one)",
        "SHOW FUNCTION STATUS WHERE EXISTS (SELECT 1 FROM one)",
    ] {
        assert_eq!(client.query(sql).err().errno, 1235, "{sql}");
    }
    assert_eq!(client.rows("SHOW VARIABLES WHERE variable_name = 'autocommit' AND (SELECT 1) = 1").text().len(), 1);
}

#[test]
fn a_plan_that_another_account_made_opens_no_schema() {
    let _alone = alone();
    let url = Url { user: "narrow".to_owned(), password: "narrow-secret".to_owned(), ..proxy().url() };
    let mut narrow = Options::new(&url).schema(OTHER_SCHEMA).connect().unwrap();
    let text = format!("SELECT v FROM {SCHEMA}.one WHERE id = 1");
    let mut wide = client();
    for _ in 0..2 {
        wide.rows(&text);
        assert_eq!(narrow.query(&text).err().errno, 1044);
    }
    assert_eq!(narrow.query(&format!("LOCK TABLES {SCHEMA}.one READ")).err().errno, 1044);
}

#[test]
fn a_view_over_another_schema_shows_logical_tables() {
    let _alone = alone();
    let mut client = client();
    client.run(&format!(
        "CREATE VIEW {OTHER_SCHEMA}.over AS SELECT i.id, o.v FROM {SCHEMA}.items i, {SCHEMA}.items, {SCHEMA}.one o"
    ));
    let shown = client.rows(&format!("SHOW CREATE VIEW {OTHER_SCHEMA}.over")).text()[0][1].clone().unwrap();
    client.run(&format!("DROP VIEW {OTHER_SCHEMA}.over"));
    assert!(!shown.contains("items_"), "{shown}");
    assert!(shown.contains(&format!("`{SCHEMA}`.`items` `i`")), "{shown}");
    assert!(shown.contains(&format!("join `{SCHEMA}`.`items`)")), "{shown}");
}

#[test]
fn grants_are_those_of_the_rules_and_say_nothing_of_the_servers() {
    let _alone = alone();
    let mut client = client();
    for ask in ["SHOW GRANTS", "SHOW GRANTS FOR CURRENT_USER()", "SHOW GRANTS FOR 'app'@'%'"] {
        let answer = client.rows(ask);
        let rows: Vec<String> = answer.text().iter().map(|row| row[0].clone().unwrap()).collect();
        assert_eq!(rows[0], "GRANT USAGE ON *.* TO `app`@`%`");
        assert!(rows.contains(&"GRANT ALL PRIVILEGES ON `state_shop`.* TO `app`@`%`".to_owned()), "{rows:?}");
    }
    for ask in ["SHOW GRANTS FOR root@localhost", "SHOW CREATE USER", "SHOW CREATE USER shardloom"] {
        assert_eq!(client.query(ask).err().errno, 1044, "{ask}");
    }
}

#[test]
fn a_group_that_gave_no_connection_was_not_written_to() {
    let _alone = alone();
    let hogs = hogs();
    let mut writer = client();
    writer.run("BEGIN");
    assert_eq!(writer.query("UPDATE one SET v = 'no' WHERE id = 1").err().errno, 1040);
    writer.run("UPDATE one SET v = 'yes' WHERE id = 2");
    writer.run("COMMIT");
    drop(hogs);
    assert_eq!(v_of(2).as_deref(), Some("yes"));
}

#[test]
fn a_read_of_several_shards_outlives_connections_that_their_servers_closed() {
    let _alone = alone();
    let mut client = client();
    for _ in 0..5 {
        client.rows("SELECT id FROM one");
        for group in &Backends::shared().groups {
            let mut server = Options::new(&group.primary).connect().unwrap();
            let own = scalar(&mut server, "SELECT CONNECTION_ID()");
            for row in server.rows("SHOW PROCESSLIST").text() {
                if row[3].as_deref() == Some(SCHEMA) && row[0] != own {
                    server.query(&format!("KILL {}", row[0].as_deref().unwrap()));
                }
            }
        }
        assert_eq!(client.rows("SELECT id FROM one").rows.len(), 4);
    }
}

#[test]
fn get_diagnostics_is_refused_instead_of_doing_nothing() {
    let mut client = client();
    for sql in ["GET DIAGNOSTICS @n = NUMBER", "get diagnostics condition 1 @m = message_text"] {
        assert_eq!(client.query(sql).err().errno, 1235, "{sql}");
        assert_eq!(client.prepare(sql).unwrap_err().errno, 1235, "{sql}");
    }
}
