#!/usr/bin/env python3
"""Writes a GGUF file with the published dimensions of a model of a newer family and random 4-bit weights.

    family_gguf.py SHAPE OUT.gguf

Matrices are Q4_0, the embedding (where it is the output, too) or the output Q6_K, as llama-quantize makes Q4_0 files; the numbers mean nothing,
the sizes, types and the amount of work are those of the real model, so that speed can be measured without downloading one. Only the standard library
is used.
"""
import argparse
import math
import random
import struct

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
TYPES = {"F32": (0, 1, 4), "Q4_0": (2, 32, 18), "Q6_K": (14, 256, 210)}  # number, weights and bytes of a block
ALIGN = 32


def dense(p, width, ffn):
    """A gated feed-forward network."""
    return [(p + "ffn_gate.weight", (width, ffn)), (p + "ffn_up.weight", (width, ffn)), (p + "ffn_down.weight", (ffn, width))]


def qwen35():
    """Qwen3.5-0.8B: three layers of gated delta net, one of gated attention."""
    width, ffn, layers, heads, kv, head, words = 1024, 3584, 24, 8, 2, 256, 248320
    state, groups, ranks = 128, 16, 16
    inner = state * ranks
    keys = {"block_count": layers, "context_length": 32768, "embedding_length": width, "feed_forward_length": ffn,
            "attention.head_count": heads, "attention.head_count_kv": kv, "attention.key_length": head, "attention.value_length": head,
            "rope.freq_base": 1e7, "rope.dimension_count": 64, "rope.dimension_sections": [11, 11, 10, 0],
            "attention.layer_norm_rms_epsilon": 1e-6, "ssm.conv_kernel": 4, "ssm.state_size": state, "ssm.group_count": groups,
            "ssm.time_step_rank": ranks, "ssm.inner_size": inner, "full_attention_interval": 4,
            "attention.recurrent_layers": [i % 4 != 3 for i in range(layers)]}
    tensors = [("token_embd.weight", (width, words)), ("output_norm.weight", (width,))]
    for i in range(layers):
        p = "blk.%d." % i
        tensors += [(p + "attn_norm.weight", (width,)), (p + "post_attention_norm.weight", (width,))] + dense(p, width, ffn)
        if i % 4 == 3:
            tensors += [(p + "attn_q.weight", (width, 2 * heads * head)), (p + "attn_k.weight", (width, kv * head)),
                        (p + "attn_v.weight", (width, kv * head)), (p + "attn_output.weight", (heads * head, width)),
                        (p + "attn_q_norm.weight", (head,)), (p + "attn_k_norm.weight", (head,))]
        else:
            mixed = 2 * groups * state + inner
            tensors += [(p + "attn_qkv.weight", (width, mixed)), (p + "attn_gate.weight", (width, inner)), (p + "ssm_a", (ranks,)),
                        (p + "ssm_conv1d.weight", (4, mixed)), (p + "ssm_dt.bias", (ranks,)), (p + "ssm_alpha.weight", (width, ranks)),
                        (p + "ssm_beta.weight", (width, ranks)), (p + "ssm_norm.weight", (state,)), (p + "ssm_out.weight", (inner, width))]
    return "qwen35", keys, tensors, words


def lfm2():
    """LFM2-700M: short convolutions, six layers of attention."""
    width, ffn, layers, heads, kv, words = 1536, 6912, 16, 24, 8, 65536
    attending = (2, 5, 8, 10, 12, 14)
    keys = {"block_count": layers, "context_length": 32768, "embedding_length": width, "feed_forward_length": ffn,
            "attention.head_count": heads, "attention.head_count_kv": [kv if i in attending else 0 for i in range(layers)],
            "rope.freq_base": 1e6, "attention.layer_norm_rms_epsilon": 1e-5, "vocab_size": words, "shortconv.l_cache": 3}
    tensors = [("token_embd.weight", (width, words)), ("token_embd_norm.weight", (width,))]
    head = width // heads
    for i in range(layers):
        p = "blk.%d." % i
        tensors += [(p + "attn_norm.weight", (width,)), (p + "ffn_norm.weight", (width,))] + dense(p, width, ffn)
        if i in attending:
            tensors += [(p + "attn_q.weight", (width, width)), (p + "attn_k.weight", (width, kv * head)),
                        (p + "attn_v.weight", (width, kv * head)), (p + "attn_output.weight", (width, width)),
                        (p + "attn_q_norm.weight", (head,)), (p + "attn_k_norm.weight", (head,))]
        else:
            tensors += [(p + "shortconv.conv.weight", (3, width)), (p + "shortconv.in_proj.weight", (width, 3 * width)),
                        (p + "shortconv.out_proj.weight", (width, width))]
    return "lfm2", keys, tensors, words


