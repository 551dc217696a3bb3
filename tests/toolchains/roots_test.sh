#!/bin/sh
# Packages of a cross build in fresh roots of Debian: of 13, and of 12 where they were built there (a later compiler's C library is too
# new for it).
#
#   sh roots_test.sh TOOLCHAINS BUILD_FOLDER arm64|armhf MODEL WORK_FOLDER
set -eu

toolchains=$1 build=$2 arch=$3 model=$4 work=$5
rm -rf -- "$work"
MAINTAINER='Test <test@debian.org>' sh "$toolchains/package.sh" "$build" "$work/packages" >/dev/null
suites=trixie
[ "$(. /etc/os-release && echo "${VERSION_ID:-}")" != 12 ] || suites='bookworm trixie'
for suite in $suites; do sh "$toolchains/try_packages.sh" "$work/packages" "$arch" "$model" "$work" "$suite"; done
