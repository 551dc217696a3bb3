#!/bin/sh
# fetch.sh against a lock file of its own, in a folder with a space in its name: every way of getting an
# archive, and what is left behind when its checksum is wrong.
#
#   sh fetch_test.sh TOOLCHAINS_FOLDER WORK_FOLDER
set -eu

toolchains=$1
work=$2
rm -rf -- "$work"
mkdir -p "$work/project/toolchains" "$work/bin" "$work/sources" "$work/flat" "$work/one/thing-1.0"
cp "$toolchains/fetch.sh" "$work/project/toolchains/"
deps=$work/project/.deps
unset THIMBLE_SOURCES THIMBLE_DEPS_DIR || true

fail() { echo "FAILED: $*" >&2; exit 1; }
fetch() { sh "$work/project/toolchains/fetch.sh" "$@" >"$work/log" 2>&1; }
lock() { # NAME ARCHIVE SHA256 UPSTREAM
  printf '# a comment\n\n%s 1.0 %s 234567 pool/main/n/none/%s %s\n' "$1" "$3" "$2" "$4" \
    >"$work/project/toolchains/dependencies.lock"
}
sum() { sha256sum <"$1" | cut -d' ' -f1; }

# No network: apt knows no mirror here.
printf '#!/bin/sh\nexit 0\n' >"$work/bin/apt-get"
chmod +x "$work/bin/apt-get"
PATH=$work/bin:$PATH
nowhere=file:///nonexistent/repository@0000000000000000000000000000000000000000

echo hello >"$work/one/thing-1.0/file"
tar -cf "$work/sources/thing.tar" -C "$work/one" thing-1.0
mkdir "$work/flat/folder"
echo hello >"$work/flat/folder/file"
echo top >"$work/flat/.hidden"
tar -cf "$work/sources/flat2.tar" -C "$work/flat" .hidden folder

lock thing thing.tar "$(sum "$work/sources/thing.tar")" "$nowhere"
if fetch; then fail "nothing offers the archive, but it was got"; fi
grep -q 'thing 1.0 could not be had' "$work/log" || fail "the error does not name the dependency"
THIMBLE_SOURCES=$work/sources fetch || fail "from the folder"
[ "$(cat "$deps/thing/file")" = hello ] || fail "the folder around everything was not taken off"
head -n 1 "$work/log" | grep -q 'bringing 1 pinned sources, 300 KB in all' || fail "it does not say how much it brings"
fetch || fail "it is there, but was looked for"
[ ! -s "$work/log" ] || fail "a second run has something to say"

lock hidden flat2.tar "$(sum "$work/sources/flat2.tar")" "$nowhere"
THIMBLE_SOURCES=$work/sources fetch || fail "an archive without a folder around everything"
[ -f "$deps/hidden/folder/file" ] && [ -f "$deps/hidden/.hidden" ] || fail "not everything was unpacked"

lock optional nothing.tar "$(sum "$work/sources/thing.tar")" -
fetch || fail "one that the project builds without is not there, and that ended everything"
grep -q 'optional 1.0 could not be had; what is built goes without it' "$work/log" || fail "it does not say what is missing"
[ ! -e "$deps/optional" ] || fail "there is something where nothing was had"

wrong=$(printf 'f%.0s' $(seq 64))
lock bad thing.tar "$wrong" "$nowhere"
if THIMBLE_SOURCES=$work/sources fetch; then fail "a wrong checksum was accepted"; fi
grep -q 'SHA-256 mismatch of bad' "$work/log" || fail "the error does not name the mismatch"
[ ! -e "$deps/bad" ] || fail "a wrong archive was unpacked"

lock thing thing.tar "$wrong" "$nowhere"
if fetch; then fail "a new checksum in the lock file was not noticed"; fi
[ -f "$deps/thing/file" ] || fail "the old version went although the new one could not be had"

lock thing thing.tar "$(sum "$work/sources/thing.tar")" "$nowhere"
if fetch other; then fail "an unknown name was accepted"; fi
fetch thing || fail "a known name was not accepted"

if command -v git >/dev/null 2>&1; then
  git init -q "$work/repository"
  echo upstream >"$work/repository/file"
  git -C "$work/repository" add file
  git -C "$work/repository" -c user.name=test -c user.email=test@example.org commit -q -m "One file"
  lock cloned none.tar "$wrong" "file://$work/repository@$(git -C "$work/repository" rev-parse HEAD)"
  fetch || fail "from upstream"
  [ "$(cat "$deps/cloned/file")" = upstream ] || fail "upstream's file is not there"
  [ ! -e "$deps/cloned/.git" ] || fail "upstream's history was kept"
fi

for left in "$deps"/.part.*; do
  if [ -e "$left" ]; then fail "left behind: $left"; fi
done
echo "fetch.sh: all as expected"
