//! The protocol, packet by packet: what a client sees of the proxy is what it sees of a server.
//!
//! Each scenario runs against a plain server and through the proxy, and what it saw must be equal; the client checks
//! every packet's sequence number. With `SHARDLOOM_TEST_SELF_CHECK=1` only the plain server is used.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use support::backends::{Backends, Url};
use support::poll_until;
use support::proxy::{PASSWORD, ProxyProcess, Rules, USER};
use support::raw::bytes::Reader;
use support::raw::response::{ErrPacket, Response, status};
use support::raw::{Options, Param, RawClient, capability, command};

const SCHEMA: &str = "wire_shop";
const SECOND_SCHEMA: &str = "wire_second";
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items_{0..1}
        strategy: {columns: [id], algorithm: by_id}
      counted: {data_nodes: 'g{0..1}.counted_{0..1}', strategy: {columns: [id], algorithm: by_id}}
      letters: {data_nodes: 'g{0..1}.letters_{0..1}', strategy: {columns: [id], algorithm: by_id}}
    algorithms:
      by_id: {type: mod}
";

static PROXY: LazyLock<ProxyProcess> = LazyLock::new(|| {
    let rules = Rules::schema(SCHEMA, SCHEMA_RULES).and_schema(SECOND_SCHEMA, SCHEMA_RULES);
    ProxyProcess::start_shared(&rules)
});

/// The servers to compare, with tables and rows made on each.
static SIDES: LazyLock<Vec<Url>> = LazyLock::new(|| {
    let is_self_check = std::env::var_os("SHARDLOOM_TEST_SELF_CHECK").is_some();
    let plain = &Backends::shared().plain;
    let mut admin = Options::new(plain).connect().unwrap();
    if is_self_check {
        admin.run(&format!("CREATE DATABASE {SCHEMA}"));
        admin.run(&format!("CREATE DATABASE {SECOND_SCHEMA}"));
    }
    let mut sides = Vec::new();
    if !is_self_check {
        sides.push(PROXY.url());
    }
    admin.run(&format!("CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'"));
    admin.run(&format!("GRANT ALL PRIVILEGES ON {SCHEMA}.* TO '{USER}'@'%'"));
    admin.run(&format!("GRANT ALL PRIVILEGES ON {SECOND_SCHEMA}.* TO '{USER}'@'%'"));
    sides.push(plain.with_account(USER, PASSWORD));
    for url in &sides {
        let mut client = Options::new(url).schema(SCHEMA).connect().unwrap();
        client.run("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40), data LONGBLOB)");
        client.run("INSERT INTO items (id, name) VALUES (1, 'one'), (2, 'two'), (3, NULL), (4, 'four'), (5, 'five')");
        // for tests that write to several groups, so that they neither wait for each other nor are seen by others
        for table in ["counted", "letters"] {
            client.run(&format!("CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, name VARCHAR(40))"));
            client.run(&format!("INSERT INTO {table} SELECT id, name FROM items"));
        }
    }
    sides
});

/// Connection settings for one side.
fn options(url: &Url) -> Options {
    Options::new(url).schema(SCHEMA)
}

/// Runs a scenario on all sides; all must see the same. Gives what they saw.
#[track_caller]
fn on_both<T: Debug + PartialEq>(scenario: impl Fn(&Url) -> T) -> T {
    let mut seen: Vec<T> = SIDES.iter().map(&scenario).collect();
    if seen.len() == 2 {
        assert_eq!(seen[0], seen[1], "left: through the proxy, right: a plain server");
    }
    seen.pop().unwrap()
}

/// A response without what depends on how a server ran the statement.
fn seen(response: Response) -> Response {
    match response {
        Response::Ok(mut ok) => {
            ok.status &= !status::INCIDENTAL;
            Response::Ok(ok)
        }
        Response::Rows(mut rows) => {
            rows.status &= !status::INCIDENTAL;
            Response::Rows(rows)
        }
        other => other,
    }
}

