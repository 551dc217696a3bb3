// OLMoE: a mixture of experts in every layer, RMSNorm over all query heads (and all key heads) together.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanOlmoe(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count("num_experts", 64);
  e.K = config.Count("num_experts_per_tok", 8);
  e.normalise = config.Flag("norm_topk_prob", false);
  IgnoreRouterTraining(config);
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  e.F = l.F;
  l.experts = e;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = config.Flag("attention_bias", false) ? Bias::kRequired : Bias::kAbsent;
  l.qk_norm = HeadNorm::kAllHeads;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  config.Only("clip_qkv", nullptr);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "olmoe", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
