#!/bin/sh
# demo.sh with a program that is built already: its story ends at a sentence, and the commands that it names work when typed.
#
#   sh demo_test.sh TOOLCHAINS_FOLDER PROGRAM MODEL WORK_FOLDER
set -eu

toolchains=$1
program=$2
model=$3
work=$4
rm -rf -- "$work"
mkdir -p "$work/bin" "$work/project/toolchains" "$work/project/build/host/bin" "$work/project/targets/cli/models"
cp "$toolchains/demo.sh" "$toolchains/common.sh" "$work/project/toolchains/"
echo exit 0 >"$work/project/toolchains/setup.sh"
ln -s "$program" "$work/project/build/host/bin/thimble"
cp "$model" "$work/project/targets/cli/models/"
printf '#!/bin/sh\nexit 0\n' >"$work/bin/cmake"
chmod +x "$work/bin/cmake"
fail() { echo "FAILED: $*" >&2; cat "$work/out" >&2; exit 1; }

PATH=$work/bin:$PATH sh "$work/project/toolchains/demo.sh" >"$work/out" 2>"$work/err" || fail "it did not end well"
story=$(sed -n '/^=== A story/,/^=== Next/p' "$work/out" | sed '1d;$d' | sed '/^$/d' | tail -n 1)
case $story in *[.!?] | *[.!?]\") ;; *) fail "the story ends with: $story" ;; esac
cd "$work/project"
sed -n '/^=== Next/,$p' "$work/out" | grep '^  ' >"$work/commands" || true
[ "$(wc -l <"$work/commands")" -eq 3 ] || fail "it does not name three commands"
while read -r command; do
  sh -c "$command" >"$work/out" 2>&1 </dev/null || fail "does not work when typed: $command"
done <"$work/commands"
echo "demo.sh: all as expected"
