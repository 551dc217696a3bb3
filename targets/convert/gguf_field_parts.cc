#include "targets/convert/gguf_field_parts.h"

#include <algorithm>

namespace thimble::gguf {

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

}  // namespace thimble::gguf
