#!/bin/sh
# Lint, format and breaking check of proto/ against the golden descriptor.
set -e
cd "$(dirname "$0")/.."
# Where make setup puts it.
PATH="$(pwd)/target/tools/bin:$PATH"
if ! command -v buf >/dev/null 2>&1; then
  echo "proto: not run, buf is missing (make setup)" >&2
  [ "${I247_REQUIRE:-}" != all ] || exit 1
  exit 0
fi
cd proto
# After a change that stays: buf build -o golden/i247.v1.binpb
buf lint
buf format -d --exit-code
[ ! -f golden/i247.v1.binpb ] || buf breaking --against golden/i247.v1.binpb
echo "proto: passed"
