#!/bin/sh
# The console's pages in a real browser, in front of a real network: all stories, or only those with one of the words in their
# names. Ends with 77 where something is missing, and says what.
set -eu
cd "$(dirname "$0")/.."
web=crates/console/web
lacks() {
  echo "console: $1" >&2
  exit 77
}
command -v node >/dev/null 2>&1 || lacks "Node is missing"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  lacks "Node $(node --version) is too old: 20.19 or newer is needed"
[ -d $web/node_modules/playwright-core ] || lacks "the packages of $web are not installed"
[ -x "${I247_CHROMIUM:-/usr/bin/chromium}" ] || lacks "Chromium is missing"
(cd $web && npm run --silent build)
touch crates/console/build.rs
# As all tests are built.
cargo build --locked --workspace --bins
cd $web && node browser/run.mjs "$@"