def gemma4():
    """Gemma 4 E2B: rows for each layer beside the embedding, the last 20 layers read the keys and values of earlier ones."""
    width, ffn, layers, heads, words, own, shared = 1536, 6144, 35, 8, 262144, 256, 20
    full = [i % 5 == 4 for i in range(layers)]
    wide = [ffn * (2 if i >= layers - shared else 1) for i in range(layers)]
    keys = {"block_count": layers, "context_length": 32768, "embedding_length": width, "feed_forward_length": wide, "attention.head_count": heads,
            "attention.head_count_kv": 1, "rope.freq_base": 1e6, "rope.freq_base_swa": 1e4, "attention.layer_norm_rms_epsilon": 1e-6,
            "attention.key_length": 512, "attention.value_length": 512, "attention.key_length_swa": 256, "attention.value_length_swa": 256,
            "rope.dimension_count": 512, "rope.dimension_count_swa": 256, "final_logit_softcapping": 30.0, "attention.sliding_window": 512,
            "attention.shared_kv_layers": shared, "embedding_length_per_layer_input": own,
            "attention.sliding_window_pattern": [not one for one in full]}
    tensors = [("token_embd.weight", (width, words)), ("per_layer_token_embd.weight", (own * layers, words)), ("output_norm.weight", (width,)),
               ("per_layer_model_proj.weight", (width, own * layers)), ("per_layer_proj_norm.weight", (own,)), ("rope_freqs.weight", (256,))]
    for i in range(layers):
        p, head = "blk.%d." % i, 512 if full[i] else 256
        tensors += [(p + name + ".weight", (width,)) for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm")]
        tensors += [(p + "layer_output_scale.weight", (1,)), (p + "inp_gate.weight", (width, own)), (p + "proj.weight", (own, width)),
                    (p + "attn_q.weight", (width, heads * head)), (p + "attn_q_norm.weight", (head,)),
                    (p + "attn_output.weight", (heads * head, width))] + dense(p, width, wide[i])
        if i < layers - shared:
            tensors += [(p + "attn_k.weight", (width, head)), (p + "attn_v.weight", (width, head)), (p + "attn_k_norm.weight", (head,))]
    return "gemma4", keys, tensors, words


def olmoe(ffn=1024, layers=16, experts=64, chosen=8):
    """OLMoE-1B-7B: 64 experts, of which 8 are chosen."""
    width, heads, words = 2048, 16, 50304
    keys = {"block_count": layers, "context_length": 4096, "embedding_length": width, "feed_forward_length": ffn, "attention.head_count": heads,
            "attention.head_count_kv": heads, "rope.freq_base": 1e4, "attention.layer_norm_rms_epsilon": 1e-5, "expert_count": experts,
            "expert_used_count": chosen}
    tensors = [("token_embd.weight", (width, words)), ("output.weight", (width, words)), ("output_norm.weight", (width,))]
    for i in range(layers):
        p = "blk.%d." % i
        tensors += [(p + name + ".weight", (width,)) for name in ("attn_norm", "ffn_norm", "attn_q_norm", "attn_k_norm")]
        tensors += [(p + name + ".weight", (width, width)) for name in ("attn_q", "attn_k", "attn_v", "attn_output")]
        tensors += [(p + "ffn_gate_inp.weight", (width, experts)), (p + "ffn_gate_exps.weight", (width, ffn, experts)),
                    (p + "ffn_up_exps.weight", (width, ffn, experts)), (p + "ffn_down_exps.weight", (ffn, width, experts))]
    return "olmoe", keys, tensors, words


SHAPES = {"qwen3.5-0.8b": qwen35, "lfm2-700m": lfm2, "gemma-4-e2b": gemma4, "olmoe-1b-7b": olmoe,
          # No published model: small enough to be larger than memory in a control group.
          "experts-16": lambda: olmoe(layers=8, experts=16, chosen=2)}


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(v):
    """Its type and its bytes."""
    if isinstance(v, bool):
        return BOOL, struct.pack("<?", v)
    if isinstance(v, int):
        return U32, struct.pack("<I", v)
    if isinstance(v, float):
        return F32, struct.pack("<f", v)
    if isinstance(v, str):
        return STRING, text(v)
    kinds = [value(one) for one in v]
    kind = I32 if kinds[0][0] == U32 else kinds[0][0]
    return ARRAY, struct.pack("<IQ", kind, len(v)) + b"".join(data for _, data in kinds)


def type_of(name, shape, tied):
    if len(shape) == 1 or ".ssm_conv1d" in name or ".shortconv.conv" in name or "_gate_inp" in name:
        return "F32"
    return "Q6_K" if name == ("token_embd.weight" if tied else "output.weight") else "Q4_0"


def pool(kind, rng):
    """A few MB of blocks with finite scales, whose weights have a deviation of about 0.02."""
    blocks = []
    for _ in range(1 << 15):
        if kind == "Q4_0":
            blocks.append(struct.pack("<e", 0.004 * rng.uniform(0.5, 1.5)) + rng.randbytes(16))
        else:
            blocks.append(rng.randbytes(192) + bytes(rng.randrange(24, 40) for _ in range(16)) + struct.pack("<e", 0.00003))
    return blocks


def floats(name, count, rng):
    if name.endswith("ssm_a"):
        return struct.pack("<%df" % count, *(-rng.uniform(0.5, 2) for _ in range(count)))
    if name.endswith("bias") or "conv" in name or "gate_inp" in name:
        return struct.pack("<%df" % count, *(rng.gauss(0, 0.3) for _ in range(count)))
    return struct.pack("<f", 1.0) * count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out")
    args = parser.parse_args()
    arch, keys, tensors, words = SHAPES[args.shape]()
    pieces = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    pieces += ["w%d" % i for i in range(words - len(pieces))]
    general = {"general.architecture": arch, "general.name": "synthetic " + args.shape, "general.file_type": 2, "tokenizer.ggml.model": "llama",
               "tokenizer.ggml.tokens": pieces, "tokenizer.ggml.scores": [-float(i) for i in range(words)],
               "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (words - 259), "tokenizer.ggml.bos_token_id": 1,
               "tokenizer.ggml.eos_token_id": 2}
    metas = [(key, value(v)) for key, v in list(general.items()) + [(arch + "." + key, v) for key, v in keys.items()]]
    tied = not any(name == "output.weight" for name, _ in tensors)
    infos, offset = b"", 0
    for name, shape in tensors:
        number, weights, size = TYPES[type_of(name, shape, tied)]
        infos += text(name) + struct.pack("<I%dQIQ" % len(shape), len(shape), *shape, number, offset)
        offset += -(-(math.prod(shape) // weights * size) // ALIGN) * ALIGN
    rng = random.Random(1)
    pools = {kind: pool(kind, rng) for kind in ("Q4_0", "Q6_K")}
    with open(args.out, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metas)))
        f.write(b"".join(text(key) + struct.pack("<I", kind) + data for key, (kind, data) in metas) + infos)
        f.write(bytes(-f.tell() % ALIGN))
        for name, shape in tensors:
            kind = type_of(name, shape, tied)
            if kind == "F32":
                f.write(floats(name, math.prod(shape), rng))
            else:
                left = math.prod(shape) // TYPES[kind][1]
                while left:
                    start = rng.randrange(len(pools[kind]) // 2)
                    part = pools[kind][start:start + left]
                    f.write(b"".join(part))
                    left -= len(part)
            f.write(bytes(-f.tell() % ALIGN))


if __name__ == "__main__":
    main()
