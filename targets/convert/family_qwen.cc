// Qwen 2 and 2.5: Llama with biases on q, k and v. Qwen 3: no biases by default, RMSNorm on each query and key head. Its
// mixture of experts stands in the layers that the configuration says, an ordinary network in the others.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

ModelPlan PlanQwen(const char* family, Config& config, const Checkpoint& checkpoint, Bias qkv_bias,
                   Bias o_bias, HeadNorm qk_norm, const GatedLayer::Experts& experts = {},
                   const std::vector<bool>& sparse = {}) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = qkv_bias;
  l.o_bias = o_bias;
  l.qk_norm = qk_norm;
  const bool tied = config.Flag("tie_word_embeddings", false);
  // sliding_window is written down even where it is switched off. Layers from max_window_layers on slide.
  const bool slides = config.Flag("use_sliding_window", false);
  const uint32_t window = WindowOr(config, 4096);
  const uint32_t first = config.Has("max_window_layers") ? config.WholeNumber("max_window_layers") : 28;
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return slides && i >= first; });
  CheckForeignFields(config, l);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.longrope = true});
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
  return PlanQwen("qwen2", config, checkpoint, Bias::kRequired, Bias::kAbsent, HeadNorm::kNone);
}

ModelPlan PlanQwen3(Config& config, const Checkpoint& checkpoint) {
  const Bias bias = config.Flag("attention_bias", false) ? Bias::kRequired : Bias::kAbsent;
  return PlanQwen("qwen3", config, checkpoint, bias, bias, HeadNorm::kPerHead);
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
  const Bias bias = config.Flag("attention_bias", false) ? Bias::kRequired : Bias::kAbsent;
  return PlanQwen("qwen3_moe", config, checkpoint, bias, bias, HeadNorm::kPerHead, e, sparse);
}

}  // namespace thimble
