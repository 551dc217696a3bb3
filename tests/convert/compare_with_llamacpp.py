#!/usr/bin/env python3
"""Compares GGUF files with llama.cpp: bits of the weights, greedy ids, logits.

    compare_with_llamacpp.py --thimble PROGRAM --peer "PEER COMMAND" --work FOLDER [--shape S] [--type T]

PEER COMMAND is put before llama-quantize and llama-server ("" where they are in PATH). For every shape (llama,
qwen2, gemma: D 256, 3 layers, 700 ids, random F16 weights) and every type the peer quantises the file (Q), and
writes out again what its blocks mean (F32 export, E). Columns of the table:

  bits    converting Q and E to f32 gives the same file, byte for byte; with --pure, too
  v2      so does Q with the header of GGUF version 2
  ids     how many of 64 greedy ids, fp32 cache, are the peer's on E; (how many different ones there are)
  error   largest difference of a log probability from the peer's on E, along those 64 positions
  direct  how many ids are the peer's on Q itself, whose products round activations to 8 bits (or bfloat16)
  gap     where they part: our log probability of our id less that of the peer's id
  peer    largest change of a log probability there between the peer on E and the peer on Q
Only the Python standard library is used.
"""
import argparse
import json
import math
import os
import random
import shlex
import struct
import subprocess
import time
import urllib.request

U32, F32, STR, ARR, I32 = 4, 6, 8, 9, 5
V, D, L, F, CONTEXT, STEPS = 700, 256, 3, 512, 256, 64
SHAPES = {"llama": (4, 2, 64, False), "qwen2": (4, 2, 64, True), "gemma": (4, 1, 128, True)}  # H, G, d, tied
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M",
         "Q6_K"]
PROMPT = [1, 400, 412, 507, 633]
PORT = 18431


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def meta(key, kind, value):
    head = text(key) + struct.pack("<I", kind)
    if kind == STR:
        return head + text(value)
    if kind == ARR:
        item, values = value
        head += struct.pack("<IQ", item, len(values))
        if item == STR:
            return head + b"".join(map(text, values))
        return head + struct.pack("<%d%s" % (len(values), {F32: "f", I32: "i"}[item]), *values)
    return head + struct.pack({U32: "<I", F32: "<f"}[kind], value)


def write_model(arch, path):
    H, G, d, tied = SHAPES[arch]
    weights = [("token_embd.weight", (D, V))]
    for i in range(L):
        b = "blk.%d." % i
        weights += [(b + "attn_norm.weight", (D,)), (b + "attn_q.weight", (D, H * d)),
                    (b + "attn_k.weight", (D, G * d)), (b + "attn_v.weight", (D, G * d)),
                    (b + "attn_output.weight", (H * d, D)), (b + "ffn_norm.weight", (D,)),
                    (b + "ffn_gate.weight", (D, F)), (b + "ffn_up.weight", (D, F)), (b + "ffn_down.weight", (F, D))]
        if arch == "qwen2":
            weights += [(b + "attn_q.bias", (H * d,)), (b + "attn_k.bias", (G * d,)), (b + "attn_v.bias", (G * d,))]
    weights += [("output_norm.weight", (D,))] + ([] if tied else [("output.weight", (D, V))])
    pieces = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    pieces += ["\u2581w%d" % i for i in range(V - len(pieces))]
    a = arch + "."
    metas = [meta("general.architecture", STR, arch), meta("general.name", STR, "random"),
             meta(a + "context_length", U32, CONTEXT), meta(a + "embedding_length", U32, D),
             meta(a + "block_count", U32, L), meta(a + "feed_forward_length", U32, F),
             meta(a + "attention.head_count", U32, H), meta(a + "attention.head_count_kv", U32, G),
             meta(a + "attention.key_length", U32, d), meta(a + "attention.value_length", U32, d),
             meta(a + "attention.layer_norm_rms_epsilon", F32, 1e-5), meta(a + "rope.freq_base", F32, 10000.0),
             meta("tokenizer.ggml.model", STR, "llama"), meta("tokenizer.ggml.tokens", ARR, (STR, pieces)),
             meta("tokenizer.ggml.scores", ARR, (F32, [-float(i) for i in range(V)])),
             meta("tokenizer.ggml.token_type", ARR, (I32, [2, 3, 3] + [6] * 256 + [1] * (V - 259))),
             meta("tokenizer.ggml.bos_token_id", U32, 1), meta("tokenizer.ggml.eos_token_id", U32, 2)]
    infos, data, rng = b"", b"", random.Random(7)
    for name, dims in weights:
        vector = len(dims) == 1
        n = math.prod(dims)
        infos += text(name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, 0 if vector else 1, len(data))
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        # Gemma's embedding is multiplied by sqrt(D): larger weights would make every id its own successor.
        deviation = 0.01 if arch == "gemma" and name == "token_embd.weight" else 0.08
        values = [rng.gauss(mean, deviation) for _ in range(n)]
        if name == ("token_embd.weight" if tied else "output.weight"):
            # No special piece and no byte is ever chosen: the server leaves out bytes that make no character yet.
            values[:259 * D] = [0.0] * (259 * D)
        data += struct.pack("<%d%s" % (n, "f" if vector else "e"), *values)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(metas)) + b"".join(metas) + infos
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32) + data)


