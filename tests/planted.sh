#!/bin/sh
# Bugs on purpose: each must be caught by the simulator within 500 seeds. `--check`: only whether each patch applies.
# A bug is a setting of a seam, or a patch of a few lines that is applied to a scratch copy.
set -eu
cd "$(dirname "$0")/.."
scratch=target/planted/copy
missed=0

fresh() {
  mkdir -p "$scratch"
  for part in Cargo.toml Cargo.lock crates proto tests; do
    # Only what differs is written, so that only that is built again.
    rm -rf "$scratch/$part.old"
    cp -R "$part" "$scratch/$part.old"
    if ! diff -rq "$scratch/$part.old" "$scratch/$part" >/dev/null 2>&1; then
      rm -rf "${scratch:?}/$part"
      mv "$scratch/$part.old" "$scratch/$part"
    else
      rm -rf "$scratch/$part.old"
    fi
  done
}

row() {
  caught=$(printf '%s\n' "$2" | sed -n 's/^seed \([0-9]*\) failed:$/\1/p' | head -n 1)
  if [ -z "$caught" ]; then
    missed=1
    echo "| $1 | NOT CAUGHT | |"
  else
    check=$(printf '%s\n' "$2" | sed -n "/^seed $caught failed:/{n;s/^  \([^:]*\):.*/\1/p;}")
    echo "| $1 | seed $caught | $check |"
  fi
}

if [ "${1:-}" = --check ]; then
  for patch in tests/planted/*.patch; do
    patch --dry-run --silent --force -p1 <"$patch" >/dev/null || { echo "$patch does not apply" >&2; missed=1; }
  done
  exit "$missed"
fi

seeds=${1:-0..500}
echo "| bug | caught by | the check that caught it |"
echo "|---|---|---|"
for plant in lying-disk lost-names; do
  row "$plant (disk)" "$(sh tests/sim.sh --plant "$plant" --first --seeds "$seeds" --keep target/planted/histories || true)"
done
for patch in tests/planted/*.patch; do
  fresh
  patch --silent --force -d "$scratch" -p1 <"$patch"
  row "$(basename "$patch" .patch)" "$(cd "$scratch" && RUSTFLAGS="${RUSTFLAGS:-} --cfg tokio_unstable" \
    cargo run --locked --quiet --target-dir ../build --package i247-sim -- \
    --first --seeds "$seeds" --keep ../histories || true)"
done
exit "$missed"
