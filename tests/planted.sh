#!/bin/sh
# Bugs on purpose: each must be caught by the simulator within 500 seeds.
#
#   planted.sh [--seeds FIRST..END] [NAME...]   plays them, all or these, and prints a table
#   planted.sh --check                          only whether each patch applies
#
# A bug is a setting of a seam (a disk or a clock that lies), or a patch of a few lines in tests/planted, which is
# applied to a scratch copy and taken back there. All are built in one target directory.
set -eu
cd "$(dirname "$0")/.."
scratch=target/planted/copy
build=target/planted/bugs
settings="lying-disk lost-names hidden-errors hidden-full stopped-clock"
seeds=0..500
missed=0

if [ "${1:-}" = --check ]; then
  for patch in tests/planted/*.patch; do
    patch --dry-run --silent --force --fuzz=0 -p1 <"$patch" >/dev/null ||
      { echo "$patch does not apply" >&2; missed=1; }
  done
  exit "$missed"
fi
if [ "${1:-}" = --seeds ]; then
  seeds=$2
  shift 2
fi
[ $# -gt 0 ] || set -- $settings $(cd tests/planted && ls *.patch | sed 's/\.patch$//')

# The copy is what the tree is now. Only what differs is written, so that only that is built again.
mirror() {
  mkdir -p "$scratch"
  parts="Cargo.toml Cargo.lock crates proto tests"
  find $parts -name node_modules -prune -o -type f -print | sort >"$scratch.now"
  (cd "$scratch" && find . -type f | sed 's,^\./,,' | sort) >"$scratch.then"
  comm -13 "$scratch.now" "$scratch.then" | while read -r file; do rm "$scratch/$file"; done
  while read -r file; do
    cmp -s "$file" "$scratch/$file" || { mkdir -p "$scratch/$(dirname "$file")"; cp "$file" "$scratch/$file"; }
  done <"$scratch.now"
}

# Built for speed of building: most bugs are found in the first seeds.
simulate() {
  (cd "$scratch" && RUSTFLAGS="${RUSTFLAGS:-} --cfg tokio_unstable" CARGO_PROFILE_DEV_OPT_LEVEL=0 \
    CARGO_PROFILE_DEV_DEBUG=0 cargo run --locked --quiet --target-dir ../bugs --package i247-sim \
    --config profile.dev.package.i247-router.opt-level=0 --config profile.dev.package.i247-router.codegen-units=16 \
    --config profile.dev.package.i247-model.opt-level=0 --config profile.dev.package.i247-model.codegen-units=16 \
    -- --first --seeds "$seeds" --keep ../histories "$@")
}

row() {
  caught=$(printf '%s\n' "$3" | sed -n 's/^seed \([0-9]*\) failed:$/\1/p' | head -n 1)
  check=$(printf '%s\n' "$3" | sed -n "/^seed $caught failed:/{n;s/^  \([^:]*\):.*/\1/p;}")
  if [ -n "$caught" ]; then
    printf '%-26s  %-7s  %5s  %s\n' "$1" "$2" "$caught" "$check"
  elif printf '%s\n' "$3" | grep -q '^[0-9]* runs,'; then
    missed=1
    printf '%-26s  %-7s  %5s  %s\n' "$1" "$2" - "NOT CAUGHT"
  else
    missed=1
    printf '%-26s  %-7s  %5s  %s\n' "$1" "$2" - "DID NOT RUN: $(printf '%s\n' "$3" | tail -n 1)"
  fi
}

mirror
# What does not depend on this tree was built for the simulator already.
built="${CARGO_TARGET_DIR:-target}/sim"
[ -d "$build" ] || [ ! -d "$built" ] || cp -Rp "$built" "$build"
printf '%-26s  %-7s  %5s  %s\n' bug kind seed "caught by the check"
for name; do
  patch=tests/planted/$name.patch
  if [ ! -f "$patch" ]; then
    row "$name" setting "$(simulate --plant "$name" 2>&1 || true)"
  elif patch --silent --force --fuzz=0 -d "$scratch" -p1 <"$patch"; then
    row "$name" patch "$(simulate 2>&1 || true)"
    patch --silent --force --fuzz=0 --reverse -d "$scratch" -p1 <"$patch"
  else
    row "$name" patch "the patch does not apply"
    rm -rf "$scratch"
    mirror
  fi
done
exit "$missed"
