# Each target installs what it needs (Debian and Ubuntu, by apt, with sudo where you are not root).
.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help playground test test-drivers test-mysql bench fuzz check-deps

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

playground: ## A real cluster to try things on: 2 groups, each a primary and a replica; Ctrl-C ends it
	@scripts/install.sh build database
	@exec $(CARGO) run --bin shardloom -- playground $(PLAYGROUND_FLAGS)

test: ## All tests that need MariaDB and Python: what to run before a commit
	@scripts/install.sh build database python
	@scripts/test.sh

test-drivers: ## The clients that need larger toolchains: Node, Java, Go
	@scripts/install.sh build database drivers
	@scripts/test-drivers.sh

test-mysql: ## All tests over the mysqld that SHARDLOOM_TEST_MYSQLD names (MySQL 8.4 or 9.x)
	@test -n "$$SHARDLOOM_TEST_MYSQLD" || { echo "name a server: make test-mysql SHARDLOOM_TEST_MYSQLD=/usr/sbin/mysqld"; exit 2; }
	@scripts/install.sh build database python
	@scripts/test.sh

bench: ## Measure: criterion benches, then sysbench direct, through HAProxy and through Shardloom
	@scripts/install.sh build database bench
	@scripts/bench.sh

fuzz: ## Feed broken packets to the parsers until FUZZ_SECONDS (default 60) are over
	@scripts/fuzz.sh

check-deps: ## Licences, advisories and sources of all dependencies (needs cargo-deny)
	@$(CARGO) deny check
