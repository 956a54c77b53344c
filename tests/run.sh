#!/bin/sh
# Runs every group of tests that can run here, and names the others at the end.
# I247_REQUIRE=all: a group that lacks its tool is a failure.
set -eu
cd "$(dirname "$0")/.."
skipped=""

# Some stories start real processes.
cargo build --locked --package i247-cli

# The simulation of the router plays this many random histories here; make sim plays more.
export I247_SEEDS="${I247_SEEDS:-20000}"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked
else
  cargo test --workspace --locked --lib --bins --tests
fi
cargo test --workspace --locked --doc

if command -v python3 >/dev/null 2>&1; then
  echo "vectors: signatures and bytes made again without our code"
  python3 crates/trust/tests/vectors.py
else
  skipped="$skipped vectors(python3)"
fi
sh tests/proto.sh
command -v buf >/dev/null 2>&1 || skipped="$skipped protocol(make_setup)"
command -v systemd-analyze >/dev/null 2>&1 || skipped="$skipped units(apt-get_install_systemd)"

if [ -z "$skipped" ]; then
  echo "Every group ran."
  exit 0
fi
echo "Not run here, with what gets the tool:"
for group in $skipped; do
  echo "  $group" | tr '_' ' '
done
[ "${I247_REQUIRE:-}" != all ] || exit 1
