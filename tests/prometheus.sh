#!/bin/sh
# Checks the rules for Prometheus, and plays the series of their tests.
set -e
cd "$(dirname "$0")/../deploy/prometheus"
if ! command -v promtool >/dev/null 2>&1; then
  echo "prometheus: not run, promtool is missing (make setup)" >&2
  [ "${I247_REQUIRE:-}" != all ] || exit 1
  exit 0
fi
promtool check rules i247.rules.yml
promtool check config prometheus.yml
promtool test rules i247.rules.test.yml
echo "prometheus: passed"
