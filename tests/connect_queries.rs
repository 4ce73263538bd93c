//! What drivers and tools send when they connect: each must get from the proxy what a plain server answers.
//!
//! The lists were taken from the programs' sources and from the servers' general logs. Answers that cannot be equal,
//! such as a connection's number, are compared by their columns.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use support::backends::{Backends, Url};
use support::proxy::{PASSWORD, ProxyProcess, Rules, USER};
use support::raw::response::{Response, Rows, status};
use support::raw::{Options, RawClient, capability, command};

/// The logical schema.
const SCHEMA: &str = "connect_shop";
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      users:
        data_nodes: g{0..1}.users_{0..1}
        strategy: {columns: [id], algorithm: by_id}
    broadcast_tables: [country]
    algorithms:
      by_id: {type: mod}
";

/// A logical schema whose tables no single group holds.
const SPREAD: &str = "connect_spread";
const SPREAD_RULES: &str = "
    default_group: g0
    tables:
      archive: {data_nodes: g1.archive_2020}
      users:
        data_nodes: g{0..1}.users_{0..1}
        strategy: {columns: [id], algorithm: by_id}
    algorithms:
      by_id: {type: mod}
";

/// How an answer is compared with the plain server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// Everything is equal.
    Exact,
    /// Columns are equal and there are rows on both sides; the values are each server's own.
    Columns,
    /// As `Columns`, and the first cells of all rows are the same: a list of names with values.
    /// The system schemas of a server are not the proxy's to show.
    Names,
}
use Compare::{Columns, Exact, Names};

static PROXY: LazyLock<ProxyProcess> = LazyLock::new(|| {
    let proxy = ProxyProcess::start_shared(&Rules::schema(SCHEMA, SCHEMA_RULES).and_schema(SPREAD, SPREAD_RULES));
    for mut client in [connect(&proxy.url()), connect(&plain())] {
        client.run("CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(40), KEY by_name (name))");
        client.run("CREATE TABLE country (code CHAR(2) NOT NULL PRIMARY KEY, title VARCHAR(40) NOT NULL)");
        client.run("CREATE TABLE notes (id INT NOT NULL PRIMARY KEY, body TEXT)");
        client.run("INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, NULL)");
    }
    proxy
});

/// The same account on the plain server, so that answers which name it can be equal.
fn plain() -> Url {
    let url = &Backends::shared().plain;
    let mut client = Options::new(url).connect().unwrap();
    client.run(&format!("CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'"));
    for schema in [SCHEMA, SPREAD] {
        client.run(&format!("GRANT ALL PRIVILEGES ON {schema}.* TO '{USER}'@'%'"));
    }
    url.with_account(USER, PASSWORD)
}

fn connect(url: &Url) -> RawClient {
    Options::new(url).schema(SCHEMA).connect().unwrap()
}

fn check(queries: &[(Compare, &str)]) {
    LazyLock::force(&PROXY);
    let mut proxy = connect(&PROXY.url());
    let mut plain = connect(&plain());
    let mut problems = Vec::new();
    for (compare, sql) in queries {
        let sql = sql.replace("{schema}", SCHEMA);
        let (got, want) = (proxy.query(&sql), plain.query(&sql));
        if let Err(problem) = equal(*compare, &got, &want) {
            problems.push(format!("{sql}\n  {problem}"));
        }
    }
    assert!(problems.is_empty(), "{} answers differ:\n{}", problems.len(), problems.join("\n"));
}

fn equal(compare: Compare, got: &Response, want: &Response) -> Result<(), String> {
    let differ = || Err(format!("proxy: {}\n  plain: {}", short(got), short(want)));
    match (got, want) {
        (Response::Rows(got), Response::Rows(want)) => {
            let same = match compare {
                Exact => got.rows == want.rows && got.warnings == want.warnings,
                Columns => got.rows.is_empty() == want.rows.is_empty(),
                Names => first_cells(got) == first_cells(want),
            };
            let shape = |rows: &Rows| -> Vec<_> {
                rows.columns.iter().map(|column| (column.name.clone(), column.class())).collect()
            };
            let (got_shape, want_shape) = (shape(got), shape(want));
            if let Some(position) = (0..want_shape.len()).find(|at| got_shape.get(*at) != want_shape.get(*at)) {
                return Err(format!("proxy: {:?}\n  plain: {:?}", got_shape.get(position), want_shape[position]));
            }
            if same { Ok(()) } else { differ() }
        }
        (Response::Ok(got), Response::Ok(want)) => {
            // Some servers warn of settings that will go; the proxy keeps settings by itself.
            let same = got.affected_rows == want.affected_rows
                && got.status & !status::INCIDENTAL == want.status & !status::INCIDENTAL;
            if same { Ok(()) } else { differ() }
        }
        (Response::Err(got), Response::Err(want)) if got == want => Ok(()),
        _ => differ(),
    }
}

