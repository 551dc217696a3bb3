#!/usr/bin/env python3
"""AArch64 instructions per decoded and per prompt token, counted exactly under qemu's user mode.

    instructions.py --thimble build/rpi-aarch64/bin/thimble --work DIR [--peer DIR-of-arm64-peer/peer --peer-scripts DIR]

    instructions.py --layers build/rpi-aarch64/bin/bench_linear     # for a weight, in each type: no model

    instructions.py --table --thimble build/rpi-aarch64/bin/thimble --work DIR [--peer ...]   # three models, four processors

The count is the slope between two runs that differ in the number of tokens alone, so that starting, loading and
packing cancel. One thread; environment and -cpu are pinned. Needs the dynamically linked qemu-aarch64 (Debian's
qemu-user; the static one loads no plugins) and a C compiler. It counts instructions, not cycles.
"""
import argparse
import collections
import os
import subprocess
import sys
import tempfile

from models import carried_model, gguf_model, log, peer_model, thimble_model

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO_MODEL = os.path.join(HERE, "../../targets/cli/models/stories-qmqa.thimble")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Counter:
    def __init__(self, args):
        self.args = args
        self.plain = [args.qemu, "-L", args.sysroot]  # to run without counting
        self.folder = tempfile.TemporaryDirectory()
        self.plugin = os.path.join(self.folder.name, "libcounter.so")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", os.path.join(HERE, "instruction_counter.c"),
                        "-o", self.plugin], check=True)

    def run(self, cpu, command, peer):
        out = os.path.join(self.folder.name, "count")
        if os.path.exists(out):
            os.remove(out)
        emulator = [self.args.qemu, "-cpu", cpu, "-plugin", "%s,out=%s" % (self.plugin, out)]
        environment = dict(ENVIRONMENT)
        if peer:
            environment["RUNNER"] = " ".join(emulator)
        else:
            command = emulator + ["-L", self.args.sysroot] + command
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if run.returncode != 0 or not os.path.exists(out):
            raise SystemExit("%s: %s" % (" ".join(command), run.stderr.decode(errors="replace")[-400:]))
        with open(out) as file:
            return int(file.read())

    def slope(self, cpu, command, option, other, counts, peer):
        few, many = (self.run(cpu, command + [option, str(n), other, "0"], peer) for n in counts)
        return (many - few) / (counts[1] - counts[0])


# CPU as qemu names it, table.
TABLES = (("cortex-a53", "neon"), ("cortex-a76", "neondot"), ("max", "neoni8mm"))
TYPES = "q8 q4 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0 ternary".split()


def layers(counter, program, rows):
    """Instructions for a weight and row: of one row, of several."""
    weights = 64 * 1024  # linear_time.cc's
    print("| type |" + "".join(" %s, %s |" % (table, "1 row" if n == 1 else "%d rows" % n) for _, table in TABLES for n in rows))
    print("| --- |" + " ---: |" * (len(TABLES) * len(rows)), flush=True)
    for kind in TYPES:
        line = "| %s |" % kind
        for cpu, table in TABLES:
            for n in rows:
                few, many = (counter.run(cpu, [program, table, kind, str(n), str(repeats)], False) for repeats in (1, 5))
                line += " %.3f |" % ((many - few) / 4 / weights / n)
        print(line, flush=True)


# The models of --table. Layers: of the whole model, and the two numbers that are measured where the whole would take too long: all
# layers cost the same, so that the rest lies on the line through the two.
Subject = collections.namedtuple("Subject", "title shape kind layers measured prompt")
SUBJECTS = (
    Subject("SmolLM2's shape, Q4_0", "smollm2-135m", "Q4_0", 30, (1, 3), (24, 72)),
    Subject("TinyLlama's shape, Q4_0", "tinyllama-1.1b", "Q4_0", 22, (1, 3), (4, 12)),
)
# For the shipped model, whose single K=V row llama.cpp has no form for: a Llama of the same width, layers, heads, vocabulary and, with
# its third matrix, nearly as many weights, with one head for keys and values.
DEMO = "stories-qmqa"
DEMO_SHAPE = ("llama", 256, 4, 16, 1, 16, 672, 1024, True)
DECODE = (2, 6)


def at_layers(layers, measured, counts):
    """What `layers` layers cost, from what the two measured numbers of layers do."""
    return counts[0] + (counts[1] - counts[0]) * (layers - measured[0]) / (measured[1] - measured[0])


