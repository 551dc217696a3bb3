#!/bin/sh
# Packages of a build in fresh roots of Debian: of 13, and of 12 where they were built there (a later compiler's C library is too new for
# it). For amd64 also one whose program asks for a C library that no Debian has: apt must refuse it.
#
#   sh roots_test.sh TOOLCHAINS BUILD_FOLDER amd64|arm64|armhf MODEL WORK_FOLDER
set -eu

toolchains=$1 build=$2 arch=$3 model=$4 work=$5
rm -rf -- "$work"
MAINTAINER='Test <test@debian.org>' sh "$toolchains/package.sh" "$build" "$work/packages" >/dev/null
suites=trixie
[ "$(. /etc/os-release && echo "${VERSION_ID:-}")" != 12 ] || suites='bookworm trixie'
for suite in $suites; do sh "$toolchains/try_packages.sh" "$work/packages" "$arch" "$model" "$work" "$suite"; done

[ "$arch" = amd64 ] || exit 0
mkdir "$work/newer"
cp "$work"/packages/lib*.deb "$work/newer/"
dpkg-deb -R "$(ls "$work"/packages/thimble_*.deb)" "$work/changed"
sed -i 's/libc6 (>= [0-9.]*)/libc6 (>= 9.9)/' "$work/changed/DEBIAN/control"
dpkg-deb --build --root-owner-group "$work/changed" "$work/newer/$(basename "$(ls "$work"/packages/thimble_*.deb)")" >/dev/null
if sh "$toolchains/try_packages.sh" "$work/newer" "$arch" "$model" "$work" trixie >"$work/refused" 2>&1; then
  echo "FAILED: a package for libc6 9.9 was installed: $(cat "$work/refused")"
  exit 1
fi
grep -q 'apt cannot install them' "$work/refused" || { echo "FAILED: $(cat "$work/refused")"; exit 1; }
