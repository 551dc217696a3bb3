#!/usr/bin/env python3
"""Writes FAMILIES.md: for every family of the fixtures what it takes and what checks it, and what each field of its config.json does.

    python3 targets/convert/list_fields.py --thimble build/host/bin/thimble [--families FOLDER] > targets/convert/FAMILIES.md

What a field does is measured, not read in the source: each is left out, and given other values, and the file that comes out (f32,
without a tokenizer) is compared byte by byte with that of the fixture as it is. FOLDER is golden/families of the shared data
(THIMBLE_SHARED_DATA, else beside the project); where there is none the script says so and exits with 77 (skipped). A few
minutes of one processor, for thousands of conversions of 20 milliseconds each.
"""
import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GOLDEN = os.path.join(ROOT, "tests", "golden")
SKIPPED = 77
CONTEXT = 4096
# Words that fields with a choice know, so that such a field is seen to be read.
WORDS = ["gelu", "relu2", "linear", "default", "another"]
LAYER_KINDS = ["full_attention", "sliding_attention"]
# Trained models that people use, beside the fixtures' random weights: the tests that compare them with a reference.
REAL = {"smollm2": "SmolLM2-135M-Instruct (`tests/cli/ten_turns.py`, `tests/bench/quality.py`)",
        "llama": "stories260K (`tests/golden/test_stories.cc`)",
        "bert": "all-MiniLM-L6-v2 (`tests/golden/test_minilm.cc`)",
        "paper_qkv": "stories-qkv (`tests/golden/test_stories.cc`)",
        "paper_qmqa": "stories-qmqa (`tests/golden/test_stories.cc`)"}
# Shapes of published models, and what of their families is in REAL.
SHAPES = [("smollm2-135m", "real: " + REAL["smollm2"]), ("paper-300m-qkv", "real, of 3 M weights: " + REAL["paper_qkv"]),
          ("paper-300m-qmqa", "real, of 3 M weights: " + REAL["paper_qmqa"])]