def table(counter, args):
    """Instructions per token of three models on four processors, the same bits in both runtimes but for the shipped model."""
    scripts = args.peer_scripts or (args.peer and os.path.dirname(os.path.abspath(args.peer)))
    host = args.host_peer or args.peer

    def ours(cpu, file, kind, counts):
        return counter.slope(cpu, own_command(args, file), *kind, counts, False)

    def theirs(cpu, file, kind, counts):
        return counter.slope(cpu, peer_command(args, file), *kind, counts, True) if args.peer and file else None

    print("| model | -cpu | token | llama.cpp | thimble | ratio |\n| --- | --- | --- | ---: | ---: | ---: |", flush=True)

    def row(title, cpu, name, mine, other):
        print("| %s | %s | %s | %s | %.2f M | %s |" % (title, cpu, name, "%.2f M" % (other / 1e6) if other else "-", mine / 1e6,
                                                      "%.2f" % (mine / other) if other else "-"), flush=True)

    models = args.models.split(",")
    demo_gguf = gguf_model(host, scripts, args.work, DEMO, "Q8_0", shape_of=DEMO_SHAPE) if args.peer and DEMO in models else None
    for cpu in args.cpus.split(":") if DEMO in models else ():
        for name, kind, counts in (("decoded", ("-n", "-p"), (8, 40)), ("prompt", ("-p", "-n"), (32, 96))):
            log("%s, %s, %s" % (DEMO, cpu, name))
            row("shipped model", cpu, name, ours(cpu, args.model or DEMO_MODEL, kind, counts), theirs(cpu, demo_gguf, kind, counts))
    for subject in SUBJECTS:
        if subject.shape not in models:
            continue
        files = [gguf_model(host, scripts, args.work, subject.shape, subject.kind, layers=layers) for layers in subject.measured or (None,)]
        if None in files:
            log("no %s for %s: it takes --peer and its make_gguf.py" % (subject.kind, subject.shape))
            continue
        own = [carried_model(args.host_thimble or args.thimble, file, () if args.host_thimble else counter.plain) for file in files]
        for cpu in args.cpus.split(":"):
            for name, kind, counts in (("decoded", ("-n", "-p"), DECODE), ("prompt", ("-p", "-n"), subject.prompt)):
                log("%s, %s, %s" % (subject.title, cpu, name))
                mine = [ours(cpu, file, kind, counts) for file in own]
                other = [theirs(cpu, file, kind, counts) for file in files]
                if subject.measured:
                    mine = [at_layers(subject.layers, subject.measured, mine)]
                    other = [at_layers(subject.layers, subject.measured, other)] if other[0] else other
                row(subject.title, cpu, name, mine[0], other[0])


def own_command(args, file):
    return [args.thimble, "bench", "-m", file, "-t", "1", "-r", "1", "--no-warmup", "--no-limits", "-ub", "512", "--kv", args.kv, "-o", "json"]


def peer_command(args, file):
    return [args.peer, "llama-bench", "-m", file, "-t", "1", "-r", "1", "--no-warmup", "-fa", "1", "-o", "json"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--thimble", help="the program, built for aarch64")
    ap.add_argument("--work", help="folder for models")
    ap.add_argument("--layers", help="instead: bench_linear, built for aarch64; no model is needed")
    ap.add_argument("--table", action="store_true", help="instead: the shipped model and two shapes, on --cpus")
    ap.add_argument("--models", default=",".join([DEMO] + [subject.shape for subject in SUBJECTS]), help="with --table: which of these")
    ap.add_argument("--host-thimble", help="thimble for this machine, to convert with; default: the arm64 one")
    ap.add_argument("--rows", default="1,32", help="with --layers: the numbers of rows")
    ap.add_argument("--peer", help="launcher of the arm64 peer (ARCH=arm64 get_peer.sh)")
    ap.add_argument("--peer-scripts", help="folder with make_gguf.py, for models that are not in --work yet")
    ap.add_argument("--host-peer", help="the peer for this machine, to quantise with; default: the arm64 one")
    ap.add_argument("--cpus", help="separated by colons, as qemu names them; default: cortex-a72:cortex-a76:max, with --table cortex-a53, too")
    ap.add_argument("--shape", default="smollm2-135m")
    ap.add_argument("--weights", default="q4")
    ap.add_argument("--decode", default="4,12", help="the two numbers of decoded tokens")
    ap.add_argument("--prompt", default="32,96", help="the two numbers of prompt tokens")
    ap.add_argument("--kv", default="q8", help="type of our cache; the peer has f16")
    ap.add_argument("--model", help="a .thimble file instead of the shape")
    ap.add_argument("--qemu", default="qemu-aarch64")
    ap.add_argument("--sysroot", default="/usr/aarch64-linux-gnu")
    args = ap.parse_args()
    counter = Counter(args)
    if args.layers:
        layers(counter, args.layers, [int(n) for n in args.rows.split(",")])
        return
    if not args.thimble or not args.work:
        ap.error("--thimble and --work, or --layers")
    os.makedirs(args.work, exist_ok=True)
    args.cpus = args.cpus or ("cortex-a53:" if args.table else "") + "cortex-a72:cortex-a76:max"
    if args.table:
        table(counter, args)
        return
    own = args.model or thimble_model(args.thimble, args.work, args.shape, args.weights, counter.plain)
    peer = None
    if args.peer:
        peer = peer_model(args.host_peer or args.peer, args.peer_scripts or os.path.dirname(os.path.abspath(args.peer)),
                          args.work, args.shape, args.weights)
    kinds = (("decoded", "-n", "-p", [int(x) for x in args.decode.split(",")]),
             ("prompt", "-p", "-n", [int(x) for x in args.prompt.split(",")]))
    print("| -cpu | token | llama.cpp | thimble | ratio |\n| --- | --- | ---: | ---: | ---: |", flush=True)
    for cpu in args.cpus.split(":"):
        for name, option, other, counts in kinds:
            log("%s, %s" % (cpu, name))
            mine = counter.slope(cpu, own_command(args, own), option, other, counts, False)
            theirs = counter.slope(cpu, peer_command(args, peer), option, other, counts, True) if peer else None
            print("| %s | %s | %s | %.2f M | %s |" % (cpu, name, "%.2f M" % (theirs / 1e6) if theirs else "-", mine / 1e6,
                                                     "%.2f" % (mine / theirs) if theirs else "-"), flush=True)


if __name__ == "__main__":
    sys.exit(main())
