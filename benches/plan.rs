//! What a statement costs in the proxy before it is sent: digest, plan cache, binding; and planning on a miss.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use shardloom::catalog::{CatalogView, ColumnInfo, TableInfo, TableKind};
use shardloom::config::Rules;
use shardloom::plan::{NoSession, Plan, PlanCache, PlanContext, PlanKey, plan};
use shardloom::route::key::{KeyType, RawValue};
use shardloom::sql::{LexMode, Literal, scan};

/// What the program allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: &str = "
listen: {mysql: 127.0.0.1:3307}
users:
  - {name: app, password: app, schemas: [shop]}
groups:
  g0: {primary: {url: mysql://app@127.0.0.1:3311}}
  g1: {primary: {url: mysql://app@127.0.0.1:3321}}
  g2: {primary: {url: mysql://app@127.0.0.1:3331}}
  g3: {primary: {url: mysql://app@127.0.0.1:3341}}
";

const SHOP: &str = "
schemas:
  shop:
    default_group: g0
    tables:
      users:
        data_nodes: g{0..3}.users
        strategy: {columns: [id], algorithm: by_ring}
      orders:
        data_nodes: g{0..3}.orders_{0..3}
        database_strategy: {columns: [user_id], algorithm: by_mod}
        table_strategy: {columns: [order_id], algorithm: by_mod}
      order_items:
        data_nodes: g{0..3}.order_items_{0..3}
        database_strategy: {columns: [user_id], algorithm: by_mod}
        table_strategy: {columns: [order_id], algorithm: by_mod}
    binding_tables: [[orders, order_items]]
    broadcast_tables: [country]
    algorithms:
      by_ring: {type: consistent_hash}
      by_mod: {type: mod}
";

/// Every table has these columns.
struct Columns(Arc<TableInfo>);

impl CatalogView for Columns {
    fn table(&self, _: &str, _: &str) -> Option<Arc<TableInfo>> {
        Some(Arc::clone(&self.0))
    }
}

fn columns() -> Columns {
    let column = |name: &str, column_type: &str| ColumnInfo {
        name: name.to_owned(),
        data_type: column_type.split('(').next().unwrap_or_default().to_owned(),
        column_type: column_type.to_owned(),
        key_type: KeyType::of_column(column_type, Some("utf8mb4_general_ci")),
        charset: Some("utf8mb4".to_owned()),
        collation: Some("utf8mb4_general_ci".to_owned()),
        nullable: false,
        auto_increment: false,
        generated: false,
        is_json_text: false,
        invisible: false,
        default: None,
    };
    let names = [
        ("id", "bigint(20)"),
        ("user_id", "bigint(20)"),
        ("order_id", "bigint(20)"),
        ("name", "varchar(64)"),
        ("total", "decimal(10,2)"),
        ("code", "char(2)"),
    ];
    Columns(Arc::new(TableInfo {
        kind: TableKind::Base,
        columns: names.iter().map(|(name, column_type)| column(name, column_type)).collect(),
        primary_key: vec!["id".to_owned()],
        unique_keys: Vec::new(),
        engine: None,
        definition: None,
        collation: None,
        on_mysql: false,
    }))
}

struct Fixture {
    rules: Rules,
    columns: Columns,
    schema: Arc<str>,
}

impl Fixture {
    fn new() -> Self {
        let rules = Rules::from_files(&[("groups.yaml", GROUPS), ("shop.yaml", SHOP)]);
        let rules = rules.unwrap_or_else(|problems| panic!("{problems}"));
        Self { rules, columns: columns(), schema: "shop".into() }
    }

    fn plan(&self, sql: &str, literals: &mut Vec<Literal>) -> (PlanKey, Plan) {
        let mode = LexMode::default();
        let scanned = scan(sql.as_bytes(), mode, literals);
        let context = PlanContext {
            rules: &self.rules,
            schema: self.rules.schema("shop"),
            catalog: &self.columns,
            mode,
            in_information_schema: false,
            assume_types: false,
            text_is_utf8: true,
            prepared: scanned.placeholders > 0,
        };
        let planned = plan(&context, sql.as_bytes(), &scanned, literals);
        (self.key(scanned.fingerprint), planned.unwrap_or_else(|error| panic!("{error}")))
    }

    fn key(&self, fingerprint: u128) -> PlanKey {
        PlanKey {
            fingerprint,
            schema: Some(Arc::clone(&self.schema)),
            rules_version: self.rules.version,
            catalog_epoch: 0,
            mode: LexMode::default(),
            text_is_utf8: true,
            prepared: false,
        }
    }
}

/// Two bound tables and two broadcast ones, on the shards of one user.
const JOIN_OF_FOUR: &str = "SELECT o.order_id, i.name, c.name FROM orders o JOIN order_items i ON i.user_id = o.user_id \
     AND i.order_id = o.order_id JOIN country c ON c.code = o.code LEFT JOIN country d ON d.code = i.code \
     WHERE o.user_id = 7 AND o.total > 10 ORDER BY i.name";
/// The same on all shards, in groups.
const SCATTERED_JOIN_OF_FOUR: &str = "SELECT c.name, COUNT(*), SUM(i.total) FROM orders o JOIN order_items i ON \
     i.user_id = o.user_id AND i.order_id = o.order_id JOIN country c ON c.code = o.code LEFT JOIN country d ON \
     d.code = i.code WHERE o.total > 10 GROUP BY c.name ORDER BY c.name LIMIT 10";

/// Digest, cache and binding, as for each statement that was seen before.
fn hit(c: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = c.benchmark_group("plan_hit");
    let statements = [
        ("point_select", "SELECT c FROM users WHERE id = 4711"),
        ("point_select_renamed", "SELECT name, total FROM orders WHERE user_id = 4711 AND order_id = 42"),
        ("point_update", "UPDATE users SET name = 'Ann' WHERE id = 4711"),
        ("insert_one_row", "INSERT INTO users (id, name, total, code) VALUES (4711, 'Ann', 3.5, 'de')"),
        ("scatter_order_limit", "SELECT id, total FROM users WHERE total > 100 ORDER BY total DESC LIMIT 10"),
        ("scatter_in_list", "SELECT name FROM users WHERE id IN (4711, 4712, 4713, 4714, 4715, 4716, 4717, 4718)"),
        ("join_of_four", JOIN_OF_FOUR),
        ("join_of_four_scattered", SCATTERED_JOIN_OF_FOUR),
    ];
    for (name, sql) in statements {
        let cache = PlanCache::new(1000, 1 << 20);
        let mut literals = Vec::new();
        let (key, planned) = fixture.plan(sql, &mut literals);
        cache.insert(key, sql.as_bytes(), &literals, Arc::new(planned));
        group.bench_function(name, |b| {
            b.iter(|| {
                let sql = black_box(sql).as_bytes();
                let scanned = scan(sql, LexMode::default(), &mut literals);
                let plan = cache.get(&fixture.key(scanned.fingerprint), sql, &literals)?;
                plan.bind(sql, &literals, &[], &NoSession, &|_, _, _| Err(shardloom::id::IdError::OutOfRange)).ok()
            });
        });
    }
    group.finish();
}

/// A prepared statement is digested once: cache and binding remain.
fn prepared(c: &mut Criterion) {
    let fixture = Fixture::new();
    let sql = "SELECT name FROM users WHERE id = ?";
    let cache = PlanCache::new(1000, 1 << 20);
    let mut literals = Vec::new();
    let (key, planned) = fixture.plan(sql, &mut literals);
    cache.insert(key.clone(), sql.as_bytes(), &literals, Arc::new(planned));
    c.bench_function("plan_hit/point_select_prepared", |b| {
        b.iter(|| {
            let params = [RawValue::Int(black_box(4711))];
            let plan = cache.get(black_box(&key), sql.as_bytes(), &literals)?;
            plan.bind(sql.as_bytes(), &literals, &params, &NoSession, &|_, _, _| {
                Err(shardloom::id::IdError::OutOfRange)
            })
            .ok()
        });
    });
}

/// Digest, parser and planner, as for each statement that was never seen.
fn miss(c: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = c.benchmark_group("plan_miss");
    let statements = [
        ("point_select", "SELECT name FROM users WHERE id = 4711"),
        ("scatter_order_limit", "SELECT id, total FROM users WHERE total > 100 ORDER BY total DESC LIMIT 10"),
        ("join_of_four", JOIN_OF_FOUR),
        ("join_of_four_scattered", SCATTERED_JOIN_OF_FOUR),
        ("insert_one_row", "INSERT INTO users (id, name, total, code) VALUES (4711, 'Ann', 3.5, 'de')"),
    ];
    for (name, sql) in statements {
        let mut literals = Vec::new();
        group.bench_function(name, |b| b.iter(|| fixture.plan(black_box(sql), &mut literals)));
    }
    group.finish();
}

criterion_group!(benches, hit, prepared, miss);
criterion_main!(benches);
