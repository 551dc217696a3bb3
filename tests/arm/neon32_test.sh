#!/bin/sh
# 32-bit ARM: NEON and VFPv4 only in files that are compiled for them and chosen at load, and nothing of ARMv8 or integer division
# anywhere: the baseline is ARMv7 with VFPv3-D16. In library and program none either, but for those files' functions.
#
#   sh neon32_test.sh LIBRARY.so LIBRARY.a NM STRIP OBJDUMP WORK_FOLDER PROGRAM
set -eu

library=$1 archive=$2 nm=$3 objdump=$5 work=$6 program=$7
status=0
failed() {
  echo "FAILED: $1"
  sort -u "$2" | head -n 20
  status=1
}

# "FILE FUNCTION INSTRUCTION v8|neon" of each. VFP has s registers and 16 d registers; whatever names a q register or a higher one, loads
# and stores whole vectors, or computes with integers there, is NEON.
beyond() {
  "$objdump" -d --no-show-raw-insn "$1" | awk '
    / file format / { file = $1; sub(/:$/, "", file); sub(/.*\//, "", file); next }
    /^[0-9a-f]+ <.*>:$/ { function_name = substr($2, 2, length($2) - 3); next }
    $2 ~ /^([su]div|v[su]dot|v[su]mmla|vrint[a-z]|vsel[a-z]+|v(max|min)nm|vcvt[anpm]|lda(b|h|ex.*)?|stl(b|h|ex.*)?|crc32c?[bhw]|sevl|aes[a-z]+|sha[0-9]+.*)(\.|$)/ {
      print file, function_name, $2, "v8"
      next
    }
    # Addresses and what jumps name look like registers: operands alone, of instructions whose names begin with v.
    { operands = $2 ~ /^v/ ? $0 : ""; sub(/^[^\t]*\t/, "", operands); sub(/[;@<].*/, "", operands) }
    operands ~ /[ ,\t{]q[0-9]+/ || operands ~ /[ ,\t{-]d(1[6-9]|2[0-9]|3[01])([^0-9]|$)/ || $2 ~ /^v(ld|st)[1-4]\./ || $2 ~ /^vfn?m[as]\./ || $2 ~ /^vcvt[bt]\./ ||
    ($2 ~ /^v[a-z]+\.[isup][0-9]+/ && $2 !~ /^vcvt/) { print file, function_name, $2, "neon" }'
}

beyond "$archive" | sort -u >"$work/neon32.txt"
grep ' v8$' "$work/neon32.txt" >"$work/neon32_v8.txt" && failed "of ARMv8, or a division (file, function, instruction):" "$work/neon32_v8.txt"
grep -E '^[^ ]*neon[^ ]* ' "$work/neon32.txt" >"$work/neon32_guarded.txt" || true
grep -v -E '^[^ ]*neon[^ ]* ' "$work/neon32.txt" >"$work/neon32_unguarded.txt" &&
  failed "NEON in files that every 32-bit ARM runs (file, function, instruction):" "$work/neon32_unguarded.txt"
for kernel in attention_neon linear_blocks_neon gemm; do
  grep -q "^[^ ]*$kernel" "$work/neon32_guarded.txt" || failed "no NEON in $kernel, where it must be: the test sees nothing" /dev/null
done

# A function that several files have (weak) becomes everybody's in the copy that the linker meets first.
"$nm" -A "$archive" | awk '$(NF - 1) ~ /^[WVu]$/ && match($0, /[^:\/]*\.o:/) { print substr($0, RSTART, RLENGTH - 1), $NF }' >"$work/neon32_weak.txt"
awk 'NR == FNR { weak[$1 " " $2]; next } ($1 " " $2) in weak' "$work/neon32_weak.txt" "$work/neon32_guarded.txt" >"$work/neon32_shared.txt"
[ ! -s "$work/neon32_shared.txt" ] || failed "NEON in functions that other files may have, too (file, function, instruction):" "$work/neon32_shared.txt"

for binary in "$library" "$program"; do
  beyond "$binary" >"$work/neon32_linked.txt"
  awk 'NR == FNR { known[$2]; next } !($2 in known) || $4 == "v8"' "$work/neon32_guarded.txt" "$work/neon32_linked.txt" >"$work/neon32_strange.txt"
  [ ! -s "$work/neon32_strange.txt" ] || failed "in functions that every 32-bit ARM runs (file, function, instruction):" "$work/neon32_strange.txt"
  echo "$(basename "$binary"): $(cut -d ' ' -f 2 "$work/neon32_linked.txt" | sort -u | wc -l) functions with NEON, all chosen at load"
done
exit $status
