//! The catalog over a real server.

use std::sync::Arc;

use crate::backend::tests::server::{TestServer, shared};
use crate::backend::{Backends, Flavour, text};
use crate::catalog::{Catalog, CatalogView, TableKind};
use crate::config::Rules;
use crate::route::key::KeyType;

fn rules(server: &TestServer) -> Rules {
    let TestServer { port, user, password, .. } = server;
    let groups = format!(
        "groups:\n  g0:\n    primary: {{host: 127.0.0.1, port: {port}, user: {user}, password: '{password}'}}\n    tls: {{mode: preferred}}\n"
    );
    let schemas = "schemas:\n  catalog_test:\n    default_group: g0\n    tables:\n      orders:\n        data_nodes: g0.orders_{0..1}\n        strategy: {columns: [id], algorithm: m}\n    algorithms:\n      m: {type: mod}\n";
    let proxy = "users:\n  - {name: app, password: ''}\n";
    Rules::from_files(&[("groups.yaml", &groups), ("schemas.yaml", schemas), ("proxy.yaml", proxy)]).unwrap()
}

async fn catalog_over(sql: &[&str]) -> (Catalog, Arc<Backends>) {
    let rules = Arc::new(rules(shared()));
    let backends = Arc::new(Backends::new(&rules));
    for statement in sql {
        let group = rules.group_id("g0").unwrap();
        let mut lease = backends.checkout(group, crate::backend::Role::Primary, Flavour::OWN).await.unwrap();
        lease.query(statement).await.unwrap();
    }
    (Catalog::new(rules, backends.clone()), backends)
}

#[tokio::test]
async fn tables_as_the_server_has_them() {
    let (catalog, backends) = catalog_over(&[
        "DROP DATABASE IF EXISTS catalog_test",
        "CREATE DATABASE catalog_test",
        "CREATE TABLE catalog_test.orders_0 (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, user_id INT NOT NULL, \
         code VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'x', price DECIMAL(10,2), \
         at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), twice INT AS (user_id * 2) STORED, \
         PRIMARY KEY (id), UNIQUE KEY by_user (user_id, code), UNIQUE KEY by_prefix (code(3)), KEY plain (at)) ENGINE=InnoDB",
        "CREATE TABLE catalog_test.orders_1 LIKE catalog_test.orders_0",
        "CREATE TABLE catalog_test.`it's \\\\ odd` (a INT)",
        "CREATE VIEW catalog_test.v AS SELECT id FROM catalog_test.orders_0",
    ])
    .await;
    assert!(CatalogView::table(&catalog, "catalog_test", "ORDERS").is_none(), "nothing is loaded yet");
    let orders = catalog.table("catalog_test", "ORDERS").await.unwrap().unwrap();
    assert_eq!(CatalogView::table(&catalog, "catalog_test", "orders"), Some(orders.clone()));
    assert_eq!(orders.kind, TableKind::Base);
    assert_eq!(orders.engine.as_deref(), Some("InnoDB"));
    let names: Vec<_> = orders.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "user_id", "code", "price", "at", "twice"]);
    let (_, id) = orders.column("ID").unwrap();
    assert!(id.is_unsigned() && id.auto_increment && !id.nullable && id.data_type == "bigint");
    let (position, code) = orders.column("code").unwrap();
    assert_eq!((position, code.collation.as_deref(), code.nullable), (2, Some("latin1_bin"), true));
    assert_eq!(orders.column("price").unwrap().1.key_type, KeyType::Decimal { precision: 10, scale: 2 });
    let (_, at) = orders.column("at").unwrap();
    assert_eq!((&at.key_type, at.generated), (&KeyType::DateTime { fsp: 3 }, false));
    assert!(orders.column("twice").unwrap().1.generated);
    assert_eq!(orders.primary_key, ["id"]);
    let keys: Vec<_> =
        orders.unique_keys.iter().map(|key| (key.name.as_str(), key.columns.len(), key.is_whole)).collect();
    assert_eq!(keys, [("by_prefix", 1, false), ("by_user", 2, true)]);

    assert!(catalog.table("catalog_test", "it's \\\\ odd").await.unwrap().is_some());
    assert_eq!(catalog.table("catalog_test", "v").await.unwrap().unwrap().kind, TableKind::View);
    assert!(catalog.table("catalog_test", "nothing").await.unwrap().is_none());
    assert!(catalog.table("no_such_schema", "t").await.unwrap().is_none());
    let tables = catalog.table("information_schema", "TABLES").await.unwrap().unwrap();
    assert!(tables.column("table_name").is_some() && tables.kind == TableKind::Other);

    // DDL through the proxy tells the catalog; the next look sees the change.
    let epoch = catalog.epoch();
    let mut lease =
        backends.checkout(crate::config::GroupId(0), crate::backend::Role::Primary, Flavour::OWN).await.unwrap();
    lease.query("ALTER TABLE catalog_test.orders_0 ADD extra INT").await.unwrap();
    assert!(catalog.table("catalog_test", "orders").await.unwrap().unwrap().column("extra").is_none());
    catalog.invalidate("CATALOG_TEST", "Orders");
    assert!(catalog.epoch() > epoch);
    assert!(catalog.table("catalog_test", "orders").await.unwrap().unwrap().column("extra").is_some());
}

#[tokio::test]
async fn a_herd_loads_a_table_once() {
    let (catalog, backends) = catalog_over(&[]).await;
    let catalog = Arc::new(catalog);
    let asked = async || {
        let answer = backends.query(crate::config::GroupId(0), "SHOW SESSION STATUS LIKE 'Com_select'").await.unwrap();
        text(&answer.rows[0], 1).parse::<u64>().unwrap()
    };
    let before = asked().await;
    let herd: Vec<_> = (0..50)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(async move { catalog.table("information_schema", "CHARACTER_SETS").await.unwrap().is_some() })
        })
        .collect();
    for one in herd {
        assert!(one.await.unwrap());
    }
    assert_eq!(asked().await - before, 3, "one load is three queries");
}
