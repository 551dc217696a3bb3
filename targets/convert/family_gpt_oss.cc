// gpt-oss: every head has a score without a value, biases everywhere, every other layer slides, and a mixture of experts in each
// layer, gate and up of which are clamped and stand column by column in one matrix.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

struct ExpertShape {
  uint32_t E = 0, K = 0;
  float alpha = 0, limit = 0;
};

ExpertsSpec ReadClampedExperts(PlanBuilder& b, const std::string& name, const std::string& h, const GatedLayer& l, const ExpertShape& shape) {
  const uint64_t E = shape.E, D = l.D, F = l.F;
  ExpertsSpec e;
  e.experts = shape.E;
  e.chosen = shape.K;
  e.normalise = true;  // softmax over the chosen alone
  e.router.weight = b.Matrix(name + "router.weight", h + "router.weight", E, D, TensorRole::kExact);
  e.router.bias = b.Vector(name + "router.bias", h + "router.bias", E);
  const std::string both = h + "experts.gate_up_proj", down = h + "experts.down_proj";
  // [E, D, 2 F], columns by turns; [E, F, D].
  e.ffn.kind = FfnKind::kGated;
  e.ffn.activation = Activation::kClampedSwish;
  e.ffn.width = l.F;
  e.ffn.gate = b.Strided(name + "gate", both, {E, D, 2 * F}, E, F, D, {0, 2 * F * D, 2, 2 * F});
  e.ffn.up = b.Strided(name + "up", both, {E, D, 2 * F}, E, F, D, {1, 2 * F * D, 2, 2 * F});
  e.ffn.down = b.Strided(name + "down", down, {E, F, D}, E, D, F, {0, F * D, 1, D});
  const std::vector<float> biases = b.Numbers(both + "_bias", {E, 2 * F}, 0, E * 2 * F);
  std::vector<float> gate, up;
  for (size_t i = 0; i < biases.size(); ++i) (i % 2 == 0 ? gate : up).push_back(biases[i]);
  e.ffn.gate.bias = b.Values(name + "gate.bias", gate);
  e.ffn.up.bias = b.Values(name + "up.bias", up);
  e.ffn.down.bias = b.Reshaped(name + "down.bias", down + "_bias", {E, D}, 1, E * D, TensorRole::kExact);
  e.ffn.shape = b.Values(name + "shape", {shape.alpha, shape.limit, 1, 0});
  return e;
}

}  // namespace

ModelPlan PlanGptOss(Config& config, const Checkpoint& checkpoint) {
  ExpertShape experts;
  experts.E = config.Count("num_local_experts", 128);
  experts.K = config.Count("num_experts_per_tok", 4);
  experts.alpha = static_cast<float>(config.Positive("swiglu_alpha", 1.702));
  experts.limit = static_cast<float>(config.Positive("swiglu_limit", 7.0));
  config.Only("experts_per_token", experts.K);
  IgnoreRouterTraining(config);
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", true);
  l.sinks = "sinks";
  config.Only("hidden_act", "silu");
  const bool tied = config.Flag("tie_word_embeddings", false);
  const uint32_t window = WindowOr(config, 128);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t i) { return i % 2 == 0; });
  if (!config.Has("head_dim")) config.Refuse(Code::kInvalidModel, "head_dim", "is missing");
  CheckForeignFields(config, l);
  config.Ignore({"initial_context_length"});  // beside that of the rotation

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 150000.0});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    l.window = sliding[i] ? window : 0;
    BlockSpec attention = ReadAttentionBlock(b, i, l), ffn;
    ffn.norm = b.RmsNorm(name + "ffn_norm", h + l.ffn_norm, l.D, l.eps);
    ffn.mixer = ReadClampedExperts(b, name + "experts.", h + "mlp.", l, experts);
    layers.push_back({{attention, ffn}});
  }
  return FinishDecoder(b, "gpt_oss", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
