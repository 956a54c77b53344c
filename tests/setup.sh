#!/bin/sh
# Installs what the optional test groups need. Rust and a C compiler are needed for everything and are not installed here.
set -e
if ! command -v systemd-analyze >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq systemd >/dev/null
fi
if command -v python3 >/dev/null 2>&1; then
  # A managed Python refuses packages from outside; an environment beside the build is then used by hand.
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore buf-bin==1.75.0 ||
    echo "setup: pip could not install buf-bin; install it in a virtual environment" >&2
else
  echo "setup: python3 with pip is missing: the protocol checks will not run" >&2
fi