#[test]
fn greeting_offers_what_a_server_offers() {
    for url in SIDES.iter() {
        let client = options(url).connect().unwrap();
        let greeting = &client.greeting;
        assert_eq!(greeting.nonce.len(), 20, "{greeting:?}");
        assert!(!greeting.nonce.contains(&0), "a nonce holds no zero bytes");
        assert_eq!(greeting.status & status::AUTOCOMMIT, status::AUTOCOMMIT);
        for flag in [
            capability::PROTOCOL_41,
            capability::PLUGIN_AUTH,
            capability::MULTI_STATEMENTS,
            capability::DEPRECATE_EOF,
            capability::SESSION_TRACK,
            capability::CONNECT_WITH_DB,
            capability::CONNECT_ATTRS,
            capability::FOUND_ROWS,
        ] {
            assert!(greeting.capabilities & flag != 0, "capability {flag:#x} of {url} is missing");
        }
    }
    if SIDES.len() == 2 {
        let greeting = options(&SIDES[0]).connect().unwrap().greeting;
        assert!(greeting.capabilities & (capability::COMPRESS | capability::ZSTD) == 0, "compression is not there yet");
    }
}

#[test]
fn nonces_and_connection_ids_differ() {
    let url = &SIDES[0];
    let (first, second) = (options(url).connect().unwrap().greeting, options(url).connect().unwrap().greeting);
    assert_ne!(first.nonce, second.nonce);
    assert_ne!(first.connection_id, second.connection_id);
}

#[test]
fn select_with_and_without_deprecate_eof() {
    for flags in [capability::USUAL, capability::USUAL & !capability::DEPRECATE_EOF] {
        for sql in [
            "SELECT * FROM items WHERE id = 1",
            "SELECT id, name FROM items ORDER BY id",
            "SELECT id FROM items WHERE id > 100",
            "SELECT COUNT(*) FROM items",
            "SELECT 1",
        ] {
            on_both(|url| {
                let mut options = options(url);
                options.capabilities = flags;
                let mut client = options.connect().unwrap();
                let text = seen(client.query(sql));
                let statement = client.prepare(sql).unwrap();
                let binary = seen(client.execute(&statement, &[]));
                (text, statement.columns, binary)
            });
        }
    }
}

#[test]
fn found_rows_counts_matched_rows() {
    let run = |flags: u32| {
        on_both(|url| {
            let mut client = options(url).with(flags).connect().unwrap();
            let one = client.run("UPDATE counted SET name = 'two' WHERE id = 2");
            let all = client.run("UPDATE counted SET name = name");
            (one.affected_rows, one.info, all.affected_rows, all.info)
        })
    };
    assert_eq!(run(capability::FOUND_ROWS).0, 1);
    assert_eq!(run(0).0, 0);
}

#[test]
fn several_statements_in_one_text() {
    let texts = [
        "SELECT 1; SELECT id FROM items WHERE id = 2; DO 0",
        "SELECT id FROM items ORDER BY id; SELECT nosuch FROM items; SELECT 3",
        "SELECT 1;",
        "SELECT ';', 1 /* ; */ ; SELECT 2 -- ;\n",
    ];
    for sql in texts {
        let answers = on_both(|url| {
            let mut client = options(url).with(capability::MULTI_STATEMENTS).connect().unwrap();
            let answers: Vec<Response> = client.query_all(sql).into_iter().map(seen).collect();
            // The connection goes on afterwards, errors or not.
            assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
            answers
        });
        assert!(!answers.is_empty());
    }
}

#[test]
fn several_statements_need_the_capability() {
    let error = on_both(|url| options(url).connect().unwrap().query("SELECT 1; SELECT 2").err().errno);
    assert_eq!(error, 1064);
}

