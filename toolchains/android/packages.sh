# Sourced by android.sh: AARs with prefab, and a Maven folder of them, the Kotlin extensions, sources and documentation.

aligned() {
  readelf -lW "$1" | awk '$1 == "LOAD" && $NF != "0x4000" { wrong = 1 } $1 == "LOAD" { loads++ } END { exit wrong || !loads }' ||
    die "$1 has parts that are not aligned to 16,384 bytes"
}
# Of the core library: JNI_OnLoad and the functions of thimble.h leave it, and nothing else.
{
  echo JNI_OnLoad
  sed -n 's/^THIMBLE_API [^(]*[ *]\(thimble_[a-z0-9_]*\)(.*/\1/p' runtime/include/thimble/thimble.h
} | LC_ALL=C sort >"$out/interface.txt"
exports() {
  readelf --dyn-syms -W "$1" | awk '$5 == "GLOBAL" && $7 != "UND" { sub(/@.*/, "", $8); print $8 }' | LC_ALL=C sort |
    diff "$2" - >"$out/exports.diff" || { cat "$out/exports.diff"; die "$1 exports something else than $2 names"; }
}
echo JNI_OnLoad >"$out/onload.txt"
# checked LIBRARY FILE: exported is what it promises, and its parts are aligned to pages of 16,384 bytes.
checked() {
  case $1 in thimble_jni) exports "$2" "$out/interface.txt" ;; *) exports "$2" "$out/onload.txt" ;; esac
  aligned "$2"
}
for library in thimble_jni thimble_convert_jni; do checked $library build/host/targets/android/lib$library.so; done
ok "the library exports JNI_OnLoad and the $(grep -c thimble "$out/interface.txt") functions of thimble.h, the converter's JNI_OnLoad alone"

# native LIBRARY ABI FOLDER: the library for it, from the NDK, or a stand-in that says so; sets stand_in.
stand_in=
native() {
  mkdir -p "$3"
  case $2 in arm64-v8a) preset=android-arm64 ;; x86_64) preset=android-x86_64 ;; esac
  if [ -n "${ANDROID_NDK_HOME:-}" ]; then
    quietly "ndk-$2-$1" build $preset "$1"
    cp "build/$preset/targets/android/lib$1.so" "$3/"
    checked "$1" "$3/lib$1.so"
  else
    stand_in=-stand-in
    echo 'const char thimble_stand_in[] = "a stand-in, not for any device";' >"$out/stand_in.c"
    gcc -shared -nostdlib -fPIC -Wl,-z,max-page-size=16384 -Wl,-soname,"lib$1.so" "$out/stand_in.c" -o "$3/lib$1.so"
  fi
  aligned "$3/lib$1.so"
}
[ -n "${ANDROID_NDK_HOME:-}" ] || not_run "the presets android-arm64 and android-x86_64: ANDROID_NDK_HOME is not set"
# pack FOLDER AAR LIST: the folder as an archive, which has the files of the list.
pack() {
  : >"$1/R.txt"
  (cd "$1" && find . -type f | sed 's,^\./,,' | LC_ALL=C sort | zip -q -X -@ "../$2")
  unzip -Z1 "$out/$2" | LC_ALL=C sort | diff "$3" - >"$out/$2.diff" || { cat "$out/$2.diff"; die "$2 has other files than $3"; }
  ok "$2 has the files of $3"
}

mkdir -p "$out/aar/prefab/modules/thimble_jni/include"
prefab=$out/aar/prefab/modules/thimble_jni
for abi in arm64-v8a x86_64; do
  native thimble_jni $abi "$out/aar/jni/$abi"
  mkdir -p "$prefab/libs/android.$abi"
  cp "$out/aar/jni/$abi/libthimble_jni.so" "$prefab/libs/android.$abi/"
  printf '{"abi": "%s", "api": 26, "ndk": 26, "stl": "none", "static": false}\n' $abi >"$prefab/libs/android.$abi/abi.json"
  native thimble_convert_jni $abi "$out/convert-aar/jni/$abi"
done
printf '{"schema_version": 2, "name": "thimble", "version": "%s", "dependencies": []}\n' "$version" >"$out/aar/prefab/prefab.json"
echo '{"export_libraries": [], "library_name": "libthimble_jni"}' >"$prefab/module.json"
cp -R runtime/include/thimble "$prefab/include/"
cp "$out/classes.jar" "$source/AndroidManifest.xml" "$out/aar/"
cp "$source/consumer-rules.pro" "$out/aar/proguard.txt"
pack "$out/aar" "thimble-android$stand_in.aar" $source/aar.txt
cp "$out/convert.jar" "$out/convert-aar/classes.jar"
cp "$source/convert/AndroidManifest.xml" "$out/convert-aar/"
cp "$source/convert/consumer-rules.pro" "$out/convert-aar/proguard.txt"
pack "$out/convert-aar" "thimble-convert-android$stand_in.aar" $source/convert/aar.txt
ok "libraries are aligned to pages of 16,384 bytes"

