//! Rules that are right.

use super::super::*;
use super::{AROUND, SHOP, schema};
use crate::route::algorithm::ShardSet;

#[test]
fn the_example_is_read_as_it_is_meant() {
    let rules = Rules::from_files(&SHOP).unwrap();
    let g0 = rules.group(GroupId(0));
    assert_eq!(g0.primary.address.to_string(), "127.0.0.1:3311");
    assert_eq!(&*g0.primary.user, "app");
    assert_eq!((g0.replicas.len(), g0.replicas[0].weight), (1, 2));
    assert_eq!(rules.user("app").unwrap().password, Password::Plain(Secret::new("secret")));
    assert!(rules.user("app").unwrap().may_use("shop") && !rules.user("app").unwrap().may_use("other"));
    let shop = rules.schema("shop").unwrap();
    let orders = shop.table("Orders").unwrap();
    assert_eq!(orders.nodes.len(), 8);
    assert_eq!(
        (orders.nodes[5].group, &*orders.nodes[5].schema, &*orders.nodes[5].table),
        (GroupId(1), "shop", "orders_1")
    );
    assert!(matches!(&orders.strategy, Strategy::TwoLevel { database, table }
        if database.algorithm.targets() == 2 && table.algorithm.targets() == 4));
    assert_eq!(orders.key_columns().iter().map(|c| &**c).collect::<Vec<_>>(), ["user_id", "order_id"]);
    assert!(matches!(
        orders.key_generator.as_ref().unwrap().generator,
        KeyGenerator::Snowflake { worker: Worker::Fixed(1), .. }
    ));
    assert!(shop.are_bound(orders, shop.table("order_items").unwrap()));
    assert!(!shop.are_bound(orders, shop.table("users").unwrap()));
    let country = shop.table("country").unwrap();
    assert!(country.is_broadcast() && country.nodes.len() == 2);
    assert_eq!(shop.groups(), [GroupId(0), GroupId(1)]);
}

#[test]
fn defaults_are_those_of_the_reference() {
    let rules = Rules::from_files(&SHOP).unwrap();
    let limits = &rules.proxy.limits;
    assert_eq!((limits.max_connections, limits.max_allowed_packet_bytes), (4096, 64 << 20));
    assert_eq!(rules.proxy.reads, Reads { split: true, read_after_write_ms: 1000 });
    assert_eq!(rules.proxy.tls, ClientTls::Off);
    assert_eq!(rules.groups[0].pool.max_connections, 128);
    assert_eq!(rules.groups[0].primary.tls, ServerTls::OFF);
    assert!(
        matches!(&rules.proxy.scratch.place, ScratchPlace::Groups { groups, use_replicas: true } if groups.len() == 2)
    );
    assert_eq!(rules.proxy.listen.mysql[0].to_string(), "127.0.0.1:3307");
}