#[test]
fn set_option_switches_multi_statements() {
    let answers = on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let on = client.simple(&[command::SET_OPTION, 0, 0]).ok().status;
        let answers = client.query_all("SELECT 1; SELECT 2").len();
        let off = client.simple(&[command::SET_OPTION, 1, 0]).ok().status;
        let refused = client.query("SELECT 1; SELECT 2").err().errno;
        let unknown = client.simple(&[command::SET_OPTION, 9, 9]).err().errno;
        (on, answers, off, refused, unknown)
    });
    assert_eq!((answers.1, answers.3, answers.4), (2, 1064, 1047));
}

#[test]
fn unknown_commands_get_the_server_s_error() {
    for code in [0x30_u8, 0x7f] {
        let error = on_both(|url| {
            let mut client = options(url).connect().unwrap();
            let error = client.simple(&[code]).err();
            assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
            error
        });
        assert_eq!((error.errno, error.sqlstate.as_str()), (1047, "08S01"), "{code:#x}");
    }
}

#[test]
fn debug_is_refused() {
    for url in SIDES.iter() {
        let error = options(url).connect().unwrap().simple(&[command::DEBUG]).err();
        assert_eq!(error.errno, 1227, "{error}");
    }
}

#[test]
fn ping_and_empty_statement() {
    on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let pong = client.simple(&[command::PING]).ok();
        let empty = client.query("").err();
        // An empty statement for MySQL, nothing at all for MariaDB.
        let blank = seen(client.query("  /* nothing */  "));
        (pong, empty, blank)
    });
}

#[test]
fn statistics_is_a_line_of_text() {
    for url in SIDES.iter() {
        let mut client = options(url).connect().unwrap();
        client.wire.send_command(&[command::STATISTICS]).unwrap();
        let text = String::from_utf8(client.wire.receive().unwrap()).unwrap();
        assert!(text.starts_with("Uptime: ") && text.contains("Threads: "), "{text}");
        assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
    }
}

#[test]
fn init_db_and_use_change_the_schema() {
    on_both(|url| {
        let mut client = Options::new(url).connect().unwrap();
        let none = client.rows("SELECT DATABASE()").scalar();
        let without = client.query("SELECT * FROM items").err();
        let changed = client.simple(&[&[command::INIT_DB], SCHEMA.as_bytes()].concat()).ok();
        let now = client.rows("SELECT DATABASE()").scalar();
        let unknown = client.simple(&[&[command::INIT_DB][..], b"nosuch"].concat()).err();
        let used = client.run(&format!("USE {SECOND_SCHEMA}"));
        let then = client.rows("SELECT DATABASE()").scalar();
        let missing = client.query("SELECT * FROM items").err();
        let qualified = client.rows(&format!("SELECT COUNT(*) FROM {SCHEMA}.items WHERE id = 1")).scalar();
        // MySQL names the account in "access denied", and either may say so where MariaDB says "unknown".
        assert!(unknown.errno == 1049 || unknown.errno == 1044, "{unknown}");
        (none, without, changed.status, now, used.status, then, missing, qualified)
    });
}

#[test]
fn session_tracking_tells_of_a_changed_schema() {
    let state = on_both(|url| {
        let mut client = options(url).with(capability::SESSION_TRACK).connect().unwrap();
        let ok = client.run(&format!("USE {SECOND_SCHEMA}"));
        assert!(ok.status & status::SESSION_STATE_CHANGED != 0, "{ok:?}");
        ok.session_state
    });
    // Type 1 is the schema: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
    let mut reader = Reader(&state);
    assert_eq!((reader.u8(), reader.lenenc()), (1, SECOND_SCHEMA.len() as u64 + 1));
    assert_eq!(reader.text(), SECOND_SCHEMA);
}

#[test]
fn info_of_an_ok_has_a_length() {
    for flags in [0, capability::SESSION_TRACK] {
        on_both(|url| {
            let mut client = options(url).with(flags).connect().unwrap();
            let changed = client.run("UPDATE letters SET name = name WHERE id IN (1, 2)");
            let inserted = client.run("REPLACE INTO letters (id, name) VALUES (101, 'a'), (102, 'b'), (103, 'c')");
            let one = client.run("UPDATE letters SET name = name WHERE id = 101");
            let deleted = client.run("DELETE FROM letters WHERE id > 100");
            [changed, inserted, one, deleted].map(|ok| {
                assert!(!ok.info_lacks_length, "{ok:?}");
                (ok.affected_rows, ok.info, ok.session_state)
            })
        });
    }
}

