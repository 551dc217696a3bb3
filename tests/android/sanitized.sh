#!/bin/sh
# The Java tests over native libraries with the address and undefined behaviour sanitizers, by hand: a JVM that is not sanitized gets
# their libraries loaded first. The classes are those of the host build.
#
#   cmake --preset host && cmake --build --preset host --target test_android
#   cmake --preset host-asan -DTHIMBLE_SANITIZE_JAVA=ON && cmake --build --preset host-asan --target thimble_jni thimble_convert_jni
#   sh tests/android/sanitized.sh [GROUP...]        Streaming Cancel Error Lifetime Text Conversation Fit Convert Embed
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd -- "$root"
classes=build/host/targets/android/thimble.jar:build/host/targets/android/convert/thimble-convert.jar:build/host/tests/android/classes
# Java's own signals and threads are its business; leaks are what LifetimeTests counts.
export ASAN_OPTIONS=handle_segv=0:detect_leaks=0:halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
status=0
for group in ${*:-Streaming Cancel Error Lifetime Text Conversation Fit Convert Embed}; do
  echo "== $group"
  LD_PRELOAD=$preload java -Xcheck:jni -XX:+UseSerialGC -Xms64m -Xmx64m -XX:TieredStopAtLevel=1 -ea --add-opens=java.base/java.io=ALL-UNNAMED \
    -Djava.library.path=build/host-asan/targets/android -cp "$classes" dev.thimble.TestMain "${group}Tests" \
    targets/cli/models/stories-qmqa.thimble "$root" "$root/build/host/bin/thimble" || status=1
done
exit $status
