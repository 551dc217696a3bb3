#!/bin/sh
# Debian packages of a build: thimble (the program), libthimble0 (the shared library), libthimble-dev (headers and the static library).
#
#   MAINTAINER="Name <address>" sh toolchains/package.sh BUILD_FOLDER OUTPUT_FOLDER
#
# BUILD_FOLDER: build/host or build/rpi-aarch64, built completely. MAINTAINER: who answers for these packages. The version is the
# project's, with REVISION (1) behind it.
set -eu

[ $# -eq 2 ] || { sed -n 's/^# \{0,1\}//p' "$0" | head -n 6; exit 2; }
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$1
mkdir -p "$2"
output=$(CDPATH='' cd -- "$2" && pwd)
fail() { echo "package: error: $*" >&2; exit 1; }
[ -f "$build/CMakeCache.txt" ] || fail "$build: is no build folder; build one first: cmake --preset host && cmake --build --preset host"
command -v dpkg-deb >/dev/null || fail "dpkg-deb is missing: packages are made on Debian and what comes from it"

version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")-${REVISION:-1}
maintainer=${MAINTAINER:-}
case $maintainer in *' <'*@*'>') ;; *) fail "MAINTAINER: must say who answers for the packages, Name <address>, got '$maintainer'" ;; esac
stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT
cmake --install "$build" --prefix "$stage/all/usr" >"$stage/install.log" || { cat "$stage/install.log" >&2; fail "$build: is not built completely"; }
all=$stage/all/usr
case $(od -An -tu1 -j18 -N1 "$all/bin/thimble" | tr -d ' ') in
  62) arch=amd64 triplet=x86_64-linux-gnu ;;
  183) arch=arm64 triplet=aarch64-linux-gnu ;;
  40) arch=armhf triplet=arm-linux-gnueabihf ;;
  *) fail "$all/bin/thimble: a processor for which there are no packages" ;;
esac
date=$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)
umask 022
tool() { if command -v "$triplet-$1" >/dev/null; then echo "$triplet-$1"; else echo "$1"; fi; }
strip=$(tool strip) objdump=$(tool objdump)

# move PACKAGE PATH...: from the installed tree.
move() {
  package=$1
  shift
  for path in "$@"; do
    mkdir -p "$stage/$package/usr/$(dirname "$path")"
    mv "$all/$path" "$stage/$package/usr/$path"
  done
}
(cd "$all" && ls -d bin/thimble share/bash-completion share/zsh share/fish share/man) >"$stage/program"
move thimble $(cat "$stage/program")
move libthimble0 $(cd "$all" && ls lib/libthimble.so.*)
move libthimble-dev include lib
# pkg-config of a cross build looks there.
mkdir -p "$stage/libthimble-dev/usr/lib/$triplet/pkgconfig"
for file in "$stage"/libthimble-dev/usr/lib/pkgconfig/*.pc; do
  sed 's|^prefix=.*|prefix=/usr|' "$file" >"$stage/libthimble-dev/usr/lib/$triplet/pkgconfig/${file##*/}"
done
rm -r "$stage/libthimble-dev/usr/lib/pkgconfig"
rm -f "$stage"/libthimble-dev/usr/lib/cmake/thimble/uninstall.cmake "$stage"/libthimble-dev/usr/lib/cmake/thimble/installed_files.txt
"$strip" --strip-unneeded --remove-section=.comment --remove-section=.note "$stage/thimble/usr/bin/thimble" \
  $(find "$stage/libthimble0" -name 'libthimble.so.*' -type f)
"$strip" --strip-debug --enable-deterministic-archives "$stage/libthimble-dev/usr/lib/libthimble.a"

# The least C library that has every function of the binaries.
libc=$("$objdump" -T "$stage/thimble/usr/bin/thimble" $(find "$stage/libthimble0" -name 'libthimble.so.*' -type f) |
  sed -n 's/.*GLIBC_\(2\.[0-9]*\).*/\1/p' | sort -t. -k2 -n | tail -n 1)
runtime="libc6 (>= ${libc:-2.36}), libgcc-s1 (>= 3.0), libstdc++6 (>= 12)"

# package NAME SECTION DEPENDS SUMMARY: the control file, documents and the package. The long description is read from standard input.
package() {
  name=$1 folder=$stage/$1
  mkdir -p "$folder/DEBIAN" "$folder/usr/share/doc/$name"
  {
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo "Upstream-Name: thimble"
    echo
    echo "Files: *"
    echo "Copyright: 2026 the thimble authors"
    echo "License: Apache-2.0"
    echo " On Debian systems, the complete text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."
    echo "Comment: what is linked in, and its licences, are in THIRD_PARTY_NOTICES beside this file."
  } >"$folder/usr/share/doc/$name/copyright"
  cp "$(find "$all/share/doc" -name 'THIRD_PARTY_NOTICES' | head -n 1)" "$folder/usr/share/doc/$name/"
  printf 'thimble (%s) unstable; urgency=medium\n\n  * See the CHANGELOG of the sources.\n\n -- %s  %s\n' "$version" "$maintainer" \
    "$(date -u -R -d "@$date")" | gzip -9n >"$folder/usr/share/doc/$name/changelog.Debian.gz"
  [ "$name" != thimble ] || gzip -9n "$folder"/usr/share/man/man1/*
  [ "$name" != libthimble0 ] || {
    # Programs that are linked with it, and the cache of the dynamic linker.
    echo "libthimble 0 libthimble0 (>= ${version%-*})" >"$folder/DEBIAN/shlibs"
    echo "activate-noawait ldconfig" >"$folder/DEBIAN/triggers"
  }
  find "$folder" -exec touch -h -d "@$date" {} +
  (cd "$folder" && find usr -type f | LC_ALL=C sort | xargs md5sum) >"$folder/DEBIAN/md5sums"
  cat >"$folder/DEBIAN/control" <<END
Package: $name
Source: thimble
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk "$folder/usr" | cut -f1)
Depends: $3
Section: $2
Priority: optional
Description: $4
$(sed -e 's/^$/./' -e 's/^/ /')
END
  dpkg-deb --build --root-owner-group -Zxz "$folder" "$output/${name}_${version}_$arch.deb" >/dev/null
  echo "$output/${name}_${version}_$arch.deb"
}
package thimble utils "$runtime" "language models in a memory block of known size" <<'END'
Runs quantised language models on small machines. The memory of a model is
planned to the byte before it is loaded, nothing is allocated afterwards,
and weights are used where the file lies in the page cache.

The program converts checkpoints and GGUF files, says what a model will
take, writes and chats, and measures speed and quality.
END
package libthimble0 libs "$runtime" "language models in a memory block of known size (library)" <<'END'
The shared library with a C interface that programs embed: models, plans,
engines, sessions, conversations.
END
package libthimble-dev libdevel "libthimble0 (= $version)" "language models in a memory block of known size (development)" <<'END'
Headers for C and C++, the static library, and files for pkg-config and
CMake's find_package.
END