#[test]
fn change_user_begins_a_new_session() {
    let seen = on_both(|url| {
        let mut client = options(url).connect().unwrap();
        client.run("SET @kept = 1, SESSION group_concat_max_len = 77");
        let ok = client.change_user(USER, PASSWORD, SECOND_SCHEMA).unwrap();
        let schema = client.rows("SELECT DATABASE()").scalar();
        let variable = client.rows("SELECT @kept").scalar();
        let setting = client.rows("SELECT @@group_concat_max_len = 77").scalar();
        (ok.status, schema, variable, setting)
    });
    assert_eq!((seen.1.as_deref(), seen.2, seen.3.as_deref()), (Some(SECOND_SCHEMA), None, Some("0")));
}

#[test]
fn change_user_with_a_wrong_password_changes_nothing() {
    for url in SIDES.iter() {
        let mut client = options(url).connect().unwrap();
        let error = client.change_user(USER, "wrong", SECOND_SCHEMA).unwrap_err().refusal();
        assert!([1045, 1873].contains(&error.errno), "{error}");
        // MySQL closes the connection, MariaDB goes on with the old session.
        client.wire.sequence = 0;
        let sent = client.wire.send(&[&[command::QUERY][..], b"SELECT DATABASE()"].concat());
        if let (Ok(()), Ok(answer)) = (sent, client.read_response()) {
            assert_eq!(answer.rows().scalar().as_deref(), Some(SCHEMA));
        }
    }
}

#[test]
fn reset_connection_forgets_the_session_but_not_the_schema() {
    let seen = on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let statement = client.prepare("SELECT 1").unwrap();
        client.run("SET @kept = 1, autocommit = 0");
        client.run("SET NAMES latin1");
        client.run("BEGIN");
        client.run("UPDATE items SET name = 'undone' WHERE id = 1");
        let ok = client.simple(&[command::RESET_CONNECTION]).ok();
        let session = client.rows("SELECT @kept, @@autocommit, DATABASE(), @@character_set_client").text();
        let row = client.rows("SELECT name FROM items WHERE id = 1").scalar();
        let gone = client.execute_error(&statement);
        (ok.status, session, row, gone)
    });
    assert_eq!(seen.2.as_deref(), Some("one"));
}

impl RawClient {
    /// Executes a statement that should be gone; gives the error's number.
    fn execute_error(&mut self, statement: &support::raw::Prepared) -> u16 {
        self.execute(statement, &[]).err().errno
    }
}

#[test]
fn transaction_status_shows_in_every_answer() {
    let flags = on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let mut flags = vec![client.run("SET autocommit = 0").status];
        flags.push(seen(client.query("SELECT id FROM items WHERE id = 1")).status());
        flags.push(client.run("COMMIT").status);
        flags.push(client.run("SET autocommit = 1").status);
        flags.push(client.run("BEGIN").status);
        flags.push(seen(client.query("SELECT id FROM items WHERE id = 1")).status());
        flags.push(client.simple(&[command::PING]).status());
        flags.push(client.query("SELECT nosuch FROM items WHERE id = 1").status());
        flags.push(client.run("ROLLBACK").status);
        flags.push(client.run("START TRANSACTION READ ONLY").status);
        flags.push(client.run("COMMIT").status);
        flags
    });
    assert_eq!(flags[0] & status::AUTOCOMMIT, 0);
    assert_eq!(flags[4] & status::IN_TRANSACTION, status::IN_TRANSACTION);
}

