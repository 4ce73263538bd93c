//! The rules as a whole.

mod documented;
mod nonsense;
mod problems;
mod reading;
mod reload;

use super::{Problems, Rules};

/// The example of the design, which is that of the documentation.
pub(super) const SHOP: [(&str, &str); 3] = [
    (
        "groups.yaml",
        "\
groups:
  g0:
    primary: {url: mysql://app@127.0.0.1:3311}
    replicas:
      - {url: mysql://app@127.0.0.1:3312, weight: 2}
  g1:
    primary: {url: mysql://app@127.0.0.1:3321}
",
    ),
    (
        "proxy.yaml",
        "\
listen: {mysql: 127.0.0.1:3307, admin: 127.0.0.1:8307}
users:
  - {name: app, password: ${APP_PASSWORD:-secret}, schemas: [shop]}
",
    ),
    (
        "shop.yaml",
        "\
schemas:
  shop:
    default_group: g0
    tables:
      orders:
        data_nodes: g{0..1}.orders_{0..3}
        database_strategy: {columns: [user_id], algorithm: by_user}
        table_strategy: {columns: [order_id], algorithm: by_order}
        key_generator: {column: order_id, generator: snowflake}
      order_items:
        data_nodes: g{0..1}.order_items_{0..3}
        database_strategy: {columns: [user_id], algorithm: by_user}
        table_strategy: {columns: [order_id], algorithm: by_order}
      users:
        data_nodes: g{0..1}.users
        strategy: {columns: [id], algorithm: by_user}
    binding_tables: [[orders, order_items]]
    broadcast_tables: [country]
    algorithms:
      by_user: {type: consistent_hash, virtual_nodes: 1024}
      by_order: {type: mod}
    key_generators:
      snowflake: {type: snowflake, worker_id: 1}
",
    ),
];

/// What a schema needs around it.
pub(super) const AROUND: &str = "\
users: [{name: app, password: ''}]
groups:
  g0: {primary: {url: mysql://app@h0}}
  g1: {primary: {url: mysql://app@h1}}
";

/// Rules of one schema `s` with this body, indented by four.
pub(super) fn schema(body: &str) -> Result<Rules, Problems> {
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    Rules::from_files(&[("around.yaml", AROUND), ("s.yaml", &format!("schemas:\n  s:\n{indented}"))])
}
