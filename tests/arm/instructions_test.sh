#!/bin/sh
# 64-bit ARM: instructions beyond ARMv8.0 only in files that are compiled for them and chosen at load; in libraries and program none
# either, but for those files' functions and the compiler's own outline atomics, which ask the processor first.
#
#   sh instructions_test.sh LIBRARY.so LIBRARY.a NM STRIP OBJDUMP WORK_FOLDER PROGRAM
set -eu

library=$1 archive=$2 nm=$3 objdump=$5 work=$6 program=$7
status=0
failed() {
  echo "FAILED: $1"
  sort -u "$2" | head -n 20
  status=1
}

# "FILE FUNCTION INSTRUCTION" of each: dot and matrix products, atomics of ARMv8.1, ordered loads of 8.3, rounding products, complex numbers,
# cryptography, checksums, half-precision and bfloat16 arithmetic, SVE.
beyond() {
  "$objdump" -d --no-show-raw-insn "$1" | awk '
    / file format / { file = $1; sub(/:$/, "", file); sub(/.*\//, "", file); next }
    /^[0-9a-f]+ <.*>:$/ { function_name = substr($2, 2, length($2) - 3); next }
    $2 ~ /^([us]dot|usdot|sudot|[us]mmla|usmmla|bfdot|bfmmla|bfmlal[bt]|bfcvt.*|cas|casa|casl|casal|cas[al]*[bh]|casp.*|(swp|ldadd|ldclr|ldset|ldeor|ld[su]max|ld[su]min|stadd|stclr|stset|steor)(a|l|al)?[bh]?)$/ ||
    $2 ~ /^(ldapr[bh]?|sqrdml[as]h|fcmla|fcadd|fjcvtzs|aes[a-z]+|sha[0-9]+[a-z0-9]*|crc32[a-z]*|ptrue|whilel[ot]|rdvl|cnt[bhwd])$/ ||
    ($2 ~ /^pmull2?$/ && /\.1q/) ||
    ($2 ~ /^f(add|mul|mla|mls|sub|max|min|maxnm|minnm|div|sqrt|madd|msub|mlal|mlsl)$/ && $0 ~ /[ ,]v[0-9]+\.[48]h|[ \t]h[0-9]+,/) {
      print file, function_name, $2
    }'
}

# The file names say what they are compiled for; cpuinfo and XNNPACK name theirs in the same way.
guarded='neondot|neoni8mm|neonfp16arith|neonbf16|neonsve|sve|sme'
beyond "$archive" | sort -u >"$work/instructions.txt"
grep -E "^[^ ]*($guarded)[^ ]* " "$work/instructions.txt" >"$work/guarded.txt" || true
grep -v -E "^[^ ]*($guarded)[^ ]* " "$work/instructions.txt" >"$work/unguarded.txt" &&
  failed "such instructions in files that every ARM runs (file, function, instruction):" "$work/unguarded.txt"
for file in neondot neoni8mm; do
  grep -q "^[^ ]*$file" "$work/guarded.txt" || failed "none found in $file, where they must be: the test sees nothing" /dev/null
done

# A function that several files have (weak) becomes everybody's in the copy that the linker meets first.
"$nm" -A "$archive" | awk '$(NF - 1) ~ /^[WVu]$/ && match($0, /[^:\/]*\.o:/) { print substr($0, RSTART, RLENGTH - 1), $NF }' >"$work/weak.txt"
awk 'NR == FNR { weak[$1 " " $2]; next } ($1 " " $2) in weak' "$work/weak.txt" "$work/guarded.txt" >"$work/shared.txt"
[ ! -s "$work/shared.txt" ] || failed "such instructions in functions that other files may have, too (file, function, instruction):" "$work/shared.txt"

# What is linked: by the names of functions. `bench` measures what the processor can do at most, where it has said that it can.
asked='_ZN7thimble3cli12_GLOBAL__N_1(7RunSdot|8RunSmmla)Em'
for binary in "$library" "$program"; do
  beyond "$binary" >"$work/linked.txt"
  awk -v asked="^($asked|__aarch64_(cas|swp|ldadd|ldclr|ldset|ldeor)[0-9]+_.*)\$" 'NR == FNR { known[$2]; next } !($2 in known) && $2 !~ asked' \
    "$work/guarded.txt" "$work/linked.txt" >"$work/strange.txt"
  [ ! -s "$work/strange.txt" ] || failed "such instructions in functions that every ARM runs (file, function, instruction):" "$work/strange.txt"
  echo "$(basename "$binary"): $(cut -d ' ' -f 2 "$work/linked.txt" | grep -v '^__aarch64_' | sort -u | wc -l) functions beyond ARMv8.0, all chosen at load;" \
    "outline atomics: $(cut -d ' ' -f 2 "$work/linked.txt" | grep '^__aarch64_' | sort -u | tr '\n' ' ')"
done
echo "$(cut -d ' ' -f 1 "$work/guarded.txt" | sort -u | wc -l) files have them"
exit $status