#[test]
fn prepared_statement_from_birth_to_death() {
    on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let statement = client.prepare("SELECT name, ? AS given FROM items WHERE id = ?").unwrap();
        let first = seen(client.execute(&statement, &[Param::Text("x".into()), Param::Int(1)]));
        let second = seen(client.execute(&statement, &[Param::Null, Param::Int(2)]));
        let reset = client.simple(&[&[command::STMT_RESET][..], &statement.id.to_le_bytes()].concat()).ok();
        let third = seen(client.execute(&statement, &[Param::Int(-5), Param::Text("4".into())]));
        client.close_statement(&statement);
        let gone = client.execute(&statement, &[Param::Null, Param::Null]).err();
        let unknown_reset = client.simple(&[command::STMT_RESET, 0xff, 0xff, 0, 0]).err().errno;
        assert_eq!((gone.errno, unknown_reset), (1243, 1243), "{gone}");
        (first, second, reset.status, third, statement.parameters.len())
    });
}

#[test]
fn long_data_arrives_in_pieces() {
    let length = on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let statement = client.prepare("SELECT LENGTH(?), ?").unwrap();
        for piece in [&b"abc"[..], b"", b"defg"] {
            client.send_long_data(&statement, 0, piece);
        }
        let joined = client.execute(&statement, &[Param::Long, Param::Int(1)]).rows().rows;
        // What was sent is used up: the next execution takes its own values.
        let plain = client.execute(&statement, &[Param::Text("xy".into()), Param::Int(1)]).rows().rows;
        (joined, plain)
    });
    assert_ne!(length.0, length.1);
}

#[test]
fn long_data_reaches_a_shard() {
    on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let statement = client.prepare("UPDATE items SET data = ? WHERE id = ?").unwrap();
        client.send_long_data(&statement, 0, &[7; 5000]);
        client.send_long_data(&statement, 0, &[8; 5000]);
        let changed = client.execute(&statement, &[Param::Long, Param::Int(5)]).ok().affected_rows;
        let length = client.rows("SELECT LENGTH(data), HEX(SUBSTRING(data, 5000, 2)) FROM items WHERE id = 5").text();
        client.run("UPDATE items SET data = NULL WHERE id = 5");
        (changed, length)
    });
}

#[test]
fn cursors_hand_out_rows_in_portions() {
    for sql in ["SELECT id, name FROM items ORDER BY id", "SELECT id FROM items WHERE id = 3"] {
        on_both(|url| {
            let mut client = options(url).connect().unwrap();
            let statement = client.prepare(sql).unwrap();
            let opened = client.execute_with_cursor(&statement, &[]).rows();
            assert_eq!(opened.status & status::CURSOR_EXISTS, status::CURSOR_EXISTS, "{sql}");
            let mut rows = Vec::new();
            loop {
                let portion = client.fetch(&statement, 2).rows();
                rows.push(portion.rows);
                if portion.status & status::LAST_ROW_SENT != 0 {
                    break;
                }
                assert!(rows.len() < 10, "no end of rows");
            }
            // Other statements run while a cursor is open, and executing again closes it.
            client.execute_with_cursor(&statement, &[]).rows();
            let between = client.rows("SELECT 7").scalar();
            let portion = client.fetch(&statement, 1).rows().rows;
            // A server's cursor reads from a temporary table, whose columns have other flags.
            let names: Vec<String> = opened.columns.into_iter().map(|column| column.name).collect();
            (names, rows, between, portion)
        });
    }
}

#[test]
fn fetch_without_a_cursor_is_an_error() {
    let error = on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let statement = client.prepare("SELECT id FROM items WHERE id = 1").unwrap();
        let payload = [&[command::STMT_FETCH][..], &statement.id.to_le_bytes(), &1_u32.to_le_bytes()].concat();
        client.simple(&payload).err().errno
    });
    assert_eq!(error, 1421);
}

#[test]
fn prepare_reports_errors_like_a_server() {
    for sql in ["SELECT nosuch FROM items WHERE id = ?", "SELECT * FROM nosuch WHERE a = ?", "SELEKT ?"] {
        on_both(|url| options(url).connect().unwrap().prepare(sql).unwrap_err());
    }
}

