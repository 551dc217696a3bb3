#!/usr/bin/env python3
"""Runs llama.cpp's llama-bench and `thimble bench` in turn on models of the same shape, and prints their ratios.

    compare.py --thimble build/host/bin/thimble --work DIR [--peer DIR/peer --peer-scripts DIR] [--shapes tinyllama-1.1b]

Both start a process per round (A B A B ...), so that a change of the machine's mood meets both. Numbers are medians
over the rounds. Without --peer thimble runs alone. Only the standard library is used.
"""
import argparse
import json
import os
import statistics
import subprocess

from models import log, packed_model, peer_model, thimble_model


def bench(command):
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode != 0:
        raise SystemExit("%s: %s" % (" ".join(command), run.stderr.decode(errors="replace")[-400:]))
    return json.loads(run.stdout)


def key(row):
    return row["n_threads"], row.get("n_depth", 0), row["n_prompt"], row["n_gen"]


def test_name(prompt, gen, depth):
    name = "pp%d" % prompt if gen == 0 else "tg%d" % gen
    return name + (" @ d%d" % depth if depth else "")


def percent(values):
    known = [v for v in values if v is not None]
    return "%.0f %%" % (100 * statistics.median(known)) if known else "-"


def measure(args, shape, weights):
    own_path = thimble_model(args.thimble, args.work, shape, weights)
    if not args.no_pack:
        own_path = packed_model(args.thimble, own_path)
    peer_path = peer_model(args.peer, args.peer_scripts, args.work, shape, weights) if args.peer else None
    tests = ["-p", str(args.prompt), "-n", str(args.gen), "-r", "1", "-o", "json"]
    # Forks of the peer may not know depths.
    tests += ["-d", args.depth] if args.depth != "0" else []
    # Most threads first: the peer keeps the filled context for the later counts.
    threads = ",".join(sorted(args.threads.split(","), key=int, reverse=True))
    own, peer = {}, {}
    for number in range(args.rounds):
        log("%s %s: round %d of %d" % (shape, weights, number + 1, args.rounds))
        if peer_path:
            for row in bench([args.peer, "llama-bench", "-m", peer_path, "-t", threads, "-fa", "1",
                              "-ctk", args.peer_kv, "-ctv", args.peer_kv] + args.peer_args.split() + tests):
                peer.setdefault(key(row), []).append(row)
        extra = [] if number == 0 else ["--no-limits"] if args.limits_once else []
        for row in bench([args.thimble, "bench", "-m", own_path, "-t", threads, "--kv", args.kv] + tests + extra):
            own.setdefault(key(row), []).append(row)
    for cell in sorted(own):
        rows = own[cell]
        speeds = [row["avg_ts"] for row in rows]
        checks = {row["ids_checksum"] for row in rows}
        line = {
            "shape": shape, "weights": weights, "threads": cell[0], "test": test_name(cell[2], cell[3], cell[1]),
            "thimble": statistics.median(speeds), "thimble_min": min(speeds), "thimble_max": max(speeds),
            "bandwidth": percent([row["bandwidth_fraction"] for row in rows]),
            "peak": percent([row["peak_fraction"] for row in rows]),
            "first_token_ms": [row["first_token_ms"] for row in rows if row["first_token_ms"] is not None],
            "private_mib": rows[0]["private_dirty_bytes"] / 2**20, "arena_mib": rows[0]["arena_bytes"] / 2**20,
            "same_ids": len(checks) == 1, "kernels": rows[0]["kernels"],
        }
        if cell in peer:
            others = [row["avg_ts"] for row in peer[cell]]
            line.update(peer=statistics.median(others), peer_min=min(others), peer_max=max(others))
        yield line


def table(lines, peer_name):
    print("| shape | weights | threads | test | " + peer_name + " tok/s | thimble tok/s | ratio | of bandwidth | of int8 peak |"
          " first token | private MiB |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for x in lines:
        other = "%.1f (%.1f-%.1f)" % (x["peer"], x["peer_min"], x["peer_max"]) if "peer" in x else "-"
        ratio = "**%.2f**" % (x["thimble"] / x["peer"]) if "peer" in x else "-"
        first = "%.0f ms" % statistics.median(x["first_token_ms"]) if x["first_token_ms"] else "-"
        print("| %s | %s | %d | %s | %s | %.1f (%.1f-%.1f) | %s | %s | %s | %s | %.1f |%s" %
              (x["shape"], x["weights"], x["threads"], x["test"], other, x["thimble"], x["thimble_min"],
               x["thimble_max"], ratio, x["bandwidth"], x["peak"], first, x["private_mib"],
               "" if x["same_ids"] else " IDS DIFFER |"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--thimble", required=True, help="the program")
    ap.add_argument("--work", required=True, help="folder for models; about 2 GB a shape")
    ap.add_argument("--peer", help="the launcher that get_peer.sh wrote")
    ap.add_argument("--peer-scripts", help="folder with make_gguf.py, for models that are not in --work yet")
    ap.add_argument("--shapes", default="smollm2-135m,tinyllama-1.1b")
    ap.add_argument("--weights", default="q4,q8")
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--prompt", type=int, default=512)
    ap.add_argument("--gen", type=int, default=64)
    ap.add_argument("--depth", default="0")
    ap.add_argument("--kv", default="f16", help="thimble's cache type")
    ap.add_argument("--peer-kv", default="f16", help="the peer's")
    ap.add_argument("--peer-name", default="llama.cpp", help="how the table calls it")
    ap.add_argument("--peer-args", default="", help="more arguments for it, as one word: '-rtr 1'")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--no-pack", action="store_true", help="do not rewrite models with `thimble pack` first")
    ap.add_argument("--limits-once", action="store_true", help="measure the machine's limits in the first round only")
    ap.add_argument("--json", help="also write the figures to this file")
    args = ap.parse_args()
    for program in filter(None, (args.thimble, args.peer)):
        if not os.access(program, os.X_OK):
            ap.error("%s is not a program that can be run" % program)
    os.makedirs(args.work, exist_ok=True)
    if args.peer and not args.peer_scripts:
        args.peer_scripts = os.path.dirname(os.path.abspath(args.peer))
    lines = []
    for shape in args.shapes.split(","):
        for weights in args.weights.split(","):
            lines.extend(measure(args, shape, weights))
    table(lines, args.peer_name)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(lines, file, indent=1)


if __name__ == "__main__":
    main()
