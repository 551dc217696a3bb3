// Granite 3: Llama with factors on the embedding, the scores, what blocks add, and (as a divisor) the logits. Granite SWA: three of
// four layers slide, each with a theta of its own or without positions, and every head has a score without a value. GraniteMoE: a mixture of experts.
// Granite 4 dense: the same layers under the names of the hybrid family, whose attention may have no positions.
#include "targets/convert/family_granite.h"

#include <map>

#include "targets/convert/family.h"
#include "targets/convert/rotary.h"

namespace thimble {

DecoderShape ReadGranite(Config& config, ModelSpec* spec) {
  // Before the fields that others have at 1 are taken for nothing.
  spec->input.scale = static_cast<float>(config.Positive("embedding_multiplier", 1.0));
  spec->output.scale = static_cast<float>(1 / config.Positive("logits_scaling", 1.0));
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.residual_scale = config.Positive("residual_multiplier", 1.0);
  l.scale = config.Positive("attention_multiplier", 1.0);
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  return shape;
}

ModelPlan PlanGranite(Config& config, const Checkpoint& checkpoint) {
  ModelSpec spec;
  DecoderShape shape = ReadGranite(config, &spec);
  GatedLayer& l = shape.layer;
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  return FinishDecoder(b, "granite", shape, tied, spec, ReadGatedLayers(b, shape));
}

ModelPlan PlanGraniteSwa(Config& config, const Checkpoint& checkpoint) {
  ModelSpec spec;
  DecoderShape shape = ReadGranite(config, &spec);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  l.sinks = "sinks";
  const bool tied = config.Flag("tie_word_embeddings", true);
  const uint32_t window = WindowOr(config, 128);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t i) { return i % 4 != 0; });
  CheckForeignFields(config, l);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  const std::vector<double> thetas = config.Numbers("layer_rope_theta", shape.L).value_or(std::vector<double>(shape.L, l.rope.theta));
  for (const double theta : thetas) {
    if (theta != 0 && !(theta >= 1)) config.Refuse(Code::kInvalidModel, "layer_rope_theta", "holds numbers between 0 and 1");
  }
  // Divisors that follow from theta, too, are made anew for each.
  std::map<double, RopeSpec> ropes = {{l.rope.theta, l.rope}};
  for (const double theta : thetas) {
    if (theta != 0 && !ropes.contains(theta)) ropes[theta] = ReadWholeRotary(config, l.d, b, {.always_theta = theta});
  }
  config.Finish();
  return FinishDecoder(b, "granite_swa", shape, tied, spec, ReadGatedLayers(b, shape, [&](uint32_t i, GatedLayer& layer) {
                         layer.window = sliding[i] ? window : 0;
                         if (thetas[i] == 0) layer.rotation = KeyRotation::kNone;  // no positions
                         else layer.rope = ropes[thetas[i]];
                       }));
}

ModelPlan PlanGraniteMoe(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count("num_local_experts", 8);
  e.K = config.Count("num_experts_per_tok", 2);
  e.normalise = true;  // softmax over the chosen alone
  e.router = "block_sparse_moe.router.layer";
  e.fused_gate_up = "block_sparse_moe.input_linear.weight";
  e.fused_down = "block_sparse_moe.output_linear.weight";
  IgnoreRouterTraining(config);
  ModelSpec spec;
  DecoderShape shape = ReadGranite(config, &spec);
  GatedLayer& l = shape.layer;
  e.F = l.F;
  l.experts = e;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  return FinishDecoder(b, "granitemoe", shape, tied, spec, ReadGatedLayers(b, shape));
}

}  // namespace thimble
