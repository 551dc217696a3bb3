"""llama.cpp's side of quality.py: its types and caches against its own f32 computation, by its own tool, on the same text."""
import hashlib
import json
import os
import re
import subprocess

from models import log

# What llama-perplexity prints, and what `thimble quality --json` calls the same.
FIGURES = {"kl_mean": r"Mean\s+KLD:\s+(\S+)", "kl_mean_se": r"Mean\s+KLD:\s+\S+ ±\s+(\S+)", "kl_median": r"Median\s+KLD:\s+(\S+)",
           "kl_p99": r"99\.0%\s+KLD:\s+(\S+)", "top1": r"Same top p:\s+(\S+)", "perplexity_ref": r"Mean PPL\(base\)\s*:\s+(\S+)",
           "perplexity_ratio": r"Mean PPL\(Q\)/PPL\(base\)\s*:\s+(\S+)",
           "perplexity_ratio_se": r"Mean PPL\(Q\)/PPL\(base\)\s*:\s+\S+ ±\s+(\S+)"}


class Peer:
    """`folder` keeps models and figures, which do not change with thimble: what was measured on this text is not measured again.
    `rest` is a file with text that is not judged, for the importance matrix."""

    def __init__(self, launcher, gguf, text, rest, windows, threads, folder):
        os.makedirs(folder, exist_ok=True)
        self.launcher, self.gguf, self.text, self.rest = launcher, gguf, text, rest
        self.windows, self.threads, self.folder = windows, threads, folder
        with open(text, "rb") as file:
            name = "%s-%d" % (hashlib.sha256(file.read()).hexdigest()[:12], windows)
        self.base, self.kept = os.path.join(folder, name + ".base"), os.path.join(folder, name + ".json")
        self.known = {}
        if os.path.exists(self.kept):
            with open(self.kept) as file:
                self.known = json.load(file)

    def run(self, *command):
        run = subprocess.run([self.launcher, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder)
        said = run.stdout.decode(errors="replace")
        if run.returncode != 0:
            raise SystemExit("%s: %s" % (" ".join(command), said[-400:]))
        return said

    def imatrix(self):
        path = os.path.join(self.folder, "%d.imatrix" % self.windows)
        if not os.path.exists(path):
            log("llama.cpp: the importance matrix, 60 windows")
            self.run("llama-imatrix", "-m", self.model("F32"), "-f", self.rest, "-c", "512", "--chunks", "60", "-o", path + ".part",
                     "-t", str(self.threads))
            os.replace(path + ".part", path)
        return path

    def reference(self):
        """Its own logits, from the file's weights widened to f32. Its tool scores second halves, as quality.py asks of thimble."""
        if not os.path.exists(self.base):
            log("llama.cpp: f32")
            self.run("llama-perplexity", "-m", self.model("F32"), "-f", self.text, "-c", "512", "--chunks", str(self.windows),
                     "--kl-divergence-base", self.base + ".part", "-t", str(self.threads))
            os.replace(self.base + ".part", self.base)
        return self.base

    def model(self, kind):
        """The file of a type: "as-is" or what llama-quantize calls it. F32 is the file's own weights; the others are made of it."""
        if kind == "as-is":
            return self.gguf
        path = os.path.join(self.folder, kind + ".gguf")
        if not os.path.exists(path):
            source, options = self.gguf, ["--allow-requantize"]
            if kind != "F32":
                source, options = self.model("F32"), [] if kind == "Q8_0" else ["--imatrix", self.imatrix()]
            self.run("llama-quantize", *options, source, path + ".part", kind)
            os.replace(path + ".part", path)
        return path

    def measure(self, kind, cache):
        """The figures of `thimble quality --json` as far as the tool has them, and the bytes of the file."""
        name = kind + " " + cache
        if name not in self.known:
            model, base = self.model(kind), self.reference()
            log("llama.cpp: " + name)
            self.known[name] = self.judge(model, base, cache)
            with open(self.kept, "w") as file:
                json.dump(self.known, file, indent=1)
        return self.known[name]

    def judge(self, model, base, cache):
        said = self.run("llama-perplexity", "-m", model, "--kl-divergence", "--kl-divergence-base", base, "--chunks",
                        str(self.windows), "-t", str(self.threads), "-fa", "on", "-ctk", cache, "-ctv", cache)
        figures = {"file_bytes": os.path.getsize(model)}
        for name, pattern in FIGURES.items():
            found = re.search(pattern, said)
            if not found:
                raise SystemExit("llama-perplexity does not say %s: %s" % (name, said[-400:]))
            figures[name] = float(found.group(1).rstrip("%"))
        figures["top1"] /= 100
        return figures
