#include "targets/convert/gguf_fields.h"

#include <algorithm>

namespace thimble {
namespace {

constexpr char kShort[] = "rope_factors_short.weight", kLong[] = "rope_factors_long.weight", kFreqs[] = "rope_freqs.weight";

uint32_t HeadWidthOf(GgufTranslation& f) {
  if (f.Has("attention.key_length")) return f.Count("attention.key_length");
  const uint32_t heads = f.OfAllLayers("attention.head_count");
  return f.Count("embedding_length") / heads;
}

// Frequencies, stretched or stored.
void TranslateRotation(GgufTranslation& f) {
  f.Copy("rope.freq_base", "rope_theta");
  f.Ignore("rope.scaling.finetuned");
  const Json* type = f.Find("rope.scaling.type");
  const std::string kind = type != nullptr && type->is_text() ? type->as_text() : "none";
  const std::optional<double> scale = f.Number("rope.scaling.factor"), older = f.Number("rope.scale_linear");
  const double factor = scale.value_or(older.value_or(1));
  const Json* original = f.Find("rope.scaling.original_context_length");
  const std::optional<double> magnitude = f.Number("rope.scaling.attn_factor");
  Json scaling = Json::Object();
  if (f.HasTensor(kShort) || f.HasTensor(kLong)) {
    if (kind != "none" && kind != "longrope") f.Refuse("rope.scaling.type", "'" + kind + "' does not go with " + kShort);
    if (!f.HasTensor(kShort) || !f.HasTensor(kLong)) f.Refuse("rope.scaling.type", std::string("longrope needs ") + kShort + " and " + kLong);
    scaling = {{"rope_type", "longrope"}, {"short_factor", Json(f.TensorNumbers(kShort))}, {"long_factor", Json(f.TensorNumbers(kLong))},
               {"attention_factor", magnitude.value_or(1)}};
    if (original != nullptr) f.Set("original_max_position_embeddings", *original, "rope.scaling.original_context_length");
  } else if (f.HasTensor(kFreqs)) {
    if (kind != "none") f.Refuse("rope.scaling.type", "'" + kind + "' does not go with " + kFreqs);
    scaling = {{"rope_type", "divisors"}, {"divisors", Json(f.TensorNumbers(kFreqs))}};
  } else if (kind == "linear") {
    if (factor != 1) scaling = {{"rope_type", "linear"}, {"factor", factor}};
  } else if (kind == "yarn") {
    scaling = {{"rope_type", "yarn"}, {"factor", factor}};
    if (original != nullptr) scaling["original_max_position_embeddings"] = *original;
    for (const auto& [key, field] : {std::pair{"beta_fast", "beta_fast"}, std::pair{"beta_slow", "beta_slow"}, std::pair{"attn_factor", "attention_factor"}}) {
      if (const auto number = f.Number(std::string("rope.scaling.yarn_") + key)) scaling[field] = *number;
    }
    if (const Json* truncate = f.Find("rope.scaling.yarn_truncate")) scaling["truncate"] = *truncate;
    f.Only("rope.scaling.yarn_ext_factor", 1);
  } else if (kind != "none") {
    f.Refuse("rope.scaling.type", "'" + kind.substr(0, 40) + "' is not supported, expected none, linear, yarn, or longrope with its tensors");
  }
  if (magnitude && *magnitude != 1 && scaling.Find("attention_factor") == nullptr) f.Refuse("rope.scaling.attn_factor", "goes with longrope alone");
  if (scaling.size() > 0) f.Set("rope_scaling", std::move(scaling), "rope.scaling.type");
  // Half a number more, so that no rounding makes it one less.
  const uint32_t width = HeadWidthOf(f);
  if (const auto rotated = f.Number("rope.dimension_count"); rotated && *rotated != width)
    f.Set("partial_rotary_factor", (*rotated + 0.5) / width, "rope.dimension_count");
}

// Which layers slide, where the file says it.
void TranslateWindow(GgufTranslation& f) {
  const Json* window = f.Find("attention.sliding_window");
  f.Set("sliding_window", window == nullptr || *window == 0 ? Json() : *window, "attention.sliding_window");
  const char* key = "attention.sliding_window_pattern";
  const Json* pattern = f.Find(key);
  if (pattern == nullptr) return;
  std::vector<Json> types;
  if (pattern->is_array() && pattern->size() != f.layers())
    f.Refuse(key, "has " + std::to_string(pattern->size()) + " values, expected one for each of " + std::to_string(f.layers()) + " layers");
  const uint32_t period = pattern->is_array() ? 1 : f.Count(key);
  for (uint32_t i = 0; i < f.layers(); ++i) {
    if (pattern->is_array() && !(*pattern)[i].is_bool()) f.Refuse(key, "holds " + std::string("something else than true and false"));
    types.push_back((pattern->is_array() ? (*pattern)[i].as_bool() : (i + 1) % period != 0) ? "sliding_attention" : "full_attention");
  }
  f.Set("layer_types", Json(std::move(types)), key);
}

uint64_t VocabularyRows(const GgufTranslation& f) {
  const std::optional<size_t> table = f.file().Find("token_embd.weight");
  const std::vector<uint64_t> shape = table ? f.file().tensors()[*table].shape : std::vector<uint64_t>();
  return shape.size() == 2 && shape[0] <= INT32_MAX ? shape[0] : 1;  // a missing or misshapen table is an error of the tensor, later
}

// Layers that have none of these (0) are of the other kind.
void SetLayerTypes(GgufTranslation& f, const char* with, const char* without) {
  std::vector<Json> types;
  for (const uint32_t heads : f.Layers("attention.head_count_kv")) types.push_back(heads == 0 ? without : with);
  f.Set("layer_types", Json(std::move(types)), "attention.head_count_kv");
}

void CopyAll(GgufTranslation& f, std::initializer_list<std::pair<const char*, const char*>> pairs) {
  for (const auto& [key, field] : pairs) f.Copy(key, field);
}

// 1 softmax, 2 sigmoid.
std::string ExpertScores(GgufTranslation& f) {
  const Json* score = f.Find("expert_gating_func");
  if (score == nullptr) return "";
  if (*score == 1) return "softmax";
  if (*score == 2) return "sigmoid";
  f.Refuse("expert_gating_func", "found " + Shown(*score) + ", expected 1 (softmax) or 2 (sigmoid)");
}

void OnlyScores(GgufTranslation& f, const std::string& known) {
  const std::string scores = ExpertScores(f);
  if (!scores.empty() && scores != known) f.Refuse("expert_gating_func", scores + " is not supported in this architecture");
}

// The model below the head is published without anything in front of its names; a pooling says that this is one.
void TranslatePooling(GgufTranslation& f) {
  const Json* pooling = f.Find("pooling_type");
  if (pooling == nullptr || *pooling == 0) return;
  static constexpr const char* kNames[] = {"", "mean", "first", "last"};
  if (!pooling->is_unsigned() || pooling->as_unsigned() >= std::size(kNames))
    f.Refuse("pooling_type", "found " + Shown(*pooling) + ", expected 0 (none), 1 (mean), 2 (first) or 3 (last)");
  f.pooling = kNames[pooling->as_unsigned()];
}

// What is said of stretched positions beside the divisors.
void SetInScaling(GgufTranslation& f, const char* key, double factor, std::initializer_list<const char*> fields) {
  const std::optional<double> number = f.Number(key);
  Json* scaling = f.Field("rope_scaling");
  if (!number) return;
  if (scaling == nullptr) f.Refuse(key, "goes with stretched positions (yarn) alone");
  for (const char* field : fields) (*scaling)[field] = *number * factor;
}

void GraniteFactors(GgufTranslation& f) {
  CopyAll(f, {{"attention.scale", "attention_multiplier"}, {"embedding_scale", "embedding_multiplier"}, {"residual_scale", "residual_multiplier"},
              {"logit_scale", "logits_scaling"}});
}

void DeepSeekExperts(GgufTranslation& f) {
  CopyAll(f, {{"expert_count", "n_routed_experts"}, {"expert_feed_forward_length", "moe_intermediate_size"}, {"expert_shared_count", "n_shared_experts"},
              {"leading_dense_block_count", "first_k_dense_replace"}, {"expert_weights_scale", "routed_scaling_factor"}});
  const Json* norm = f.Find("expert_weights_norm");
  f.Set("norm_topk_prob", norm != nullptr && *norm == true, "expert_weights_norm");
  const std::string scores = ExpertScores(f);
  f.Set("scoring_func", scores.empty() ? "softmax" : scores, "expert_gating_func");
  for (const auto& [key, field] : {std::pair{"expert_group_count", "n_group"}, std::pair{"expert_group_used_count", "topk_group"}}) {
    const Json* groups = f.Find(key);
    f.Set(field, groups != nullptr ? *groups : Json(1), key);
  }
}

void Lfm2(GgufTranslation& f) {
  SetLayerTypes(f, "full_attention", "conv");
  f.Unset("rms_norm_eps");
  f.Copy("attention.layer_norm_rms_epsilon", "norm_eps");
  f.Copy("shortconv.l_cache", "conv_L_cache");
}

// State spaces alone.
void StateSpaces(GgufTranslation& f) {
  CopyAll(f, {{"context_length", "max_position_embeddings"}, {"embedding_length", "hidden_size"}, {"attention.layer_norm_rms_epsilon", "layer_norm_epsilon"},
              {"ssm.conv_kernel", "conv_kernel"}, {"ssm.group_count", "n_groups"}});
  f.Ignore("tensor_data_layout");
  f.Set("num_hidden_layers", f.layers(), "block_count");
  f.Set("vocab_size", VocabularyRows(f), "vocab_size");
  f.Only("vocab_size", VocabularyRows(f));
  f.Set("tie_word_embeddings", !f.HasTensor("output.weight"));
}

void EncoderFields(GgufTranslation& f) {
  CopyAll(f, {{"block_count", "num_hidden_layers"}, {"context_length", "max_position_embeddings"}, {"embedding_length", "hidden_size"},
              {"feed_forward_length", "intermediate_size"}, {"attention.head_count", "num_attention_heads"},
              {"attention.layer_norm_epsilon", "layer_norm_eps"}});
  f.Set("vocab_size", VocabularyRows(f), "vocab_size");
  f.Only("vocab_size", VocabularyRows(f));
  f.Only("attention.head_count_kv", f.Count("attention.head_count"));
  f.Only("attention.causal", false);
  TranslatePooling(f);
  const std::optional<size_t> types = f.file().Find("token_types.weight");
  if (types && !f.file().tensors()[*types].shape.empty()) f.Set("type_vocab_size", f.file().tensors()[*types].shape[0]);
}

// Delta nets beside attention.
void DeltaNets(GgufTranslation& f) {
  CopyAll(f, {{"ssm.conv_kernel", "linear_conv_kernel_dim"}, {"ssm.state_size", "linear_key_head_dim"}, {"ssm.group_count", "linear_num_key_heads"},
              {"ssm.time_step_rank", "linear_num_value_heads"}, {"full_attention_interval", "full_attention_interval"}});
  const uint32_t inner = f.Count("ssm.inner_size"), heads = f.Count("ssm.time_step_rank"), keys = f.Count("ssm.group_count");
  if (inner % heads != 0 || heads % keys != 0) f.Refuse("ssm.inner_size", "is not made of time_step_rank heads, several for each of group_count keys");
  f.Set("linear_value_head_dim", inner / heads, "ssm.inner_size");
  if (f.Field("partial_rotary_factor") == nullptr) f.Set("partial_rotary_factor", 1.0, "rope.dimension_count");
  f.Ignore("rope.dimension_sections");  // of pictures
  if (const Json* recurrent = f.Find("attention.recurrent_layers")) {
    if (!recurrent->is_array() || recurrent->size() != f.layers()) f.Refuse("attention.recurrent_layers", "expected one truth value for each layer");
    std::vector<Json> types;
    for (const Json& item : recurrent->items()) types.push_back(item == true ? "linear_attention" : "full_attention");
    f.Set("layer_types", Json(std::move(types)), "attention.recurrent_layers");
  }
  f.Set("head_dim", HeadWidthOf(f), "attention.key_length");
}

}  // namespace

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

void GptOss(GgufTranslation& f) {
  OnlyScores(f, "softmax");
  f.Copy("expert_count", "num_local_experts");
  f.Copy("expert_feed_forward_length", "intermediate_size");
  f.Ignore("feed_forward_length");
  f.Set("head_dim", HeadWidthOf(f), "attention.key_length");
  // Files from before this key: the model's own configuration does not cut the bounds to whole pairs.
  if (Json* scaling = f.Field("rope_scaling"); scaling != nullptr && !scaling->Has("truncate")) (*scaling)["truncate"] = false;
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
  f.Copy("embedding_length_per_layer_input", "hidden_size_per_layer_input");
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

}  // namespace gguf

void TranslateDecoderFields(GgufTranslation& f, bool own_widths) {
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
  if (f.Has("attention.head_count_kv")) f.Set("num_key_value_heads", f.OfAllLayers("attention.head_count_kv"), "attention.head_count_kv");
  if (f.Has("feed_forward_length")) f.Set("intermediate_size", f.OfAllLayers("feed_forward_length"), "feed_forward_length");
  if (f.Has("attention.key_length")) f.Set("head_dim", f.Count("attention.key_length"), "attention.key_length");
  TranslateRotation(f);
}

std::set<std::string> GgufFieldTensors() { return {kShort, kLong, kFreqs}; }

}  // namespace thimble
