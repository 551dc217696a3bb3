// Qwen 2 and 2.5: Llama with biases on q, k and v. Qwen 3: no biases by default, RMSNorm on each query and key head.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

ModelPlan PlanQwen(const char* family, Config& config, const Checkpoint& checkpoint, Bias qkv_bias,
                   Bias o_bias, HeadNorm qk_norm) {
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
  const uint32_t first = config.Has("max_window_layers") ? config.Count("max_window_layers") : 28;
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return slides && i >= first; });
  CheckForeignFields(config, l);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, &shape.positions);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.window = slides && sliding[i] ? window : 0;
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

}  // namespace thimble
