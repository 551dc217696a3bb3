#!/usr/bin/env python3
"""Are our ids and decoded texts those of the libraries that the files come from?

    check_tokenizers.py --thimble build/host/bin/thimble --work DIR [--strings 5000] [--seed 1] [TOKENIZER...]
    check_tokenizers.py --speed build/host/bin/bench_tokenize --work DIR [--text FILE] [--rounds 15] [TOKENIZER...]

A TOKENIZER is a tokenizer.json (read by PyPI's tokenizers), a SentencePiece .model (by PyPI's sentencepiece), or a .json.xz.
Without one: the small ones in tests/golden/tokenizers, and those of the shared data where it lies (THIMBLE_SHARED_DATA,
else shared/data beside the checkout). Each is given --strings generated texts in all, with and without special pieces read;
what comes back is decoded again. `--strings 1000000` is for a night. --speed encodes a text on both sides in turn and prints
how many times as fast ours is. The packages are fetched by pip into DIR where they are not installed. Exit status 1 where
anything differs (the first ten are shown), 77 (skipped) where pip gives no package.
"""
import argparse
import importlib
import json
import lzma
import os
import subprocess
import sys
import threading
import time
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
from generated_texts import Texts  # noqa: E402

PACKAGES = {"tokenizers": "tokenizers==0.23.3", "sentencepiece": "sentencepiece==0.2.3"}
SKIPPED = 77
SHOWN = 10
BATCH = 500


def package(name, work):
    folder = os.path.join(work, "python")
    os.makedirs(folder, exist_ok=True)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ImportError:
        command = [sys.executable, "-m", "pip", "install", "--target", folder, "--no-deps", "--retries", "0", "--timeout", "20",
                   "--disable-pip-version-check", "-q", PACKAGES[name]]
        said = "not within five minutes"
        try:
            said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300).stdout
            importlib.invalidate_caches()
            return importlib.import_module(name)
        except (subprocess.TimeoutExpired, ImportError):
            print("SKIP: pip gives no %s: %s" % (PACKAGES[name], (said.strip().splitlines() or ["nothing"])[-1]))
            sys.exit(SKIPPED)


class Tokenizers:
    """A tokenizer.json as its own library reads it."""

    def __init__(self, path, work):
        library = package("tokenizers", work).Tokenizer
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        added = said.get("added_tokens") or []
        self.tokenizer = self.plain = library.from_str(json.dumps(said))
        self.specials = [token["content"] for token in added]
        self.modes = (False, True)
        self.unknown = None
        if said["model"]["type"] == "Unigram":
            # Whose model finds special pieces by their names in a text that is read as one. Ours does not.
            for token in added:
                said["model"]["vocab"][token["id"]][0] = "\ue000%d" % token["id"]
            said.update(added_tokens=[], post_processor=None)
            self.plain = library.from_str(json.dumps(said))
            self.unknown = said["model"]["unk_id"]

    def encode(self, texts, special):
        tokenizer = self.tokenizer if special else self.plain
        tokenizer.encode_special_tokens = not special
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids):
        return self.tokenizer.decode_batch(ids, skip_special_tokens=True)

    def comparable(self, text):
        """Is there one right answer? A character map is applied to clusters of characters by the library: see unigram_json.cc."""
        def mark(c):
            return unicodedata.category(c).startswith("M") or c in "\u0e33\u0eb3\u200c\u200d"

        return self.plain is self.tokenizer or not any(mark(b) and (mark(a) or unicodedata.normalize("NFKC", a) != a) for a, b in zip(text, text[1:]))


class SentencePiece:
    """A .model, which knows special pieces by their ids only."""
    unknown = None

    def __init__(self, path, work):
        self.processor = package("sentencepiece", work).SentencePieceProcessor(model_file=path)
        self.specials = []
        self.modes = (False,)

    def encode(self, texts, special):
        return self.processor.encode(texts, num_threads=1)

    def decode(self, ids):
        return self.processor.decode(ids)

    def comparable(self, text):
        return True