/// 16 MiB is where one packet ends and the next begins; the sizes lie just around it.
#[test]
fn packets_over_16_mib_are_split_and_joined() {
    const BORDER: usize = 0xff_ffff;
    for length in [BORDER - 40, BORDER - 1, BORDER, BORDER + 1, 20 << 20] {
        on_both(|url| {
            let mut client = options(url).connect().unwrap();
            // The statement's packet is `length` bytes long, command byte included.
            let head = "SELECT LENGTH('";
            let tail = "') AS n, 1 AS one";
            let filler = "x".repeat(length - 1 - head.len() - tail.len());
            let answer = client.rows(&format!("{head}{filler}{tail}")).text();
            assert_eq!(answer[0][0].as_deref(), Some(filler.len().to_string().as_str()));
        });
    }
    // Rows of that size too, at the border of a text row's packet.
    for length in [BORDER - 10, BORDER - 4, BORDER - 3, 17 << 20] {
        let rows = on_both(|url| {
            let mut client = options(url).connect().unwrap();
            let big = client.rows(&format!("SELECT REPEAT('y', {length}) FROM items WHERE id = 1")).rows;
            let next = client.rows("SELECT 7").scalar();
            (big.len(), big[0].len(), next)
        });
        assert_eq!(rows.0, 1);
    }
    on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let statement = client.prepare("UPDATE items SET data = ? WHERE id = ?").unwrap();
        let changed =
            client.execute(&statement, &[Param::Bytes(vec![1; BORDER + 5]), Param::Int(4)]).ok().affected_rows;
        let length = client.rows("SELECT LENGTH(data) FROM items WHERE id = 4").scalar();
        client.run("UPDATE items SET data = NULL WHERE id = 4");
        (changed, length)
    });
}

#[test]
fn a_packet_over_the_limit_gets_the_server_s_error() {
    // Both sides allow 64 MiB.
    for url in SIDES.iter() {
        let mut client = options(url).connect().unwrap();
        client.wire.set_read_timeout(Duration::from_secs(20));
        let sql = format!("SELECT LENGTH('{}')", "z".repeat(65 << 20));
        let sent = client.wire.send_command(&[&[command::QUERY], sql.as_bytes()].concat());
        // The server may close while bytes are still on their way, and the error may be lost with them.
        if sent.is_ok()
            && let Ok(packet) = client.wire.receive()
        {
            let error = ErrPacket::parse(&packet);
            assert_eq!((error.errno, error.sqlstate.as_str()), (1153, "08S01"), "{error}");
        }
        let mut next = options(url).connect().unwrap();
        assert_eq!(next.rows("SELECT 7").scalar().as_deref(), Some("7"));
    }
}

