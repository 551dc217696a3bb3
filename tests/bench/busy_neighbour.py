#!/usr/bin/env python3
"""Decoding beside another process that never rests: two threads must not be slower than one.

    busy_neighbour.py --thimble build/host/bin/thimble --work DIR [--neighbours 1] [--rounds 5]

Prints tokens per second alone and beside the neighbour, one thread and all; exit status 1 when the neighbour makes all
threads slower than one. The neighbour counts in a loop and is not bound to a core.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

from models import packed_model, thimble_model

LOOP = "while True: pass"


def speed(args, model, threads):
    out = subprocess.run([args.thimble, "bench", "-m", model, "-p", "0", "-n", str(args.gen), "-r", "1", "-t", str(threads),
                          "--no-limits", "-o", "json"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)[0]["avg_ts"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--thimble", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--shape", default="smollm2-135m")
    ap.add_argument("--weights", default="q4")
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("--neighbours", type=int, default=1)
    ap.add_argument("--gen", type=int, default=64)
    ap.add_argument("--rounds", type=int, default=5)
    args = ap.parse_args()
    os.makedirs(args.work, exist_ok=True)
    model = packed_model(args.thimble, thimble_model(args.thimble, args.work, args.shape, args.weights))
    seen = {}
    for _ in range(args.rounds):
        for neighbours in (0, args.neighbours):
            others = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(neighbours)]
            try:
                for threads in (1, args.threads):
                    seen.setdefault((neighbours, threads), []).append(speed(args, model, threads))
            finally:
                for other in others:
                    other.kill()
                    other.wait()
    print("| neighbours | threads | tok/s |\n| ---: | ---: | ---: |")
    for (neighbours, threads), values in sorted(seen.items()):
        print("| %d | %d | %.1f (%.1f-%.1f) |" % (neighbours, threads, statistics.median(values), min(values), max(values)))
    one, all_threads = (statistics.median(seen[args.neighbours, t]) for t in (1, args.threads))
    print("\nbeside %d: %d threads are %.2f x one" % (args.neighbours, args.threads, all_threads / one))
    return 0 if all_threads >= one else 1


if __name__ == "__main__":
    sys.exit(main())
