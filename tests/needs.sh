#!/bin/sh
# Says what is missing before anything is built.
missing=0
for tool in "$@"; do
  command -v "$tool" >/dev/null 2>&1 && continue
  missing=1
  case $tool in
    cargo) echo "Rust 1.95 or newer is missing: install it with rustup, or from your distribution." >&2 ;;
    cc) echo "A C compiler is missing: install gcc or clang (Debian: apt-get install gcc)." >&2 ;;
    perf) echo "perf is missing: install it with your kernel's tools (Debian: apt-get install linux-perf)." >&2 ;;
    node | npm) echo "$tool is missing: install Node 20.19 or newer with its npm (Debian: apt-get install nodejs npm)." >&2 ;;
    *) echo "$tool is missing." >&2 ;;
  esac
done
[ "$missing" = 0 ] || exit 1
case " $* " in
  *" cargo "*)
    have=$(rustc --version | cut -d' ' -f2)
    oldest=$(printf '%s\n1.95.0\n' "$have" | sort -V | head -n 1)
    if [ "$oldest" != 1.95.0 ]; then
      echo "Rust $have is too old: 1.95 or newer is needed (rustup update)." >&2
      exit 1
    fi
    [ -d target/debug ] || echo "The first build compiles every dependency: allow some minutes." >&2
    ;;
esac
