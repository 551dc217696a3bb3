#!/bin/sh
# 32-bit ARM: NEON only in files that are compiled for it and chosen at load.
#
#   sh neon32_test.sh LIBRARY.so LIBRARY.a NM STRIP OBJDUMP WORK_FOLDER
set -eu

archive=$2 objdump=$5 work=$6

# VFP has s and d registers; whatever names a q register, or loads and stores whole vectors, is NEON.
"$objdump" -d --no-show-raw-insn "$archive" | awk '
  / file format / { file = $1; sub(/:$/, "", file); next }
  /^[0-9a-f]+ <.*>:$/ { next }
  $0 ~ /[ ,\t]q[0-9]+/ || $2 ~ /^v(ld|st)[1-4]\./ { found[file]++ }
  END { for (name in found) print name, found[name] }' | sort >"$work/neon32.txt"

status=0
if grep -v -E "^[^ ]*(neon)[^ ]* " "$work/neon32.txt" >"$work/neon32_unguarded.txt"; then
  echo "FAILED: NEON in files that every 32-bit ARM runs (file, how often):"
  cat "$work/neon32_unguarded.txt"
  status=1
fi
echo "$(wc -l <"$work/neon32.txt") files have NEON, all chosen at load"
for kernel in attention_neon linear_blocks_neon gemm; do
  grep -q "$kernel" "$work/neon32.txt" || { echo "FAILED: no NEON in $kernel, where it must be: the test sees nothing"; status=1; }
done
exit $status
