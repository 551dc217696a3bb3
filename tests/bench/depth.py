#!/usr/bin/env python3
"""What a decoded token costs more at a depth than at none: a table and a plot, for each type of cache rows.

    depth.py --thimble build/host/bin/thimble --work DIR --out DIR [--depths 1024,2048,...,65536] [--kv q8,f16]
             [--peer DIR/peer --peer-model smollm2-135m-Q4_0.gguf --peer-kv f16 --peer-max-depth 8192]

thimble's depths are filled with random rows (`thimble bench --random-fill`), llama.cpp reads ids, which takes long: hence
its own largest depth. Both are run in turn, depth by depth; numbers are medians over the rounds. The exponent is the slope
of the line through the points in the plot: 1 is linear growth. Only the standard library is used.
"""
import argparse
import json
import math
import os
import statistics

from compare import bench
from models import log, packed_model, thimble_model
from plot import Axis, chart, powers


def measure(args, shape):
    """{series: {depth: [ms per token]}} of one shape; a series is "thimble q8" or "llama.cpp f16"."""
    positions = max(args.depths) + args.gen  # learned ones reach as far as the file has them
    path = packed_model(args.thimble, thimble_model(args.thimble, args.work, shape, args.weights, positions=positions))
    with_peer = args.peer and shape == args.peer_shape
    samples = {}

    def add(series, row):
        samples.setdefault(series, {}).setdefault(row["n_depth"], []).append(1000 / row["avg_ts"])

    common = ["-p", "0", "-n", str(args.gen), "-t", str(args.threads), "-r", "1", "-o", "json"]
    for number in range(args.rounds):
        for depth in [0] + args.depths:
            log("%s: round %d of %d, depth %d" % (shape, number + 1, args.rounds, depth))
            for row in bench([args.thimble, "bench", "-m", path, "-d", str(depth), "--kv", args.kv, "--random-fill",
                              "--no-limits"] + common):
                add("thimble " + row["type_k"], row)
            if not with_peer or depth > args.peer_max_depth:
                continue
            for kv in args.peer_kv.split(","):
                # Quantised values need flash attention there.
                flash = "0" if kv == "f16" else "1"
                for row in bench([args.peer, "llama-bench", "-m", args.peer_model, "-d", str(depth), "-fa", flash,
                                  "-ctk", kv, "-ctv", kv] + common):
                    add("llama.cpp " + kv, row)
    return samples


def added(samples):
    """{series: [(depth, ms more than at depth 0)]}, what is not more left out."""
    result = {}
    for series, depths in samples.items():
        base = statistics.median(depths[0])
        points = [(d, statistics.median(ms) - base) for d, ms in sorted(depths.items()) if d > 0]
        result[series] = [(d, ms) for d, ms in points if ms > 0]
    return result


def exponent(points):
    """Slope of the least squares line through (log depth, log ms); None for fewer than two points."""
    if len(points) < 2:
        return None
    x = [math.log(d) for d, _ in points]
    y = [math.log(ms) for _, ms in points]
    mx, my = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def table(shape, samples, points):
    depths = sorted({d for series in samples.values() for d in series if d > 0})
    lines = ["Added milliseconds per token, %s shape:" % shape, "",
             "| rows | at depth 0 | " + " | ".join(str(d) for d in depths) + " | exponent |",
             "| --- | ---: |" + " ---: |" * (len(depths) + 1)]
    for series in samples:
        known = dict(points[series])
        cells = ["%.3f" % known[d] if d in known else "-" for d in depths]
        slope = exponent(points[series])
        lines.append("| %s | %.2f ms | %s | %s |" % (series, statistics.median(samples[series][0]), " | ".join(cells),
                                                     "-" if slope is None else "%.2f" % slope))
    return "\n".join(lines) + "\n"


def depth_text(depth):
    return "%gk" % (depth / 1024) if depth >= 1024 else str(depth)


def svg(shape, points):
    named = {}
    for series, p in points.items():
        slope = exponent(p)
        named[series + ("" if slope is None else " (%.2f)" % slope)] = p
    everything = [at for p in points.values() for at in p]
    return chart("Added time per decoded token by depth, %s shape" % shape, "tokens in the context",
                 Axis(powers([d for d, _ in everything], 2), depth_text), Axis(powers([ms for _, ms in everything], 10), "{:g} ms".format),
                 named)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--work", required=True, help="folder for models")
    parser.add_argument("--out", required=True, help="folder for depth.md, depth.json and depth-SHAPE.svg")
    parser.add_argument("--shapes", default="paper-300m-qmqa,smollm2-135m")
    parser.add_argument("--weights", default="q4")
    parser.add_argument("--depths", default=",".join(str(1024 << i) for i in range(7)))
    parser.add_argument("--kv", default="q8,f16")
    parser.add_argument("--gen", type=int, default=8, help="tokens decoded in each measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help="launcher of llama.cpp: peer llama-bench ARGUMENTS")
    parser.add_argument("--peer-model", help="a GGUF file of --peer-shape")
    parser.add_argument("--peer-shape", default="smollm2-135m")
    parser.add_argument("--peer-kv", default="f16")
    parser.add_argument("--peer-max-depth", type=int, default=8192)
    args = parser.parse_args()
    if bool(args.peer) != bool(args.peer_model):
        parser.error("--peer and --peer-model go together")
    args.depths = [int(d) for d in args.depths.split(",")]
    os.makedirs(args.out, exist_ok=True)
    everything, text = {}, []
    for shape in args.shapes.split(","):
        samples = measure(args, shape)
        points = added(samples)
        everything[shape] = samples
        text.append(table(shape, samples, points))
        print(text[-1], flush=True)
        if any(points.values()):
            with open(os.path.join(args.out, "depth-%s.svg" % shape), "w") as file:
                file.write(svg(shape, points))
    with open(os.path.join(args.out, "depth.md"), "w") as file:
        file.write("\n".join(text))
    with open(os.path.join(args.out, "depth.json"), "w") as file:
        json.dump(everything, file, indent=1)


if __name__ == "__main__":
    main()
