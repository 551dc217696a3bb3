#!/bin/sh
# Each kernel table forced on each processor that qemu knows: it gives its numbers, or is refused by name with exit code 4; a
# processor never meets an instruction that it has not (132). The scalar table's numbers are the same, bit for bit, on all of them, of
# whatever architecture.
#
#   sh tables_test.sh THIMBLE MODEL WORK_FOLDER aarch64|arm|x86_64 EMULATOR [EMULATOR_OPTION...]
set -eu

program=$1 model=$2 work=$3 machine=$4
shift 4
command -v "$1" >/dev/null || { echo "skipped: no $1"; exit 77; }
mkdir -p "$work"
# Of each processor the tables that it must run. All others must be refused there.
case $machine in
  aarch64)
    tables='scalar neon neondot neoni8mm'
    processors='cortex-a53:scalar,neon cortex-a57:scalar,neon cortex-a72:scalar,neon cortex-a76:scalar,neon,neondot
      neoverse-n1:scalar,neon,neondot max:scalar,neon,neondot,neoni8mm max,sve=off:scalar,neon,neondot,neoni8mm'
    ;;
  arm) # the first two have NEON, but not VFPv4
    tables='scalar neon'
    processors='cortex-a8:scalar cortex-a9:scalar cortex-a7:scalar,neon cortex-a15:scalar,neon max:scalar,neon'
    ;;
  x86_64) # whether the last one has AVX2 depends on the emulator
    tables='scalar avx2 avxvnni avx512vnni amx'
    processors='qemu64:scalar Nehalem:scalar max:scalar,?'
    ;;
esac

scalar='3867608046 61088'  # cksum of its logits, as JSON has them
sum() { sed 's/^.*"outputs"//' "$work/out" | cksum; }  # behind the model's path

failed=0 ran=0 refused=0
fail() { echo "FAILED: $*"; failed=1; }
for entry in $processors; do
  processor=${entry%:*} runs=,${entry##*:},
  for table in $tables; do
    code=0
    QEMU_CPU=$processor "$@" "$program" logits "$model" -p "Once upon a time" --json --kernels "$table" >"$work/out" 2>"$work/err" || code=$?
    case $code in
      0)
        case $runs in *",$table,"* | *,\?,*) ;; *) fail "$table runs on $processor, which has not its instructions" ;; esac
        [ -s "$work/out" ] || fail "$table on $processor gives no numbers"
        [ "$table" != scalar ] || [ "$(sum)" = "$scalar" ] || fail "the scalar table's numbers on $processor are others: $(sum)"
        ran=$((ran + 1))
        ;;
      4)
        case $runs in *",$table,"*) fail "$table is refused on $processor: $(cat "$work/err")" ;; esac
        grep -q "cannot run the kernel table.*$table" "$work/err" || fail "$table on $processor is refused without its name: $(cat "$work/err")"
        refused=$((refused + 1))
        ;;
      *) fail "$table on $processor ends with $code: $(tail -n 3 "$work/err")" ;;
    esac
  done
done
echo "$ran of table and processor run, $refused are refused by name"
exit $failed
