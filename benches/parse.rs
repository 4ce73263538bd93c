//! What it costs to parse a statement, which a plan-cache miss pays, and to rewrite one, which a hit may pay.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use shardloom::sql::{LexMode, SpliceBuilder, parse, scan, session_statement};
use std::hint::black_box;

const POINT_SELECT: &str = "SELECT c FROM sbtest1 WHERE id=123456 AND k='some text'";

fn parsing(criterion: &mut Criterion) {
    let rows = vec!["(1234567, 4567, 'c1c1c1c1c1-c1c1c1c1c1', 'pad-pad-pad')"; 100].join(", ");
    let insert = format!("INSERT INTO sbtest1 (id, k, c, pad) VALUES {rows}");
    let statements = [
        ("point_select", POINT_SELECT),
        (
            "join",
            "SELECT o.id, SUM(o.total), u.name FROM orders o JOIN users u ON u.id = o.user_id \
             WHERE u.id = 42 AND o.created_at > '2024-01-01' GROUP BY o.id ORDER BY o.created_at DESC LIMIT 10, 20",
        ),
        ("insert_100_rows", &insert),
    ];
    let mut group = criterion.benchmark_group("parse");
    for (name, sql) in statements {
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse(black_box(sql.as_bytes()), LexMode::default()).is_ok());
        });
    }
    group.finish();
}

fn session(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session_statement");
    for sql in ["BEGIN", "SET autocommit=1", "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci"] {
        group.bench_function(sql, |bencher| {
            bencher.iter(|| session_statement::parse(black_box(sql.as_bytes()), LexMode::default()));
        });
    }
    group.finish();
}

fn splice(criterion: &mut Criterion) {
    let mut literals = Vec::new();
    scan(POINT_SELECT.as_bytes(), LexMode::default(), &mut literals);
    let mut edits = SpliceBuilder::new();
    edits.replace_text(14..21, "sbtest1_0003");
    let splice = edits.build(POINT_SELECT.len(), &literals).unwrap_or_default();
    let mut out = Vec::new();
    criterion.bench_function("splice/rename_table", |bencher| {
        bencher.iter(|| {
            out.clear();
            splice.apply(black_box(POINT_SELECT.as_bytes()), &literals, &mut out, |_, _| {});
        });
    });
}

criterion_group!(benches, parsing, session, splice);
criterion_main!(benches);
