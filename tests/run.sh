#!/bin/sh
# Runs every group of tests that can run here, and names the others at the end.
# I247_REQUIRE=all: a group that lacks its tool is a failure.
set -eu
cd "$(dirname "$0")/.."
skipped=""

if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked
else
  cargo test --workspace --locked --lib --bins --tests
fi
cargo test --workspace --locked --doc

sh tests/proto.sh
command -v buf >/dev/null 2>&1 || skipped="$skipped proto:make_setup"

if [ -n "$skipped" ]; then
  echo "These groups did not run (group: command that gets what it needs):"
  for group in $skipped; do
    echo "  $(echo "$group" | tr '_' ' ' | sed 's/:/: /')"
  done
else
  echo "Every group ran."
fi
