// Mixtral: Mistral with a mixture of experts in place of the feed-forward network; the weights of the chosen add up to 1.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanMixtral(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count("num_local_experts", 8);
  e.K = config.Count("num_experts_per_tok", 2);
  e.normalise = true;
  e.router = "block_sparse_moe.gate";
  e.experts = "block_sparse_moe.experts.";
  e.gate = "w1", e.up = "w3", e.down = "w2";
  IgnoreRouterTraining(config);
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  e.F = l.F;
  l.experts = e;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.window = WindowOr(config, 0);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  config.Only("use_sliding_window", l.window != 0);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 1e6});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "mixtral", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
