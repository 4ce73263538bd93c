#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_SECONDS, starting from the seeds and from what earlier runs found.
set -euo pipefail

cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-60}
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --locked cargo-fuzz
fi
# The sanitizers are there in nightly compilers only.
toolchain=${FUZZ_TOOLCHAIN:-nightly}
rustup run "$toolchain" rustc --version >/dev/null 2>&1 || rustup toolchain install --profile minimal "$toolchain"
for target in packets results statements; do
    mkdir -p "fuzz/corpus/$target"
    cargo "+$toolchain" fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192
done
