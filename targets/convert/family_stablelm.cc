// StableLM 2: LayerNorm with bias, a quarter of each head rotated, biases on q, k and v where the
// configuration says so.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanStableLm(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.norm = NormKind::kLayerNorm;
  l.eps = config.Positive("layer_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = config.Flag("use_qkv_bias", false) ? Bias::kRequired : Bias::kAbsent;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadRotary(config, l.d, b, {.part = 0.25});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "stablelm", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
