#!/usr/bin/env python3
"""Writes the GGUF files of this folder from the families' fixtures, with llama.cpp's own converter.

    python3 make.py --conversion LLAMA_CPP --fixtures SHARED/golden/families --work FOLDER [NAME...]

LLAMA_CPP holds llama.cpp's Python package `conversion` (it imports gguf, torch, numpy, transformers). The files have floats and no
vocabulary. What a fixture has and its converter does not write down is added with the keys that the format has for it.
"""
import argparse
import json
import os
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

# Options of fixtures that the converter reads under other names, or does without.
CONFIGS = {
    "granitemoehybrid": lambda c: c.update(layer_types=["attention" if t == "full_attention" else "mamba" for t in c["layer_types"]]),
    "nomic_bert": lambda c: c.update(n_positions=8192, max_trained_positions=2048, activation_function="swiglu", causal=False,
                                     qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False, prenorm=False,
                                     rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None),
    "eurobert": lambda c: c.update(classifier_pooling="mean"),
    "hunyuan_v1_dense": lambda c: c.update(max_position_embeddings=32768),
}
KEYS = {
    "embeddinggemma": lambda w: w.add_sliding_window_pattern([True, True, False]),
    "gemma3_wrapper": lambda w: w.add_sliding_window_pattern([True, True, False]),
    "starcoder2": lambda w: w.add_sliding_window(11),
    "qwen3_embedding": lambda w: w.add_uint32(f"{w.arch}.pooling_type", 3),  # that of the last row
}


def as_floats(source, target):
    """The same safetensors file in F32."""
    raw = source.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header, data, blobs, at = json.loads(raw[8:8 + size]), raw[8 + size:], [], 0
    header.pop("__metadata__", None)
    for entry in header.values():
        begin, end = entry["data_offsets"]
        numbers = data[begin:end]
        if entry["dtype"] == "BF16":
            numbers = (np.frombuffer(numbers, "<u2").astype("<u4") << 16).tobytes()
        elif entry["dtype"] == "F16":
            numbers = np.frombuffer(numbers, "<f2").astype("<f4").tobytes()
        if entry["dtype"] in ("BF16", "F16"):
            entry["dtype"] = "F32"
        entry["data_offsets"] = [at, at + len(numbers)]
        at += len(numbers)
        blobs.append(numbers)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def write_bitnet(gguf, source, path):
    """Floats as they are: the converter would round them to three numbers, and knows the architecture whose activation is SiLU."""
    config = json.loads((source / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "bitnet-b1.58")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    names = (("model.layers.", "blk."), ("self_attn.attn_sub_norm", "attn_sub_norm"), ("mlp.ffn_sub_norm", "ffn_sub_norm"),
             ("self_attn.o_proj", "attn_output"), ("self_attn.", "attn_"), ("mlp.", "ffn_"), ("_proj", ""), ("input_layernorm", "attn_norm"),
             ("post_attention_layernorm", "ffn_norm"), ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"))
    raw = (source / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = np.frombuffer(raw[8 + size + begin:8 + size + end], "<f4").reshape(entry["shape"])
        for theirs, ours in names:
            name = name.replace(theirs, ours)
        writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser()
    for name in ("conversion", "fixtures", "work"):
        parser.add_argument("--" + name, type=Path, required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    folder = Path(__file__).resolve().parent
    os.environ["NO_LOCAL_GGUF"] = "1"
    sys.path.insert(0, str(arguments.conversion))
    import gguf
    from conversion import ModelBase, get_model_class
    ModelBase.load_hparams_guess = staticmethod(lambda path: None)
    by_table = ModelBase.map_tensor_name

    def map_tensor_name(self, name, try_suffixes=(".weight", ".bias")):
        try:
            return by_table(self, name, try_suffixes)
        except ValueError:  # a dense layer of a mixture of experts, for which the table has no names
            parts = name.split(".")
            if parts[-3] != "mlp":
                raise
            return f"blk.{parts[2]}.ffn_{parts[-2].removesuffix('_proj')}.weight"

    ModelBase.map_tensor_name = map_tensor_name
    expected_path = folder / "last_rows.json"
    expected = json.loads(expected_path.read_text()) if expected_path.exists() else {}
    for name in arguments.names or sorted(expected):
        source, work = arguments.fixtures / name, arguments.work / name
        reference = json.loads((source / "expected.json").read_text())
        expected[name] = {"ids": reference["ids"], "last": (reference.get("hidden") or reference["logits"])[-2:]}
        if name == "bitnet":
            write_bitnet(gguf, source, folder / "bitnet.gguf")
            continue
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(source, work, ignore=shutil.ignore_patterns("model.safetensors"))
        as_floats(source / "model.safetensors", work / "model.safetensors")
        config = json.loads((source / "config.json").read_text())
        CONFIGS.get(name, lambda c: None)(config)
        (work / "config.json").write_text(json.dumps(config))
        words = config.get("vocab_size") or config["text_config"]["vocab_size"]
        vocabulary = {"model": {"type": "WordPiece", "vocab": {str(i): i for i in range(words)}}, "added_tokens": []}
        (work / "tokenizer.json").write_text(json.dumps(vocabulary))
        kind = get_model_class(config["architectures"][0])
        kind.no_mtp = True
        model = kind(work, gguf.LlamaFileType.ALL_F32, folder / f"{name}.gguf", eager=True)
        for part in (model, getattr(model, "impl", model)):
            part.set_vocab = lambda: None
            part.vocab_size = None
        KEYS.get(name, lambda w: None)(model.gguf_writer)
        model.write()
    lines = [json.dumps(name) + ": " + json.dumps(one, separators=(",", ":")) for name, one in sorted(expected.items())]
    expected_path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
