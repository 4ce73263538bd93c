//! What it costs to read a statement once: fingerprint and literals, on every statement that passes.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardloom::sql::{LexMode, scan};
use std::hint::black_box;

fn digest(criterion: &mut Criterion) {
    let insert = format!(
        "INSERT INTO sbtest1 (id, k, c, pad) VALUES {}",
        vec!["(1234567, 4567, 'c1c1c1c1c1-c1c1c1c1c1-c1c1c1c1c1', 'pad-pad-pad')"; 100].join(", ")
    );
    let statements = [
        ("point_select", "SELECT c FROM sbtest1 WHERE id=123456 AND k='some text'"),
        ("point_select_prepared", "SELECT c FROM sbtest1 WHERE id=?"),
        ("begin", "BEGIN"),
        (
            "join",
            "SELECT o.id, o.total, u.name FROM orders o JOIN users u ON u.id = o.user_id \
             WHERE u.id = 42 AND o.created_at > '2024-01-01' ORDER BY o.created_at DESC LIMIT 10, 20",
        ),
        ("insert_100_rows", &insert),
    ];
    let mut group = criterion.benchmark_group("digest");
    for (name, sql) in statements {
        let mut literals = Vec::new();
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| scan(black_box(sql.as_bytes()), LexMode::default(), &mut literals));
        });
    }
    group.finish();
}

criterion_group!(benches, digest);
criterion_main!(benches);
