// Mistral: Llama with a sliding window on every layer.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanMistral(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  const bool tied = config.Flag("tie_word_embeddings", false);
  const uint32_t window = WindowOr(config, 4096);  // later models write null
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t) { return true; });
  CheckForeignFields(config, l);
  config.Only("use_sliding_window", window != 0);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, &shape.positions);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.window = sliding[i] ? window : 0;
    layers.push_back(ReadGatedLayer(b, i, l));
  }
  return FinishDecoder(b, "mistral", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
