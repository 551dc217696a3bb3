#!/usr/bin/env python3
"""Estimated cycles of the inner loops of the ARM kernels, by llvm-mca: a model of a processor, not a processor.

    loop_cycles.py build/rpi-aarch64 [--mca llvm-mca-19] [--show]

Of each kernel the disassembly of its object file gives the innermost loop with the most multiplications (a loop: from the target of
a branch backwards to that branch). llvm-mca says how long 100 of its turns take if all data lie in the first cache and every branch
is foreseen. Needs binutils' aarch64-linux-gnu-objdump and Debian's llvm-19 (14 takes the Cortex-A57's tables for all but the A53).
"""
import argparse
import collections
import os
import re
import subprocess
import sys

# What llvm-mca calls a processor, and what the table does. Its tables for cortex-a76 and cortex-x1 are the Cortex-A57's; those of
# their twins for servers are their own.
CPUS = (("cortex-a53", "cortex-a53"), ("cortex-a72", "cortex-a72"), ("cortex-a76", "cortex-a76"), ("neoverse-n1", "neoverse-n1 (A76)"),
        ("cortex-x1", "cortex-x1"), ("neoverse-v1", "neoverse-v1 (X1)"))
DOT = [cpu for cpu, _ in CPUS if cpu not in ("cortex-a53", "cortex-a72")]
ALL = [cpu for cpu, _ in CPUS]
OWN = "thimble_ops.dir/neon/"
XNN = "-minmax-neon-mlal"

Kernel = collections.namedtuple("Kernel", "what table file function cpus")
KERNELS = (
    Kernel("q8, 1 row", "neon", "qc8w-gemm-1x8c2s4" + XNN, r".", ALL),
    Kernel("q8, 2 rows", "neon", "qc8w-gemm-2x8c2s4" + XNN, r".", ALL),
    Kernel("q4, 1 row", "neon", "qb4w-gemm-1x16" + XNN, r".", ALL),
    Kernel("q4, 6 rows", "neon", "qb4w-gemm-6x16" + XNN, r".", ALL),
    Kernel("Q4_K, 1 row", "neon", OWN + "linear_blocks_neon.cc", r"RunBlocks<.*, 7>", ALL),
    Kernel("Q4_K, several rows", "neon", OWN + "linear_blocks_neon.cc", r"AllRows<true, 1, 31>", ALL),
    Kernel("attention, scores", "neon", OWN + "attention_neon.cc", r"\bScores\(", ALL),
    Kernel("attention, values", "neon", OWN + "attention_neon.cc", r"\bValues\(", ALL),
    Kernel("q8, 1 row", "neondot", OWN + "linear_neondot.cc", r"LinearQ8NeonDot", DOT),
    Kernel("q8, 4 rows", "neondot", OWN + "linear_neondot.cc", r"Q8::Rows<4>", DOT),
    Kernel("q4, 1 row", "neondot", OWN + "linear_neondot.cc", r"LinearQ4NeonDot", DOT),
    Kernel("q4, 4 rows", "neondot", OWN + "linear_neondot.cc", r"Q4::Half<4>", DOT),
    Kernel("Q4_K, 1 row", "neondot", OWN + "linear_blocks_neondot.cc", r"RunBlocks<.*, 7>", DOT),
    Kernel("Q4_K, several rows", "neondot", OWN + "linear_blocks_neondot.cc", r"AllRows<true, 1>", DOT),
    Kernel("attention, scores", "neondot", OWN + "attention_neondot.cc", r"\bScores\(", DOT),
    Kernel("attention, values", "neondot", OWN + "attention_neondot.cc", r"\bValues\(", DOT),
)

Line = collections.namedtuple("Line", "address text target")


def find_object(build, part):
    for folder, _, files in os.walk(build):
        for file in files:
            path = os.path.join(folder, file)
            if file.endswith(".o") and part in path:
                return path
    raise SystemExit("%s: has no object file with %s in its path; build bench_linear there" % (build, part))