fn short(response: &Response) -> String {
    match response {
        Response::Rows(rows) => {
            let text: Vec<_> = rows.text();
            let shown: String = format!("{text:?}").chars().take(600).collect();
            format!("{} rows, {} warnings: {shown}", rows.rows.len(), rows.warnings)
        }
        other => format!("{other:?}"),
    }
}

fn first_cells(rows: &Rows) -> BTreeSet<Option<String>> {
    let is_system = |cell: &str| ["mysql", "performance_schema", "sys"].contains(&cell);
    let cells = rows.text().into_iter().map(|mut row| row.remove(0));
    cells.filter(|cell| !cell.as_deref().is_some_and(is_system)).collect()
}

#[test]
fn mysql_connector_j() {
    check(&[
        (
            Columns,
            "/* mysql-connector-j-9.1.0 (Revision: cf2917ea44ae2e43a4514a33771035aa99de73d2) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@character_set_connection AS character_set_connection, @@character_set_results AS character_set_results, @@character_set_server AS character_set_server, @@collation_server AS collation_server, @@collation_connection AS collation_connection, @@init_connect AS init_connect, @@interactive_timeout AS interactive_timeout, @@license AS license, @@lower_case_table_names AS lower_case_table_names, @@max_allowed_packet AS max_allowed_packet, @@net_write_timeout AS net_write_timeout, @@performance_schema AS performance_schema, @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, @@tx_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout",
        ),
        (
            Columns,
            "SHOW VARIABLES WHERE Variable_name ='language' OR Variable_name = 'net_write_timeout' OR Variable_name = 'interactive_timeout' OR Variable_name = 'wait_timeout' OR Variable_name = 'character_set_client' OR Variable_name = 'character_set_connection' OR Variable_name = 'lower_case_table_names' OR Variable_name = 'max_allowed_packet' OR Variable_name = 'sql_mode' OR Variable_name = 'time_zone'",
        ),
        (Exact, "SHOW WARNINGS"),
        (Exact, "SET NAMES utf8mb4"),
        (Exact, "SET character_set_results = NULL"),
        (Exact, "SET autocommit=1"),
        (Exact, "SET sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"),
        (Exact, "SELECT @@session.tx_read_only"),
        (Exact, "SELECT @@session.transaction_read_only"),
        (Exact, "SELECT @@session.tx_isolation"),
        (Exact, "SELECT @@session.transaction_isolation"),
        (Exact, "SET SESSION TRANSACTION READ ONLY"),
        (Exact, "SET SESSION TRANSACTION READ WRITE"),
        (Exact, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        (Exact, "/* ping */ SELECT 1"),
        (Exact, "SELECT database()"),
        (Exact, "SHOW COLLATION"),
        (Exact, "SELECT @@session.autocommit"),
        (Exact, "SHOW FULL TABLES FROM `{schema}` LIKE '%'"),
        (Exact, "SHOW FULL COLUMNS FROM `users` FROM `{schema}` LIKE '%'"),
        (Names, "SHOW KEYS FROM `users` FROM `{schema}`"),
    ]);
}

#[test]
fn mariadb_connector_j() {
    check(&[
        (Exact, "set autocommit=1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')"),
        (Exact, "SELECT @@sql_mode"),
        (Columns, "SELECT @@max_allowed_packet, @@system_time_zone, @@time_zone, @@auto_increment_increment"),
        (Exact, "set session transaction read only"),
        (Exact, "set session transaction read write"),
        (Exact, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        (Exact, "SELECT DATABASE()"),
        (
            Exact,
            "SELECT TABLE_SCHEMA TABLE_CAT, NULL TABLE_SCHEM, TABLE_NAME, IF(TABLE_TYPE='BASE TABLE' or TABLE_TYPE='SYSTEM VERSIONED', 'TABLE', TABLE_TYPE) as TABLE_TYPE, TABLE_COMMENT REMARKS, NULL TYPE_CAT FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '{schema}' ORDER BY TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME",
        ),
        (
            Exact,
            "SELECT A.TABLE_SCHEMA TABLE_CAT, NULL TABLE_SCHEM, A.TABLE_NAME, A.COLUMN_NAME, B.SEQ_IN_INDEX KEY_SEQ, B.INDEX_NAME PK_NAME FROM INFORMATION_SCHEMA.COLUMNS A, INFORMATION_SCHEMA.STATISTICS B WHERE A.COLUMN_KEY in ('PRI','pri') AND B.INDEX_NAME='PRIMARY' AND A.TABLE_SCHEMA = '{schema}' AND B.TABLE_SCHEMA = '{schema}' AND A.TABLE_NAME = 'users' AND B.TABLE_NAME = 'users' AND A.COLUMN_NAME = B.COLUMN_NAME ORDER BY A.COLUMN_NAME",
        ),
    ]);
}

#[test]
fn python_drivers_and_frameworks() {
    check(&[
        (Exact, "SET NAMES utf8mb4"),
        (Exact, "SET AUTOCOMMIT = 0"),
        (Exact, "SET AUTOCOMMIT = 1"),
        (Exact, "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci'"),
        (Exact, "SET @@session.autocommit = OFF"),
        (Exact, "SELECT @@session.autocommit"),
        (Exact, "COMMIT"),
        (Exact, "SET @@session.autocommit = ON"),
        // SQLAlchemy
        (Exact, "SELECT @@tx_isolation"),
        (Exact, "SELECT @@transaction_isolation"),
        (Exact, "show variables like 'sql_mode'"),
        (Exact, "show variables like 'lower_case_table_names'"),
        (Exact, "SELECT CAST('test plain returns' AS CHAR(60)) AS anon_1"),
        (Exact, "SHOW VARIABLES LIKE 'character_set_client'"),
        (Exact, "SHOW CREATE TABLE `users`"),
        (Exact, "SHOW FULL TABLES FROM `{schema}`"),
        (Exact, "DESCRIBE `{schema}`.`users`"),
        (Exact, "SELECT CASE WHEN (1 = 1) THEN 'a' ELSE 'b' END AS anon_1"),
        // Django
        (Exact, "SET SQL_AUTO_IS_NULL = 0"),
        (Exact, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "),
        (
            Columns,
            "SELECT VERSION(), @@sql_mode, @@default_storage_engine, @@sql_auto_is_null, @@lower_case_table_names, CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL",
        ),
        (
            Exact,
            "SELECT table_name, table_type, table_comment FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name",
        ),
    ]);
}

#[test]
fn node_drivers_and_frameworks() {
    check(&[
        (Exact, "SELECT 1+1 AS result"),
        (Columns, "SELECT VERSION() as `version`"),
        (Columns, "SELECT @@version, @@GLOBAL.version"),
        (Exact, "SELECT DATABASE() AS `db_name`"),
        (Exact, "SET time_zone = '+00:00'"),
        (Exact, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        (Names, "SHOW INDEX FROM `users`"),
        (Exact, "SHOW FULL COLUMNS FROM `users`"),
        (
            Exact,
            "SELECT * FROM `INFORMATION_SCHEMA`.`COLUMNS` WHERE `TABLE_SCHEMA` = '{schema}' AND `TABLE_NAME` = 'users' ORDER BY ORDINAL_POSITION",
        ),
        (
            Exact,
            "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = '{schema}' ORDER BY TABLE_NAME",
        ),
    ]);
}

#[test]
fn go_driver_and_frameworks() {
    check(&[
        (Columns, "SELECT @@max_allowed_packet"),
        (Exact, "SET NAMES utf8mb4"),
        (Exact, "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci"),
        (Exact, "SET time_zone = '+00:00'"),
        (Columns, "SELECT VERSION()"),
        (Exact, "SELECT DATABASE()"),
        (
            Exact,
            "SELECT SCHEMA_NAME from Information_schema.SCHEMATA where SCHEMA_NAME LIKE '{schema}%' ORDER BY SCHEMA_NAME='{schema}' DESC,SCHEMA_NAME limit 1",
        ),
        (
            Exact,
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = '{schema}' AND table_name = 'users' AND table_type = 'BASE TABLE'",
        ),
        (
            Exact,
            "SELECT column_name, is_nullable, data_type, character_maximum_length, column_type, column_key FROM information_schema.columns WHERE table_schema = '{schema}' AND table_name = 'users' ORDER BY ORDINAL_POSITION",
        ),
        (Exact, "START TRANSACTION"),
        (Exact, "COMMIT"),
    ]);
}

#[test]
fn dotnet_drivers() {
    check(&[
        (Exact, "SET NAMES utf8mb4;"),
        (Columns, "SELECT CONNECTION_ID(), VERSION(), UTC_TIMESTAMP()"),
        (
            Columns,
            "SELECT @@max_allowed_packet, @@character_set_client, @@character_set_connection, @@license, @@sql_mode, @@lower_case_table_names",
        ),
        (Names, "SHOW VARIABLES"),
        (Columns, "SELECT TIMEDIFF(NOW(), UTC_TIMESTAMP())"),
        (Exact, "SET character_set_results=NULL"),
        (Exact, "SELECT * FROM information_schema.character_sets ORDER BY CHARACTER_SET_NAME"),
        (Exact, "set session transaction isolation level repeatable read;"),
        (Exact, "start transaction;"),
        (Exact, "commit;"),
    ]);
}

#[test]
fn php_and_ruby() {
    check(&[
        (Exact, "use `{schema}`;"),
        (Exact, "set names 'utf8mb4' collate 'utf8mb4_unicode_ci'"),
        (
            Exact,
            "set session sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
        ),
        (
            Exact,
            "select * from information_schema.tables where table_schema = '{schema}' and table_name = 'no_migrations'",
        ),
        (
            Exact,
            "SET  @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483, @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO')",
        ),
        (Exact, "SELECT @@SESSION.sql_mode"),
        (Exact, "SELECT @@max_identifier_length"),
        (Exact, "SELECT GET_LOCK('shardloom-connect', 0)"),
        (Exact, "SELECT RELEASE_LOCK('shardloom-connect')"),
        (Columns, "SELECT @@version, @@version_comment"),
        (Exact, "SELECT @@lower_case_table_names"),
        (Columns, "SELECT CURRENT_USER()"),
    ]);
}

#[test]
fn dbeaver() {
    check(&[
        (Exact, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        (Exact, "SET SQL_SELECT_LIMIT=DEFAULT"),
        (Exact, "SHOW ENGINES"),
        (Exact, "SHOW CHARSET"),
        (Exact, "SHOW COLLATION"),
        (Names, "SHOW PLUGINS"),
        (Exact, "SHOW VARIABLES LIKE 'lower_case_%'"),
        (Exact, "SELECT @@GLOBAL.character_set_server,@@GLOBAL.collation_server"),
        (Names, "SHOW DATABASES"),
        (Exact, "SHOW DATABASES LIKE '{schema}'"),
        (Exact, "SELECT * FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{schema}'"),
        (Exact, "SHOW FULL TABLES FROM `{schema}`"),
        (Names, "SHOW TABLE STATUS FROM `{schema}`"),
        (Names, "SHOW TABLE STATUS LIKE 'users'"),
        (Exact, "SHOW FULL COLUMNS FROM `users` FROM `{schema}`"),
        (Exact, "SELECT DATABASE()"),
        (Names, "SHOW STATUS"),
        (Exact, "SHOW PRIVILEGES"),
        (
            Exact,
            "SELECT kc.CONSTRAINT_NAME,kc.TABLE_NAME,kc.COLUMN_NAME,kc.ORDINAL_POSITION FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE kc WHERE kc.TABLE_SCHEMA='{schema}' AND kc.REFERENCED_TABLE_NAME IS NULL AND kc.TABLE_NAME='users' ORDER BY kc.CONSTRAINT_NAME,kc.ORDINAL_POSITION",
        ),
        (Exact, "SHOW TRIGGERS FROM `{schema}`"),
        (Exact, "SELECT * FROM INFORMATION_SCHEMA.ROUTINES WHERE ROUTINE_SCHEMA='{schema}'"),
        (Exact, "SHOW EVENTS FROM `{schema}`"),
    ]);
}

#[test]
fn mysql_workbench_and_heidisql() {
    check(&[
        (Exact, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        (Exact, "SET CHARACTER SET utf8mb4"),
        (Exact, "SET NAMES utf8mb4"),
        (Exact, "SET SQL_SAFE_UPDATES=1"),
        (Columns, "SELECT CONNECTION_ID()"),
        (Exact, "SHOW SESSION STATUS LIKE 'Ssl_cipher'"),
        (Exact, "SHOW SESSION VARIABLES LIKE 'lower_case_table_names'"),
        (Exact, "SHOW SESSION VARIABLES LIKE 'sql_mode'"),
        (Columns, "SHOW SESSION VARIABLES LIKE 'version_comment'"),
        (Columns, "SHOW SESSION VARIABLES LIKE 'version'"),
        (Columns, "SELECT current_user()"),
        (Names, "SHOW DATABASES"),
        (Names, "SHOW GLOBAL VARIABLES"),
        (Names, "SHOW GLOBAL STATUS"),
        (Exact, "SHOW FULL TABLES FROM `{schema}`"),
        (Exact, "SHOW PROCEDURE STATUS WHERE Db='{schema}'"),
        (Exact, "SHOW FUNCTION STATUS WHERE Db='{schema}'"),
        (Exact, "SHOW FULL COLUMNS FROM `{schema}`.`users`"),
        (Names, "SHOW INDEXES FROM `{schema}`.`users`"),
        (Exact, "SHOW CREATE TABLE `{schema}`.`users`"),
        (Exact, "SELECT * FROM `{schema}`.users WHERE id = 1\nLIMIT 0, 1000"),
        (Exact, "set autocommit=1"),
        (Exact, "SELECT st.* FROM (SELECT 1 AS a) AS st"),
        // HeidiSQL
        (Exact, "/*!40101 SET NAMES utf8mb4 */"),
        (Names, "SHOW VARIABLES;"),
        (Names, "SHOW /*!50002 GLOBAL */ STATUS;"),
        (Columns, "SELECT NOW();"),
        (Exact, "SELECT `DEFAULT_COLLATION_NAME` FROM `information_schema`.`SCHEMATA` WHERE `SCHEMA_NAME`='{schema}';"),
        (Exact, "USE `{schema}`;"),
    ]);
}

#[test]
fn command_line_clients_and_dump() {
    check(&[
        (Columns, "select @@version_comment limit 1"),
        (Names, "show databases"),
        (Exact, "show tables"),
        (Exact, "SELECT DATABASE()"),
        (Columns, "select DATABASE(), USER() limit 1"),
        (Columns, "select USER()"),
        (
            Exact,
            "select @@character_set_client, @@character_set_connection, @@character_set_server, @@character_set_database limit 1",
        ),
        (Exact, "SHOW WARNINGS"),
        // mysqldump
        (Exact, "/*!40100 SET @@SQL_MODE='' */"),
        (Exact, "/*!40103 SET TIME_ZONE='+00:00' */"),
        (Exact, "SHOW VARIABLES LIKE 'gtid\\_mode'"),
        (Exact, "SHOW CREATE DATABASE IF NOT EXISTS `{schema}`"),
        (Exact, "show create table `users`"),
        (Exact, "show fields from `users`"),
        (Exact, "show table status like 'nosuch'"),
        (Exact, "SELECT /*!40001 SQL_NO_CACHE */ `id`, `name` FROM `users` WHERE id = 2"),
        (Exact, "SET SESSION character_set_results = 'binary'"),
        (Exact, "SET SESSION character_set_results = 'utf8mb4'"),
        (Exact, "show triggers like 'users'"),
    ]);
}

/// Completion asks for the columns of every table with COM_FIELD_LIST, which MariaDB still answers.
#[test]
fn completion_lists_columns() {
    LazyLock::force(&PROXY);
    let payload = [&[command::FIELD_LIST][..], b"users\0"].concat();
    let ask = |url: &Url| {
        let options = Options::new(url).schema(SCHEMA).without(capability::DEPRECATE_EOF);
        let mut client = options.connect().unwrap();
        client.wire.send_command(&payload).unwrap();
        let mut packets = Vec::new();
        loop {
            let packet = client.wire.receive().unwrap();
            let ends = packet[0] == 0xff || (packet[0] == 0xfe && packet.len() == 5);
            packets.push(packet);
            if ends {
                return packets;
            }
        }
    };
    assert_eq!(ask(&PROXY.url()), ask(&plain()));
}

#[test]
fn a_split_table_has_no_numbers_of_one_of_its_parts() {
    let mut client = Options::new(&PROXY.url()).schema(SCHEMA).connect().unwrap();
    let measured = client.rows(
        "SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()",
    );
    let measured = measured.text();
    let of = |name: &str| measured.iter().find(|row| row[0].as_deref() == Some(name)).unwrap();
    assert_eq!(of("users")[1..], [None, None]);
    assert!(of("country")[2].is_some(), "{measured:?}");
    let status = client.rows("SHOW TABLE STATUS LIKE 'users'").text();
    assert_eq!((status[0][0].as_deref(), status[0][4].as_deref()), (Some("users"), None));
}

#[test]
fn lists_of_tables_come_from_all_groups() {
    LazyLock::force(&PROXY);
    let mut clients = [PROXY.url(), plain()].map(|url| Options::new(&url).schema(SPREAD).connect().unwrap());
    for client in &mut clients {
        client.run("CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(40))");
        client.run("CREATE TABLE archive (id INT NOT NULL PRIMARY KEY, body VARCHAR(40), KEY by_body (body))");
        client.run("CREATE TABLE notes (id INT NOT NULL PRIMARY KEY)");
    }
    let [mut proxy, mut plain] = clients;
    for sql in [
        "SHOW TABLES",
        "SHOW FULL TABLES LIKE 'a%'",
        "SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'",
        "SHOW COLUMNS FROM archive",
        "SHOW CREATE TABLE archive",
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME DESC LIMIT 2",
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'connect_spread'",
        "SELECT TABLE_NAME, COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'connect_spread' GROUP BY TABLE_NAME ORDER BY TABLE_NAME",
        "SELECT t.TABLE_NAME, k.COLUMN_NAME FROM information_schema.TABLES t LEFT JOIN information_schema.KEY_COLUMN_USAGE k ON k.TABLE_SCHEMA = t.TABLE_SCHEMA AND k.TABLE_NAME = t.TABLE_NAME WHERE t.TABLE_SCHEMA = 'connect_spread' ORDER BY t.TABLE_NAME",
        "SELECT DISTINCT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'connect_spread' AND TABLE_NAME = 'archive' ORDER BY INDEX_NAME",
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'connect%' ORDER BY SCHEMA_NAME",
        // MariaDB Connector/J's getTables, 3.0 and 3.5
        "SELECT TABLE_SCHEMA TABLE_CAT, NULL TABLE_SCHEM, TABLE_NAME, IF(TABLE_TYPE='BASE TABLE' or TABLE_TYPE='SYSTEM VERSIONED', 'TABLE', TABLE_TYPE) as TABLE_TYPE, TABLE_COMMENT REMARKS, NULL TYPE_CAT FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'connect_spread' ORDER BY TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME",
        "SELECT TABLE_SCHEMA TABLE_CAT, NULL  TABLE_SCHEM,  TABLE_NAME, IF(TABLE_TYPE='BASE TABLE' or TABLE_TYPE='SYSTEM VERSIONED', 'TABLE', IF(TABLE_TYPE='TEMPORARY', 'LOCAL TEMPORARY', TABLE_TYPE)) as TABLE_TYPE, TABLE_COMMENT REMARKS, NULL TYPE_CAT, NULL TYPE_SCHEM, NULL TYPE_NAME, NULL SELF_REFERENCING_COL_NAME,  NULL REF_GENERATION FROM INFORMATION_SCHEMA.TABLES  WHERE TABLE_SCHEMA = 'connect_spread' AND TABLE_TYPE IN ('BASE TABLE','VIEW') ORDER BY TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME",
        "SELECT * FROM archive_2020",
        "DESCRIBE archive_2020",
    ] {
        let (got, want) = (proxy.query(sql), plain.query(sql));
        if let Err(problem) = equal(Exact, &got, &want) {
            panic!("{sql}\n  {problem}");
        }
    }
}
