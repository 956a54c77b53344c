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
# What the dashboards ask for, as rules: promtool reads expressions nowhere else.
{
  printf 'groups:\n  - name: dashboards\n    rules:\n'
  sed -n 's/^ *"expr": \(".*"\),*$/      - record: asked\n        expr: \1/p' ../grafana/*.json
} | promtool check rules --lint=none /dev/stdin
echo "prometheus: passed"
