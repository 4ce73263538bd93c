//! Snowflake ids: how many a core makes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardloom::id::snowflake::{DEFAULT_EPOCH_MS, Snowflake};

/// Ids reserved at once, as for an INSERT of so many rows.
const BLOCK: u32 = 1_000;

fn ids(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snowflake");
    // The layout itself holds 4,096 ids a millisecond: workers take turns, so that the arithmetic is what is measured.
    let generators: Vec<Snowflake> = (0..64).map(|worker| Snowflake::new(worker, DEFAULT_EPOCH_MS, 60_000)).collect();
    let mut turn = 0;
    group.throughput(Throughput::Elements(u64::from(BLOCK)));
    group.bench_function("block of 1000", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % generators.len();
            generators[turn].reserve(BLOCK).map_or(0, |block| block.fold(0, |sum, id| sum ^ black_box(id)))
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % generators.len();
            black_box(generators[turn].next_id()).is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, ids);
criterion_main!(benches);
