#!/bin/sh
# Set-up, then builds and runs every test: this machine, this machine with sanitizers (tsan: the tests that have threads), 64-bit ARM
# under qemu as four processors (a53: all tests, the others: what has kernels in it), 32-bit ARM as one, and Android's tools over the Java
# classes. Ends with a table, and with ctest's closing lines over all of it. Exit status 0 when everything passed.
#
#   sh toolchains/test.sh                   everything
#   sh toolchains/test.sh host host-asan    only these (host, host-asan, tsan, a53, a72, a76, max, a7, android)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd -- "$root"
. "$here/common.sh"

begin=$(date +%s)
sh "$here/setup.sh" test
configurations=${*:-host host-asan tsan a53 a72 a76 max a7 android}
logs=$root/build/logs
mkdir -p "$logs"
: >"$logs/summary"
: >"$logs/failed"
status=0

# ThreadSanitizer of some compilers cannot live with the address layout that some kernels make up.
fixed_layout=
if command -v setarch >/dev/null 2>&1 && setarch -R true 2>/dev/null; then fixed_layout='setarch -R'; fi

# One configuration: NAME BUILD-PRESET TEST-PRESET. The table's line is written whatever happens.
run() {
  heading "$1: build"
  built=$(date +%s)
  if ! build "$2"; then
    printf '%s|%s|-|-|does not build\n' "$1" "$(($(date +%s) - built))" >>"$logs/summary"
    status=1
    return 0
  fi
  heading "$1: tests"
  started=$(date +%s)
  result=0
  in_layout=
  if [ "$2" = host-tsan ]; then in_layout=$fixed_layout; fi
  # The pipe must not hide ctest's exit status, and plain sh has no pipefail.
  { $in_layout ctest --preset "$3" -j "$jobs" || echo $? >"$logs/$1.status"; } 2>&1 | tee "$logs/$1.log"
  if [ -f "$logs/$1.status" ]; then
    rm -f -- "$logs/$1.status"
    result=1
    status=1
    # What each of them printed (its last 40 lines), so that the end of a long log says why.
    awk -v name="$1" '
      function flush(  i) { for (i = count > 40 ? count - 40 : 0; i < count; ++i) print name ": " line[i]; count = 0 }
      /^ *[0-9]+\/[0-9]+ Test +#/ { flush(); inside = /\*\*\*(Failed|Timeout|Exception|Not Run)/ }
      /^ +Start +[0-9]+:/ { next }
      /tests passed, [0-9]+ tests failed/ { flush(); inside = 0 }
      inside { line[count++] = $0 }' "$logs/$1.log" >>"$logs/failed"
    sed -n '/^The following tests FAILED/,/^$/p' "$logs/$1.log" | sed "s/^/$1: /" >>"$logs/failed"
  fi
  total=$(sed -n 's/.* tests failed out of \([0-9]*\).*/\1/p' "$logs/$1.log" | tail -n 1)
  failed=$(sed -n 's/.* \([0-9]*\) tests failed out of.*/\1/p' "$logs/$1.log" | tail -n 1)
  skipped=$(grep -c '\*\*\*Skipped' "$logs/$1.log" || true)
  verdict=passed
  if [ $result -ne 0 ]; then verdict="${failed:-?} FAILED"; fi
  printf '%s|%s|%s|%s|%s|%s|%s\n' "$1" $((started - built)) $(($(date +%s) - started)) \
    "${total:-0}" "$verdict" "$skipped" "${failed:-0}" >>"$logs/summary"
}

for configuration in $configurations; do
  case $configuration in
    host | host-asan) run "$configuration" "$configuration" "$configuration" ;;
    tsan) run host-tsan host-tsan host-tsan ;;
    a53 | a72 | a76 | max)
      if ! command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 || [ "$(uname -m)" = aarch64 ]; then
        printf '%s|0|0|0|not run: this machine is ARM, or has no ARM compiler|0|0\n' \
          "aarch64-$configuration" >>"$logs/summary"
      else
        run "aarch64-$configuration" rpi-aarch64 "rpi-aarch64-$configuration"
      fi
      ;;
    a7)
      if ! command -v arm-linux-gnueabihf-g++ >/dev/null 2>&1 || [ "$(uname -m)" = aarch64 ]; then
        printf '%s|0|0|0|not run: this machine is ARM, or has no 32-bit ARM compiler|0|0\n' armv7-a7 >>"$logs/summary"
      else
        run armv7-a7 rpi-armv7 rpi-armv7-a7
      fi
      ;;
    android)
      heading "android"
      started=$(date +%s)
      result=0
      sh "$here/android.sh" >"$logs/android.log" 2>&1 || result=1
      cat "$logs/android.log"
      verdict=passed
      if [ $result -ne 0 ]; then
        verdict='1 FAILED'
        status=1
        sed -n 's/^android: error:/android:/p' "$logs/android.log" >>"$logs/failed"
      fi
      reason=$(sed -n 's/^skipped: /not run: /p' "$logs/android.log")
      printf 'android|0|%s|%s|%s|0|%s\n' $(($(date +%s) - started)) \
        $(($(grep -c '^android: ok:' "$logs/android.log" || true) + result)) "${reason:-$verdict}" $result >>"$logs/summary"
      ;;
    *)
      echo "test: error: no configuration is called $configuration (host, host-asan, tsan, a53, a72, a76, max, a7, android)" >&2
      exit 2
      ;;
  esac
done

heading "Summary"
{
  echo 'configuration|build s|tests s|tests|result|skipped'
  cat "$logs/summary"
} | awk -F'|' '{ printf "%-16s %9s %9s %7s %8s  %s\n", $1, $2, $3, $4, $6, $5 }'
cat "$logs/failed"
awk -F'|' -v all=$(($(date +%s) - begin)) '
  { total += $4; failed += $7; if ($5 == "does not build") broken = 1 }
  END {
    if (broken) print "\nA configuration does not build."
    printf "\n%d%% tests passed, %d tests failed out of %d\n\nTotal Test time (real) = %.2f sec\n",
      total ? int(100 * (total - failed) / total) : 0, failed, total, all
  }' "$logs/summary"
exit $status
