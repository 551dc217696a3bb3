#!/usr/bin/env python3
"""Siblings of the families' fixtures: the same families with other dimensions and the options that fixtures leave alone.

    python3 tests/golden/siblings/make.py [NAME ...]

with transformers 5.23 and torch. Each folder gets config.json as it stands here, model.safetensors (random weights as transformers
stores them) and expected.json: ids, and the logits or hidden rows that transformers computes of the stored files in float64.
"""
import json, os, shutil, sys, tempfile

import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPE = {"vocab_size": 23, "hidden_size": 18, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3,
         "num_key_value_heads": 1, "max_position_embeddings": 64, "pad_token_id": 0}
DELTA = {"linear_num_key_heads": 2, "linear_num_value_heads": 6, "linear_key_head_dim": 4, "linear_value_head_dim": 6}
LATENT = {"num_key_value_heads": 3, "kv_lora_rank": 10, "q_lora_rank": 8, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4}
VISION = {"model_type": "qwen3_vl_vision", "depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2, "patch_size": 2,
          "temporal_patch_size": 1, "out_hidden_size": 18, "num_position_embeddings": 4, "deepstack_visual_indexes": []}


def rope(kind, **fields):
    return {"rope_type": kind, "rope_theta": 10000.0, **fields}


# name: (class, model_type, fields beside SHAPE; None takes one of SHAPE away)
SIBLINGS = {
    # What is left out is what the classes have; "silu" in xIELU's place; fields as published that say nothing new.
    "apertus_usual": ("ApertusForCausalLM", "apertus", {"hidden_act": "silu", "qk_norm": True, "post_norm": False, "mlp_bias": False}),
    # The context beside the dictionary counts, and not the one inside.
    "arcee_yarn_outside": ("ArceeForCausalLM", "arcee", {
        "attention_bias": True, "mlp_bias": True, "original_max_position_embeddings": 8,
        "rope_parameters": rope("yarn", factor=4.0, original_max_position_embeddings=48)}),
    # Norms of heads with weights of their own.
    "cohere_norms": ("CohereForCausalLM", "cohere", {"use_qk_norm": True}),
    "embedding_gemma2_wrapped": ("EmbeddingGemma2Model", "embedding_gemma2", {"vision_config": None, "audio_config": None, "text_config": {
        "model_type": "embedding_gemma2_text", "head_dim": 4, "embedding_dim": 6, "attention_bias": True, "hidden_size_per_layer_input": 2,
        "sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"], "per_layer_config": {"1": {"head_dim": 8}}}}),
    # Factors on layers with biases.
    "falcon_h1_biases": ("FalconH1ForCausalLM", "falcon_h1", {
        "num_hidden_layers": 1, "attention_bias": True, "mlp_bias": True, "mamba_proj_bias": True, "projectors_bias": True, "mamba_d_ssm": None,
        "mamba_n_heads": 2, "mamba_d_state": 4, "attention_in_multiplier": 0.7, "key_multiplier": 0.5, "ssm_in_multiplier": 1.3,
        "ssm_multipliers": [0.7, 0.5, 0.4, 0.8, 0.6], "mlp_multipliers": [0.8, 0.6]}),
    "gemma3_sparse": ("Gemma3ForCausalLM", "gemma3_text", {
        "hidden_size": 16, "num_attention_heads": None, "num_key_value_heads": None, "head_dim": 2, "attention_bias": True, "sliding_window": 3,
        "sliding_window_pattern": 2, "attn_logit_softcapping": 2.0}),
    "gemma3n_as_published": ("Gemma3nForCausalLM", "gemma3n_text", {
        "head_dim": 6, "sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"], "num_kv_shared_layers": 0, "laurel_rank": 3,
        "hidden_size_per_layer_input": 2, "vocab_size_per_layer_input": 20, "altup_num_inputs": 2, "altup_active_idx": 1, "altup_lr_multiplier": 1.0,
        "altup_coef_clip": 120.0, "activation_sparsity_pattern": [0.8, 0.0], "query_pre_attn_scalar": 256}),
    "gemma4_biases": ("Gemma4ForCausalLM", "gemma4_text", {
        "head_dim": 4, "attention_bias": True, "hidden_size_per_layer_input": 2, "vocab_size_per_layer_input": 23, "sliding_window": 3,
        "layer_types": ["sliding_attention", "full_attention"], "per_layer_config": {"1": {"head_dim": 8}},
        "rope_parameters": {"full_attention": rope("proportional", partial_rotary_factor=0.5, factor=4.0), "sliding_attention": rope("default")}}),
    # Half of each head turns where nothing says it; of three elements the last one has a partner beside it.
    "glm_usual_part": ("GlmForCausalLM", "glm", {"head_dim": 6, "rope_theta": 100.0}),
    "granite4_groups": ("GraniteMoeHybridForCausalLM", "granitemoehybrid", {
        "num_local_experts": 0, "shared_intermediate_size": 10, "layers_block_type": ["linear_attention", "full_attention"],
        "mamba_n_heads": 4, "mamba_n_groups": 2, "mamba_d_state": 4, "mamba_proj_bias": True}),
    "granite_longrope": ("GraniteForCausalLM", "granite", {
        "attention_multiplier": 0.3, "embedding_multiplier": 3,
        "rope_parameters": rope("longrope", factor=16.0, original_max_position_embeddings=8, short_factor=[1.0, 1.1, 1.2],
                                long_factor=[1.5, 2.0, 2.5])}),
    # A layer without positions among those with thetas of their own, on which yarn's limits hang, too.
    "granite_swa_thetas": ("GraniteSWAForCausalLM", "granite_swa", {
        "num_hidden_layers": 3, "sliding_window": 3, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "layer_rope_theta": [100.0, 0.0, 500.0], "rope_parameters": rope("yarn", factor=4.0, original_max_position_embeddings=16)}),
    "lfm2_attention_alone": ("Lfm2ForCausalLM", "lfm2", {"intermediate_size": None, "block_ff_dim": 40, "block_multiple_of": 8, "theta": 1e6}),
    "lfm2_moe_two_dense": ("Lfm2MoeForCausalLM", "lfm2_moe", {
        "num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"], "conv_bias": True, "moe_intermediate_size": 6,
        "num_experts": 5, "num_experts_per_tok": 3, "norm_topk_prob": False, "routed_scaling_factor": 1.5}),
    "lfm3_usual_layers": ("Lfm3ForCausalLM", "lfm3", {"num_hidden_layers": 5, "head_dim": 8, "sliding_window": 5}),
    "mamba2_groups": ("Mamba2ForCausalLM", "mamba2", {
        "num_heads": 4, "head_dim": 9, "n_groups": 2, "state_size": 6, "conv_kernel": 3, "use_bias": True, "use_conv_bias": False,
        "time_step_limit": [0.02, 1.0], "intermediate_size": 36, "norm_before_gate": True, "num_attention_heads": None, "num_key_value_heads": None}),
    "minicpm3_nulls": ("MiniCPM3ForCausalLM", "minicpm3", {
        **LATENT, "mlp_bias": True, "scale_depth": None, "dim_model_base": None, "rope_parameters": rope("default")}),
    "ministral3_flat": ("Ministral3ForCausalLM", "ministral3", {
        "head_dim": 8, "sliding_window": 6, "rope_scaling": rope("yarn", factor=4.0, original_max_position_embeddings=8, mscale=0,
                                                                 llama_4_scaling_beta=0.0, max_position_embeddings=64)}),
    "modernbert_untied": ("ModernBertForMaskedLM", "modernbert", {
        "num_hidden_layers": 3, "num_key_value_heads": None, "tie_word_embeddings": False, "local_attention": 6, "norm_bias": True,
        "rope_parameters": {"full_attention": rope("yarn", factor=2.0, original_max_position_embeddings=8),
                            "sliding_attention": rope("linear", factor=2.0)}}),
    "nanochat_stretched": ("NanoChatForCausalLM", "nanochat", {
        "rope_parameters": rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                   original_max_position_embeddings=8)}),
    "nemotron_h_experts": ("NemotronHForCausalLM", "nemotron_h", {
        "layers_block_type": ["mamba", "moe", "attention", "mlp"], "num_hidden_layers": None, "head_dim": 8, "mamba_num_heads": 4,
        "mamba_head_dim": 6, "n_groups": 2, "ssm_state_size": 5, "n_routed_experts": 8, "num_experts_per_tok": 3, "n_group": 4,
        "topk_group": 2, "moe_intermediate_size": 6, "moe_shared_expert_intermediate_size": 10, "routed_scaling_factor": 2.5,
        "tie_word_embeddings": True, "attention_bias": True, "norm_eps": 1e-3, "partial_rotary_factor": 1.0, "rope_theta": 10000,
        "auto_map": {"AutoModel": "modeling_nemotron_h.NemotronHForCausalLM"}}),
    "olmo3_theta": ("Olmo3ForCausalLM", "olmo3", {
        "rope_theta": 2000.0, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 5}),
    "olmo_hybrid_rotated": ("OlmoHybridForCausalLM", "olmo_hybrid", {"linear_num_key_heads": 2, "linear_num_value_heads": 2}),
    "olmo_hybrid_unrotated": ("OlmoHybridForCausalLM", "olmo_hybrid", {
        "layer_types": ["full_attention", "linear_attention"], "linear_key_head_dim": 4, "linear_value_head_dim": 6,
        "rope_parameters": {"rope_theta": None, "rope_type": "default"}}),
    "phi3_yarn_names": ("Phi3ForCausalLM", "phi3", {
        "original_max_position_embeddings": 8,
        "rope_scaling": {"type": "yarn", "factor": 3.0, "original_max_position_embeddings": 16,
                         "short_factor": [1.0, 1.1, 1.2], "long_factor": [1.5, 2.0, 2.5]}}),
    "qwen3_5_biases": ("Qwen3_5ForCausalLM", "qwen3_5_text", {
        **DELTA, "head_dim": 8, "attention_bias": True, "full_attention_interval": 2, "rope_parameters": rope("default")}),
    "qwen3_moe_window": ("Qwen3MoeForCausalLM", "qwen3_moe", {
        "head_dim": 8, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2, "num_experts": 4,
        "num_experts_per_tok": 2, "moe_intermediate_size": 6, "decoder_sparse_step": 2}),
    "qwen3_vl_theta": ("Qwen3VLForConditionalGeneration", "qwen3_vl", {"text_config": {"model_type": "qwen3_vl_text", "head_dim": 8}}),
    "seed_oss_dynamic": ("SeedOssForCausalLM", "seed_oss", {
        "head_dim": None, "attention_out_bias": True, "mlp_bias": True, "rope_scaling": rope("dynamic", factor=2.0)}),
    "smollm3_sliding": ("SmolLM3ForCausalLM", "smollm3", {
        "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"], "no_rope_layers": [1, 0],
        "rope_parameters": rope("longrope", factor=3.0, original_max_position_embeddings=8, short_factor=[1.0, 1.1, 1.2],
                                long_factor=[1.5, 2.0, 2.5])}),
    "youtu_halves": ("YoutuForCausalLM", "youtu", {**LATENT, "pad_token_id": None, "v_head_dim": 7, "rope_interleave": None, "attention_bias": True}),
}


