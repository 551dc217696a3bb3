# Sourced by android.sh: the sample app. Resources, classes, its life under Robolectric, and a signed APK.

case $(uname -m) in x86_64) ;; *) not_run "the sample app: there is aapt2 for x86-64 alone"; return 0 ;; esac
for tool in zipalign apksigner dexdump keytool; do
  command -v $tool >/dev/null 2>&1 || { not_run "the sample app: no $tool on this machine (Debian: zipalign apksigner dexdump)"; return 0; }
done
sample=$source/sample
unzip -qo "$(pinned apktool-lib)" prebuilt/linux/aapt2 -d "$out"
aapt2=$out/prebuilt/linux/aapt2
chmod +x "$aapt2"
mkdir -p "$out/assets" "$out/gen"
cp "$model" "$out/assets/"
quietly resources "$aapt2" compile --dir "$sample/res" -o "$out/resources.zip"
# -0: models are stored as they are, so that they can be mapped.
quietly link "$aapt2" link -o "$out/linked.apk" --manifest "$sample/AndroidManifest.xml" -I "$android" --java "$out/gen" --proguard "$out/sample.pro" \
  -A "$out/assets" -0 thimble --min-sdk-version 26 --target-sdk-version 35 "$out/resources.zip"
align() { $brief_java toolchains/android/AlignStored.java 16384 "$1" "$2"; }
align "$out/linked.apk" "$out/resources.apk"
compile "$out/sample" "$out/classes:$android" "$sample/java" "$out/gen"
sniff "$out/sample" "$out/classes" >"$out/api-sample.txt" || { cat "$out/api-sample.txt"; die "the sample uses something newer than API 26"; }
ok "the sample app for Java 8 and API 26"

# Its life on this machine's Java, with the host's JNI library.
mkdir -p "$out/config/com/android/tools" "$out/robolectric" "$out/jars"
{
  printf 'android_merged_manifest=%s\n' "$root/$sample/AndroidManifest.xml"
  printf 'android_resource_apk=%s\n' "$(cd "$out" && pwd)/resources.apk"
  printf 'android_merged_assets=%s\n' "$(cd "$out" && pwd)/assets"
  echo 'android_custom_package=dev.thimble.sample'
} >"$out/config/com/android/tools/test_config.properties"
ln -s "$(pinned android-all-instrumented)" "$out/robolectric/"
# Java does not read AARs.
locked | awk '$1 ~ /robolectric/ && $2 ~ /\.aar$/ { print $2 }' | while read -r file; do unzip -qop "$file" classes.jar >"$out/jars/$(basename "$file" .aar).jar"; done
robolectric=$(class_path robolectric | tr : '\n' | grep '\.jar$' | tr '\n' :)$(find "$out/jars" -name '*.jar' | tr '\n' :)
quietly sample-tests javac --release 17 -nowarn -proc:none -cp "$out/sample:$out/classes:$android:$robolectric" -d "$out/sample-tests" tests/android/sample/*.java
opens=$(printf -- '--add-opens=java.base/%s=ALL-UNNAMED ' java.io java.lang java.util java.nio java.net)
java $opens -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx1g -Xcheck:jni -Djava.library.path=build/host/targets/android -Drobolectric.offline=true \
  "-Drobolectric.dependency.dir=$out/robolectric" -cp "$out/sample-tests:$out/sample:$out/config:$out/classes:$robolectric$android" \
  org.junit.runner.JUnitCore dev.thimble.sample.ChatActivityTest >"$out/robolectric.txt" 2>&1 || { tail -n 60 "$out/robolectric.txt"; die "the sample app does not live"; }
ok "the sample app lives: $(sed -n 's/^\(OK (.*)\)$/\1/p' "$out/robolectric.txt")"

shrink sample-dex --min-api 26 --lib "$android" --pg-conf "$out/sample.pro" --pg-conf "$source/consumer-rules.pro" "$out/classes.jar" $(find "$out/sample" -name '*.class')
apk=$out/thimble-sample$stand_in.apk
mkdir -p "$out/apk"
unzip -qo "$out/sample-dex.zip" classes.dex -d "$out/apk"
dexdump "$out/apk/classes.dex" >"$out/dex.txt" 2>/dev/null
for name in planLine progress warning solution part engineCreate; do
  grep -q "name *: '$name'" "$out/dex.txt" || die "$name is not in the app's dex"
done
for abi in arm64-v8a x86_64; do
  mkdir -p "$out/apk/lib/$abi"
  cp "$out/aar/jni/$abi/libthimble_jni.so" "$out/apk/lib/$abi/"
done
cp "$out/linked.apk" "$out/unaligned.apk"
(cd "$out/apk" && zip -q -X -0 -r ../unaligned.apk .)
align "$out/unaligned.apk" "$apk"
$brief_java toolchains/android/StoredOffsets.java 16384 "$out/linked.apk" >/dev/null && die "the check of offsets finds nothing in an APK that is not aligned"
keytool -genkeypair -keystore "$out/key.jks" -storepass android -alias key -keyalg RSA -validity 9999 -dname CN=thimble -storetype PKCS12 2>/dev/null
apksigner sign --min-sdk-version 26 --ks "$out/key.jks" --ks-pass pass:android --ks-key-alias key "$apk"
apksigner verify --verbose --min-sdk-version 26 "$apk" >"$out/verified.txt" || { cat "$out/verified.txt"; die "the APK's signature is wrong"; }
grep -q 'v2 scheme.*true' "$out/verified.txt" || die "the APK has no v2 signature"
$brief_java toolchains/android/StoredOffsets.java 16384 "$apk" >"$out/offsets.txt" || { cat "$out/offsets.txt"; die "signing has moved what was aligned"; }
zipalign -c 16384 "$apk" || die "zipalign says that the APK is not aligned"
ok "$(basename "$apk") of $(wc -c <"$apk") bytes: shrunk, aligned to 16,384, signed"
