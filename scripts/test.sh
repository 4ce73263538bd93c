#!/usr/bin/env bash
# The tests of `make test`: the whole of cargo's, then the Python drivers and the command line client.
set -euo pipefail

cd "$(dirname "$0")/.."
cargo test --all-targets --no-fail-fast
cargo test --doc
cargo test --test drivers -- --ignored --test-threads 1 python command_line
