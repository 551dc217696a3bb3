#!/bin/sh
# Packages of this build: what they hold, that the program runs from them, and what lintian says where it is installed.
#
#   sh package_test.sh TOOLCHAINS_FOLDER BUILD_FOLDER MODEL WORK_FOLDER [EMULATOR...]
set -eu

toolchains=$1 build=$2 model=$3 work=$4
shift 4
command -v dpkg-deb >/dev/null || { echo "skipped: no dpkg-deb"; exit 77; }
rm -rf -- "$work"
mkdir -p "$work"
fail() { echo "FAILED: $*" >&2; exit 1; }

sh "$toolchains/package.sh" "$build" "$work" 2>"$work/log" && fail "packages without a maintainer"
grep -q "MAINTAINER: must say who answers" "$work/log" || fail "says nothing of the maintainer: $(cat "$work/log")"
[ -z "$(ls "$work" | grep deb)" ] || fail "packages are left"
MAINTAINER="Test <test@debian.org>" sh "$toolchains/package.sh" "$build" "$work" >"$work/packages" || fail "no packages"
[ "$(wc -l <"$work/packages")" -eq 3 ] || fail "not three packages: $(cat "$work/packages")"
IFS='
'
for package in $(cat "$work/packages"); do
  dpkg-deb -x "$package" "$work/files"
  dpkg-deb -f "$package" Depends | grep -q . || fail "$package depends on nothing"
done
unset IFS
for file in bin/thimble lib/libthimble.so.0 lib/libthimble.a include/thimble/thimble.h include/thimble/thimble.hpp share/man/man1/thimble.1.gz \
  lib/cmake/thimble/thimbleConfig.cmake share/bash-completion/completions/thimble share/zsh/vendor-completions/_thimble \
  share/fish/vendor_completions.d/thimble.fish share/doc/thimble/copyright share/doc/libthimble0/changelog.Debian.gz; do
  [ -e "$work/files/usr/$file" ] || fail "no package has /usr/$file"
done
for name in thimble thimble-shared; do
  [ -n "$(find "$work/files/usr/lib" -name "$name.pc")" ] || fail "no package has $name.pc"
done
said=$("$@" "$work/files/usr/bin/thimble" run "$model" -p "Once upon a time" -n 8 --temp 0 2>/dev/null)
[ "$(printf %s "$said" | wc -w)" -ge 4 ] || fail "the packaged program says '$said'"
zcat "$work/files/usr/share/man/man1/thimble.1.gz" | head -n 1 | grep -q '^.TH THIMBLE 1' || fail "no manual page"
if command -v lintian >/dev/null; then
  # Not for Debian's archive, so no bug is closed; zlib is linked in, so that the program needs no package.
  IFS='
'
  lintian --allow-root --suppress-tags initial-upload-closes-no-bugs,embedded-library $(cat "$work/packages") >"$work/lintian" 2>&1 || true
  grep '^[EW]:' "$work/lintian" && fail "lintian"
fi
sed 's/.*\///' "$work/packages"
