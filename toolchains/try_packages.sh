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
  arm64) emulator=qemu-aarch64 loader=lib/ld-linux-aarch64.so.1 ;;
  armhf) emulator=qemu-arm loader=lib/ld-linux-armhf.so.3 ;;
  amd64) emulator= loader=lib64/ld-linux-x86-64.so.2 ;;
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
rm -rf -- "$apt/archives"  # what was needed another time
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
set -- "$packages"/libthimble0_*_"$arch".deb "$packages"/thimble_*_"$arch".deb "$packages"/libthimble-dev_*_"$arch".deb
[ -e "$1" ] && [ -e "$2" ] && [ -e "$3" ] || fail "$packages: has no packages for $arch"
# With what they depend on, as apt resolves it: this fails where a dependency names what this Debian has not.
apt-get -q install -y --download-only "$@" >"$work/install.log" 2>&1 || fail "apt cannot install them: $(grep -E '^E:|Depends' "$work/install.log" | head -n 3)"
for package in "$apt/archives"/*.deb "$@"; do dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" -f -; done
[ -x "$root/usr/bin/thimble" ] || fail "no program in the root"

# The root's own loader and libraries, not this machine's. LD_PRELOAD and the like are for this machine's programs.
unset LD_PRELOAD LD_LIBRARY_PATH
run() {
  if [ -n "$emulator" ]; then "$emulator" -L "$root" "$@"
  else "$root/$loader" --library-path "$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu" "$@"; fi  # Debian 12 has some in the first
}
thimble() { run "$root/usr/bin/thimble" "$@"; }
# The links from / to /usr are made by a package's script.
for link in lib lib64 bin sbin; do [ -e "$root/$link" ] || { [ -d "$root/usr/$link" ] && ln -s "usr/$link" "$root/$link"; }; done
thimble --version >"$work/version" 2>"$work/errors" || fail "the program does not start: $(head -n 3 "$work/errors")"
said=$(thimble run "$model" -p "Once upon a time" -n 12 --temp 0 2>"$work/errors") || fail "the program does not run: $(head -n 3 "$work/errors")"
[ "$(printf %s "$said" | wc -w)" -ge 6 ] || fail "the program says '$said'"
# Program and shared library (which the program has in itself): what they need is in the root, in a version that it has.
for file in "$root/usr/bin/thimble" "$(ls "$root"/usr/lib/libthimble.so.0)"; do
  if [ -n "$emulator" ]; then run "$root/$loader" --list "$file" >"$work/needed" 2>&1; else run --list "$file" >"$work/needed" 2>&1; fi ||
    fail "$file cannot be loaded: $(head -n 3 "$work/needed")"
  if grep 'not found' "$work/needed"; then fail "$file needs what is not there"; fi
  # On this processor the loader would also take this machine's own.
  [ -n "$emulator" ] || ! grep '=> ' "$work/needed" | grep -v -F " => $root/" || fail "$file needs what is not in the root"
done
for file in include/thimble/thimble.h lib/libthimble.a "lib/*/pkgconfig/thimble.pc" lib/cmake/thimble/thimbleConfig.cmake; do
  ls "$root"/usr/$file >/dev/null 2>&1 || fail "no /usr/$file in the root"
done
echo "ok: $(ls "$apt/archives" | grep -c 'deb$') packages of Debian $debian for $arch, $(du -sm "$root" | cut -f1) MB; $(cat "$work/version"): $said"
