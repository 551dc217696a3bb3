#!/bin/sh
# Set-up, release build, then the shipped model: its memory plan, and a story written with it.
#
#   sh toolchains/demo.sh [ARGUMENTS of `thimble run`, such as -p "Lily had a boat" -n 100]
#   sh toolchains/demo.sh --chat [ARGUMENTS of `thimble chat`]     a real model instead, fetched by get_model.sh into models/
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd -- "$root"
. "$here/common.sh"

model=targets/cli/models/stories-qmqa.thimble
report=$root/build/memory-report.txt

sh "$here/setup.sh" demo
heading "Build"
# With what `cmake --install` wants beside it.
build host thimble_cli thimble_shared
thimble=build/host/bin/thimble

if [ "${1:-}" = --chat ]; then
  shift
  heading "A real model: sh toolchains/get_model.sh smollm2"
  sh "$here/get_model.sh" smollm2
  model=models/smollm2.thimble
  heading "What it will take, before it is loaded: thimble plan $model -c 2048"
  "$thimble" plan "$model" -c 2048
  # Without a terminal: one question, so that there is something to see.
  if [ $# -eq 0 ] && [ ! -t 0 ]; then set -- -p "What is a lighthouse for?" --temp 0 -n 200; fi
  heading "A conversation: thimble chat $model -c 2048"
  exec "$thimble" chat "$model" -c 2048 "$@"
fi

heading "What the model will take, before it is loaded: thimble plan $model"
"$thimble" plan "$model"

heading "A story: thimble run $model"
# The story goes on to its own end.
if [ $# -eq 0 ]; then set -- -p "Once upon a time" -n 500 -s 1; fi
# Ends with tokens per second, what was taken beside what was planned, and where the memory report lies.
rm -f -- "$report"
"$thimble" run "$model" "$@" --memory-report "$report"

heading "Next, in $root:"
cat <<END
  $thimble run $model -p "Lily had a boat" -n 120
  $thimble plan $model -c 256 --kv q8
  $thimble convert --help
END