#[test]
fn load_data_local_asks_the_client_for_the_file() {
    for url in SIDES.iter() {
        let mut client = options(url).with(capability::LOCAL_FILES).connect().unwrap();
        client.send_query("LOAD DATA LOCAL INFILE 'x.csv' INTO TABLE items FIELDS TERMINATED BY ',' (id, name)");
        let answer = client.read_response().unwrap();
        match answer {
            // An empty packet is the end of the file.
            Response::LocalInfile(name) => {
                assert_eq!(name, "x.csv");
                client.wire.send(b"").unwrap();
                client.read_response().unwrap().ok();
            }
            Response::Err(error) => assert_eq!(error.errno, 1235, "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
    }
}

#[test]
fn wrong_password_unknown_user_unknown_schema() {
    let denied = on_both(|url| {
        let wrong = Options::new(&url.with_account(USER, "wrong")).connect().unwrap_err().refusal();
        let unknown = Options::new(&url.with_account("nobody", "x")).connect().unwrap_err().refusal();
        let empty = Options::new(&url.with_account(USER, "")).connect().unwrap_err().refusal();
        (wrong.errno, wrong.sqlstate, unknown.errno, empty.errno, empty.message)
    });
    assert_eq!((denied.0, denied.1.as_str(), denied.2), (1045, "28000", 1045));
    for url in SIDES.iter() {
        let error = Options::new(url).schema("nosuch").connect().unwrap_err().refusal();
        assert!([1044, 1049].contains(&error.errno), "{error}");
    }
}

#[test]
fn both_authentication_plugins_and_the_switch_between_them() {
    let url = &SIDES[0];
    for plugin in ["mysql_native_password", "caching_sha2_password", "mysql_clear_password", "no_such_plugin"] {
        for _ in 0..2 {
            let mut client =
                options(url).plugin(plugin).connect().unwrap_or_else(|error| panic!("{plugin}: {error:?}"));
            assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"), "{plugin}");
        }
    }
    // A client from before plugins.
    let old = options(url).without(capability::PLUGIN_AUTH | capability::CONNECT_ATTRS);
    if let Ok(mut client) = old.plugin("mysql_native_password").connect() {
        assert_eq!(client.rows("SELECT 7").scalar().as_deref(), Some("7"));
    }
}

#[test]
fn warnings_are_counted_and_shown() {
    on_both(|url| {
        let mut client = options(url).connect().unwrap();
        let rows = client.rows("SELECT CAST('12abc' AS SIGNED) FROM items WHERE id = 1");
        let shown = client.rows("SHOW WARNINGS").text();
        let statement = client.prepare("SELECT CAST('12abc' AS SIGNED)").unwrap();
        let binary = client.execute(&statement, &[]).rows();
        let count = client.rows("SHOW COUNT(*) WARNINGS").text();
        let cleared = client.rows("SELECT 1").warnings;
        (rows.warnings, shown, binary.warnings, count, cleared)
    });
}

#[test]
fn kill_ends_another_connection_and_a_query() {
    for url in SIDES.iter() {
        let mut victim = options(url).connect().unwrap();
        let id = victim.greeting.connection_id;
        assert_eq!(victim.rows("SELECT CONNECTION_ID()").scalar(), Some(id.to_string()));
        let mut killer = options(url).connect().unwrap();

        victim.send_query("SELECT SLEEP(30) FROM items WHERE id = 1");
        poll_until("the statement is running", Duration::from_secs(10), || {
            let list = killer.rows("SHOW FULL PROCESSLIST").text();
            list.iter().any(|row| row.iter().flatten().any(|cell| cell.contains("SLEEP(30)")))
        });
        killer.run(&format!("KILL QUERY {id}"));
        match victim.read_response().unwrap() {
            Response::Err(error) => assert_eq!((error.errno, error.sqlstate.as_str()), (1317, "70100"), "{error}"),
            // SLEEP itself may answer 1 when it is interrupted.
            Response::Rows(rows) => assert_eq!(rows.scalar().as_deref(), Some("1")),
            other => panic!("{other:?}"),
        }
        assert_eq!(victim.rows("SELECT 7").scalar().as_deref(), Some("7"), "only the query was killed");

        killer.run(&format!("KILL {id}"));
        victim.wire.set_read_timeout(Duration::from_secs(10));
        victim.wire.read_to_end();
        let unknown = killer.query("KILL 4294967295").err();
        assert_eq!(unknown.errno, 1094, "{unknown}");
    }
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    for url in SIDES.iter() {
        let mut client = options(url).connect().unwrap();
        let mut bytes = Vec::new();
        for number in 0..20_u8 {
            let sql = format!("SELECT {number}");
            bytes.extend_from_slice(&[sql.len() as u8 + 1, 0, 0, 0, command::QUERY]);
            bytes.extend_from_slice(sql.as_bytes());
        }
        client.wire.send_bytes(&bytes).unwrap();
        for number in 0..20_u8 {
            client.wire.sequence = 1;
            let rows = client.read_response().unwrap().rows();
            assert_eq!(rows.scalar(), Some(number.to_string()));
        }
    }
}

#[test]
fn quit_closes() {
    for url in SIDES.iter() {
        let mut client = options(url).connect().unwrap();
        client.wire.send_command(&[command::QUIT]).unwrap();
        assert_eq!(client.wire.read_to_end(), b"");
    }
}
