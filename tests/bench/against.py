#!/usr/bin/env python3
"""Runs two builds of thimble in turn on the same models, and prints by how much the second is faster, with intervals.

    against.py --before OTHER/bin/thimble --after build/host/bin/thimble --work DIR [--rounds 15] [--shapes smollm2-135m]

A round starts a process of each, in turn first (A B, B A, ...), and gives one ratio per test; the table has the geometric mean
of the ratios and its 95 % confidence interval (Student's t of their logarithms). Each build converts and packs its own
models from the same seed, as formats may differ; with --model both read that file, so that only the programs differ, and with
--model and --before-model each reads its own: the same bytes in two formats. Only the standard library is used.
"""
import argparse
import math
import os
import statistics

from compare import bench, key, test_name
from models import log, packed_model, thimble_model

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
       2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045]


def interval(ratios):
    """The geometric mean of the ratios, and the ends of its 95 % interval."""
    logs = [math.log(x) for x in ratios]
    mean = statistics.mean(logs)
    t = T95[len(logs) - 2] if len(logs) - 2 < len(T95) else 1.96
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def measure(args, programs, shape, weights):
    models = [args.before_model or args.model, args.model] if args.model else []
    for name, program in [] if args.model else programs:
        work = os.path.join(args.work, name)
        os.makedirs(work, exist_ok=True)
        models.append(packed_model(program, thimble_model(program, work, shape, weights)))
    tests = ["-p", str(args.prompt), "-n", str(args.gen), "-r", "1", "-o", "json", "--no-limits", "-t", args.threads,
             "--kv", args.kv]
    speeds = [{}, {}]
    for number in range(args.rounds):
        log("%s %s: round %d of %d" % (shape, weights, number + 1, args.rounds))
        for i in (0, 1) if number % 2 == 0 else (1, 0):
            for row in bench([programs[i][1], "bench", "-m", models[i]] + tests):
                speeds[i].setdefault(key(row), []).append(row["avg_ts"])
    for cell in sorted(speeds[1]):
        before, after = speeds[0][cell], speeds[1][cell]
        mean, low, high = interval([b / a for a, b in zip(before, after)])
        print("| %s | %s | %d | %s | %.1f | %.1f | %.3f | %.3f to %.3f |%s" %
              (shape, weights, cell[0], test_name(cell[2], cell[3], cell[1]), statistics.median(before), statistics.median(after),
               mean, low, high, " SLOWER |" if high < 1 else ""), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--before", required=True, help="one program")
    ap.add_argument("--after", required=True, help="the other")
    ap.add_argument("--work", default=".", help="folder for models; about 4 GB a shape")
    ap.add_argument("--model", help="a .thimble file for both, in place of --shapes and --weights")
    ap.add_argument("--before-model", help="with --model: another file of the same weights for the first program")
    ap.add_argument("--shapes", default="smollm2-135m,tinyllama-1.1b")
    ap.add_argument("--weights", default="q4,q8")
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--prompt", type=int, default=128)
    ap.add_argument("--gen", type=int, default=32)
    ap.add_argument("--kv", default="q8", help="type of cache rows")
    ap.add_argument("--rounds", type=int, default=15)
    args = ap.parse_args()
    if args.rounds < 2:
        ap.error("an interval takes 2 rounds or more")
    programs = [("before", args.before), ("after", args.after)]
    for _, program in programs:
        if not os.access(program, os.X_OK):
            ap.error("%s is not a program that can be run" % program)
    print("| shape | weights | threads | test | before tok/s | after tok/s | ratio | 95 % interval |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | --- |")
    if args.model:
        return measure(args, programs, os.path.basename(args.model), "-")
    for shape in args.shapes.split(","):
        for weights in args.weights.split(","):
            measure(args, programs, shape, weights)


if __name__ == "__main__":
    main()