def functions(objdump, path):
    """(name, [Line]) of each function of an object file."""
    text = subprocess.run([objdump, "-d", "-C", "--no-show-raw-insn", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    name, lines = None, []
    for row in text.split("\n"):
        head = re.match(r"[0-9a-f]+ <(.*)>:$", row)
        if head:
            if lines:
                yield name, lines
            name, lines = head.group(1), []
            continue
        code = re.match(r" *([0-9a-f]+):\t(.*)$", row)
        if code and not code.group(2).startswith(".word"):
            instruction = re.sub(r"\s*(//.*)?$", "", code.group(2))
            jump = re.match(r"(?:b|b\.\w+|cbn?z|tbn?z)\t(?:.*, )?([0-9a-f]+)(?: <|$)", instruction)
            lines.append(Line(int(code.group(1), 16), instruction, int(jump.group(1), 16) if jump else None))
    if lines:
        yield name, lines


def products(text):
    """Numbers that an instruction multiplies with others."""
    name, _, operands = text.partition("\t")
    first = re.match(r"v\d+\.(\d+)([bhsd])", operands)
    if not first:
        return 0
    lanes = int(first.group(1))
    if re.match(r"(s|u|us|su)dot$", name):
        return lanes * 4
    if re.match(r"(s|u|us)mmla$", name):
        return 32
    if re.match(r"(s|u)?ml[as]l?2?$|(s|u)?mull?2?$|fml[as]l?2?$|fmul$", name):
        return lanes
    return 0


def hottest_loop(lines):
    """Of the loops without a loop inside, the one that multiplies most; at least as many instructions, where several do."""
    loops = []
    for i, line in enumerate(lines):
        if line.target is not None and lines[0].address <= line.target <= line.address:
            first = next(j for j, other in enumerate(lines) if other.address == line.target)
            loops.append((first, i))
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return max((lines[first:last + 1] for first, last in inner),
               key=lambda loop: (sum(products(line.text) for line in loop), len(loop)), default=[])


def assembly(loop):
    """As an assembler takes it: branches go to the loop's start or out of it."""
    text = ["again:"]
    for line in loop:
        if line.target is None:
            text.append(re.sub(r" <.*>", "", line.text))
        else:
            where = "again" if line.target == loop[0].address else "out"
            text.append(re.sub(r"[0-9a-f]+( <.*>)?$", where, line.text))
    return "\n".join(text + ["out:", ""])


def cycles(mca, cpu, text):
    """Of one turn, at full speed."""
    run = subprocess.run([mca, "-mtriple=aarch64-linux-gnu", "-mcpu=" + cpu, "-mattr=+dotprod,+fullfp16", "-iterations=100"],
                         input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    total = re.search(r"Total Cycles: +(\d+)", run.stdout.decode())
    if run.returncode != 0 or not total:
        raise SystemExit("%s -mcpu=%s: %s\n%s" % (mca, cpu, run.stderr.decode()[:400], text))
    return int(total.group(1)) / 100


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("build", help="folder of a build for aarch64, with bench_linear")
    ap.add_argument("--mca", default="llvm-mca-19")
    ap.add_argument("--objdump", default="aarch64-linux-gnu-objdump")
    ap.add_argument("--show", action="store_true", help="the loops, too")
    args = ap.parse_args()
    print("| kernel | table | instructions | products | " + " | ".join(name for _, name in CPUS) + " |")
    print("| --- | --- | ---: | ---: |" + " ---: |" * len(CPUS))
    for kernel in KERNELS:
        found = [hottest_loop(lines) for name, lines in functions(args.objdump, find_object(args.build, kernel.file))
                 if re.search(kernel.function, name)]
        loop = max(found, key=lambda lines: sum(products(line.text) for line in lines), default=[])
        multiplied = sum(products(line.text) for line in loop)
        if multiplied == 0:
            raise SystemExit("%s, %s: there is no loop that multiplies in %s" % (kernel.what, kernel.table, kernel.function))
        text = assembly(loop)
        if args.show:
            print(text, file=sys.stderr)
        row = []
        for cpu, _ in CPUS:
            turn = cycles(args.mca, cpu, text) if cpu in kernel.cpus else 0
            row.append("%.0f (%.1f)" % (turn, multiplied / turn) if turn else "-")
        print("| %s | %s | %d | %d | %s |" % (kernel.what, kernel.table, len(loop), multiplied, " | ".join(row)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
