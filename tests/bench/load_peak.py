#!/usr/bin/env python3
"""What loading a model and reading 300 of 4,096 tokens take of anonymous memory, as another process sees it a thousand times a second;
beside the plan, and beside llama.cpp.

    load_peak.py --thimble build/host/bin/thimble --model tinyllama-packed.thimble [--peer peer/peer --peer-model tinyllama-Q4_0.gguf]
    load_peak.py --thimble build/host/bin/thimble --work DIR     makes a model of TinyLlama's shape, packed for this machine (0.6 GB)

The model is packed for this machine's kernels (`thimble pack`), so that nothing is packed when it is loaded. Anonymous bytes are resident
minus shared pages of /proc/PID/statm, of the whole process. Exit status 1 where the peak is more than plan + 4 MiB, or where 300 tokens
take 10 % more or less than `plan --at 300`.
"""
import argparse
import json
import os
import subprocess
import sys
import time

CONTEXT, TOKENS, GENERATED = 4096, 300, 4
PAGE = os.sysconf("SC_PAGE_SIZE")
ALLOWED = 4 << 20


def sample(command):
    """(seconds, anonymous bytes, bytes of files), as often as once a millisecond, until the process ends."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    samples, start = [], time.monotonic()
    with open("/proc/%d/statm" % process.pid, "rb", buffering=0) as statm:
        turn = start
        while process.poll() is None:
            try:
                statm.seek(0)
                words = statm.read(256).split()
            except (OSError, ProcessLookupError):
                break
            if len(words) > 2 and int(words[1]) > 0:
                samples.append((time.monotonic() - start, (int(words[1]) - int(words[2])) * PAGE, int(words[2]) * PAGE))
            turn += 0.001
            time.sleep(max(0, turn - time.monotonic()))
    out = process.stdout.read()
    if process.wait() != 0:
        raise SystemExit("%s ended with %d" % (command[0], process.returncode))
    return samples, out


def report(name, samples, expected=None):
    # The process's own end, which gives everything back, is none of it.
    usual = sorted(s[1] for s in samples[len(samples) * 3 // 4:])[len(samples) // 8]
    while samples[-1][1] < usual:
        samples.pop()
    peak, last = max(s[1] for s in samples), samples[-1][1]
    rate = len(samples) / samples[-1][0]
    # The largest fall from a moment to a later one: what was there for a while only.
    spike, highest = 0, 0
    for _, anonymous, _ in samples:
        highest = max(highest, anonymous)
        spike = max(spike, highest - anonymous)
    print("| %s | %.1f | %.1f | %.1f | %s | %d at %.0f Hz |" % (name, peak / 1e6, last / 1e6, spike / 1e6,
                                                              "" if expected is None else "%.1f" % (expected / 1e6), len(samples), rate))
    return peak, last


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--model")
    parser.add_argument("--work")
    parser.add_argument("--peer")
    parser.add_argument("--peer-model")
    parser.add_argument("--threads", default="2")
    arguments = parser.parse_args()
    model = arguments.model
    if model is None:
        model = os.path.join(arguments.work, "load-peak.thimble")
        subprocess.run([arguments.thimble, "convert", "--shape", "tinyllama-1.1b", "--weights", "q4_0", "--pack", "host", "-o", model], check=True)

    options = [model, "-c", str(CONTEXT), "-t", arguments.threads]

    def plan(more):
        return json.loads(subprocess.run([arguments.thimble, "plan"] + options + more + ["--json"], check=True, capture_output=True).stdout)
    whole, early = plan([]), plan(["--at", str(TOKENS)])
    if whole["packed_weight_bytes"] != 0:
        raise SystemExit("%s: is not packed for this machine: thimble pack" % model)
    ids = ",".join(str(3 + i % 500) for i in range(TOKENS - GENERATED))
    run = [arguments.thimble, "run"] + options + ["--ids", ids, "-n", str(GENERATED), "--temp", "0", "--ignore-eos", "--json"]
    print("Megabytes, anonymous, of the whole process; %d of %d tokens, %s threads\n" % (TOKENS, CONTEXT, arguments.threads))
    print("| | peak | at the end | given back meanwhile | planned | samples |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    samples, out = sample(run)
    said = json.loads(out)
    peak, last = report("thimble", samples, early["touched_anonymous_bytes"])
    if arguments.peer:
        text = " ".join(["a"] * (TOKENS - GENERATED - 1))
        peer = [arguments.peer, "llama-completion", "-m", arguments.peer_model, "-c", str(CONTEXT), "-t", arguments.threads, "-p", text, "-n", str(GENERATED),
                "--temp", "0", "--ignore-eos", "-no-cnv", "--no-warmup"]
        report("llama.cpp", sample(peer)[0])
    planned, at = whole["anonymous_bytes"], early["touched_anonymous_bytes"]
    program = said["measured"]["program_anonymous_bytes"]
    own = said["measured"]["peak_anonymous_bytes"] - program
    print("\nplan: %d anonymous bytes reserved, %d at %d tokens; the program itself had %d before the engine was made, and %d more at the end"
          % (planned, at, TOKENS, program, own))
    failed = peak > at + ALLOWED or not 0.9 * at <= own <= 1.1 * at
    if failed:
        print("FAILED: the peak may be %d, the engine's share %d to %d" % (at + ALLOWED, 0.9 * at, 1.1 * at))
    return failed


if __name__ == "__main__":
    sys.exit(main())
