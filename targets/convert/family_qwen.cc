// Qwen 2 and 2.5: Llama with biases on q, k and v. Qwen 3: no biases by default, RMSNorm on each query and key head. Its
// mixture of experts stands in the layers that the configuration says, an ordinary network in the others.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

// What tells the families apart.
struct QwenRules {
  Bias qkv_bias = Bias::kAbsent, o_bias = Bias::kAbsent;
  HeadNorm qk_norm = HeadNorm::kPerHead;
  uint32_t head_width = 0;
  double theta = 10000.0;
  bool all_slide = false;                     // where any layer does, whatever max_window_layers says
};

ModelPlan PlanQwen(const char* family, Config& config, const Checkpoint& checkpoint, const QwenRules& rules,
                   const GatedLayer::Experts& experts = {}, const std::vector<bool>& sparse = {}) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = rules.head_width});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = rules.qkv_bias;
  l.o_bias = rules.o_bias;
  l.qk_norm = rules.qk_norm;
  const bool tied = config.Flag("tie_word_embeddings", false);
  // sliding_window is written down even where it is switched off. Layers from max_window_layers on slide.
  const bool slides = config.Flag("use_sliding_window", false);
  const uint32_t window = WindowOr(config, 4096);
  const uint32_t first = config.Has("max_window_layers") ? config.WholeNumber("max_window_layers") : 28;
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return slides && (rules.all_slide || i >= first); });
  CheckForeignFields(config, l);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = rules.theta});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.window = slides && sliding[i] ? window : 0;
    l.experts = !sparse.empty() && sparse[i] ? experts : GatedLayer::Experts();
    layers.push_back(ReadGatedLayer(b, i, l));
  }
  return FinishDecoder(b, family, shape, tied, {}, std::move(layers));
}

}  // namespace

ModelPlan PlanQwen2(Config& config, const Checkpoint& checkpoint) {
  return PlanQwen("qwen2", config, checkpoint, {.qkv_bias = Bias::kRequired, .qk_norm = HeadNorm::kNone});
}

ModelPlan PlanQwen3(Config& config, const Checkpoint& checkpoint) {
  const Bias bias = BiasIf(config, "attention_bias", false);
  return PlanQwen("qwen3", config, checkpoint, {.qkv_bias = bias, .o_bias = bias, .head_width = 128});
}

ModelPlan PlanQwen3Vl(Config& config, const Checkpoint& checkpoint) {
  const Bias bias = BiasIf(config, "attention_bias", false);
  return PlanQwen("qwen3", config, checkpoint, {.qkv_bias = bias, .o_bias = bias, .head_width = 128, .theta = 500000.0});
}

ModelPlan PlanQwen3Moe(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count(config.Has("num_experts") ? "num_experts" : "num_local_experts");
  e.K = config.Count("num_experts_per_tok");
  e.F = config.Count("moe_intermediate_size");
  e.normalise = config.Flag("norm_topk_prob", false);
  IgnoreRouterTraining(config);
  const uint32_t step = config.Count("decoder_sparse_step", 1), layers = config.Count("num_hidden_layers");
  std::vector<bool> sparse(layers);
  for (uint32_t i = 0; i < layers; ++i) sparse[i] = (i + 1) % step == 0;
  for (const uint32_t i : config.WholeNumbers("mlp_only_layers")) {
    if (i >= layers) config.Refuse(Code::kInvalidModel, "mlp_only_layers", "holds " + std::to_string(i) + ", which is no layer");
    sparse[i] = false;
  }
  const Bias bias = BiasIf(config, "attention_bias", false);
  return PlanQwen("qwen3_moe", config, checkpoint, {.qkv_bias = bias, .o_bias = bias, .all_slide = true}, e, sparse);
}

}  // namespace thimble
