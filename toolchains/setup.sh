#!/bin/sh
# Makes a machine ready to build: installs what is missing from the distribution, then brings the pinned
# sources.
#
#   sh toolchains/setup.sh demo     compiler, CMake, Ninja
#   sh toolchains/setup.sh test     also the ARM cross compilers, qemu's user mode, pkg-config and abidiff, and with a JDK and Maven
#                                   Android's tools for archives
#
# Debian 12 and 13 and Raspberry Pi OS are known by name; elsewhere the tools must be there already. When
# nothing is missing it asks neither for a network nor for root.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
purpose=${1:-test}

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
megabytes() { printf '%s MB' $((($1 + 500000) / 1000000)); }
have() { command -v "$1" >/dev/null 2>&1; }

cmake_is_new_enough() {
  have cmake || return 1
  version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  [ "${version% *}" -gt 3 ] || { [ "${version% *}" -eq 3 ] && [ "${version#* }" -ge 25 ]; }
}

# Sets `missing` to the Debian packages that would bring what is not there.
find_missing() {
  missing=
  cmake_is_new_enough || missing="$missing cmake"
  have ninja || missing="$missing ninja-build"
  have g++ && have gcc || missing="$missing g++"
  have xz || missing="$missing xz-utils"
  [ "$purpose" = test ] || return 0
  have pkg-config || missing="$missing pkg-config"
  have abidiff || missing="$missing abigail-tools"
  # On a 64-bit ARM machine the host's own tests are the ARM tests.
  [ "$(uname -m)" != aarch64 ] || return 0
  have aarch64-linux-gnu-g++ || missing="$missing g++-aarch64-linux-gnu"
  have arm-linux-gnueabihf-g++ || missing="$missing g++-arm-linux-gnueabihf"
  { have qemu-aarch64-static && have qemu-arm-static; } || { have qemu-aarch64 && have qemu-arm; } || missing="$missing $qemu_package"
  # Only where Android's classes can be compiled at all.
  have javac && have mvn || return 0
  for tool in zipalign apksigner dexdump; do
    have $tool || missing="$missing $tool"
  done
}

# Debian 13 folded the static emulators into qemu-user.
qemu_package=qemu-user-static
if [ -r /etc/os-release ]; then
  debian=$(
    . /etc/os-release
    case " ${ID:-} ${ID_LIKE:-} " in *" debian "*) printf '%s' "${VERSION_ID:-99}" ;; esac
  )
  case $debian in '' | *[!0-9]*) ;; *) if [ "$debian" -ge 13 ]; then qemu_package=qemu-user; fi ;; esac
fi

find_missing
if [ -n "$missing" ]; then
  if ! have apt-get; then
    die "please install what Debian calls:$missing
       (CMake 3.25 or later, Ninja, a C++20 compiler; the tests also want the ARM tools)"
  fi
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || die "not root and no sudo; as root run: apt-get install$missing"
    as_root=sudo
  fi
  say "renewing the package lists (about 10 MB), to see what has to be downloaded"
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get -q update || say "the package lists could not be renewed; trying with the old ones"
  sources_bytes=$(sh "$here/fetch.sh" --bytes)
  # shellcheck disable=SC2086  # $missing is a list of words
  {
    # Lines of 'ADDRESS' FILE BYTES CHECKSUM, one for each package with those it needs.
    packages_bytes=$(apt-get -q install -y --no-install-recommends --print-uris $missing 2>/dev/null |
      awk -v q="'" 'index($1, q) == 1 { bytes += $3 } END { printf "%.0f", bytes }')
    say "downloading $(megabytes $((packages_bytes + sources_bytes))): $(megabytes "$packages_bytes") of packages, with what they need, and $(megabytes "$sources_bytes") of pinned sources"
    say "installing from the distribution:$missing"
    $as_root apt-get -q install -y --no-install-recommends $missing || die "apt-get could not install$missing"
  }
  find_missing
  [ -z "$missing" ] || die "installed, but still not usable:$missing"
fi

sh "$here/fetch.sh"
