#!/bin/sh
# The Android side without an SDK: the Java classes against Android's, D8 and R8 with and without the consumer rules, the AAR.
#
#   sh toolchains/android.sh [FOLDER]       FOLDER gets the AAR; build/android by default
#
# Needs a JDK, Maven with a network the first time (two pinned jars, 207 MB, kept in .deps/maven) and zip. Where something is missing it
# says "skipped: " and why, and its exit status is 0. Without an NDK (ANDROID_NDK_HOME) the libraries in the AAR are stand-ins: the
# AAR's name says so, and only its layout was checked. The shrunk app runs on this machine's Java with the host's JNI library.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd -- "$root"
. "$here/common.sh"

out=${1:-build/android}
maven=${THIMBLE_DEPS_DIR:-$root/.deps}/maven  # jars that are not there yet come here
source=targets/android
model=targets/cli/models/stories-qmqa.thimble
passed=0

die() { printf 'android: error: %s\n' "$*" >&2; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 0; }
ok() {
  passed=$((passed + 1))
  printf 'android: ok: %s\n' "$*"
}

for tool in java javac jar mvn zip unzip readelf sha256sum gcc; do
  command -v $tool >/dev/null 2>&1 || skip "no $tool on this machine (Debian: openjdk-17-jdk-headless maven zip unzip binutils gcc)"
done

# pinned GROUP ARTIFACT VERSION SHA-256: sets `jar` to the file, which Maven brings if it is not there.
pinned() {
  folder=$maven/$(printf '%s' "$1" | tr . /)/$2/$3
  jar=$folder/$2-$3.jar
  if [ ! -f "$jar" ]; then
    printf 'android: bringing %s %s\n' "$2" "$3"
    timeout 300 mvn -q -B "-Dmaven.repo.local=$maven" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dtransitive=false \
      "-Dartifact=$1:$2:$3" >"$out/maven.log" 2>&1 || skip "Maven could not bring $1:$2:$3 ($out/maven.log says why)"
  fi
  printf '%s  %s\n' "$4" "$jar" | sha256sum -c --status - || die "$jar has another checksum than the pinned one; remove it to bring it anew"
}

rm -rf -- "$out"
mkdir -p "$out"
pinned com.android.tools r8 9.5.28 38a9ffaaebbd17d1514e3ecbff5a85b989bb13c551b9e224c7409514eea84ff5
r8=$jar
pinned org.robolectric android-all 15-robolectric-13954326 e17105f6c432357e6bb278a527f8e848d01fc56ccee01be77725bea23d871990
android=$jar
jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")

