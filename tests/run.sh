#!/bin/sh
# Runs every group of tests that can run here, and names the others at the end.
# I247_REQUIRE=all: a group that lacks its tool is a failure.
set -eu
cd "$(dirname "$0")/.."
skipped=""
excused=""

# Some stories start real processes. All at once, as the tests are built: a package alone has other features, and would be
# built twice.
cargo build --locked --workspace --bins

# The simulation of the router plays this many random histories here; make histories plays more.
export I247_SEEDS="${I247_SEEDS:-20000}"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked
else
  cargo test --workspace --locked --lib --bins --tests
fi
cargo test --workspace --locked --doc

# Real processes on real disks, in short; make kill9 and make powercut do more. 77: it cannot run here.
disks() {
  status=0
  target/debug/i247-disks "$@" || status=$?
  case $status in
    0) ;;
    77)
      # Both mount a file system of their own.
      mounts=no
      case $1 in powercut | full) mounts=yes ;; esac
      if [ $mounts = yes ] && [ "$(id -u)" != 0 ]; then
        excused="$excused $1(root:_sudo_target/debug/i247-disks_$1_--rounds_4)"
      elif [ $mounts = yes ] && ! { unshare --mount true && losetup --find; } >/dev/null 2>&1; then
        excused="$excused $1(outside_of_the_container,_or_--privileged:_no_mounts_are_allowed_here)"
      else
        skipped="$skipped $1(make_setup)"
      fi
      ;;
    *) exit "$status" ;;
  esac
}
disks kill9 --rounds 15
disks sync --rounds 4
disks flips --rounds 300
disks powercut --rounds 5
disks full --rounds 4

# Whole networks: every kind of fault must have struck, and a seed must decide everything.
sh tests/sim.sh --seeds "${I247_SIM_SEEDS:-0..300}" --ci
sh tests/sim.sh --check-determinism 10
sh tests/planted.sh --check

if command -v python3 >/dev/null 2>&1; then
  echo "vectors: signatures and bytes made again without our code"
  python3 crates/trust/tests/vectors.py
else
  skipped="$skipped vectors(apt-get_install_python3)"
fi
# Where make setup puts it.
PATH="$(pwd)/target/tools/bin:$PATH"
# Ran with the rest above where it could; its test says the same.
python3 -c 'import grpc' >/dev/null 2>&1 || skipped="$skipped foreign(make_setup)"
if command -v buf >/dev/null 2>&1; then
  sh tests/proto.sh
else
  skipped="$skipped protocol(make_setup)"
fi
if command -v promtool >/dev/null 2>&1; then
  sh tests/prometheus.sh
else
  skipped="$skipped rules(make_setup)"
fi
command -v systemd-analyze >/dev/null 2>&1 || skipped="$skipped units(apt-get_install_systemd)"

# The console's pages, in a browser, in front of a network of processes. 77: it cannot run here.
status=0
sh tests/console.sh || status=$?
case $status in
  0) ;;
  77) skipped="$skipped console(make_setup)" ;;
  *) exit "$status" ;;
esac

if [ -z "$skipped$excused" ]; then
  echo "Every group ran."
  exit 0
fi
echo "Not run here, with what gets the tool:"
for group in $skipped $excused; do
  echo "  $group" | tr '_' ' '
done
# What needs root, or mounts that a container may not make, is excused by name.
[ -n "$skipped" ] || exit 0
[ "${I247_REQUIRE:-}" != all ] || exit 1
