// SmolLM3: Llama with layers that have no positions; what slides does so without a rotation.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanSmolLm3(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", true), slides = config.Flag("use_sliding_window", false);
  const uint32_t window = WindowOr(config, 0), interval = config.Count("no_rope_layer_interval", 4);
  std::vector<uint32_t> rotated = config.WholeNumbers("no_rope_layers");  // 1: has a rotation
  for (uint32_t i = 0; i < shape.L && !config.Has("no_rope_layers"); ++i) rotated.push_back((i + 1) % interval != 0);
  if (rotated.size() != shape.L) config.Refuse(Code::kInvalidModel, "no_rope_layers", "expected one number for each layer");
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return slides && window != 0 && rotated[i] == 0; });
  CheckForeignFields(config, l);
  config.Ignore({"max_window_layers"});

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 2e6});
  config.Finish();
  return FinishDecoder(b, "smollm3", shape, tied, {}, ReadGatedLayers(b, shape, [&](uint32_t i, GatedLayer& layer) {
                         if (rotated[i] == 0) layer.rotation = KeyRotation::kNone;
                         layer.window = sliding[i] ? window : 0;
                       }));
}

}  // namespace thimble