def others(name, value):
    """Other values for a field: of its own kind, near it and far from it."""
    if value is None:
        return [2, True, 0.5, "another"]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [v for v in (value * 2, value + 1, value // 2) if v != value]
    if isinstance(value, float):
        return [v for v in (value * 2, value / 2, 0.3) if v != value]
    if isinstance(value, str):
        return [w for w in WORDS + LAYER_KINDS if w != value]
    if isinstance(value, dict):
        return [{}, {"another": 1}]
    lists = [value[::-1], value[:-1]]
    if value:
        first = LAYER_KINDS if isinstance(value[0], str) else others(name, value[0])
        lists += [[v] + value[1:] for v in list(value[1:]) + first]
    else:
        lists += [[1], ["another"]]
    return [v for i, v in enumerate(lists) if v != value and v not in lists[:i]]


class Fixture:
    """A folder with the fixture's files, of which config.json is written anew for each conversion."""

    def __init__(self, thimble, source, folder):
        self.thimble, self.folder, self.name = thimble, folder, os.path.basename(source)
        self.output = os.path.join(folder, "out.thimble")
        for file in os.listdir(source):
            if file not in ("config.json", "expected.json"):
                os.symlink(os.path.join(source, file), os.path.join(folder, file))
        with open(os.path.join(source, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.whole, self.reason = self.convert(self.config)

    def convert(self, config, options=("--weights", "f32")):
        """(checksum of the file, None), or (None, why it is refused)."""
        with open(os.path.join(self.folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        command = [self.thimble, "convert", self.folder, "-o", self.output, "--force", "--json", "--name", self.name, "--no-tokenizer"]
        done = subprocess.run(command + list(options), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode < 0:
            sys.exit("%s: convert ended with signal %d on %s" % (self.name, -done.returncode, json.dumps(config)))
        if done.returncode != 0:
            message = json.loads(done.stdout)["error"]["message"]
            return None, message.replace(self.folder + os.sep, "")
        with open(self.output, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest(), None

    def with_field(self, path, *value):
        """The configuration with another value at `path`, or without the field."""
        config = json.loads(json.dumps(self.config))
        at = config
        for key in path[:-1]:
            at = at[key]
        if value:
            at[path[-1]] = value[0]
        else:
            del at[path[-1]]
        return config

    def effect(self, path, value):
        """'read', 'refused' or 'nothing'."""
        refused = False
        changes = [self.with_field(path, v) for v in others(path[-1], value)] + [self.with_field(path)]
        for config in changes:
            file, reason = self.convert(config)
            if file is not None:
                if file != self.whole:
                    return "read"
                continue
            named = re.search(r"field '([^']*)'", reason)
            # Where tensors or other fields no longer fit, the field was read.
            if named is None or named.group(1).split(".")[-1] != path[-1]:
                return "read"
            refused = True
        return "refused" if refused else "nothing"

    def fields(self):
        """{'read', 'refused', 'nothing': names}, and the objects in which an invented field is (not) refused."""
        found = {"read": [], "refused": [], "nothing": []}
        guarded, open_objects = [], []

        def walk(path, members):
            invented, _ = self.convert(self.with_field(path + ["an_invented_field"], 1))
            (guarded if invented is None else open_objects).append(".".join(path))
            for key, value in members.items():
                here = path + [key]
                if isinstance(value, dict) and value:
                    # A part of the model that is passed over, such as a picture encoder's, is one entry.
                    if all(self.convert(self.with_field(here, v))[0] == self.whole for v in others(key, value)):
                        found["nothing"].append(".".join(here) + ".*")
                    else:
                        walk(here, value)
                else:
                    found[self.effect(here, value)].append(".".join(here))

        walk([], self.config)
        return found, guarded, open_objects

    def plan(self, options):
        """'bytes at so many tokens' of the fixture with these weights and an int8 cache."""
        file, reason = self.convert(self.config, options)
        return plan(self.thimble, self.output) if file else reason


def plan(thimble, model):
    for context in (CONTEXT, 0):  # 0: what the model allows, where its positions are learned
        done = subprocess.run([thimble, "plan", model, "-c", str(context), "--kv", "q8", "-t", "1", "--kernels", "scalar", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            p = json.loads(done.stdout)
            note = "" if p["context_tokens"] == CONTEXT else " (%d tokens)" % p["context_tokens"]
            return "%s + %s%s" % (f"{p['anonymous_bytes']:,}", f"{p['file_backed_bytes']:,}", note)
    return "refused"


def known_families(thimble):
    """model_type -> what `convert --list` says of it."""
    text = subprocess.run([thimble, "convert", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {m.group(2): m.group(3) for m in re.finditer(r"^(\S+) +([a-z0-9_-]+) +(\S.*)$", text.split("model files")[0], re.M)}


def list_in(test, begin):
    """The first words of a list of fixtures in a test's source."""
    with open(os.path.join(GOLDEN, test), encoding="utf-8") as f:
        return set(re.findall(r'"(\w+)"', f.read().split(begin)[1].split("};")[0]))


def folders_of_models(folder):
    return [os.path.join(folder, n) for n in os.listdir(folder) if os.path.exists(os.path.join(folder, n, "config.json"))]


def what(fixture, known):
    config = fixture.config
    text = config.get("text_config") or {}
    kind = text.get("model_type") or config.get("model_type") or ("qkv_encoder" if "config" in config else "qkv_gpt")
    said = known.get(kind) or "-"
    return said + (", in `%s`" % config["model_type"] if text else "")


def names(fields):
    return ", ".join("`%s`" % f for f in sorted(fields)) or "none"


def short(reason):
    return reason.split(", expected one of")[0]


def progress(text):
    print(text, file=sys.stderr, flush=True)


def write_head(count):
    print("""# Families, and every field of their configurations

Generated: `python3 targets/convert/list_fields.py --thimble build/host/bin/thimble > targets/convert/FAMILIES.md`

%d small checkpoints with random weights, whose names and configurations are those of the published models: those in `tests/golden` and in
`golden/families` of the shared data (of two with one name the latter). [README.md](README.md) says
which file reads which family.

## What each takes, and what has checked it

Bytes are anonymous + file-backed memory of the **fixture**, not of the published model: with 2 to 6 layers and widths of 24 to 64 its
buffers outweigh its weights, and what is comparable is one row's two columns ([PUBLISHED.md](PUBLISHED.md) has published dimensions). q8/q8: `thimble convert FIXTURE --weights q8`, q4/q8: `--recipe small`;
each `thimble plan MODEL -c 4096 --kv q8 -t 1 --kernels scalar` (other kernels may keep weights packed once more, unless the file is). The first
rows are shapes of published models with random weights, `convert --shape NAME --weights q8` and `q4`, whose bytes are those of the published ones.

Checked by: *reference*: every position's numbers are those of transformers (the paper's families: of its own code) in float64 within
2e-4, in one pass, token by token and in pieces (encoders in one pass; `tests/golden/test_logits.cc` for what lies in `tests/golden`), and
for the others after rewinding and loading, too (`tests/golden/test_families.cc`); *GGUF*: the same fixture as llama.cpp's converter writes it,
or gguf's writer as it would, the last two positions (`tests/golden/test_gguf_families.cc`), or rewritten as it does, all positions (`tests/golden/test_gguf.cc`); *real*: a
trained checkpoint, and the test, which needs the model and is skipped without. Where that is missing,
**no trained checkpoint of that family has been run here**.

| family | what | q8/q8 | q4/q8 | checked by |
|---|---|---:|---:|---|""" % count)


def write_shapes(thimble, folder):
    for shape, checked in SHAPES:
        progress("shape " + shape)
        plans = []
        for weights in ("q8", "q4"):
            output = os.path.join(folder, "shape.thimble")
            subprocess.run([thimble, "convert", "--shape", shape, "-o", output, "--force", "-q", "--weights", weights],
                           stdout=subprocess.DEVNULL, check=True)
            plans.append(plan(thimble, output))
            os.remove(output)
        print("| %s | shape of a published model | %s | %s | %s |" % (shape, plans[0], plans[1], checked))


def write_fields(results):
    refused = [f for f, _ in results if f.whole is None]
    guarded = {f.name: set(r[1]) for f, r in results if f.whole}
    open_objects = sorted({o for f, r in results if f.whole for o in r[2]})
    print("""
## Every field met

Of each fixture's `config.json` every field is left out and given other values, and the file that comes out is compared byte by byte.

- **changes the result**: another file comes out, or other tensors are asked for, or fields that depend on it no longer fit;
- **refused at other values**: some are refused by the field's name, and none that is taken changes the file;
- **changes nothing**: no value tried made another file. A field may do something beside other values than this fixture's, or beside a
  tokenizer (the ids that begin and end a text), which fixtures have none of. `x.*`: everything in that object.

A field invented for the purpose is refused by its name at the top of %d of these %d configurations%s.
""" % (sum("" in g for g in guarded.values()), len(guarded),
       "; in these objects it is passed over, as their other parts are: " + names(open_objects) if open_objects else
       ", and in every object below that is not passed over as a whole"))
    print("Refused as a whole: %s." % names(f.name for f in refused))
    for fixture, result in results:
        print("\n### %s\n" % fixture.name)
        if fixture.whole is None:
            print("- **refused**: %s\n- fields met: %s" % (short(fixture.reason), names(fixture.config)))
            continue
        for key, title in (("read", "changes the result"), ("refused", "refused at other values"), ("nothing", "changes nothing")):
            print("- **%s**: %s" % (title, names(result[0][key])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--families", help="the folder of fixtures")
    parser.add_argument("--only", help="one fixture")
    a = parser.parse_args()
    shared = os.environ.get("THIMBLE_SHARED_DATA") or os.path.join(os.path.dirname(ROOT), "shared", "data")
    families = os.path.abspath(a.families or os.path.join(shared, "golden", "families"))
    if not os.path.isdir(families):
        progress("SKIP: no folder %s; --families or THIMBLE_SHARED_DATA name the fixtures" % families)
        sys.exit(SKIPPED)
    known = known_families(a.thimble)
    reference, gguf = list_in("test_families.cc", "kAgreeing[] = {"), list_in("test_gguf.cc", "kFixtures[] = {")
    gguf |= {f[:-len(".gguf")] for f in os.listdir(os.path.join(GOLDEN, "gguf_families")) if f.endswith(".gguf")}
    sources = {os.path.basename(f): f for f in folders_of_models(GOLDEN)}
    reference |= set(sources)  # test_logits.cc takes all that are committed
    sources.update((os.path.basename(f), f) for f in folders_of_models(families))
    found = sorted(n for n in sources if a.only in (None, n))
    write_head(len(found))
    results = []
    with tempfile.TemporaryDirectory() as work:
        if a.only is None:
            write_shapes(a.thimble, work)
        for name in found:
            progress(name)
            folder = os.path.join(work, name)
            os.mkdir(folder)
            fixture = Fixture(a.thimble, sources[name], folder)
            if fixture.whole is None:
                print("| %s | %s | - | - | refused: %s |" % (name, what(fixture, known), short(fixture.reason)))
                results.append((fixture, None))
                continue
            by = (["reference"] if name in reference else []) + (["GGUF"] if name in gguf else [])
            by += ["real: " + REAL[name]] if name in REAL else []
            print("| %s | %s | %s | %s | %s |" % (name, what(fixture, known), fixture.plan(("--weights", "q8")),
                                                  fixture.plan(("--recipe", "small")), ", ".join(by) or "nothing"))
            results.append((fixture, fixture.fields()))
    write_fields(results)


if __name__ == "__main__":
    main()
