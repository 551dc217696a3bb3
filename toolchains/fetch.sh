#!/bin/sh
# Brings the pinned sources of dependencies.lock into .deps/<name>. It installs nothing and builds nothing.
#
#   sh toolchains/fetch.sh [NAME...]      all of them, or only those named
#   sh toolchains/fetch.sh --bytes        prints how many bytes it would bring, and brings nothing
#
# Ways, in this order, for each one:
#   1. it is already there with the pinned checksum (no network, no time)
#   2. the archive lies in the folder named by THIMBLE_SOURCES
#   3. the source pool of the Debian mirror that this machine's own apt uses
#   4. the upstream repository at the pinned commit, through git; a `-` there: the project builds without this one
# An archive with a wrong SHA-256 ends the script; unpacking goes to a temporary name and is then renamed, so
# that .deps/<name> is whole or absent.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
deps=${THIMBLE_DEPS_DIR:-$root/.deps}
lock=$here/dependencies.lock
work=

say() { printf 'fetch: %s\n' "$*"; }
die() { printf 'fetch: error: %s\n' "$*" >&2; exit 1; }
cleanup() { if [ -n "$work" ]; then rm -rf -- "$work"; fi; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Base addresses of the Debian archives that apt is set up with, one per line. `apt-get indextargets` knows
# only what was updated at least once; `update --print-uris` also works before that.
mirrors() {
  command -v apt-get >/dev/null 2>&1 || return 0
  {
    # shellcheck disable=SC2016  # apt fills these in, not the shell
    for label in Debian Raspbian; do
      apt-get indextargets --format '$(REPO_URI)' "Label: $label" 2>/dev/null || true
    done
    apt-get update --print-uris 2>/dev/null | sed -n "s,^'\([^']*\)/dists/.*,\1/,p" || true
  } | while read -r uri; do
    case $uri in
      mirror+file:*)
        list_file=$(printf '%s' "${uri#mirror+file:}" | sed 's,/*$,,')
        sed -e 's/[#[:space:]].*//' -e '/^$/d' -e 's,/*$,/,' "$list_file" 2>/dev/null || true
        ;;
      cdrom:*) ;;
      *) printf '%s\n' "$uri" ;;
    esac
  done | awk '!seen[$0]++'
}

# download URI FILE: through apt's own helper, which knows the machine's proxy and mirror settings.
download() {
  helper=/usr/lib/apt/apt-helper
  if [ -x "$helper" ]; then
    (cd "$work" && "$helper" -qq -o APT::Sandbox::User=root download-file "$1" "$2" >/dev/null 2>&1)
  elif command -v curl >/dev/null 2>&1; then
    curl -fsSL -o "$work/$2" "$1"
  else
    wget -q -O "$work/$2" "$1"
  fi
}

check_sum() { # FILE WANTED WHERE
  got=$(sha256sum <"$1" | cut -d' ' -f1)
  [ "$got" = "$2" ] || die "SHA-256 mismatch of $name from $3
       file   $(basename -- "$1")
       wanted $2
       got    $got
       Nothing was unpacked. Remove the file, or correct dependencies.lock if a new version was meant."
}

# An archive may or may not have one folder around everything; .deps/<name> never has it.
unpack() { # ARCHIVE
  mkdir "$work/unpacked"
  tar --no-same-owner -xf "$1" -C "$work/unpacked" ||
    die "$name: $(basename -- "$1") cannot be unpacked (is xz-utils installed?)"
  tree=$work/unpacked
  set -- "$tree"/* "$tree"/.[!.]*
  # Without a match the second pattern stands for itself.
  if [ $# -eq 2 ] && [ -d "$1" ] && [ ! -e "$2" ]; then tree=$1; fi
}

from_folder() {
  [ -n "${THIMBLE_SOURCES:-}" ] && [ -f "$THIMBLE_SOURCES/$archive" ] || return 1
  check_sum "$THIMBLE_SOURCES/$archive" "$sha256" "the folder THIMBLE_SOURCES"
  unpack "$THIMBLE_SOURCES/$archive"
  way="the folder THIMBLE_SOURCES"
}

from_debian() {
  list=${mirror_list-$(mirrors)}
  mirror_list=$list
  for mirror in $list; do
    download "$mirror$pool" archive.part || continue
    mv -- "$work/archive.part" "$work/$archive"
    check_sum "$work/$archive" "$sha256" "the Debian mirror"
    unpack "$work/$archive"
    way="the Debian mirror"
    return 0
  done
  return 1
}

from_upstream() {
  [ "$upstream" != - ] || return 1
  command -v git >/dev/null 2>&1 || return 1
  tree=$work/upstream
  git init -q "$tree" 2>/dev/null
  git -C "$tree" fetch -q --depth 1 "${upstream%@*}" "${upstream##*@}" 2>/dev/null || return 1
  got=$(git -C "$tree" rev-parse FETCH_HEAD)
  [ "$got" = "${upstream##*@}" ] || die "$name: upstream sent commit $got instead of ${upstream##*@}"
  git -C "$tree" -c advice.detachedHead=false checkout -q FETCH_HEAD
  rm -rf -- "$tree/.git"
  way="upstream"
}

is_there() { [ "$(cat "$deps/$name/.thimble-sha256" 2>/dev/null)" = "$sha256" ]; }

fetch_one() {
  if is_there; then return 0; fi
  say "$name $version ..."
  mkdir -p "$deps"
  archive=$(basename -- "$pool")
  work=$(mktemp -d "$deps/.part.XXXXXX")
  if ! { from_folder || from_debian || from_upstream; }; then
    if [ "$upstream" = - ]; then
      rm -rf -- "$work"
      work=
      say "$name $version could not be had; what is built goes without it"
      return 0
    fi
    die "$name $version could not be had.
       Tried: the folder THIMBLE_SOURCES (${THIMBLE_SOURCES:-not set}), $pool on this
       machine's Debian mirrors, ${upstream%@*} at commit ${upstream##*@}.
       Without a network, put $archive into a folder and set THIMBLE_SOURCES to it."
  fi
  printf '%s\n' "$sha256" >"$tree/.thimble-sha256"
  chmod 755 "$tree"
  rm -rf -- "${deps:?}/$name"
  mv -- "$tree" "$deps/$name"
  rm -rf -- "$work"
  work=
  say "$name $version: from $way"
}

wanted() { # NAME LIST...
  one=$1
  shift
  [ $# -gt 0 ] || return 0
  for each; do if [ "$each" = "$one" ]; then return 0; fi; done
  return 1
}

only_bytes=
if [ "${1:-}" = --bytes ]; then
  only_bytes=1
  shift
fi
for each; do
  grep -q "^${each}[[:space:]]" "$lock" || die "no dependency is called $each; see $lock"
done
# What is about to be downloaded, before it is.
missing=0 missing_bytes=0
exec 3<"$lock"
while read -r name version sha256 bytes pool upstream <&3; do
  case $name in '' | '#'*) continue ;; esac
  if wanted "$name" "$@" && ! is_there; then
    missing=$((missing + 1)) missing_bytes=$((missing_bytes + bytes))
  fi
done
if [ -n "$only_bytes" ]; then
  printf '%s\n' "$missing_bytes"
  exit 0
fi
if [ "$missing" -gt 0 ]; then
  say "bringing $missing pinned sources, $(((missing_bytes + 99999) / 100000))00 KB in all, into $deps"
fi
exec 3<"$lock"
while read -r name version sha256 bytes pool upstream <&3; do
  case $name in '' | '#'*) continue ;; esac
  if wanted "$name" "$@"; then fetch_one; fi
done
