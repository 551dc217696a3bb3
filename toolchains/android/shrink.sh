# Sourced by android.sh: D8 and R8 over the classes, with and without the consumer rules.

javac --release 8 -Xlint:all,-options -Werror -cp "$out/classes.jar" -d "$out/app" tests/android/ShrunkApp.java
(cd "$out" && jar cf app.jar -C app .)
mkdir "$out/dex"
$brief_java -cp "$r8" com.android.tools.r8.D8 --release --min-api 26 --lib "$android" --output "$out/dex" "$out/classes.jar"
[ -s "$out/dex/classes.dex" ] || die "D8 made no classes.dex"
ok "D8 for API 26"

echo '-keep class app.ShrunkApp { public static void main(java.lang.String[]); }' >"$out/app.pro"
# shrink NAME OPTION...: as R8 leaves it, in $out/NAME.zip.
shrink() {
  name=$1
  shift
  quietly "$name" $brief_java -cp "$r8" com.android.tools.r8.R8 --release --lib "$jdk" --output "$out/$name.zip" "$@"
}
# missing CLASSES.DEX: of what native code calls by name, what is not in it; dexdump's own reading, where it is found.
called='planLine progress warning solution part engineReadPrefix Ldev/thimble/Callbacks; Ldev/thimble/Native;'
missing() {
  if command -v dexdump >/dev/null 2>&1; then dexdump "$1" >"$1.txt" 2>/dev/null; else cp "$1" "$1.txt"; fi
  for name in $called; do
    if command -v dexdump >/dev/null 2>&1; then
      grep -q "\(name *: \|Class descriptor *: \)'$name'" "$1.txt" || printf '%s ' "$name"
    else
      grep -qaF "$name" "$1.txt" || printf '%s ' "$name"
    fi
  done
}
for rules in with without; do
  mkdir "$out/dex-$rules"
  if [ $rules = with ]; then set -- --pg-conf "$source/consumer-rules.pro"; else set --; fi
  shrink "shrunk-dex-$rules" --min-api 26 --lib "$android" --pg-conf "$out/app.pro" "$@" "$out/app.jar" "$out/classes.jar"
  unzip -qo "$out/shrunk-dex-$rules.zip" classes.dex -d "$out/dex-$rules"
  missing "$out/dex-$rules/classes.dex" >"$out/missing-$rules.txt"
done
[ ! -s "$out/missing-with.txt" ] || die "R8 has dropped or renamed what native code calls, in spite of the consumer rules: $(cat "$out/missing-with.txt")"
[ -s "$out/missing-without.txt" ] || die "R8 keeps what native code calls without the consumer rules: what are they for?"
ok "R8 for API 26 keeps what native code calls by name; without the consumer rules it loses $(wc -w <"$out/missing-without.txt") of $(echo $called | wc -w)"

# The same as class files, to be run: callbacks survive with the rules, and without them loading says what is missing.
shrink shrunk --classfile --pg-conf "$out/app.pro" --pg-conf "$source/consumer-rules.pro" "$out/app.jar" "$out/plain.jar"
shrink stripped --classfile --pg-conf "$out/app.pro" "$out/app.jar" "$out/plain.jar"
run_app() { java -Xcheck:jni -Djava.library.path=build/host/targets/android -cp "$1" app.ShrunkApp "$model" 2>&1; }
run_app "$out/shrunk.zip" >"$out/shrunk.txt" || true
grep -q '^the app works:' "$out/shrunk.txt" || { cat "$out/shrunk.txt"; die "the shrunk app does not work"; }
ok "the app works after R8 with the consumer rules"
run_app "$out/stripped.zip" >"$out/stripped.txt" && die "the app works without the consumer rules: what are they for?"
grep -q 'dev.thimble\|dev/thimble' "$out/stripped.txt" || { cat "$out/stripped.txt"; die "what is missing is not named"; }
ok "and without them loading names what is missing"
