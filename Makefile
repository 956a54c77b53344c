# One line per verb. What needs an `if` is a script in tests/ or a sub-command of i247.
.DEFAULT_GOAL := help
.PHONY: demo test lint setup sim help

demo: ## run Operation Infra-Red 2010 over a hub and 29 bureaus (first build: some minutes)
	@sh tests/needs.sh cargo cc
	cargo build --locked --package i247-cli
	target/debug/i247 demo --processes

test: ## run every test; the last lines say what could not run here
	@sh tests/needs.sh cargo cc
	@sh tests/run.sh

lint: ## formatting, clippy, docs, protocol
	@sh tests/needs.sh cargo cc
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@sh tests/proto.sh

sim: ## simulate random histories of the router: make sim SEEDS=1000000
	I247_SEEDS=$(or $(SEEDS),1000000) cargo test --locked --package i247-router --test sim -- --nocapture

setup: ## install what the optional test groups need (Debian, or a virtual environment for Python)
	@sh tests/setup.sh

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10
