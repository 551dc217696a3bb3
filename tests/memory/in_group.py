#!/usr/bin/env python3
"""Runs the program in control groups of its own with little memory: what a plan says is enough, and weights larger than memory
decode all the same.

    in_group.py --thimble build/host/bin/thimble --read-ahead build/host/bin/read_ahead --work DIR

Exit status 77 (skipped) where groups cannot be made: that takes root, and a memory controller of version 1 or 2. Beside what decoding
reads it says how fast the medium gives a file that no cache holds.
"""
import argparse
import json
import os
import subprocess
import sys
import time

# Of the group, beside what the plan counts: the program's own heap and pages of its file that it is the first to touch, page tables, kernel
# stacks, and batches in which the kernel takes memory for a group (64 pages for each processor).
CONSTANT = 4 << 20


class Group:
    """A child of the group that this process is in; or of the root, where that is not the parent of any process."""

    def __init__(self, name, limit):
        self.path = None
        for version, controller, root, file in ((1, "memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                                                (2, "", "/sys/fs/cgroup", "memory.max")):
            own = own_group(controller)
            if own is None or not os.path.isdir(root):
                continue
            path = os.path.join(root + own, "%s-%d" % (name, os.getpid()))
            try:
                os.mkdir(path)
            except OSError:
                continue
            self.path, self.version = path, version
            try:
                self.write(file, limit)
                if version == 2:
                    self.write("memory.swap.max", 0, needed=False)
                else:
                    self.write("memory.swappiness", 0, needed=False)
                return
            except OSError:
                self.remove()
        raise SystemExit(skip("no control group can be made here: that takes root and a memory controller"))

    def write(self, file, value, needed=True):
        try:
            with open(os.path.join(self.path, file), "w") as out:
                out.write(str(value))
        except OSError:
            if needed:
                raise

    def number(self, file, key=None):
        try:
            with open(os.path.join(self.path, file)) as lines:
                for line in lines:
                    words = line.split()
                    if key is None:
                        return int(words[0])
                    if words[0] == key:
                        return int(words[1])
        except (OSError, ValueError):
            pass
        return None

    def peak(self):
        return self.number("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak")

    def kills(self):
        return self.number("memory.oom_control" if self.version == 1 else "memory.events", "oom_kill")

    def run(self, command):
        def enter():
            with open(os.path.join(self.path, "cgroup.procs"), "w") as out:
                out.write(str(os.getpid()))
        start = time.monotonic()
        done = subprocess.run(command, preexec_fn=enter, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        done.seconds = time.monotonic() - start
        return done

    def remove(self):
        if self.path is None:
            return
        self.write("memory.force_empty", 0, needed=False)
        try:
            os.rmdir(self.path)
        except OSError as error:
            print("left behind: %s: %s" % (self.path, error))
        self.path = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def own_group(controller):
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, names, path = line.rstrip("\n").split(":", 2)
            if controller in names.split(",") if controller else names == "":
                return "" if path == "/" else path
    return None


def skip(why):
    print("SKIP: " + why)
    return 77


def drop(path):
    """The file's pages leave the system's cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_rate(path):
    drop(path)
    buffer = bytearray(8 << 20)
    start, total = time.monotonic(), 0
    with open(path, "rb", buffering=0) as file:
        while True:
            n = file.readinto(buffer)
            if not n:
                break
            total += n
    rate = total / (time.monotonic() - start)
    drop(path)
    return rate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--model", help="instead of a model of SmolLM2's shape that is made for this")
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--read-ahead", help="the program of read_ahead.cc")
    parser.add_argument("--pairs", type=int, default=10, help="of steps with weights read ahead and without")
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    with Group("thimble-probe", 64 << 20):
        pass
    model, made = arguments.model, None
    if model is None:
        model = made = os.path.join(arguments.work, "in-group.thimble")
        subprocess.run([arguments.thimble, "convert", "--shape", "smollm2-135m", "-o", model, "--pack", "host", "-q"], check=True)
    failures = 0

    def check(what, condition):
        nonlocal failures
        print("%s: %s" % ("ok" if condition else "FAILED", what))
        failures += not condition

    options = [model, "-c", "128", "-t", "2"]
    plan = json.loads(subprocess.run([arguments.thimble, "plan"] + options + ["--json"], check=True, capture_output=True, text=True).stdout)
    anonymous, file = plan["anonymous_bytes"], plan["file_backed_bytes"]
    run = [arguments.thimble, "run"] + options + ["--ids", "1,2,3,4,5,6,7,8", "-n", str(arguments.tokens), "--temp", "0", "--ignore-eos", "--json"]
    print("plan: %d anonymous, %d file-backed" % (anonymous, file))

    expected = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)["ids"]
    drop(model)
    with Group("thimble-plan", anonymous + file + CONSTANT) as group:
        done = group.run(run)
        check("a group of plan + %d runs; peak %s" % (CONSTANT, group.peak()), done.returncode == 0 and group.kills() in (0, None))
        if done.returncode == 0:
            said = json.loads(done.stdout)
            check("its text is the same", said["ids"] == expected)
            check("it read the file once: %d" % said["measured"]["disk_bytes_read"], said["measured"]["disk_bytes_read"] <= file)
        else:
            print(done.stderr)
    drop(model)
    limit = max(file // 2, anonymous + CONSTANT)
    with Group("thimble-half", limit) as group:
        done = group.run(run)
        check("a group of %d, half of the file, runs" % limit, done.returncode == 0 and group.kills() in (0, None))
        check("it says that the file does not fit", "read from the file again and again" in done.stderr)
        if done.returncode == 0:
            said = json.loads(done.stdout)
            check("its text is the same", said["ids"] == expected)
            rate = said["measured"]["disk_bytes_read"] / done.seconds
            check("it read the file again and again: %d bytes" % said["measured"]["disk_bytes_read"], said["measured"]["disk_bytes_read"] > file)
            print("read %.0f MB/s over the whole run of %.2f s, %.2f tokens/s" % (rate / 1e6, done.seconds, said["generated_tokens_per_second"]))
        else:
            print(done.stderr)
        text = group.run([word for word in run if word != "--json"]).stderr
        check("its summary says so", "larger than memory by" in text)
        print("\n".join(line for line in text.splitlines() if line.startswith(("file ", "generated"))))
    if arguments.read_ahead:
        drop(model)
        with Group("thimble-ahead", limit) as group:
            done = group.run([arguments.read_ahead, model, str(arguments.pairs)])
            print(done.stdout + done.stderr, end="")
            check("asking ahead saves faults where nothing else does, and is chosen where it is no slower", done.returncode == 0 and group.kills() in (0, None))
        print("the disk gives %.0f MB/s to a reader of the whole file" % (disk_rate(model) / 1e6))
    if made:
        os.remove(made)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
