#!/usr/bin/env python3
"""Decoding and prompts for each of GGUF's types: llama.cpp on the file, thimble on the same weights in the same bits.

    formats.py --thimble build/host/bin/thimble --work DIR --peer DIR/peer --peer-scripts DIR [--short] [--types Q4_0,Q6_K]

A file of each type is made once by the peer's llama-quantize from random weights, and carried over by `thimble convert --weights
as-is` and `thimble pack`. A round starts a process of each, in turn first (A B, B A, ...), thimble's measures the machine's limits
beside itself. The table has medians, the geometric mean of the rounds' ratios and its 95 % interval (Student's t of their
logarithms), the share of the limit (decoding: of the read bandwidth; prompts: of the int8 peak), and whether the goal is met: decoding
1.2 times the peer or 90 % of the read limit, prompts twice the peer (4 bits: 1.6 times, 1.5 with more threads). --short: 5 rounds of few tokens, about ten minutes for both
shapes once the files are there. The machine must do nothing else. Only the standard library is used.

--types TQ2_0,ternary: the three numbers of BitNet, with a scale for 256 of them, the peer's file carried over; and with one for a row,
random numbers of our own in the same shape, head in Q6_K as in the peer's file, beside the peer's TQ2_0.
"""
import argparse
import json
import os
import statistics

from against import interval
from compare import bench, key, test_name
from models import carried_model, gguf_model, log, packed_model, thimble_model

TYPES = "Q8_0,Q4_0,Q4_1,Q4_K_M,Q6_K"
DECODING, READING = 1.2, 0.9  # goals: times the peer, or share of the read limit


def prompts_goal(kind, threads):
    """Times the peer: it multiplies 4 bits faster than others."""
    return 2.0 if "4" not in kind else 1.6 if threads == 1 else 1.5


def models_of(args, shape, kind):
    """The peer's file, and ours, packed."""
    gguf = gguf_model(args.peer, args.peer_scripts, args.work, shape, "TQ2_0" if kind == "ternary" else kind)
    if gguf is None:
        raise SystemExit("%s has no make_gguf.py that knows %s" % (args.peer_scripts, shape))
    own = thimble_model(args.thimble, args.work, shape, kind, head="q6_k") if kind == "ternary" else carried_model(args.thimble, gguf)
    return gguf, packed_model(args.thimble, own)


def measure(args, shape, kind):
    """Lines of the table, as dictionaries."""
    gguf, own_path = models_of(args, shape, kind)
    # Most threads first: the peer keeps the filled context for the later counts.
    threads = ",".join(sorted(args.threads.split(","), key=int, reverse=True))
    tests = ["-p", str(args.prompt), "-n", str(args.gen), "-r", "1", "-o", "json", "-t", threads]
    commands = [[args.peer, "llama-bench", "-m", gguf, "-fa", "1", "-ctk", args.peer_kv, "-ctv", args.peer_kv] + args.peer_args.split(),
                [args.thimble, "bench", "-m", own_path, "--kv", args.kv]]
    cells = [{}, {}]  # of each: {cell: [row of each round]}
    for number in range(args.rounds):
        log("%s %s: round %d of %d" % (shape, kind, number + 1, args.rounds))
        for i in (0, 1) if number % 2 == 0 else (1, 0):
            for row in bench(commands[i] + tests):
                cells[i].setdefault(key(row), []).append(row)
    for cell in sorted(cells[1]):
        peer, own = ([row["avg_ts"] for row in side[cell]] for side in cells)
        rows = cells[1][cell]
        decoding = cell[2] == 0
        limit, speed = ("read_bandwidth_gb_per_s", "gb_per_s") if decoding else ("int8_peak_gop_per_s", None)
        # Above the limit, where the caches hold the file, is all of it.
        shares = [min(1.0, row[speed] / row[limit]) if speed else row["peak_fraction"] or 1.0 for row in rows]
        mean, low, high = interval([b / a for a, b in zip(peer, own)])
        share = statistics.median(shares)
        yield {"shape": shape, "type": kind, "threads": cell[0], "test": test_name(cell[2], cell[3], cell[1]),
               "peer": statistics.median(peer), "thimble": statistics.median(own), "ratio": mean, "low": low, "high": high,
               "share": share, "limit": statistics.median(row[limit] for row in rows), "limit_unit": "GB/s" if decoding else "Gop/s",
               "kernels": rows[0]["kernels"], "huge": rows[0].get("mapped_huge_pages"),
               "bytes": [os.path.getsize(gguf), os.path.getsize(own_path)],
               "met": mean >= DECODING or share >= READING if decoding else mean >= prompts_goal(kind, cell[0])}


def line(x):
    return "| %s | %s | %d | %s | %.1f | %.1f | %.2f | %.2f to %.2f | %.0f %% of %.0f %s | %s |" % (
        x["shape"], x["type"], x["threads"], x["test"], x["peer"], x["thimble"], x["ratio"], x["low"], x["high"], 100 * x["share"],
        x["limit"], x["limit_unit"], "yes" if x["met"] else "**no**")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True, help="the program")
    parser.add_argument("--work", required=True, help="folder for models; about 12 GB for both shapes")
    parser.add_argument("--peer", required=True, help="the launcher that get_peer.sh wrote")
    parser.add_argument("--peer-scripts", help="folder with make_gguf.py, for models that are not in --work yet")
    parser.add_argument("--peer-name", default="llama.cpp", help="how the table calls it")
    parser.add_argument("--peer-args", default="", help="more arguments for it, as one word: '-rtr 1'")
    parser.add_argument("--peer-kv", default="f16", help="the peer's cache type")
    parser.add_argument("--kv", default="q8", help="thimble's")
    parser.add_argument("--shapes", default="smollm2-135m,tinyllama-1.1b")
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--prompt", type=int, help="ids [256]")
    parser.add_argument("--gen", type=int, help="ids [48]")
    parser.add_argument("--rounds", type=int, help="[15]")
    parser.add_argument("--short", action="store_true", help="where not given, --prompt 64 --gen 24 --rounds 5")
    parser.add_argument("--models-only", action="store_true", help="make the files and stop")
    parser.add_argument("--json", help="also write the figures to this file")
    args = parser.parse_args()
    usual = (64, 24, 5) if args.short else (256, 48, 15)
    args.prompt, args.gen, args.rounds = (given or value for given, value in zip((args.prompt, args.gen, args.rounds), usual))
    if args.rounds < 2:
        parser.error("an interval takes 2 rounds or more")
    for program in (args.thimble, args.peer):
        if not os.access(program, os.X_OK):
            parser.error("%s is not a program that can be run" % program)
    args.peer_scripts = args.peer_scripts or os.path.dirname(os.path.abspath(args.peer))
    os.makedirs(args.work, exist_ok=True)
    pairs = [(shape, kind) for shape in args.shapes.split(",") for kind in args.types.split(",")]
    if args.models_only:
        for shape, kind in pairs:
            models_of(args, shape, kind)
        return
    print("| shape | file | threads | test | %s tok/s | thimble tok/s | ratio | 95 %% interval | of the limit | goal |" % args.peer_name)
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | --- | ---: | --- |")
    lines = []
    for shape, kind in pairs:
        for x in measure(args, shape, kind):
            print(line(x), flush=True)
            lines.append(x)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(lines, file, indent=1)


if __name__ == "__main__":
    main()
