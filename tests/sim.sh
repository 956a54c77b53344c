#!/bin/sh
# Builds the simulator so that a seed decides everything, and runs it.
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="${RUSTFLAGS:-} --cfg tokio_unstable"
exec cargo run --locked --quiet --target-dir "${CARGO_TARGET_DIR:-target}/sim" --package i247-sim -- "$@"
