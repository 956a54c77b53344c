#!/bin/sh
# Lint, format and breaking check of proto/ against the golden descriptor.
set -e
if ! command -v buf >/dev/null 2>&1; then
  echo "proto: not run, buf is missing (make setup)" >&2
  [ "${I247_REQUIRE:-}" != all ] || exit 1
  exit 0
fi
cd "$(dirname "$0")/../proto"
buf lint
buf format -d --exit-code
[ ! -f golden/i247.v1.binpb ] || buf breaking --against golden/i247.v1.binpb
echo "proto: passed"
