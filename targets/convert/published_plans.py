#!/usr/bin/env python3
"""Writes PUBLISHED.md: what models of published dimensions take, planned from configurations alone.

    python3 targets/convert/published_plans.py --thimble build/host/bin/thimble --transformers FOLDER > targets/convert/PUBLISHED.md

The dimensions are the defaults of transformers' configuration classes, read from its source (FOLDER is `transformers` of an unpacked
wheel: pip download --no-deps transformers); nothing is imported. Gemma 4 E2B's, which no class has, are below. Twelve seconds.
"""
import argparse
import ast
import json
import os
import re
import subprocess
import tempfile

CONTEXT = 4096
# Classes that make up in code which layers are of which kind.
NOT_WHOLE = ("lfm2", "lfm2_moe")
# As tests/bench/family_gguf.py has them.
GEMMA4_E2B = {"model_type": "gemma4_text", "hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 35, "num_attention_heads": 8,
              "num_key_value_heads": 1, "head_dim": 256, "global_head_dim": 512, "vocab_size": 262144, "hidden_size_per_layer_input": 256,
              "vocab_size_per_layer_input": 262144, "num_kv_shared_layers": 20, "use_double_wide_mlp": True, "sliding_window": 512,
              "max_position_embeddings": 131072, "final_logit_softcapping": 30.0,
              "layer_types": ["full_attention" if i % 5 == 4 else "sliding_attention" for i in range(35)],
              "rope_parameters": {"full_attention": {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
                                  "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}


HEAD = """# Plans of published dimensions

Generated: `python3 targets/convert/published_plans.py --thimble build/host/bin/thimble --transformers FOLDER > targets/convert/PUBLISHED.md`

Anonymous + file-backed bytes at 4,096 tokens (512 for BERT's learned positions) of models whose dimensions are the defaults of
transformers' configuration classes, from these alone: `thimble plan FOLDER -c 4096 --kv q8 -t 1 --kernels scalar`, q8 with `--recipe
quality`, q4 with `--recipe small`. The first column is the checkpoint that the class names; its own configuration may differ from the
defaults (those of `gpt_oss` are the 120 billion one's, those of `qwen3` and `qwen2` have a head of keys for each query).
Untied heads and all experts are in the file; what of it is read is another matter: of Gemma's rows for layers a page a token, of
experts those that were chosen.
"""


def literal(node):
    try:
        return True, ast.literal_eval(node)
    except ValueError:
        return False, None


def classes(folder):
    """model_type -> (checkpoint, fields) of the classes of configurations."""
    found = {}
    for path, _, files in os.walk(os.path.join(folder, "models")):
        for file in files:
            if not re.fullmatch(r"configuration_\w+\.py", file):
                continue
            with open(os.path.join(path, file), encoding="utf-8") as f:
                tree = ast.parse(f.read())
            for node in tree.body:
                if not isinstance(node, ast.ClassDef):
                    continue
                checkpoint = next((k.value.value for d in node.decorator_list if isinstance(d, ast.Call) for k in d.keywords if k.arg == "checkpoint"), "-")
                fields = {}
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and item.value is not None and isinstance(item.target, ast.Name):
                        known, value = literal(item.value)
                        if known:
                            fields[item.target.id] = value
                    elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name) and item.targets[0].id == "model_type":
                        fields["model_type"] = item.value.value
                if "hidden_size" in fields and "model_type" in fields:
                    found[fields["model_type"]] = (checkpoint, fields)
    return found


def plan(thimble, config, recipe):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump({k: v for k, v in config.items() if v is not None}, f)
        for context in (CONTEXT, 0):  # 0: what the model allows, where its positions are learned
            done = subprocess.run([thimble, "plan", folder, "-c", str(context), "--kv", "q8", "-t", "1", "--kernels", "scalar", "--recipe", recipe, "--json"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            report = json.loads(done.stdout)
            if done.returncode == 0:
                return report
    return report["error"]["message"].replace(folder + os.sep, "").split(", expected one of")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble", required=True)
    parser.add_argument("--transformers", required=True)
    a = parser.parse_args()
    listed = subprocess.run([a.thimble, "convert", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split("model files")[0]
    published = classes(a.transformers)
    rows = [("gemma-4-E2B", GEMMA4_E2B)]
    rows += [published[kind] for kind in re.findall(r"^\S+ +([a-z0-9_-]+) +\S", listed, re.M) if kind in published and kind not in NOT_WHOLE]
    refused = []
    print(HEAD)
    print("| defaults of the class for | model_type | q8/q8 | q4/q8 | of these the cache | cache, bytes a token |\n|---|---|---:|---:|---:|---:|")
    for name, config in rows:
        plans = [plan(a.thimble, config, recipe) for recipe in ("quality", "small")]
        if isinstance(plans[0], str) or isinstance(plans[1], str):
            text = plans[0] if isinstance(plans[0], str) else plans[1]
            # The file that is planned from is a temporary one.
            refused.append("%s (`%s`): %s" % (name, config["model_type"], re.sub(r"^\S*thimble-plan-\d+\.thimble: ", "", text)))
            continue
        sums = [f"{p['anonymous_bytes']:,} + {p['file_backed_bytes']:,}" for p in plans]
        print("| %s | `%s` | %s | %s | %s | %s |" % (name, config["model_type"], *sums, f"{plans[0]['kv_bytes']:,}", f"{plans[0]['kv_bytes_per_token']:,}"))
    print("\nNot planned:\n")
    print("\n".join("- " + line for line in refused))


if __name__ == "__main__":
    main()
