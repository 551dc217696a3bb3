#!/bin/sh
# Installs the packages of a build into a fresh Debian 12 or 13 root of that processor and runs the program there, under qemu.
#
#   sh toolchains/try_packages.sh PACKAGES_FOLDER arm64|armhf|amd64 MODEL WORK_FOLDER [bookworm|trixie]     (12 or 13; 13)
#
# About 25 MB from the Debian mirror that this machine's own apt uses. Nothing of this machine's packages changes, and root is not needed:
# what the packages depend on is unpacked beside them, in the order that apt says. Exit status 77 (skipped) where apt gives nothing.
set -eu

[ $# -eq 4 ] || [ $# -eq 5 ] || { sed -n 's/^# \{0,1\}//p' "$0" | head -n 3; exit 2; }
packages=$(CDPATH='' cd -- "$1" && pwd)
arch=$2 model=$3 suite=${5:-trixie}
mkdir -p "$4"
work=$(CDPATH='' cd -- "$4" && pwd)
fail() { echo "try_packages: error: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
case $suite in
  bookworm) debian=12 ;;
  trixie) debian=13 ;;
  *) fail "$suite: is none of bookworm, trixie" ;;
esac
case $arch in
  arm64) emulator=qemu-aarch64 ;;
  armhf) emulator=qemu-arm ;;
  amd64) emulator= ;;
  *) fail "$arch: is none of arm64, armhf, amd64" ;;
esac
if [ -n "$emulator" ]; then
  if command -v "$emulator-static" >/dev/null; then emulator=$emulator-static; fi
  command -v "$emulator" >/dev/null || skip "no $emulator"
fi
command -v apt-get >/dev/null || skip "no apt-get"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || skip "no $keyring"
# The mirror of this machine's own sources, old style or new.
mirror=$(sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
  /etc/apt/sources.list.d/*.list 2>/dev/null | grep -v security | grep debian | head -n 1)
[ -n "$mirror" ] || skip "this machine's apt names no Debian mirror"

# An apt of its own: another architecture, nothing installed, nothing shared.
apt=$work/apt-$suite root=$work/root
rm -rf -- "$root"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/etc" "$root"
: >"$apt/status"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
cat >"$apt/apt.conf" <<END
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::Etc "$apt/etc";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
END
export APT_CONFIG="$apt/apt.conf"
apt-get -q update >"$work/update.log" 2>&1 || skip "the package lists could not be fetched: $(tail -n 1 "$work/update.log")"
set -- "$packages"/libthimble0_*_"$arch".deb "$packages"/thimble_*_"$arch".deb
[ -e "$1" ] && [ -e "$2" ] || fail "$packages: has no packages for $arch"
# With what they depend on, as apt resolves it: this fails where a dependency names what this Debian has not.
apt-get -q install -y --download-only "$@" >"$work/install.log" 2>&1 || fail "apt cannot install them: $(grep -E '^E:|Depends' "$work/install.log" | head -n 3)"
for package in "$apt/archives"/*.deb "$@"; do dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" -f -; done
[ -x "$root/usr/bin/thimble" ] || fail "no program in the root"

# The root's own loader and libraries, not this machine's.
run() {
  if [ -n "$emulator" ]; then "$emulator" -L "$root" "$root/usr/bin/thimble" "$@"
  else "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/thimble" "$@"; fi
}
# The links from / to /usr are made by a package's script.
for link in lib lib64 bin sbin; do [ -e "$root/$link" ] || { [ -d "$root/usr/$link" ] && ln -s "usr/$link" "$root/$link"; }; done
run --version >"$work/version" 2>"$work/errors" || fail "the program does not start: $(head -n 3 "$work/errors")"
said=$(run run "$model" -p "Once upon a time" -n 12 --temp 0 2>"$work/errors") || fail "the program does not run: $(head -n 3 "$work/errors")"
[ "$(printf %s "$said" | wc -w)" -ge 6 ] || fail "the program says '$said'"
echo "ok: $(ls "$apt/archives" | grep -c 'deb$') packages of Debian $debian for $arch, $(du -sm "$root" | cut -f1) MB; $(cat "$work/version"): $said"
