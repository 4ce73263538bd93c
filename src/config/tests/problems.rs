//! What is wrong is told, all of it, with its place and what would be right.

use super::super::*;
use super::{AROUND, SHOP, schema};

fn told(result: Result<Rules, Problems>) -> Vec<String> {
    result.expect_err("rules that are wrong").0.iter().map(ToString::to_string).collect()
}

/// The only problem of a schema with this body, without the file and the fix.
#[track_caller]
fn one(body: &str) -> String {
    let problems = schema(body).expect_err("a schema that is wrong").0;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(!problems[0].fix.is_empty() && problems[0].place.line > 2);
    problems[0].text.clone()
}

/// The only problem of a table `t` with these keys.
#[track_caller]
fn table(keys: &str) -> String {
    one(&format!("tables: {{t: {{{keys}}}}}"))
}

/// The only problem of an algorithm with these keys over two shards.
#[track_caller]
fn algorithm(keys: &str) -> String {
    table(&format!("data_nodes: g{{0..1}}.t, strategy: {{columns: id, algorithm: {{{keys}}}}}"))
}

/// The only problem of these lines beside a good rest.
#[track_caller]
fn top(lines: &str) -> String {
    let rest = format!("{AROUND}schemas: {{s: {{default_group: g0}}}}\n");
    let problems = Rules::from_files(&[("a.yaml", &rest), ("b.yaml", lines)]).expect_err("rules that are wrong").0;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].text.clone()
}

/// The only problem of a server with these keys.
#[track_caller]
fn server(keys: &str) -> String {
    let text = format!(
        "users: [{{name: a, password: ''}}]\ngroups: {{g: {{primary: {{{keys}}}}}}}\nschemas: {{s: {{default_group: g}}}}\n"
    );
    let problems = Rules::from_files(&[("a.yaml", &text)]).expect_err("a server that is wrong").0;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].text.clone()
}

#[test]
fn several_problems_in_several_files_are_told_at_once() {
    let replaced = |file: usize, pairs: &[(&str, &str)]| {
        pairs.iter().fold(SHOP[file].1.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    };
    let groups = replaced(0, &[("weight: 2", "wieght: 2"), (":3321", ":332100")]);
    let proxy =
        replaced(1, &[("admin:", "amdin:"), ("[shop]", "[shoop]"), ("${APP_PASSWORD:-secret}", "${APP_PASSWORD}")]);
    let shop = replaced(
        2,
        &[
            ("default_group: g0", "default_group: g2"),
            ("g{0..1}.order_items_{0..3}", "g{0..1}.order_items_{0..2}"),
            ("algorithm: by_order}\n        key", "algorithm: by_oder}\n        key"),
            ("worker_id: 1", "worker_id: 1024"),
        ],
    );
    let problems = told(Rules::from_files(&[("groups.yaml", &groups), ("proxy.yaml", &proxy), ("shop.yaml", &shop)]));
    assert_eq!(
        problems,
        [
            "groups.yaml:5: unknown key 'wieght' in server; did you mean 'weight'?",
            "groups.yaml:7: '332100' is no port; write an integer, 1 to 65535",
            "proxy.yaml:1: unknown key 'amdin' in listen; did you mean 'admin'?",
            "proxy.yaml:3: the environment variable APP_PASSWORD is not set; set it, or give a default: ${APP_PASSWORD:-default}",
            "proxy.yaml:3: unknown schema 'shoop'; did you mean 'shop'?",
            "shop.yaml:3: unknown group 'g2'; did you mean 'g0'?",
            "shop.yaml:8: unknown algorithm 'by_oder'; did you mean 'by_order'?",
            "shop.yaml:23: worker_id: '1024'; write an integer, 0 to 1023",
        ]
    );
}

#[test]
fn a_broken_file_does_not_make_its_names_unknown_elsewhere() {
    let problems = told(Rules::from_files(&[
        ("groups.yaml", "groups: {g0: [\n"),
        SHOP[1],
        ("shop.yaml", &SHOP[2].1.replace("mod}", "mood}")),
    ]));
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("groups.yaml:") && problems[0].contains("not valid YAML"), "{problems:#?}");
    assert!(problems[1].starts_with("shop.yaml:21: unknown algorithm 'mood'"), "{problems:#?}");
}