def config_of(cls, model_type, fields):
    wrapped = "text_config" in fields
    inner = {**SHAPE, **(fields["text_config"] if wrapped else fields)}
    # A null of the shape's own is a field that is not there; others are written as null.
    inner = {k: v for k, v in inner.items() if v is not None or k not in SHAPE}
    if not wrapped:
        return {"architectures": [cls], "model_type": model_type, **inner}
    return {"architectures": [cls], "model_type": model_type, "vision_config": VISION, **fields, "text_config": inner}


def randomise(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("A_log"):
                noise = torch.randn(tensor.shape, generator=generator)
                tensor.add_(0.2 * noise) if tensor.dim() == 1 else tensor.copy_(noise / tensor.shape[-1] ** 0.5)


def make(name):
    cls, model_type, fields = SIBLINGS[name]
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(config_of(cls, model_type, fields), out, indent=1)
        out.write("\n")
    kind = getattr(transformers, cls)
    model = kind(kind.config_class.from_pretrained(folder))
    randomise(model)
    model = model.to(torch.bfloat16)
    with tempfile.TemporaryDirectory() as stored:
        model.save_pretrained(stored)
        shutil.copy(os.path.join(stored, "model.safetensors"), folder)
    model = kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager").eval()
    ids = [1 + (5 * i * i + 3 * i) % 22 for i in range(19)]
    with torch.no_grad():
        out = model(torch.tensor([ids]))
    numbers = "logits" if hasattr(out, "logits") else "hidden"
    rows = (out.logits if numbers == "logits" else out.last_hidden_state)[0].double().tolist()
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump({"ids": ids, numbers: [[float(f"{x:.7g}") for x in row] for row in rows]}, file)
        file.write("\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for sibling in sys.argv[1:] or SIBLINGS:
        make(sibling)
        print(sibling)