# Android's jar goes on the class path: it has nearly nothing of java.*, which --release 8 brings.
find "$source/java" "$source/glue" -name '*.java' >"$out/sources"
javac --release 8 -Xlint:all,-options,-classfile -Werror -cp "$android" -d "$out/classes" "@$out/sources"
(cd "$out" && jar cf classes.jar -C classes . && cd classes && jar cf ../plain.jar dev/thimble/*.class)  # plain: runs without Android
ok "Java 8 against Android's classes"

javac --release 8 -Xlint:all,-options -Werror -cp "$out/classes.jar" -d "$out/app" tests/android/ShrunkApp.java
(cd "$out" && jar cf app.jar -C app .)
mkdir "$out/dex"
shrinker="java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp $r8"  # most of its time Java would spend on making it faster
$shrinker com.android.tools.r8.D8 --release --min-api 26 --lib "$android" --output "$out/dex" "$out/classes.jar"
[ -s "$out/dex/classes.dex" ] || die "D8 made no classes.dex"
ok "D8 for API 26"

echo '-keep class app.ShrunkApp { public static void main(java.lang.String[]); }' >"$out/app.pro"
# shrink NAME OPTION...: the app with the library, as R8 leaves it, in $out/NAME.zip.
shrink() {
  name=$1
  shift
  $shrinker com.android.tools.r8.R8 --release --lib "$jdk" --pg-conf "$out/app.pro" --output "$out/$name.zip" "$@" "$out/app.jar" >"$out/$name.log" 2>&1 || { cat "$out/$name.log"; die "R8 failed"; }
}
shrink shrunk-dex --min-api 26 --lib "$android" --pg-conf "$source/consumer-rules.pro" "$out/classes.jar"
unzip -qo "$out/shrunk-dex.zip" classes.dex -d "$out/dex"
for name in planLine progress warning engineReadPrefix 'Ldev/thimble/Callbacks;' 'Ldev/thimble/Native;'; do
  grep -qaF "$name" "$out/dex/classes.dex" || die "R8 has dropped or renamed $name in spite of the consumer rules"
done
ok "R8 for API 26 keeps what native code calls by name"

# The same as class files, to be run: callbacks survive with the rules, and without them loading says what is missing.
shrink shrunk --classfile --pg-conf "$source/consumer-rules.pro" "$out/plain.jar"
shrink stripped --classfile "$out/plain.jar"
build host thimble_jni >"$out/build.log" 2>&1 || { cat "$out/build.log"; die "the host's JNI library does not build"; }
run_app() { java -Xcheck:jni -Djava.library.path=build/host/targets/android -cp "$1" app.ShrunkApp "$model" 2>&1; }
run_app "$out/shrunk.zip" >"$out/shrunk.txt" || true
grep -q '^the app works:' "$out/shrunk.txt" || { cat "$out/shrunk.txt"; die "the shrunk app does not work"; }
ok "the app works after R8 with the consumer rules"
run_app "$out/stripped.zip" >"$out/stripped.txt" && die "the app works without the consumer rules: what are they for?"
grep -q 'dev.thimble\|dev/thimble' "$out/stripped.txt" || { cat "$out/stripped.txt"; die "what is missing is not named"; }
ok "and without them loading names what is missing"

# library ABI: the JNI library for it, from the NDK, or a stand-in that says so.
aar=$out/thimble.aar
library() {
  folder=$out/aar/jni/$1
  mkdir -p "$folder"
  if [ -n "${ANDROID_NDK_HOME:-}" ] && [ "$1" = arm64-v8a ]; then
    build android-arm64 thimble_jni >"$out/ndk.log" 2>&1 || { cat "$out/ndk.log"; die "the NDK's build failed"; }
    cp build/android-arm64/targets/android/libthimble_jni.so "$folder/"
    return 0
  fi
  aar=$out/thimble-stand-in.aar
  echo 'const char thimble_stand_in[] = "a stand-in, not for any device";' >"$out/stand_in.c"
  gcc -shared -nostdlib -fPIC -Wl,-z,max-page-size=16384 -Wl,-soname,libthimble_jni.so "$out/stand_in.c" -o "$folder/libthimble_jni.so"
}
library arm64-v8a
library x86_64
cp "$out/classes.jar" "$source/AndroidManifest.xml" "$out/aar/"
cp "$source/consumer-rules.pro" "$out/aar/proguard.txt"
: >"$out/aar/R.txt"
(cd "$out/aar" && find . -type f | sed 's,^\./,,' | LC_ALL=C sort | zip -q -X -@ "../$(basename "$aar")")
unzip -Z1 "$aar" | LC_ALL=C sort | diff "$source/aar.txt" - >"$out/aar.diff" || { cat "$out/aar.diff"; die "the AAR has other files than $source/aar.txt"; }
ok "$(basename "$aar") has the files of $source/aar.txt"

mkdir "$out/unzipped"
unzip -qo "$aar" -d "$out/unzipped"
for file in "$out"/unzipped/jni/*/*.so; do
  readelf -lW "$file" | awk '$1 == "LOAD" && $NF != "0x4000" { wrong = 1 } $1 == "LOAD" { loads++ } END { exit wrong || !loads }' ||
    die "$file has parts that are not aligned to 16,384 bytes"
done
ok "libraries are aligned to pages of 16,384 bytes"
echo "$passed checks passed"