#[test]
fn the_top_level() {
    assert_eq!(
        told(Rules::from_files(&[("a.yaml", "")])),
        [
            "*.yaml: rules without 'groups'; add 'groups': names to maps, see group",
            "*.yaml: rules without 'schemas'; add 'schemas': names to maps, see schema",
            "*.yaml: rules without 'users'; add 'users': list of maps, see user",
        ]
    );
    assert_eq!(top("colour: red"), "unknown key 'colour' in rules");
    assert_eq!(top("[1, 2]"), "a list where a map should be");
    assert_eq!(top("groups: {g0: {primary: {url: mysql://a@h}}}"), "'g0' stands in a.yaml:3 too");
    assert_eq!(top("users: {name: a}"), "'users' stands in a.yaml:1 too");
    assert_eq!(top("users: [{name: app, password: x}]"), "two users 'app'");
    assert_eq!(top("users: [{name: b}]"), "user without 'password'");
    assert_eq!(top("users: [{name: b, password: x, plugin: plain}]"), "plugin: 'plain'");
    assert_eq!(top("users: [{name: b, password: x, require_tls: maybe}]"), "require_tls: 'maybe'");
    assert_eq!(top("listen: {mysql: nowhere}"), "'nowhere' is no address");
    assert_eq!(top("listen: {mysql: h:99999}"), "'99999' is no port");
    assert_eq!(top("listen: {mysql: h:1, admin: h:1}"), "two listeners at h:1");
    assert_eq!(top("tls: {mode: required}"), "tls without 'certificate' and 'key'");
    assert_eq!(top("limits: {max_connections: 0}"), "max_connections: '0'");
    assert_eq!(top("limits: {max_connections: many}"), "max_connections: 'many'");
    assert_eq!(top("limits: {max_connections: [1]}"), "a list where a text should be");
    assert_eq!(top("limits: 5"), "a single value where a map (limits) should be");
    assert_eq!(top("scratch: {groups: [g7]}"), "unknown group 'g7'");
    assert_eq!(top("scratch: {groups: g0, server: {url: mysql://a@h}}"), "scratch with 'server' and 'groups'");
    assert_eq!(top("limits: {max_cursors: ${0..1}}"), "'${0..1}' is no reference");
}

#[test]
fn servers() {
    assert_eq!(server("url: postgres://a@h"), "PostgreSQL servers are not supported yet");
    assert_eq!(server("url: postgresql://a@h"), "PostgreSQL servers are not supported yet");
    assert_eq!(server("url: oracle://a@h"), "unknown scheme 'oracle://'");
    assert_eq!(server("url: 127.0.0.1"), "'127.0.0.1' is no url");
    assert_eq!(server("url: mysql://h"), "server without user");
    assert_eq!(server("user: a"), "server without address");
    assert_eq!(server("url: mysql://a@h, user: b"), "'user' stands in the url too");
    assert_eq!(server("url: mysql://a@h:1, port: 2"), "'port' stands in the url too");
    assert_eq!(server("user: a, host: h, socket: /s"), "a socket, and a host or a port");
    assert_eq!(server("url: mysql://a@h, weight: -1"), "weight: '-1'");
    assert_eq!(server("url: mysql://a@h, tls: {mode: verify_ca}"), "tls that verifies the server, without 'ca'");
    assert_eq!(server("url: mysql://a@h, tls: {certificate: c}"), "tls with one of 'certificate' and 'key'");
    assert_eq!(server("url: [mysql://a@h]"), "a list where a url should be");
    assert_eq!(server("url: mysql://a@h}, replicas: {url: mysql://b@h"), "two servers of group 'g' at h:3306");
    assert_eq!(server("url: mysql://a@h}, pool: {max_connections: 0"), "max_connections: '0'");
}