class Tools:
    def __init__(self, args):
        self.peer_command, self.thimble, self.work = shlex.split(args.peer), args.thimble, args.work

    def path(self, name):
        return os.path.join(self.work, name)

    def quantize(self, source, target, kind, *options):
        command = self.peer_command + ["llama-quantize", *options, self.path(source), self.path(target), kind, "1"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def convert(self, name):
        out = self.path(name + ".thimble")
        subprocess.run([self.thimble, "convert", self.path(name), "-o", out, "--weights", "f32", "--name", "x", "-q"], check=True)
        with open(out, "rb") as f:
            return f.read()

    # Ids that the peer chooses, and the log probabilities of all ids at each step.
    def peer(self, name):
        command = ["llama-server", "-m", self.path(name), "--port", str(PORT), "-ctk", "f32", "-ctv", "f32",
                   "-fa", "off", "-t", "1", "-np", "1", "-c", str(CONTEXT), "--no-warmup"]
        server = subprocess.Popen(self.peer_command + command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = "http://127.0.0.1:%d/" % PORT
            for _ in range(300):
                try:
                    if urllib.request.urlopen(url + "health", timeout=5).status == 200:
                        break
                except OSError:
                    time.sleep(0.1)
            body = {"prompt": PROMPT, "n_predict": STEPS, "temperature": 0, "ignore_eos": True, "n_probs": V,
                    "cache_prompt": False}
            request = urllib.request.Request(url + "completion", json.dumps(body).encode(),
                                             {"Content-Type": "application/json"})
            answer = json.load(urllib.request.urlopen(request, timeout=120))
        finally:
            server.terminate()
            server.wait()
        steps = answer["completion_probabilities"]
        rows = [{t["id"]: t["logprob"] for t in step["top_logprobs"]} for step in steps]
        return [step["id"] for step in steps], rows

    def greedy(self, name):
        command = [self.thimble, "run", self.path(name + ".thimble"), "--ids", ",".join(map(str, PROMPT)),
                   "-n", str(STEPS), "--temp", "0", "--kv", "f32", "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["ids"]

    # Our log probabilities along the given ids.
    def rows(self, name, ids):
        command = [self.thimble, "logits", self.path(name + ".thimble"), "--ids",
                   ",".join(map(str, PROMPT + ids[:-1])), "--json"]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        rows = []
        for logits in answer["logits"][len(PROMPT) - 1:]:
            top = max(logits)
            total = top + math.log(sum(math.exp(x - top) for x in logits))
            rows.append([x - total for x in logits])
        return rows


def common(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def compare(tools, arch, kind):
    base, q, e = arch + ".gguf", "%s-%s.gguf" % (arch, kind), "%s-%s-E.gguf" % (arch, kind)
    bits = []
    for options in (["--pure"], []):  # the mixture last: it is what the rest of this function looks at
        tools.quantize(base, q, kind, *options)
        tools.quantize(q, e, "F32", "--allow-requantize")
        ours, export = tools.convert(q), tools.convert(e)
        bits.append(ours == export)
    with open(tools.path(q), "rb") as f:
        old = bytearray(f.read())
    old[4:8] = struct.pack("<I", 2)
    with open(tools.path("v2.gguf"), "wb") as f:
        f.write(old)
    v2 = tools.convert("v2.gguf") == ours
    peer_ids, peer_rows = tools.peer(e)
    direct_ids, direct_rows = tools.peer(q)
    ids = tools.greedy(q)
    rows = tools.rows(q, peer_ids)
    same = common(ids, peer_ids)
    error = max(abs(rows[i][t] - p) for i in range(min(same + 1, STEPS))
                for t, p in peer_rows[i].items() if p > -1e3)
    direct = common(ids, direct_ids)
    line = [arch, kind, "yes" if all(bits) else "NO", "yes" if v2 else "NO",
            "%d (%d)" % (same, len(set(ids))),
            "%.1e" % error, "%d" % direct]
    if direct < STEPS and direct <= same:
        change = max(abs(p - direct_rows[direct][t]) for t, p in peer_rows[direct].items()
                     if p > -1e3 and direct_rows[direct].get(t, -1e9) > -1e3)
        line += ["%.4f" % (rows[direct][ids[direct]] - rows[direct][direct_ids[direct]]), "%.4f" % change]
    else:
        line += ["", ""]
    print("| " + " | ".join(line) + " |", flush=True)
    for name in (q, e, q + ".thimble", e + ".thimble", "v2.gguf", "v2.gguf.thimble"):
        os.remove(tools.path(name))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--peer", default="")
    parser.add_argument("--work", required=True)
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--type", choices=TYPES)
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    tools = Tools(args)
    print("| shape | type | bits | v2 | ids | error | direct | gap | peer |\n|---|---|---|---|---:|---:|---:|---:|---:|")
    for arch in [args.shape] if args.shape else SHAPES:
        write_model(arch, tools.path(arch + ".gguf"))
        for kind in [args.type] if args.type else TYPES:
            compare(tools, arch, kind)


if __name__ == "__main__":
    main()
