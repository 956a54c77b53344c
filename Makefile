# One line per verb. What needs an `if` is a script in tests/ or a sub-command of i247.
.DEFAULT_GOAL := help
.PHONY: demo console screenshots test lint setup hostile sim sim-planted histories kill9 powercut fulldisk bench overload profile help

demo: ## run Operation Infra-Red 2010 over a hub and 29 bureaus (first build: some minutes)
	@sh tests/needs.sh cargo cc
	cargo build --locked --package i247-cli
	target/debug/i247 demo --processes

console: ## build the operators' web pages, and the program with them (needs Node 20.19 or newer)
	@sh tests/needs.sh cargo cc node npm
	cd crates/console/web && npm ci --no-audit --no-fund && npm run build
	touch crates/console/build.rs
	cargo build --locked --package i247-cli

screenshots: ## pictures of every page of the console, from a real network: make screenshots DIR=pictures
	@sh tests/needs.sh node
	cd crates/console/web && node browser/screenshots.mjs $(abspath $(or $(DIR),target/screenshots))

test: ## run every test; the last lines say what could not run here
	@sh tests/needs.sh cargo cc
	@sh tests/run.sh

lint: ## formatting, clippy, docs, protocol
	@sh tests/needs.sh cargo cc
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@sh tests/proto.sh

hostile: ## attack the shipped program: bad certificates, bent frames, floods, wrong roles, a client that is not ours
	@sh tests/needs.sh cargo cc
	cargo build --locked --package i247-cli
	cargo test --locked --package i247-hostile -- --nocapture

sim: ## play whole networks under simulated time, lines and disks: make sim SEEDS=0..10000, or one again: SEED=7
	@sh tests/needs.sh cargo cc
	@sh tests/sim.sh $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),0..300)) $(ARGS)

sim-planted: ## what the simulator catches of the bugs in tests/planted, each in a scratch copy, or of some: BUGS=no-live-cut
	@sh tests/needs.sh cargo cc
	@sh tests/planted.sh --seeds $(or $(SEEDS),0..500) $(BUGS)

histories: ## simulate random histories of the router alone: make histories COUNT=1000000
	@sh tests/needs.sh cargo cc
	I247_SEEDS=$(or $(COUNT),1000000) cargo test --locked --package i247-router --test sim -- --nocapture

kill9: ## real processes, killed in the middle of their writes: make kill9 ROUNDS=1000, or one run again: SEED=7
	@sh tests/needs.sh cargo cc
	cargo build --locked --package i247-cli --package i247-disks
	target/debug/i247-disks kill9 --rounds $(or $(ROUNDS),1000) $(if $(SEED),--seed $(SEED)) $(ARGS)

powercut: ## the power of a real file system is cut (needs root and loop mounts): make powercut ROUNDS=100
	@sh tests/needs.sh cargo cc
	cargo build --locked --package i247-cli --package i247-disks
	target/debug/i247-disks powercut --rounds $(or $(ROUNDS),100) $(if $(SEED),--seed $(SEED)) $(ARGS)

fulldisk: ## all room of a real file system is taken from the nodes (needs what powercut needs): make fulldisk ROUNDS=20
	@sh tests/needs.sh cargo cc
	cargo build --locked --package i247-cli --package i247-disks
	target/debug/i247-disks full --rounds $(or $(ROUNDS),20) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: ## what it costs beside NATS, PostgreSQL, raw tonic, raw TLS: make bench QUICK=1 takes two minutes
	@sh tests/needs.sh cargo cc
	cargo build --locked --profile $(or $(PROFILE),dist) --package i247-cli
	cargo build --locked --profile $(or $(PROFILE),dist) --package i247-bench
	target/$(or $(PROFILE),dist)/i247-bench run --program target/$(or $(PROFILE),dist)/i247 --profile $(or $(PROFILE),dist) $(if $(QUICK),--quick) $(ARGS)

overload: ## four times the capacity for a minute, and 100 bureaus that read nothing: make overload QUICK=1 takes one minute
	@sh tests/needs.sh cargo cc
	cargo build --locked --profile $(or $(PROFILE),dist) --package i247-cli
	cargo build --locked --profile $(or $(PROFILE),dist) --package i247-bench
	target/$(or $(PROFILE),dist)/i247-bench overload --program target/$(or $(PROFILE),dist)/i247 --profile $(or $(PROFILE),dist) $(if $(QUICK),--quick) $(ARGS)

profile: ## where the hub's time goes under load, by function
	@sh tests/needs.sh cargo cc perf
	cargo build --locked --release --package i247-cli
	cargo build --locked --release --package i247-bench
	target/release/i247-bench profile --program target/release/i247 --profile release

setup: ## install what the optional test groups need (Debian, or a virtual environment for Python)
	@sh tests/setup.sh

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14
