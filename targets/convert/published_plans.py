#!/usr/bin/env python3
"""Writes PUBLISHED.md: what models of published dimensions take, planned from configurations alone.

    python3 targets/convert/published_plans.py --thimble build/host/bin/thimble > targets/convert/PUBLISHED.md

The dimensions are the defaults of transformers' configuration classes, as these write them into a config.json; the Python that runs this has
transformers (5.23; its models are not imported). Gemma 4 E2B's and LFM2-700M's, which no class has, are below. Fifteen seconds.
"""
import argparse
import inspect
import json
import os
import re
import subprocess
import tempfile

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

CONTEXT = 4096
# As tests/bench/family_gguf.py has them. A class' own choice of LFM2's layers is all attention, which no published model has.
NAMED = {
    "gemma4_text": ("gemma-4-E2B", {
        "hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 35, "num_attention_heads": 8, "num_key_value_heads": 1,
        "head_dim": 256, "global_head_dim": 512, "vocab_size": 262144, "hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262144,
        "num_kv_shared_layers": 20, "use_double_wide_mlp": True, "sliding_window": 512, "max_position_embeddings": 131072,
        "final_logit_softcapping": 30.0, "layer_types": ["full_attention" if i % 5 == 4 else "sliding_attention" for i in range(35)],
        "rope_parameters": {"full_attention": {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
                            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}),
    "lfm2": ("LFM2-700M", {
        "hidden_size": 1536, "intermediate_size": 6912, "block_auto_adjust_ff_dim": False, "num_hidden_layers": 16, "num_attention_heads": 24,
        "num_key_value_heads": 8, "layer_types": ["full_attention" if i in (2, 5, 8, 10, 12, 14) else "conv" for i in range(16)]}),
}
# Classes whose defaults are no model.
NO_DEFAULTS = {"lfm2": "all layers are attention", "lfm2_moe": "names no kinds of layers"}


HEAD = """# Plans of published dimensions

Generated: `python3 targets/convert/published_plans.py --thimble build/host/bin/thimble > targets/convert/PUBLISHED.md`

Anonymous + file-backed bytes at 4,096 tokens (512 for BERT's learned positions) of models whose dimensions are the defaults of
transformers' configuration classes, from these alone: `thimble plan FOLDER -c 4096 --kv q8 -t 1 --kernels scalar`, q8 with `--recipe
quality`, q4 with `--recipe small`. The first column is the checkpoint that the class names; its own configuration may differ from the
defaults (those of `gpt_oss` are the 120 billion one's, those of `qwen3` and `qwen2` have a head of keys for each query); the first two rows are
written down in the script. Untied heads and all experts are in the file; what of it is read is another matter: of Gemma's rows for
layers a page a token, of experts those that were chosen.
"""


def checkpoint(kind):
    """The one that the class' decorator names, in the source."""
    found = re.search(r'@auto_docstring\([^)]*checkpoint="([^"]+)"', inspect.getsource(inspect.getmodule(CONFIG_MAPPING[kind])))
    return found.group(1) if found else "-"


def config(kind, changes):
    """What the class writes into a config.json."""
    text = CONFIG_MAPPING[kind](**changes).to_json_string(use_diff=False)
    return {k: v for k, v in json.loads(text).items() if v is not None}


def plan(thimble, fields, recipe):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump(fields, f)
        for context in (CONTEXT, 0):  # 0: what the model allows, where its positions are learned
            done = subprocess.run([thimble, "plan", folder, "-c", str(context), "--kv", "q8", "-t", "1", "--kernels", "scalar", "--recipe", recipe, "--json"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            report = json.loads(done.stdout)
            if done.returncode == 0:
                return report
    return report["error"]["message"].replace(folder + os.sep, "").replace(folder + ": ", "").split(", expected one of")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    a = parser.parse_args()
    listed = subprocess.run([a.thimble, "convert", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split("model files")[0]
    kinds = [kind for kind in re.findall(r"^\S+ +([a-z0-9_-]+) +\S", listed, re.M) if kind in CONFIG_MAPPING]
    rows = [(name, kind, changes) for kind, (name, changes) in NAMED.items()]
    rows += [(checkpoint(kind), kind, {}) for kind in kinds if kind not in NO_DEFAULTS]
    refused = ["%s (`%s`): %s" % (checkpoint(kind), kind, NO_DEFAULTS[kind]) for kind in kinds if kind in NO_DEFAULTS]
    print(HEAD)
    print("| defaults of the class for | model_type | q8/q8 | q4/q8 | of these the cache | cache, bytes a token |\n|---|---|---:|---:|---:|---:|")
    for name, kind, changes in rows:
        fields = config(kind, changes)
        plans = [plan(a.thimble, fields, recipe) for recipe in ("quality", "small")]
        if isinstance(plans[0], str) or isinstance(plans[1], str):
            refused.append("%s (`%s`): %s" % (name, kind, plans[0] if isinstance(plans[0], str) else plans[1]))
            continue
        sums = [f"{p['anonymous_bytes']:,} + {p['file_backed_bytes']:,}" for p in plans]
        print("| %s | `%s` | %s | %s | %s | %s |" % (name, kind, *sums, f"{plans[0]['kv_bytes']:,}", f"{plans[0]['kv_bytes_per_token']:,}"))
    print("\nNot planned:\n")
    print("\n".join("- " + line for line in refused))


if __name__ == "__main__":
    main()
