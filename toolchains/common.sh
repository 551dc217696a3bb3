# What demo.sh and test.sh share; sourced by them, in the checkout's root, with `set -eu`.
# It must not know which programs or models there are.

heading() { printf '\n=== %s\n' "$*"; }

# As many compilers at a time as there are processors, but no more than memory allows: the largest of our
# files takes about 700 MB in the compiler.
jobs=$(nproc 2>/dev/null || echo 1)
memory_kb=$(sed -n 's/^MemTotal:[^0-9]*\([0-9]*\).*/\1/p' /proc/meminfo 2>/dev/null || echo 0)
if [ "${memory_kb:-0}" -gt 0 ] && [ $((memory_kb / 700000)) -lt "$jobs" ]; then
  jobs=$((memory_kb / 700000))
fi
if [ "$jobs" -lt 1 ]; then jobs=1; fi

# build PRESET [TARGET...]: configures quietly, builds with progress.
build() {
  preset=$1
  shift
  mkdir -p build/logs
  if ! cmake --preset "$preset" >"build/logs/$preset.configure.log" 2>&1; then
    cat "build/logs/$preset.configure.log"
    return 1
  fi
  if [ $# -gt 0 ]; then set -- --target "$@"; fi
  cmake --build --preset "$preset" -j "$jobs" "$@"
}
