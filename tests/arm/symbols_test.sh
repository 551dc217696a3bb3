#!/bin/sh
# What library and program take from outside, against what an Android of API 26 has; and the library's size without symbols.
#
#   sh symbols_test.sh LIBRARY.so LIBRARY.a NM STRIP OBJDUMP WORK_FOLDER PROGRAM
set -eu

library=$1 nm=$3 strip=$4 work=$6 program=$7
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
most_bytes=1000000  # 945,456 measured

# What a file takes from outside, "name" or "name@VERSION". Debian's spellings of what Android calls otherwise; what the start files and the
# linker leave weak.
undefined() {
  "$nm" -D --undefined-only "$1" | sed 's/^ *[UwVv] //' | sed \
    -e 's/^__errno_location@.*/__errno/' -e 's/^__isoc[0-9]*_//' -e 's/^__getauxval@/getauxval@/' -e 's/^__sysconf@/sysconf@/' \
    -e '/^_ITM_/d' -e '/^__gmon_start__/d' | sort -u
}
awk '!/^#/ && $2 <= 26 { print $1 }' "$here/android_api26.txt" | sort -u >"$work/allowed.txt"
status=0
# known FILE: all names of the C library are Android's.
known() {
  comm -23 "$1" "$work/allowed.txt" >"$work/unknown.txt"
  [ -s "$work/unknown.txt" ] || return 0
  echo "FAILED: not known to be in Android's C library at API 26; look them up in the NDK's libc.map.txt, and add them to" \
    "android_api26.txt where they are:"
  cat "$work/unknown.txt"
  status=1
}
undefined "$library" >"$work/undefined.txt"
# The C++ runtime, which an Android library brings along (c++_static): what there is of it is listed, so that it does not grow unseen.
grep -E '@(GLIBCXX|CXXABI)_' "$work/undefined.txt" | sed 's/@.*//' >"$work/cxx.txt" || true
grep -v -E '@(GLIBCXX|CXXABI)_' "$work/undefined.txt" | sed 's/@.*//' | sort -u >"$work/c.txt"
known "$work/c.txt"
# The program: but for what Debian's headers make of ctype.h and getline, the compiler's and the C++ runtime's own, the counter of allocations of
# `bench`, which is glibc's alone, and libedit, which Android's program is built without.
undefined "$program" | grep -v -E '@(GLIBCXX|CXXABI|GCC)_' | sed 's/@.*//' | sort -u |
  grep -v -x -E '__ctype_(b|tolower|toupper)_loc|__getdelim|__libc_(start_main|single_threaded)|__libc_(malloc|calloc|realloc|memalign)|secure_getenv' >"$work/c_program.txt"
known "$work/c_program.txt"
for name in $(cat "$work/cxx.txt"); do
  case $name in
    # Memory without exceptions, its release, guards of constants in functions, what a checked string_view calls, and numbers as text.
    _ZSt8to_chars* | _ZSt10from_chars* | _ZdlPv* | _ZnwmRKSt9nothrow_t | _ZSt7nothrow | __cxa_guard_acquire | __cxa_guard_release | _ZSt24__throw_out_of_range_fmtPKcz) ;;
    *)
      echo "FAILED: $name is of the C++ runtime, and was not needed before"
      status=1
      ;;
  esac
done
"$strip" -o "$work/stripped.so" "$library"
bytes=$(wc -c <"$work/stripped.so")
echo "$(wc -l <"$work/c.txt") names of the C library, $(wc -l <"$work/cxx.txt") of the C++ runtime, $bytes bytes stripped; the program: $(wc -l <"$work/c_program.txt") names"
if [ "$bytes" -gt "$most_bytes" ]; then
  echo "FAILED: more than $most_bytes bytes"
  status=1
fi
exit $status