#[test]
fn pools_and_logins_are_inherited() {
    let rules = Rules::from_files(&[(
        "a.yaml",
        "
users: [{name: a, password: ''}]
pool: {max_connections: 10, wait_queue: 5}
groups:
  g0:
    user: u
    password: ${NO:-p}
    tls: {mode: preferred}
    pool: {wait_queue: 7}
    primary: {host: db0, port: 3307}
    replicas:
      - {url: mysql://other:secret@db1}
      - {socket: /run/m.sock, name: local, tls: {mode: off}}
schemas: {s: {default_group: g0}}
",
    )])
    .unwrap();
    let group = &rules.groups[0];
    assert_eq!((group.pool.max_connections, group.pool.wait_queue, group.pool.wait_timeout_ms), (10, 7, 5000));
    assert_eq!((&*group.primary.user, group.primary.password.reveal()), ("u", "p"));
    assert_eq!(group.primary.tls.mode, TlsMode::Preferred);
    assert_eq!((&*group.replicas[0].user, group.replicas[0].password.reveal()), ("other", "secret"));
    assert_eq!(group.replicas[1].address.to_string(), "unix:/run/m.sock");
    assert_eq!((&*group.replicas[1].name, group.replicas[1].tls.mode), ("local", TlsMode::Off));
    assert!(!format!("{rules:?}").contains("secret"));
}

#[test]
fn one_server_many_schemas() {
    let rules = schema(
        "tables:
  t:
    data_nodes: g0.shop_{0..3}.t
    strategy: {columns: id, algorithm: {type: mod}}
broadcast_tables: [b]",
    )
    .unwrap();
    let s = rules.schema("s").unwrap();
    assert_eq!(
        s.table("t").unwrap().nodes.iter().map(|n| &*n.schema).collect::<Vec<_>>(),
        ["shop_0", "shop_1", "shop_2", "shop_3"]
    );
    assert_eq!(s.table("b").unwrap().nodes.len(), 4);
    assert_eq!(s.databases().len(), 4);
}

#[test]
fn one_level_may_be_written_as_a_database_or_table_strategy() {
    let rules = schema(
        "tables:
  a: {data_nodes: g{0..1}.a, database_strategy: {columns: id, algorithm: {type: jump}}}
  b: {data_nodes: g0.b_{0..1}, table_strategy: {columns: id, algorithm: {type: jump}}}
  c: {data_nodes: g1.c}
  d: {data_nodes: [g0.d, g1.d], strategy: {algorithm: {type: hint}}}",
    )
    .unwrap();
    let s = rules.schema("s").unwrap();
    assert!(["a", "b", "d"].iter().all(|t| matches!(s.table(t).unwrap().strategy, Strategy::OneLevel(_))));
    assert!(matches!(s.table("c").unwrap().strategy, Strategy::Single));
    assert!(s.table("nothing").is_none());
}

#[test]
fn two_levels_combine_to_nodes() {
    // Written table by table; the nodes are kept database by database.
    let rules = schema(
        "tables:
  t:
    data_nodes: g0.t_0, g1.t_0, g0.t_1, g1.t_1
    database_strategy: {columns: a, algorithm: {type: mod}}
    table_strategy: {columns: b, algorithm: {type: mod}}",
    )
    .unwrap();
    let table = rules.schema("s").unwrap().table("t").unwrap();
    assert_eq!(table.nodes.iter().map(|n| n.group.0).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(table.node_index(&[1, 0]), 2);
    let nodes = table.combine(&[ShardSet::one(2, 1), ShardSet::all(2)]);
    assert_eq!(nodes.iter().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(table.combine(&[ShardSet::all(2), ShardSet::one(2, 0)]).iter().collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn rings_follow_the_names_of_groups_not_their_order() {
    let place = |groups: &str| {
        let text = format!(
            "users: [{{name: a, password: ''}}]
groups: {{{groups}}}
schemas: {{s: {{tables: {{t: {{data_nodes: g{{0..1}}.t, strategy: {{columns: id, algorithm: {{type: consistent_hash}}}}}}}}}}}}
"
        );
        let rules = Rules::from_files(&[("a.yaml", &text)]).unwrap();
        let table = Arc::clone(rules.schema("s").unwrap().table("t").unwrap());
        let level = table.levels().next().unwrap();
        let at = |key| level.algorithm.exact(&[crate::route::key::KeyValue::Int(key)]).unwrap();
        (0..64).map(|key| rules.group(table.nodes[at(key)].group).name.to_string()).collect::<Vec<_>>()
    };
    let (g0, g1) = ("g0: {primary: {url: mysql://a@h0}}", "g1: {primary: {url: mysql://a@h1}}");
    assert_eq!(place(&format!("{g0}, {g1}")), place(&format!("{g1}, {g0}")));
}

#[test]
fn every_algorithm_can_be_written() {
    let algorithms = "
a01: {type: mod}
a02: {type: hash_mod, hash: java}
a03: {type: consistent_hash, weights: {g0: 2}}
a04: {type: range, boundaries: [100]}
a05: {type: range, boundaries: 2024-01-01}
a06: {type: list, values: [[DE, 1], [2.5, 2024-01-01 10:00:00]], default: 0}
a07: {type: list, values: {0: [1], 1: [2]}, text: true}
a08: {type: prefix, values: {1: [x]}, default: 0}
a09: {type: slice, start: -2, length: 2, hash: none}
a10: {type: jump}
a11: {type: complex, parts: [{type: mod, count: 2}]}
a12: {type: complex}
a13: {type: consistent_hash, virtual_nodes: 16, weights: [1, 0]}";
    let mut body = String::from("algorithms:");
    let mut tables = String::from("\ntables:");
    for line in algorithms.lines().filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap();
        body += &format!("\n  {line}");
        tables += &format!("\n  {name}: {{data_nodes: g{{0..1}}.{name}, strategy: {{columns: k, algorithm: {name}}}}}");
    }
    body += "\n  by_day: {type: interval, lower: 2024-01-01, suffix_pattern: yyyyMMdd}";
    tables += "\n  days: {data_nodes: g0.d_202401{01..31}, strategy: {columns: day, algorithm: by_day}}";
    body += "\n  blocks: {type: volume_range, lower: -100, upper: 100, volume: 100}";
    tables += "\n  blocks: {data_nodes: g0.b{0..3}, strategy: {columns: id, algorithm: blocks}}";
    let rules = schema(&(body + &tables)).unwrap();
    let s = rules.schema("s").unwrap();
    let described = |t: &str| s.table(t).unwrap().levels().next().unwrap().algorithm.describe();
    assert_eq!(described("a02"), "hash_mod 2 of java");
    assert_eq!(described("a03"), "consistent_hash with 1024 virtual nodes, shards g0 g1, weights [2, 1]");
    assert_eq!(described("a05"), "range cut at 2024-01-01");
    assert_eq!(described("a07"), "list '1': 0, '2': 1");
    assert_eq!(described("blocks"), "volume_range of 100 from -100 to 100");
    assert_eq!(s.table("days").unwrap().nodes.len(), 31);
}

#[test]
fn tables_on_the_same_shards_share_a_ring() {
    let rules = Rules::from_files(&SHOP).unwrap();
    let shop = rules.schema("shop").unwrap();
    let algorithm = |table: &str| Arc::clone(&shop.table(table).unwrap().levels().next().unwrap().algorithm);
    assert!(Arc::ptr_eq(&algorithm("orders"), &algorithm("order_items")));
}

#[test]
fn many_nodes_are_read_in_no_time() {
    let start = std::time::Instant::now();
    let rules = schema(
        "tables:
  t:
    data_nodes: g0.s_{0..255}.t_{0..255}
    database_strategy: {columns: a, algorithm: {type: jump}}
    table_strategy: {columns: b, algorithm: {type: hash_mod}}
  u:
    data_nodes: g0.u_{0..65535}
    strategy: {columns: a, algorithm: {type: consistent_hash, virtual_nodes: 8}}",
    )
    .unwrap();
    assert_eq!(rules.schema("s").unwrap().table("t").unwrap().nodes.len(), 65_536);
    // Seconds would mean that something is quadratic; this is far below, in a debug build too.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn tls_and_scratch_and_listeners() {
    let rules = Rules::from_files(&[
        ("around.yaml", AROUND),
        (
            "more.yaml",
            "
listen: {mysql: ['0.0.0.0:3307', '[::]:3308', unix:/run/s.sock], admin: off}
tls: {mode: required, certificate: c.pem, key: k.pem, client_ca: ca.pem}
scratch: {groups: g1, role: primary, max_rows: 5}
limits: {max_connections: 7, max_allowed_packet_bytes: 1_048_576}
schemas: {s: {default_group: g0}}
",
        ),
    ])
    .unwrap();
    let listen: Vec<String> = rules.proxy.listen.mysql.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:3307", "[::]:3308", "unix:/run/s.sock"]);
    assert_eq!(rules.proxy.listen.admin, None);
    assert!(matches!(&rules.proxy.tls, ClientTls::Required(files) if files.client_ca.is_some()));
    assert_eq!(rules.proxy.scratch.place, ScratchPlace::Groups { groups: vec![GroupId(1)], use_replicas: false });
    assert_eq!((rules.proxy.limits.max_connections, rules.proxy.limits.max_allowed_packet_bytes), (7, 1 << 20));
}

#[test]
fn a_folder_is_read_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in SHOP {
        std::fs::write(folder.path().join(name), text.replace("${APP_PASSWORD:-secret}", "${file:pw}")).unwrap();
    }
    std::fs::write(folder.path().join("pw"), "from file\n").unwrap();
    std::fs::write(folder.path().join(".hidden.yaml"), "nonsense: 1").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "nonsense: 1").unwrap();
    let rules = Rules::load(folder.path()).unwrap();
    assert_eq!(rules.user("app").unwrap().password, Password::Plain(Secret::new("from file")));
}