# publish ARTIFACT TYPE FILE SOURCES DEPENDENCIES WHAT: into the Maven folder, with what a repository asks for beside it.
publish() {
  folder=$out/maven/dev/thimble/$1/$version
  mkdir -p "$folder"
  cp "$3" "$folder/$1-$version.$2"
  jar cf "$folder/$1-$version-sources.jar" $4
  jar cf "$folder/$1-$version-javadoc.jar" -C "$out/javadoc" .
  sed -e "s|@ARTIFACT@|$1|g" -e "s|@TYPE@|$2|g" -e "s|@VERSION@|$version|g" -e "s|@WHAT@|$6|g" -e "s|@DEPENDENCIES@|$5|g" $source/pom.xml.in >"$folder/$1-$version.pom"
  (cd "$folder" && for file in "$1-$version"*; do
    sha1sum "$file" | cut -d ' ' -f 1 >"$file.sha1"
    sha256sum "$file" | cut -d ' ' -f 1 >"$file.sha256"
  done)
}
needs() { printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version><type>%s</type><scope>compile</scope></dependency>' "$@"; }
quietly javadoc javadoc -quiet -Xdoclint:all,-missing -Werror --release 8 -cp "$android" -d "$out/javadoc" \
  $(find $source/java $source/glue $source/convert/java -name '*.java')
jar cf "$out/coroutines.jar" -C "$out/kotlin" .
own=$(needs dev.thimble thimble-android "$version" aar)
publish thimble-android aar "$out/thimble-android$stand_in.aar" "-C $source/java . -C $source/glue ." "" "Language models in one planned block of memory"
publish thimble-convert-android aar "$out/thimble-convert-android$stand_in.aar" "-C $source/convert/java ." "$own" "Models of other formats into thimble's"
publish thimble-coroutines jar "$out/coroutines.jar" "-C $source/kotlin dev" \
  "$own$(needs org.jetbrains.kotlin kotlin-stdlib 2.4.21 jar)$(needs org.jetbrains.kotlinx kotlinx-coroutines-core 1.11.0 jar)" "Coroutines and flows over thimble-android"
(cd "$out/maven" && find . -type f ! -name '*.sha*' | sed "s,^\./,,; s,$version,VERSION,g" | LC_ALL=C sort) >"$out/maven.txt"
diff $source/maven.txt "$out/maven.txt" || die "the Maven folder has other files than $source/maven.txt"
ok "a Maven folder with POMs, sources and documentation"

# The README's version catalogue has what is published, in this version; the Gradle files name where they take it from, and the versions of the lock.
sed -n '/^```toml/,/^```$/p' $source/README.md >"$out/catalogue.toml"
grep -qx "thimble = \"$version\"" "$out/catalogue.toml" || die "$source/README.md: the version catalogue has another version than $version"
sed -n 's/.*module = "dev\.thimble:\([a-z-]*\)".*/\1/p' "$out/catalogue.toml" | LC_ALL=C sort >"$out/catalogue.txt"
(cd "$out/maven/dev/thimble" && ls) | LC_ALL=C sort | diff - "$out/catalogue.txt" || die "$source/README.md: the version catalogue has other modules than the Maven folder"
for repository in 'google()' 'mavenCentral()'; do
  [ "$(grep -cF "$repository" $source/settings.gradle.kts)" -eq 2 ] || die "$source/settings.gradle.kts does not name $repository for plugins and libraries"
done
kotlin_version=$(awk '$3 == "kotlin-compiler-embeddable" { print $4 }' "$lock") coroutines_version=$(awk '$3 == "kotlinx-coroutines-core-jvm" { print $4 }' "$lock")
grep -qF "id(\"org.jetbrains.kotlin.android\") version \"$kotlin_version\"" $source/build.gradle.kts || die "$source/build.gradle.kts: Kotlin is not $kotlin_version, as in the lock"
grep -qF "kotlinx-coroutines-core:$coroutines_version\"" $source/kotlin/build.gradle.kts || die "$source/kotlin/build.gradle.kts: coroutines are not $coroutines_version, as in the lock"
grep -qF "versionName = \"$version\"" $source/sample/build.gradle.kts || die "$source/sample/build.gradle.kts: the app's version is not $version"
ok "version catalogue and Gradle files name what is published and pinned"
