#!/usr/bin/env bash
# Criterion's benches, then the end-to-end comparison, then queries and writes over many shards. BENCH_FLAGS goes to the second, for
# example BENCH_FLAGS='--seconds 4 --threads 16 --tests oltp_point_select', BENCH_SHARDS_FLAGS to the third (for example
# '--rows 200000 --runs 3'), BENCH_WRITES_FLAGS to the fourth. BENCH_ONLY=criterion, e2e, shards or writes runs one of them.
set -euo pipefail

cd "$(dirname "$0")/.."
if [ "${BENCH_ONLY:-criterion}" = criterion ]; then
    cargo bench --benches
fi
if [ "${BENCH_ONLY:-e2e}" = e2e ]; then
    cargo build --release --bin shardloom
    # shellcheck disable=SC2086  # several options in one variable
    python3 benches/e2e/compare.py ${BENCH_FLAGS:-}
fi
if [ "${BENCH_ONLY:-shards}" = shards ]; then
    cargo build --release --bin shardloom
    # shellcheck disable=SC2086
    python3 benches/e2e/shards.py ${BENCH_SHARDS_FLAGS:-}
fi
if [ "${BENCH_ONLY:-writes}" = writes ]; then
    cargo build --release --bin shardloom
    # shellcheck disable=SC2086
    python3 benches/e2e/writes.py ${BENCH_WRITES_FLAGS:-}
fi
