#!/bin/sh
# Instructions beyond ARMv8.0 only in files that are compiled for them and chosen at load.
#
#   sh instructions_test.sh LIBRARY.so LIBRARY.a NM STRIP OBJDUMP WORK_FOLDER
set -eu

archive=$2 objdump=$5 work=$6

"$objdump" -d --no-show-raw-insn "$archive" | awk '
  / file format / { file = $1; sub(/:$/, "", file); next }
  /^[0-9a-f]+ <.*>:$/ { next }
  # Dot products, matrix products, ARMv8.1 atomics, half-precision arithmetic and SVE.
  $2 ~ /^([us]dot|usdot|sudot|[us]mmla|usmmla|bfdot|bfmmla|cas|casa|casl|casal|casp.*|(swp|ldadd|ldclr|ldset|ldeor|stadd|stclr|stset)(a|l|al)?[bh]?|ptrue|whilel[ot])$/ ||
  ($2 ~ /^f(add|mul|mla|mls|sub|max|min|maxnm|minnm|div|sqrt)$/ && $0 ~ /[ ,]v[0-9]+\.[48]h|[ \t]h[0-9]+,/) {
    found[file " " $2]++
  }
  END { for (name in found) print name, found[name] }' | sort >"$work/instructions.txt"

# The file names say what they are compiled for; cpuinfo and XNNPACK name theirs in the same way.
guarded='neondot|neoni8mm|neonfp16arith|neonbf16|neonsve|sve|sme'
status=0
if grep -v -E "^[^ ]*($guarded)[^ ]* " "$work/instructions.txt" >"$work/unguarded.txt"; then
  echo "FAILED: such instructions in files that every ARM runs (file, instruction, how often):"
  cat "$work/unguarded.txt"
  status=1
fi
echo "$(cut -d ' ' -f 1 "$work/instructions.txt" | sort -u | wc -l) files have instructions beyond ARMv8.0, all chosen at load"
if ! grep -q 'neondot' "$work/instructions.txt" || ! grep -q 'neoni8mm' "$work/instructions.txt"; then
  echo "FAILED: no dot products found where they must be: the test sees nothing"
  status=1
fi
exit $status