class Ours:
    def __init__(self, thimble, path):
        self.process = subprocess.Popen([thimble, "tokenize", "--tokenizer", path, "--no-bos", "--jsonl"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, questions):
        lines = "".join(json.dumps(question) + "\n" for question in questions).encode()
        writer = threading.Thread(target=lambda: (self.process.stdin.write(lines), self.process.stdin.flush()))
        writer.start()
        answers = [self.process.stdout.readline() for _ in questions]
        writer.join()
        if not answers[-1]:
            sys.exit("thimble ended: exit status %s" % self.process.wait())
        return [json.loads(answer) for answer in answers]

    def encode(self, texts, special):
        return self.ask([{"text": text, "special": special} for text in texts])

    def decode(self, ids):
        return [answer.get("text", answer) for answer in self.ask([{"ids": some} for some in ids])]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def unpacked(path, work):
    if not path.endswith(".xz"):
        return path
    folder = os.path.join(work, os.path.basename(path).split(".")[0])
    os.makedirs(folder, exist_ok=True)
    plain = os.path.join(folder, "tokenizer.json")
    if not os.path.exists(plain):
        with lzma.open(path) as packed, open(plain + ".part", "wb") as file:
            file.write(packed.read())
        os.replace(plain + ".part", plain)
    return plain


def known():
    small = os.path.join(ROOT, "tests", "golden", "tokenizers")
    for name in sorted(os.listdir(small)):
        for file in ("tokenizer.json", "tokenizer.model"):
            if os.path.exists(os.path.join(small, name, file)):
                yield os.path.join(small, name, file)
    # Not charsmap/unigram.model, whose piece of two spaces ties with itself where U+2581 stands in a text.
    for name in ("charsmap/bpe.model", "unigram/bytes.model", "unigram/unknown.model"):
        yield os.path.join(ROOT, "tests", "golden", name)
    shared = os.environ.get("THIMBLE_SHARED_DATA") or os.path.join(os.path.dirname(ROOT), "shared", "data")
    for name in ("hf/gemma3.tokenizer.json.xz", "hf/qwen3.tokenizer.json.xz", "hf/gptoss.tokenizer.json.xz",
                 "hf/deepseek_v3.tokenizer.json.xz", "hf_tokenizer.json", "llama2_tokenizer.model"):
        path = os.path.join(shared, "tokenizers", name)
        if os.path.exists(path):
            yield path


def check(path, arguments, count):
    """Returns how many texts differ."""
    plain = unpacked(path, arguments.work)
    reference = (SentencePiece if plain.endswith(".model") else Tokenizers)(plain, arguments.work)
    ours = Ours(arguments.thimble, plain)
    texts = Texts(arguments.seed, reference.specials)
    differ = done = 0

    def report(what, text, theirs, mine):
        nonlocal differ
        differ += 1
        if differ <= SHOWN:
            print("%s: %s of %s\n  theirs %s\n  ours   %s" % (path, what, ascii(text), ascii(theirs), ascii(mine)))

    while done < count:
        some = [texts.text() for _ in range(min(BATCH, count - done))]
        done += len(some)
        some = [text for text in some if reference.comparable(text)]
        for special in reference.modes:
            ids = reference.encode(some, special)
            for text, theirs, mine in zip(some, ids, ours.encode(some, special)):
                if theirs != mine:
                    report("special ids" if special else "ids", text, theirs, mine)
            for some_ids, theirs, mine in zip(ids, reference.decode(ids), ours.decode(ids)):
                # Added tokens spelled like bytes are those bytes to the library, which are no UTF-8; ours gives the spelling back.
                if theirs != mine and reference.unknown not in some_ids and theirs.count("\ufffd") <= mine.count("\ufffd"):
                    report("text", some_ids, theirs, mine)
    ours.close()
    print("%s: %d texts, %d differences" % (os.path.relpath(path, ROOT), done, differ), flush=True)
    return differ


def compare_speed(path, arguments):
    """How many times as fast ours is, in processor time, both sides timed inside of their process: --text, or the project's own pages,
    as one text and line by line, each side in turn, medians."""
    plain = unpacked(path, arguments.work)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    reference = (SentencePiece if plain.endswith(".model") else Tokenizers)(plain, arguments.work)
    pages = [arguments.text] if arguments.text else sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(ROOT) for name in names if name == "README.md" and "build" not in folder)
    text = ""
    for page in pages:
        with open(page, encoding="utf-8", newline="") as file:
            text += file.read()
    together = os.path.join(arguments.work, "text")
    with open(together, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    texts = {"whole": [text], "lines": [line for line in text.split("\n") if line]}
    ours = subprocess.Popen([arguments.speed, plain, together], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    taken = {what: ([], []) for what in texts}
    for _ in range(arguments.rounds):
        for what, some in texts.items():
            start = time.process_time()
            ids = reference.encode(some, False)
            taken[what][0].append(time.process_time() - start)
            ours.stdin.write(what + "\n")
            ours.stdin.flush()
            seconds, count = ours.stdout.readline().split()
            taken[what][1].append(float(seconds))
            if int(count) != sum(map(len, ids)):
                sys.exit("%s: %s ids, and %d of the library" % (path, count, sum(map(len, ids))))
    ours.stdin.close()
    ours.wait()
    print("%s: %s" % (os.path.relpath(path, ROOT), ", ".join(
        "%s (%d of %.0f characters) %.2f ms, theirs %.2f: %.2f times as fast" % (
            what, len(texts[what]), len(text) / len(texts[what]), 1000 * middle(mine), 1000 * middle(theirs),
            middle([a / b for a, b in zip(theirs, mine)])) for what, (theirs, mine) in taken.items())), flush=True)


def middle(values):
    return sorted(values)[len(values) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble")
    parser.add_argument("--work", required=True)
    parser.add_argument("--strings", type=int, default=5000)
    parser.add_argument("--each", action="store_true", help="so many strings for each tokenizer, not in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", metavar="BENCH_TOKENIZE")
    parser.add_argument("--text")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("tokenizers", nargs="*")
    arguments = parser.parse_args()
    if not arguments.speed and not arguments.thimble:
        parser.error("needs --thimble, or --speed")
    paths = arguments.tokenizers or list(known())
    if arguments.speed:
        for path in paths:
            compare_speed(path, arguments)
        return
    count = arguments.strings if arguments.each else -(-arguments.strings // len(paths))
    differ = sum([check(path, arguments, count) for path in paths])
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
