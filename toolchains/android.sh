#!/bin/sh
# The Android side without an SDK: the Java and Kotlin classes against Android's, what API 26 has, D8 and R8, the AARs in a Maven
# folder, and the sample app, built, signed and brought to life on this machine's Java.
#
#   sh toolchains/android.sh [FOLDER]       FOLDER gets what is made; build/android by default
#
# Needs a JDK, Maven with a network the first time (pinned jars, kept in .deps/maven) and zip. Where something is missing it says
# "skipped: " and why, and its exit status is 0. Without an NDK (ANDROID_NDK_HOME) the libraries in AARs and APK are stand-ins: names
# say so, and only layout, alignment and signature were checked. What runs does so with the host's JNI libraries.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd -- "$root"
. "$here/common.sh"

out=${1:-build/android}
maven=${THIMBLE_DEPS_DIR:-$root/.deps}/maven  # jars that are not there yet come here
source=targets/android
model=targets/cli/models/stories-qmqa.thimble
version=$(sed -n 's/^project(thimble VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
passed=0

die() { printf 'android: error: %s\n' "$*" >&2; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 0; }
not_run() { printf 'android: not run: %s\n' "$*"; }
ok() {
  passed=$((passed + 1))
  printf 'android: ok: %s\n' "$*"
}
# quietly NAME COMMAND...: its output goes to $out/NAME.log, and is shown where it fails.
quietly() {
  name=$1
  shift
  "$@" >"$out/$name.log" 2>&1 || { cat "$out/$name.log"; die "$name failed"; }
}

for tool in java javac jar javadoc mvn zip unzip readelf sha256sum gcc; do
  command -v $tool >/dev/null 2>&1 || skip "no $tool on this machine (Debian: openjdk-17-jdk-headless maven zip unzip binutils gcc)"
done

rm -rf -- "$out"
mkdir -p "$out"
. "$here/android/jars.sh"
quietly native build host thimble_jni thimble_convert_jni thimble_cli
. "$here/android/classes.sh"
. "$here/android/kotlin.sh"
. "$here/android/shrink.sh"
. "$here/android/packages.sh"
. "$here/android/sample.sh"
echo "$passed checks passed"
