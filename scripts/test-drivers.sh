#!/usr/bin/env bash
# The tests of `make test-drivers`: drivers in other languages, each against a plain server and through the proxy.
set -euo pipefail

cd "$(dirname "$0")/.."
cargo test --test drivers -- --ignored --test-threads 1 node java go
