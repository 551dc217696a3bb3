# Sourced by android.sh: the Kotlin extensions, compiled as apps with old tools can take them, and tested on this machine's Java.

kotlinc() {
  java -Xmx1g -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$(class_path kotlinc)" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect \
    -jvm-target 1.8 -Xlambdas=class -Xsam-conversions=class -Werror "$@"
}
kotlin_path=$(pinned kotlin-stdlib):$(pinned kotlinx-coroutines-core-jvm)
quietly kotlin kotlinc -module-name thimble_coroutines -cp "$out/classes:$kotlin_path" -d "$out/kotlin" "$source/kotlin/dev"
sniff "$out/kotlin" "$out/classes" >"$out/api-kotlin.txt" || { cat "$out/api-kotlin.txt"; die "Kotlin uses something newer than API 26"; }
ok "Kotlin for Java 8"

javac --release 8 -Xlint:all,-options -Werror -cp "$out/classes" -d "$out/scripted" tests/android/ScriptedModel.java tests/android/TestMain.java
quietly kotlin-tests kotlinc -module-name tests -cp "$out/kotlin:$out/scripted:$out/classes:$kotlin_path" -d "$out/kotlin-tests" tests/android/FlowTests.kt
java -Xcheck:jni -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.library.path=build/host/targets/android \
  -cp "$out/kotlin-tests:$out/kotlin:$out/scripted:$out/plain.jar:$kotlin_path" dev.thimble.coroutines.FlowTestsKt "$model" build/host/bin/thimble >"$out/flows.txt" 2>&1 ||
  { cat "$out/flows.txt"; die "the tests of the Kotlin extensions failed"; }
if grep -q 'WARNING in native method\|FATAL ERROR in native' "$out/flows.txt"; then cat "$out/flows.txt"; die "-Xcheck:jni found something"; fi
ok "$(tail -n 1 "$out/flows.txt")"
quietly kotlin-example kotlinc -module-name example -cp "$out/kotlin:$out/classes:$kotlin_path" -d "$out/kotlin-example" targets/examples/Chat.kt
ok "the Kotlin example compiles"
