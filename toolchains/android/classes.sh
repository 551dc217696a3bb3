# Sourced by android.sh: the Java classes for Java 8 against Android's, and what of the platform they use against API 26.

# Android's jar goes on the class path: it has nearly nothing of java.*, which --release 8 brings.
# compile FOLDER CLASS-PATH SOURCE-FOLDER...
compile() {
  target=$1 path=$2
  shift 2
  find "$@" -name '*.java' >"$out/sources"
  javac --release 8 -Xlint:all,-options,-classfile -Werror -cp "$path" -d "$target" "@$out/sources"
}
compile "$out/classes" "$android" "$source/java" "$source/glue"
compile "$out/convert-classes" "$out/classes" "$source/convert/java"
(cd "$out" && jar cf classes.jar -C classes . && jar cf convert.jar -C convert-classes . &&
  cd classes && jar cf ../plain.jar dev/thimble/*.class)  # plain: runs without Android
ok "Java 8 against Android's classes"

# Old phones have old classes: what is newer than API 26 and not brought by D8 is named, as is the class that must be found.
sniff() { $brief_java -cp "$(class_path sniffer)" toolchains/android/ApiLevel.java "$(pinned gummy-bears-api-26)" "$@"; }
mkdir "$out/newer"
echo 'class Newer { long pid() { return ProcessHandle.current().pid(); } }' >"$out/newer/Newer.java"
javac -d "$out/newer" "$out/newer/Newer.java"
sniff "$out/classes" "$out/convert-classes" >"$out/api.txt" || { cat "$out/api.txt"; die "something is newer than API 26"; }
sniff "$out/newer" >"$out/newer.txt" && die "ProcessHandle passes for a class of API 26"
grep -q ProcessHandle "$out/newer.txt" || { cat "$out/newer.txt"; die "ProcessHandle is not named"; }
ok "nothing is newer than API 26"

# The example, as a program of this machine.
mkdir "$out/example"
javac --release 8 -Xlint:all,-options -Werror -cp "$out/plain.jar" -d "$out/example" targets/examples/Story.java
java -Xcheck:jni -XX:TieredStopAtLevel=1 -Djava.library.path=build/host/targets/android -cp "$out/example:$out/plain.jar" Story "$model" >"$out/story.txt" 2>&1 ||
  { cat "$out/story.txt"; die "the Java example failed"; }
[ "$(wc -w <"$out/story.txt")" -ge 20 ] || { cat "$out/story.txt"; die "the Java example tells no story"; }
ok "the Java example"
