# Sourced by android.sh: brings the jars of jars.lock with Maven, once, and checks each. Then `pinned ARTIFACT` is the file of one, and
# `class_path SET` all of a set.
lock=$here/android/jars.lock

# Lines "SET FILE CHECKSUM" of the lock.
locked() {
  awk -v maven="$maven" '!/^#/ && NF == 6 { group = $2; gsub(/\./, "/", group); print $1, maven "/" group "/" $3 "/" $4 "/" $3 "-" $4 "." $5, $6 }' "$lock"
}
pinned() { locked | awk -v name="/$1/" 'index($2, name) { print $2; exit }'; }
class_path() { locked | awk -v set="$1" 'index("," $1 ",", "," set ",") { all = all separator $2; separator = ":" } END { print all }'; }

if locked | while read -r _ file _; do [ -f "$file" ] || exit 1; done; then :; else
  # Each by itself: what it would drag along is in the lock, in the versions that were tried.
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    awk '!/^#/ && NF == 6 { printf "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version><type>%s</type><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>\n", $2, $3, $4, $5 }' "$lock"
    echo '</dependencies></project>'
  } >"$out/pom.xml"
  echo 'android: bringing the jars of toolchains/android/jars.lock'
  timeout 900 mvn -q -B "-Dmaven.repo.local=$maven" -f "$out/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve >"$out/maven.log" 2>&1 ||
    skip "Maven could not bring the jars of toolchains/android/jars.lock ($out/maven.log says why)"
fi
locked | awk '{ print $3 "  " $2 }' | sha256sum -c --status - ||
  die "a jar in $maven has another checksum than the pinned one: $(locked | awk '{ print $3 "  " $2 }' | sha256sum -c --quiet - 2>/dev/null | head -n 1)"

android=$(pinned android-all)
r8=$(pinned r8)
# Most of their time these programs would spend on becoming faster.
brief_java='java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC'
jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
