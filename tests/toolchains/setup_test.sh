#!/bin/sh
# setup.sh on a machine that has nothing yet, whose apt-get is ours: it says how many megabytes come before any of them does.
#
#   sh setup_test.sh TOOLCHAINS_FOLDER WORK_FOLDER
set -eu

toolchains=$1
work=$2
rm -rf -- "$work"
mkdir -p "$work/bin" "$work/toolchains"
cp "$toolchains/setup.sh" "$work/toolchains/"
fail() { echo "FAILED: $*" >&2; cat "$work/log" >&2; exit 1; }

for tool in sh sed dirname awk id uname cat env; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
cat >"$work/toolchains/fetch.sh" <<'END'
if [ "${1:-}" = --bytes ]; then echo 7900000; else echo "fetch: bringing"; fi
END
cat >"$work/bin/apt-get" <<END
#!/bin/sh
case "\$*" in
  *--print-uris*)
    echo "'http://mirror/pool/a_1.deb' a_1.deb 100000000 MD5Sum:1"
    echo "'http://mirror/pool/b_1.deb' b_1.deb 2400000 MD5Sum:2"
    ;;
  *install*)
    echo "apt-get: bringing packages"
    for tool in ninja g++ gcc xz; do ln -s "$(command -v env)" "$work/bin/\$tool"; done
    printf '#!/bin/sh\necho cmake version 3.25.1\n' >"$work/bin/cmake"
    "$(command -v chmod)" +x "$work/bin/cmake"
    ;;
esac
END
chmod +x "$work/bin/apt-get"
sed -i "s,ln -s,$(command -v ln) -s," "$work/bin/apt-get"

PATH=$work/bin sh "$work/toolchains/setup.sh" demo >"$work/log" 2>&1 || fail "it did not end well"
said=$(sed -n '/downloading 110 MB: 102 MB of packages, with what they need, and 8 MB of pinned sources/=' "$work/log")
came=$(sed -n '/apt-get: bringing packages/=' "$work/log")
[ -n "$said" ] && [ -n "$came" ] && [ "$said" -lt "$came" ] || fail "it does not say how much comes before it does"
PATH=$work/bin sh "$work/toolchains/setup.sh" demo >"$work/log" 2>&1 || fail "the second time"
if grep -q downloading "$work/log"; then fail "there is nothing to download the second time"; fi
echo "setup.sh: all as expected"