#[test]
fn no_problem_shows_a_password() {
    let text = "groups: {g: {primary: {url: 'app:hunter2@h', password: [hunter2]}}}\n";
    let problems = Rules::from_files(&[("a.yaml", text)]).unwrap_err().to_string();
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn tables() {
    assert_eq!(table("strategy: {columns: id, algorithm: {type: mod}}"), "table without 'data_nodes'");
    assert_eq!(table("data_nodes: orders"), "data nodes 'orders': 'orders' has 1 part(s)");
    assert_eq!(table("data_nodes: []"), "no data nodes");
    assert_eq!(table("data_nodes: gx.t"), "unknown group 'gx'");
    assert_eq!(table("data_nodes: [g0.t, g0.t]"), "the data node s.t of group g0 twice");
    assert_eq!(table("data_nodes: 'g0.a b'"), "'a b' cannot name a physical table");
    assert_eq!(table("data_nodes: g{0..1}.t"), "2 data nodes and no strategy");
    assert_eq!(
        table(
            "data_nodes: g{0..1}.t, strategy: {columns: a, algorithm: {type: mod}}, table_strategy: {columns: a, algorithm: {type: mod}}"
        ),
        "'strategy' together with 'database_strategy' or 'table_strategy'"
    );
    assert_eq!(
        table("data_nodes: g{0..1}.t_{0..1}, database_strategy: {columns: a, algorithm: {type: mod}}"),
        "several tables in one database and no 'table_strategy'"
    );
    assert_eq!(
        table("data_nodes: g{0..1}.t_{0..1}, table_strategy: {columns: a, algorithm: {type: mod}}"),
        "several databases and no 'database_strategy'"
    );
    let two =
        "database_strategy: {columns: a, algorithm: {type: mod}}, table_strategy: {columns: a, algorithm: {type: mod}}";
    assert_eq!(
        table(&format!("data_nodes: [g0.t_{{0..1}}, g1.t_0], {two}")),
        "the databases have different numbers of tables: 2 in g0, 1 in g1"
    );
    assert_eq!(table("data_nodes: g{0..1}.t, strategy: {algorithm: {type: mod}}"), "0 column(s) for this algorithm");
    assert_eq!(
        table("data_nodes: g{0..1}.t, strategy: {columns: [a, A], algorithm: {type: complex}}"),
        "column 'a' twice"
    );
    assert_eq!(
        table("data_nodes: g{0..1}.t, strategy: {columns: a, algorithm: {type: hint}}"),
        "1 column(s) for this algorithm"
    );
    assert_eq!(table("data_nodes: g{0..1}.t, strategy: {columns: a, algorithm: by}"), "unknown algorithm 'by'");
    assert_eq!(table("data_nodes: g{0..1}.t, strategy: {columns: a}"), "strategy without 'algorithm'");
    assert_eq!(table("data_nodes: g0.t, key_generator: {column: id, generator: x}"), "unknown key generator 'x'");
    assert_eq!(table("data_nodes: g0.t, stratgy: 1"), "unknown key 'stratgy' in table");
    assert_eq!(
        one("tables: {a: {data_nodes: g0.x}, b: {data_nodes: g0.x}}"),
        "a data node of table 'b' is also one of 'a': s.x"
    );
    assert_eq!(one("tables: {a: {data_nodes: g0.a}, A: {data_nodes: g0.b}}"), "two tables 'A'");
    assert_eq!(one("tables: {a: {data_nodes: g0.a}}\nbroadcast_tables: [a]"), "two tables 'a'");
    assert_eq!(one("broadcast_tables: [a]"), "broadcast table 'a' in a schema without groups");
    assert_eq!(one("default_group: g0\nbroadcast_tables: ['a b']"), "'a b' cannot name a table");
}

#[test]
fn bindings() {
    let tables = "tables:
  a: {data_nodes: 'g{0..1}.a', strategy: {columns: id, algorithm: {type: mod}}}
  b: {data_nodes: 'g{0..1}.b', strategy: {columns: id, algorithm: {type: jump}}}
  c: {data_nodes: 'g{1..0}.c', strategy: {columns: id, algorithm: {type: mod}}}
  d: {data_nodes: 'g{0..1}.d{0..1}', strategy: {columns: id, algorithm: {type: mod}}}
  e: {data_nodes: g0.e}
  f: {data_nodes: 'g{0..1}.f', strategy: {columns: other_id, algorithm: {type: mod}}}
binding_tables: ";
    let binding = |groups: &str| one(&format!("{tables}{groups}"));
    assert_eq!(binding("[[a, b]]"), "binding tables 'a' and 'b' are split differently: mod 2 and jump 2");
    assert_eq!(binding("[[a, c]]"), "binding tables 'a' and 'c' part at a and c, which are in different databases");
    assert_eq!(binding("[[a, d]]"), "binding tables 'a' and 'd' have 2 and 4 data nodes");
    assert_eq!(binding("[[a, e, f]]"), "table 'e' is not split by a key");
    assert_eq!(binding("[[a, f], [f]]"), "table 'f' is bound twice");
    assert_eq!(binding("[[a, f, x]]"), "unknown table 'x'");
    assert_eq!(binding("[[a]]"), "a binding group of one table");
    let good = schema(&format!("{tables}[A, f]")).unwrap();
    assert_eq!(good.schema("s").unwrap().binding, [["a".into(), "f".into()]]);
}

#[test]
fn algorithms() {
    assert_eq!(algorithm("hash: java"), "algorithm without 'type'");
    assert_eq!(algorithm("type: hash-mod"), "unknown algorithm 'hash-mod'");
    assert_eq!(algorithm("type: mod, hash: java"), "unknown key 'hash' in mod");
    assert_eq!(algorithm("type: hash_mod, hash: md5"), "hash: 'md5'");
    assert_eq!(
        algorithm("type: range, boundaries: [1, 2]"),
        "the algorithm does not fit: the settings make 3 shards and the table has 2"
    );
    assert_eq!(algorithm("type: range"), "range without 'boundaries'");
    assert_eq!(
        algorithm("type: consistent_hash, weights: {g9: 1}"),
        "the algorithm does not fit: a weight for 'g9', which is none of the shards' groups"
    );
    assert_eq!(algorithm("type: consistent_hash, weights: [1, -1]"), "weight '-1'");
    assert_eq!(algorithm("type: consistent_hash, weights: [1]"), "the algorithm does not fit: 1 weights for 2 shards");
    assert_eq!(algorithm("type: volume_range, lower: 0, upper: 10, volume: 0"), "volume: '0'");
    assert_eq!(algorithm("type: interval, lower: soon, suffix_pattern: yyyy"), "lower: 'soon' is no date");
    assert_eq!(
        algorithm("type: interval, lower: 2024-01-01, suffix_pattern: yyyy"),
        "the algorithm does not fit: no span of time leads to g0, g1"
    );
    assert_eq!(algorithm("type: interval, lower: 2024-01-01, suffix_pattern: yyyy, unit: month"), "unit: 'month'");
    assert_eq!(algorithm("type: list, values: {x: [1]}"), "'x' is no shard");
    assert_eq!(algorithm("type: list, values: [[1], [1]]"), "the algorithm does not fit: 1 is in two shards");
    assert_eq!(algorithm("type: complex, parts: [{type: mod}]"), "a part without 'count'");
    assert_eq!(algorithm("type: complex, parts: [{type: hint, count: 2}]"), "a part that takes no single column");
    assert_eq!(algorithm("type: complex, parts: [5]"), "a single value where a part should be");
    assert_eq!(
        algorithm("type: complex, parts: [{type: mod, count: 65536}, {type: mod, count: 2}]"),
        "parts that make 131072 shards"
    );
    assert_eq!(one("algorithms: {unused: {type: mood}}"), "unknown algorithm 'mood'");
    assert_eq!(one("algorithms: {unused: mod}"), "a single value where an algorithm should be");
}

#[test]
fn key_generators() {
    let generator = |keys: &str| one(&format!("key_generators: {{k: {{{keys}}}}}"));
    assert_eq!(generator("worker_id: 1"), "key_generator without 'type'");
    assert_eq!(generator("type: snowflake, group: none"), "unknown group 'none'");
    assert_eq!(generator("type: uuid, worker_id: 1"), "type: 'uuid'");
    assert_eq!(generator("type: auto_segment, block: 0"), "block: '0'");
    assert_eq!(generator("type: snowflake, worker_id: 5000"), "worker_id: '5000'");
    assert_eq!(generator("type: snowflake, worker_id: 1, epoch: never"), "epoch: 'never'");
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let told = |folder: &std::path::Path| Rules::load(folder).unwrap_err().to_string();
    assert!(told(&folder.path().join("none")).contains("the folder cannot be read"));
    assert!(told(folder.path()).contains("no *.yaml file in the folder"));
    std::fs::write(folder.path().join("a.yaml"), [0xff, 0xfe]).unwrap();
    assert!(told(folder.path()).contains("a.yaml: the file cannot be read"));
    let tls = "tls: {certificate: c.pem, key: k.pem}\n";
    let rest = format!("{AROUND}schemas: {{s: {{default_group: g0}}}}\n");
    std::fs::write(folder.path().join("a.yaml"), tls.to_owned() + &rest).unwrap();
    let problems = told(folder.path());
    assert!(
        problems.contains("certificate: there is no file") && problems.contains("key: there is no file"),
        "{problems}"
    );
    std::fs::write(folder.path().join("a.yaml"), "a: \u{E001}\n").unwrap();
    assert!(told(folder.path()).contains("private use area"));
}

#[test]
fn what_no_server_could_serve_is_a_problem() {
    let rules = |users: &str, groups: &str, schemas: &str| {
        let text = format!("users: {users}\ngroups: {groups}\nschemas: {schemas}\n");
        told(Rules::from_files(&[("a.yaml", &text)]))
    };
    let (user, group) = ("[{name: a, password: ''}]", "{g0: {primary: {url: mysql://a@h}}}");
    let schema = "{s: {default_group: g0}}";
    assert_eq!(rules("[]", group, schema), ["a.yaml:1: 'users' is empty; name at least one"]);
    assert!(rules(user, "{}", "{s: {tables: {}}}").contains(&"a.yaml:2: 'groups' is empty; name at least one".into()));
    assert_eq!(rules(user, group, "{}"), ["a.yaml:3: 'schemas' is empty; name at least one"]);
    assert_eq!(rules("[{name: '', password: ''}]", group, schema), ["a.yaml:1: a user without a name; give it one"]);
    for name in ["mysql", "Information_Schema", "performance_schema", "sys", "shardloom"] {
        let expected =
            format!("a.yaml:3: '{name}' is a schema of the servers or of the proxy itself; use another schema");
        assert_eq!(rules(user, group, &format!("{{{name}: {{default_group: g0}}}}")), [&*expected]);
        assert_eq!(rules(user, group, &format!("{{s: {{tables: {{t: {{data_nodes: g0.{name}.t}}}}}}}}")), [&*expected]);
    }
    let twice = "{g0: {primary: {url: mysql://a@h}}, g1: {primary: {url: mysql://b@h:3306}}}";
    let sharded = |nodes: &str| {
        format!(
            "{{s: {{tables: {{t: {{data_nodes: '{nodes}', strategy: {{columns: id, algorithm: {{type: mod}}}}}}}}}}}}"
        )
    };
    assert_eq!(
        rules(user, twice, &sharded("g{0..1}.t")),
        [
            "a.yaml:3: two data nodes of table 't' are s.t at h:3306; give each group a server, or each node a schema of its own"
        ]
    );
    let apart = format!("users: {user}\ngroups: {twice}\nschemas: {}\n", sharded("g0.a.t, g1.b.t"));
    Rules::from_files(&[("a.yaml", &apart)]).expect("schemas apart");
    let yaml = |text: &str| told(Rules::from_files(&[("a.yaml", text)])).remove(0);
    assert_eq!(
        yaml("users: []\nusers: []\n"),
        "a.yaml:2: not valid YAML: a key stands twice in one map; keep one of them"
    );
    assert!(yaml("users: []\n---\nusers: []\n").contains("several documents ('---') in one file; write one document"));
}
