#include "targets/convert/gguf_fields.h"

#include <algorithm>
#include <cmath>

#include "targets/convert/gguf_field_parts.h"

namespace thimble {
namespace gguf {

void Granite(GgufTranslation& f) {
  GraniteFactors(f);
  // Those of Granite 4 say what state spaces would be, and the width of the network where the hybrids have it.
  for (const char* key : {"conv_kernel", "state_size", "group_count", "inner_size", "time_step_rank"}) f.Ignore(std::string("ssm.") + key);
  if (f.Has("expert_shared_feed_forward_length") && !f.IsZero("expert_shared_feed_forward_length"))
    f.Copy("expert_shared_feed_forward_length", "intermediate_size");
}

void GraniteMoe(GgufTranslation& f) {
  GraniteFactors(f);
  f.Only("expert_shared_feed_forward_length", 0);
  f.Copy("expert_count", "num_local_experts");
}

void GraniteHybrid(GgufTranslation& f) {
  GraniteFactors(f);
  SetLayerTypes(f, "attention", "mamba");
  CopyAll(f, {{"ssm.conv_kernel", "mamba_d_conv"}, {"ssm.state_size", "mamba_d_state"}, {"ssm.group_count", "mamba_n_groups"},
              {"ssm.time_step_rank", "mamba_n_heads"}});
  const uint32_t inner = f.Count("ssm.inner_size"), width = f.Count("embedding_length");
  if (inner % width != 0) f.Refuse("ssm.inner_size", "found " + std::to_string(inner) + ", expected a multiple of embedding_length");
  f.Set("mamba_expand", inner / width, "ssm.inner_size");
  const bool experts = f.HasTensor("blk.0.ffn_gate_inp.weight");
  if (experts) {
    f.Copy("expert_count", "num_local_experts");
    f.Copy("expert_shared_feed_forward_length", "shared_intermediate_size");
  } else {
      f.Set("num_local_experts", 0);
    f.Set("num_experts_per_tok", 0);
    const Json* shared = f.Find("expert_shared_feed_forward_length");
    f.Set("shared_intermediate_size", shared != nullptr && *shared != 0 ? *shared : Json(f.OfAllLayers("feed_forward_length")), "feed_forward_length");
  }
  const Json* rotated = f.Find("rope.scaling.finetuned");
  f.Set("position_embedding_type", rotated != nullptr && *rotated == true ? "rope" : "nope", "rope.scaling.finetuned");
}

// What this name stands for to those who write and read it; no key says it.
void BitNet(GgufTranslation& f) { f.Set("hidden_act", "silu"); }

void Olmo2(GgufTranslation& f) {
  if (f.Has("attention.sliding_window")) f.Set("model_type", "olmo3");
}

void Qwen3(GgufTranslation& f) { TranslatePooling(f); }

void Qwen3Moe(GgufTranslation& f) {
  OnlyScores(f, "softmax");
  CopyAll(f, {{"expert_count", "num_experts"}, {"expert_feed_forward_length", "moe_intermediate_size"}});
  f.Set("norm_topk_prob", true);
  std::vector<Json> dense;
  for (uint32_t i = 0; i < f.layers(); ++i) {
    if (!f.HasTensor("blk." + std::to_string(i) + ".ffn_gate_inp.weight")) dense.push_back(i);
  }
  f.Set("mlp_only_layers", Json(std::move(dense)));
}

void Olmoe(GgufTranslation& f) {
  OnlyScores(f, "softmax");
  f.Copy("expert_count", "num_experts");
  f.Only("expert_feed_forward_length", f.OfAllLayers("feed_forward_length"));
}

void Mixtral(GgufTranslation& f) {
  OnlyScores(f, "softmax");
  f.Copy("expert_count", "num_local_experts");
}

void Cohere(GgufTranslation& f) {
  f.Copy("logit_scale", "logit_scale");
}

// A file without scaling has none, whatever is usual in the family.
void OwnRotation(GgufTranslation& f) {
  if (f.Field("rope_scaling") == nullptr) f.Set("rope_scaling", {{"rope_type", "default"}});
}

void GptOss(GgufTranslation& f) {
  OnlyScores(f, "softmax");
  f.Copy("expert_count", "num_local_experts");
  f.Copy("expert_feed_forward_length", "intermediate_size");
  f.Ignore("feed_forward_length");
  f.Set("head_dim", HeadWidthOf(f), "attention.key_length");
  // Files from before this key: the model's own configuration does not cut the bounds to whole pairs.
  if (Json* scaling = f.Field("rope_scaling"); scaling != nullptr && !scaling->Has("truncate")) (*scaling)["truncate"] = false;
  OwnRotation(f);
}

void DeepSeek2(GgufTranslation& f) {
  if (f.Has("expert_count")) {
    DeepSeekExperts(f);
  } else {
    f.Set("model_type", "youtu");
    f.Only("leading_dense_block_count", f.layers());
    f.Only("expert_shared_count", 0);
    f.Ignore("expert_feed_forward_length");
  }
  CopyAll(f, {{"attention.q_lora_rank", "q_lora_rank"}, {"attention.kv_lora_rank", "kv_lora_rank"}, {"rope.dimension_count", "qk_rope_head_dim"}});
  const bool absorbed = f.Has("attention.key_length_mla");
  const uint32_t rotated = f.Count("rope.dimension_count"), key = f.Count(absorbed ? "attention.key_length_mla" : "attention.key_length");
  if (key <= rotated) f.Refuse("attention.key_length", "leaves nothing beside the rotated part");
  f.Set("qk_nope_head_dim", key - rotated, "attention.key_length_mla");
  f.Set("v_head_dim", f.Count(absorbed ? "attention.value_length_mla" : "attention.value_length"), "attention.value_length_mla");
  f.Set("num_key_value_heads", f.OfAllLayers("attention.head_count"));  // one row stands for those of all heads
  f.Ignore("attention.key_length");
  f.Ignore("attention.value_length");
  for (const char* field : {"head_dim", "partial_rotary_factor"}) f.Unset(field);
  SetInScaling(f, "rope.scaling.yarn_log_multiplier", 10, {"mscale", "mscale_all_dim"});
}

void Lfm2Dense(GgufTranslation& f) {
  Lfm2(f);
  f.Set("block_auto_adjust_ff_dim", false);
}

void Lfm2Moe(GgufTranslation& f) {
  Lfm2(f);
  OnlyScores(f, "sigmoid");
  CopyAll(f, {{"expert_count", "num_experts"}, {"expert_feed_forward_length", "moe_intermediate_size"}, {"leading_dense_block_count", "num_dense_layers"},
              {"expert_weights_scale", "routed_scaling_factor"}});
}

// Families that want it written down.
void OwnHeadWidth(GgufTranslation& f) { f.Set("head_dim", HeadWidthOf(f), "attention.key_length"); }

void Mistral3(GgufTranslation& f) {
  OwnHeadWidth(f);
  SetInScaling(f, "rope.scaling.yarn_log_multiplier", 1, {"mscale", "mscale_all_dim"});
  SetInScaling(f, "attention.temperature_scale", 1, {"llama_4_scaling_beta"});
  if (const Json* scaling = f.Field("rope_scaling")) f.Set("rope_parameters", *scaling, "rope.scaling.type");
  f.Unset("rope_scaling");
}

// Of pictures.
void Qwen3Vl(GgufTranslation& f) {
  f.Ignore("rope.dimension_sections");
  f.Ignore("n_deepstack_layers");
}

void Mamba2(GgufTranslation& f) {
  StateSpaces(f);
  for (const char* key : {"feed_forward_length", "attention.head_count", "attention.head_count_kv"}) f.Only(key, 0);
  CopyAll(f, {{"ssm.state_size", "state_size"}, {"ssm.time_step_rank", "num_heads"}});
  const uint32_t inner = f.Count("ssm.inner_size"), heads = f.Count("ssm.time_step_rank");
  if (inner % heads != 0) f.Refuse("ssm.inner_size", "is no multiple of ssm.time_step_rank");
  f.Set("head_dim", inner / heads, "ssm.inner_size");
  f.Set("expand", static_cast<double>(inner) / f.Count("embedding_length"), "ssm.inner_size");
}

// One block in a layer: what it is, the lists say.
void NemotronH(GgufTranslation& f) {
  StateSpaces(f);
  f.Only("attention.layer_norm_epsilon", *f.Find("attention.layer_norm_rms_epsilon"));
  f.Only("rope.scaling.finetuned", false);
  f.Ignore("rope.dimension_count");  // nothing turns
  CopyAll(f, {{"ssm.state_size", "ssm_state_size"}, {"ssm.time_step_rank", "mamba_num_heads"}});
  const uint32_t inner = f.Count("ssm.inner_size"), heads = f.Count("ssm.time_step_rank");
  if (inner % heads != 0) f.Refuse("ssm.inner_size", "is no multiple of ssm.time_step_rank");
  f.Set("mamba_head_dim", inner / heads, "ssm.inner_size");
  f.Set("num_attention_heads", f.OfAllLayers("attention.head_count"), "attention.head_count");
  f.Set("num_key_value_heads", f.OfAllLayers("attention.head_count_kv"), "attention.head_count_kv");
  f.Set("intermediate_size", f.OfAllLayers("feed_forward_length"), "feed_forward_length");
  f.Set("head_dim", HeadWidthOf(f), "attention.key_length");
  const std::vector<uint32_t> kv = f.Layers("attention.head_count_kv"), ffn = f.Layers("feed_forward_length");
  std::string pattern;
  for (uint32_t i = 0; i < f.layers(); ++i) pattern += ffn[i] > 0 ? '-' : kv[i] > 0 ? '*' : 'M';
  f.Set("hybrid_override_pattern", pattern, "feed_forward_length");
}

void EuroBert(GgufTranslation& f) {
  f.Only("attention.causal", false);
  TranslatePooling(f);
}

void Bert(GgufTranslation& f) { EncoderFields(f); }

void NomicBert(GgufTranslation& f) {
  EncoderFields(f);
  f.Copy("rope.freq_base", "rope_theta");
}

void GemmaEmbedding(GgufTranslation& f) {
  f.Only("attention.causal", false);
  TranslatePooling(f);
  f.Set("use_bidirectional_attention", true);
  f.Set("query_pre_attn_scalar", HeadWidthOf(f), "attention.key_length");
  f.Copy("rope.freq_base_swa", "rope_local_base_freq");
  for (const std::string name : {"dense_2", "dense_3"}) {
    for (const char* side : {"_feat_in", "_feat_out"}) f.Ignore(name + side);  // the tensor's shape
    if (f.HasTensor(name + ".weight")) f.dense.push_back(name + ".weight");
  }
}

void Qwen35(GgufTranslation& f) {
  DeltaNets(f);
  TranslatePooling(f);
  const uint32_t heads = f.Count("ssm.time_step_rank"), keys = f.Count("ssm.group_count");
  f.tiled = {keys, heads / keys, f.Count("ssm.inner_size") / heads, uint64_t{2} * keys * f.Count("ssm.state_size")};
}

void Qwen3Next(GgufTranslation& f) {
  DeltaNets(f);
  OnlyScores(f, "softmax");
  CopyAll(f, {{"expert_count", "num_experts"}, {"expert_feed_forward_length", "moe_intermediate_size"},
              {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"}});
  std::vector<Json> dense;
  for (uint32_t i = 0; i < f.layers(); ++i) {
    if (!f.HasTensor("blk." + std::to_string(i) + ".ffn_gate_inp.weight")) dense.push_back(i);
  }
  f.Set("mlp_only_layers", Json(std::move(dense)));
}

// Widths by kind of layer.
void Gemma4(GgufTranslation& f) {
  const uint32_t L = f.layers(), sliding_width = f.Count("attention.key_length_swa"), full_width = f.Count("attention.key_length");
  f.Only("attention.value_length_swa", sliding_width);
  f.Only("rope.dimension_count", full_width);
  f.Only("rope.dimension_count_swa", sliding_width);
  const Json* types = f.Field("layer_types");
  if (types == nullptr) f.Refuse("attention.sliding_window_pattern", "is missing");
  const std::vector<uint32_t> kv = f.Layers("attention.head_count_kv"), ffn = f.Layers("feed_forward_length");
  Json own = Json::Object();
  uint32_t sliding_heads = 0;
  bool tied_values = false;
  for (uint32_t i = 0; i < L; ++i) {
    const bool sliding = (*types)[i] == "sliding_attention";
    if (sliding) sliding_heads = kv[i];
    else own[std::to_string(i)] = {{"head_dim", full_width}, {"num_key_value_heads", kv[i]}};
    const std::string block = "blk." + std::to_string(i) + ".";
    tied_values = tied_values || (!sliding && f.HasTensor(block + "attn_k.weight") && !f.HasTensor(block + "attn_v.weight"));
  }
  f.Set("head_dim", sliding_width, "attention.key_length_swa");
  f.Set("num_key_value_heads", sliding_heads, "attention.head_count_kv");
  f.Set("per_layer_config", std::move(own), "attention.key_length");
  f.Set("attention_k_eq_v", tied_values);
  const std::optional<double> reused = f.Number("attention.shared_kv_layers");
  f.Copy("attention.shared_kv_layers", "num_kv_shared_layers");
  bool wide = false;
  for (uint32_t i = 0; i < L; ++i) {
    const bool reads = i + static_cast<uint32_t>(reused.value_or(0)) >= L;
    wide = wide || (reads && ffn[i] != ffn[0]);
    if (ffn[i] != ffn[0] && !(reads && ffn[i] == 2 * ffn[0])) f.Refuse("feed_forward_length", "these widths are not supported in this architecture");
  }
  f.Set("intermediate_size", ffn[0], "feed_forward_length");
  f.Set("use_double_wide_mlp", wide, "feed_forward_length");
  f.Set("hidden_size_per_layer_input", 0);
  if (f.Has("embedding_length_per_layer_input")) f.Copy("embedding_length_per_layer_input", "hidden_size_per_layer_input");
  const std::optional<size_t> rows = f.file().Find("per_layer_token_embd.weight");
  if (rows) f.Set("vocab_size_per_layer_input", f.file().tensors()[*rows].shape[0]);
  f.Copy("final_logit_softcapping", "final_logit_softcapping");
  const bool experts = f.HasTensor("blk.0.ffn_gate_inp.weight");
  f.Set("enable_moe_block", experts);
  f.Unset("num_experts_per_tok");
  if (experts) CopyAll(f, {{"expert_count", "num_experts"}, {"expert_used_count", "top_k_experts"}, {"expert_feed_forward_length", "moe_intermediate_size"}});
  // Pairs that do not turn have a divisor beyond all others.
  uint64_t pairs = full_width / 2, turned = pairs;
  if (f.HasTensor(kFreqs)) {
    const std::vector<Json> divisors = f.TensorNumbers(kFreqs);
    pairs = divisors.size();
    turned = static_cast<uint64_t>(std::count(divisors.begin(), divisors.end(), Json(1.0)));
    if (turned == 0 || !std::all_of(divisors.begin() + static_cast<std::ptrdiff_t>(turned), divisors.end(), [](const Json& x) { return x.as_double() > 1e20; }))
      f.Refuse("rope.dimension_count", std::string("the numbers of ") + kFreqs + " are not supported in this architecture");
  }
  f.Set("rope_parameters", {{"full_attention", {{"rope_type", "proportional"}, {"rope_theta", f.Number("rope.freq_base").value_or(1e6)},
                                                {"partial_rotary_factor", turned == pairs ? 1.0 : (2.0 * static_cast<double>(turned) + 0.5) / (2.0 * static_cast<double>(pairs))}}},
                            {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", f.Number("rope.freq_base_swa").value_or(1e4)}}}}, "rope.freq_base");
}

// An encoder whose layers are those of decoders.
void ModernBert(GgufTranslation& f) {
  CopyAll(f, {{"block_count", "num_hidden_layers"}, {"context_length", "max_position_embeddings"}, {"embedding_length", "hidden_size"},
              {"feed_forward_length", "intermediate_size"}, {"attention.head_count", "num_attention_heads"}, {"attention.layer_norm_epsilon", "norm_eps"},
              {"attention.sliding_window", "local_attention"}, {"rope.freq_base", "global_rope_theta"}, {"rope.freq_base_swa", "local_rope_theta"},
              {"hidden_act", "hidden_activation"}});
  f.Set("vocab_size", VocabularyRows(f), "vocab_size");
  f.Only("vocab_size", VocabularyRows(f));
  f.Only("attention.head_count_kv", f.Count("attention.head_count"));
  f.Only("attention.causal", false);
  f.Only("rope.scaling.type", "none");
  f.Only("rope.dimension_count", f.Count("embedding_length") / f.Count("attention.head_count"));
  TranslatePooling(f);
  if (f.Has("attention.sliding_window_pattern")) f.Copy("attention.sliding_window_pattern", "global_attn_every_n_layers");
}

// Factors that the format has no keys for are those of the published models.
void MiniCpm3(GgufTranslation& f) {
  CopyAll(f, {{"attention.q_lora_rank", "q_lora_rank"}, {"attention.kv_lora_rank", "kv_lora_rank"}, {"rope.dimension_count", "qk_rope_head_dim"}});
  const uint32_t rotated = f.Count("rope.dimension_count"), key = f.Count("attention.key_length");
  if (key <= rotated) f.Refuse("attention.key_length", "leaves nothing beside the rotated part");
  f.Set("qk_nope_head_dim", key - rotated, "attention.key_length");
  for (const char* field : {"head_dim", "partial_rotary_factor"}) f.Unset(field);
  f.Set("scale_emb", 12);
  f.Set("scale_depth", 1.4);
  f.Set("dim_model_base", 256);
}

void Apertus(GgufTranslation& f) {
  Json xielu = Json::Object();
  for (const char* name : {"alpha_p", "alpha_n", "beta", "eps"}) {
    const std::string key = std::string("xielu.") + name;
    const Json* numbers = f.Find(key);
    if (numbers == nullptr) f.Refuse(key, "is missing");
    xielu[name] = *numbers;
  }
  f.Set("xielu", std::move(xielu), "xielu.alpha_p");
  OwnRotation(f);
}

// The factors of the published configuration lie in the file's matrices.
void FalconH1(GgufTranslation& f) {
  CopyAll(f, {{"ssm.conv_kernel", "mamba_d_conv"}, {"ssm.state_size", "mamba_d_state"}, {"ssm.group_count", "mamba_n_groups"},
              {"ssm.time_step_rank", "mamba_n_heads"}, {"ssm.inner_size", "mamba_d_ssm"}});
  // Which is a factor on the embedding in the place of one on the logits where both are one matrix.
  if (!f.HasTensor("output.weight")) f.Refuse("vocab_size", "a tied head has another factor than its table, which the format does not say");
  f.Set("mamba_conv_bias", f.HasTensor("blk.0.ssm_conv1d.bias"));
  f.Set("mamba_rms_norm", f.HasTensor("blk.0.ssm_norm.weight"));
  f.Set("mamba_norm_before_gate", false);
}

void ChatGlm(GgufTranslation& f) {
  f.Set("head_dim", HeadWidthOf(f), "attention.key_length");
  if (f.Field("partial_rotary_factor") == nullptr) f.Set("partial_rotary_factor", 1.0, "rope.dimension_count");
  if (f.HasTensor("blk.0.attn_qkv.bias")) f.Set("attention_bias", true);
}

// Widths by layer; how far above the mean gates must lie, in standard deviations.
void Gemma3n(GgufTranslation& f) {
  f.Set("num_key_value_heads", f.OfAllLayers("attention.head_count_kv"), "attention.head_count_kv");
  f.Set("head_dim", HeadWidthOf(f), "attention.key_length");
  std::vector<Json> widths, parts;
  for (const uint32_t width : f.Layers("feed_forward_length")) widths.push_back(width);
  f.Set("intermediate_size", Json(std::move(widths)), "feed_forward_length");
  TranslateRotation(f);
  CopyAll(f, {{"rope.freq_base_swa", "rope_local_base_freq"}, {"altup.active_idx", "altup_active_idx"}, {"altup.num_inputs", "altup_num_inputs"},
              {"embedding_length_per_layer_input", "hidden_size_per_layer_input"}, {"attention.shared_kv_layers", "num_kv_shared_layers"}});
  f.Copy("final_logit_softcapping", "final_logit_softcapping");
  for (const auto& [tensor, field] : {std::pair{"per_layer_token_embd.weight", "vocab_size_per_layer_input"}, std::pair{"blk.0.laurel_l.weight", "laurel_rank"}}) {
    const std::optional<size_t> there = f.file().Find(tensor);
    if (there && !f.file().tensors()[*there].shape.empty()) f.Set(field, f.file().tensors()[*there].shape[0]);
  }
  const Json* deviations = f.Find("activation_sparsity_scale");
  if (deviations == nullptr || !deviations->is_array() || deviations->size() != f.layers()) f.Refuse("activation_sparsity_scale", "expected a number for each layer");
  for (const Json& item : deviations->items()) {
    if (!item.is_number()) f.Refuse("activation_sparsity_scale", "holds " + Shown(item) + ", expected numbers");
    parts.push_back(std::erfc(-item.as_double() / std::sqrt(2.0)) / 2);
  }
  f.Set("activation_sparsity_pattern", Json(std::move(parts)), "activation_sparsity_scale");
}

}  // namespace gguf

void TranslateDecoderFields(GgufTranslation& f, bool own_widths) {
  using namespace gguf;
  CopyAll(f, {{"context_length", "max_position_embeddings"}, {"embedding_length", "hidden_size"}, {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
              {"attention.layer_norm_epsilon", "layer_norm_eps"}});
  if (const Json* used = f.Find("expert_used_count"); used != nullptr && *used != 0) f.Set("num_experts_per_tok", *used, "expert_used_count");
  if (f.IsZero("expert_count")) f.Ignore("expert_count");
  f.Set("num_hidden_layers", f.layers(), "block_count");
  f.Set("num_attention_heads", f.OfAllLayers("attention.head_count"), "attention.head_count");
  f.Set("vocab_size", VocabularyRows(f), "vocab_size");
  f.Only("vocab_size", VocabularyRows(f));
  f.Set("tie_word_embeddings", !f.HasTensor("output.weight"));
  f.Ignore("tensor_data_layout");
  f.Ignore("nextn_predict_layers");
  bool bias = false, ffn_bias = false;
  for (const SourceTensor& tensor : f.file().tensors()) {
    bias = bias || tensor.name.ends_with(".attn_q.bias");
    ffn_bias = ffn_bias || tensor.name.ends_with(".ffn_down.bias");
  }
  f.Set("attention_bias", bias);
  if (ffn_bias) f.Set("mlp_bias", true);
  TranslateWindow(f);
  if (own_widths) return;
  // What such a file leaves out follows from the rest, whatever is usual in the family.
  f.Set("num_key_value_heads", Json());
  f.Set("head_dim", Json());
  if (f.Has("attention.head_count_kv")) f.Set("num_key_value_heads", f.OfAllLayers("attention.head_count_kv"), "attention.head_count_kv");
  if (f.Has("feed_forward_length")) f.Set("intermediate_size", f.OfAllLayers("feed_forward_length"), "feed_forward_length");
  if (f.Has("attention.key_length")) f.Set("head_dim", f.Count("attention.key_length"), "attention.key_length");
  TranslateRotation(f);
}

std::set<std::string> GgufFieldTensors() { return {gguf::kShort, gguf::kLong, gguf::kFreqs}; }

}  // namespace thimble
