// Arcee (AFM-4.5B): Llama with down(relu(up x)^2) for the feed-forward network. Apertus: the same with xIELU, whose numbers each
// layer stores, and RMSNorm on each query and key head. NanoChat: norms without weights, before the first layer, too, and on query
// and key heads, which turn the other way.
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

double Softplus(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }

// s0 x^2 + s2 x above 0; (expm1(min(x, s3)) - x) s1 + s2 x below.
int32_t ReadXielu(PlanBuilder& b, const std::string& name, const std::string& source) {
  const auto number = [&](const char* field, const std::vector<uint64_t>& shape) { return b.Numbers(source + field, shape, 0, 1)[0]; };
  const float beta = number("beta", {});
  const double positive = Softplus(number("alpha_p", {1})), negative = static_cast<double>(beta) + Softplus(number("alpha_n", {1}));
  return b.Values(name, {static_cast<float>(positive), static_cast<float>(negative), beta, number("eps", {})});
}

}  // namespace

ModelPlan PlanArcee(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "relu2");
  l.plain_ffn = true;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  return FinishDecoder(b, "arcee", shape, tied, {}, ReadGatedLayers(b, shape));
}

ModelPlan PlanApertus(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  config.Only("hidden_act", "xielu");
  l.activation = Activation::kXielu;
  l.plain_ffn = true;
  l.attention_norm = "attention_layernorm";
  l.ffn_norm = "feedforward_layernorm";
  l.qk_norm = HeadNorm::kPerHead;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  config.Only("post_norm", false);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 12e6});
  config.Finish();
  std::vector<LayerSpec> layers = ReadGatedLayers(b, shape);
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string n = std::to_string(i);
    layers[i].ffn().shape = ReadXielu(b, "layer." + n + ".ffn.shape", "layers." + n + ".mlp.act_fn.");
  }
  return FinishDecoder(b, "apertus", shape, tied, {}, std::move(layers));
}

ModelPlan PlanNanoChat(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "relu2");
  l.plain_ffn = l.weightless = true;
  l.ffn_up = "mlp.fc1";
  l.ffn_down = "mlp.fc2";
  l.qk_norm = HeadNorm::kPerHead;  // which a rotation does not change, so that their order does not matter
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  ModelSpec spec;
  if (config.Has("final_logit_softcapping")) spec.output.softcap = static_cast<float>(config.Positive("final_logit_softcapping"));
  else if (!config.Mentions("final_logit_softcapping")) spec.output.softcap = 15;
  spec.input.norm.kind = NormKind::kRmsNorm;
  spec.input.norm.eps = static_cast<float>(l.eps);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  if (l.rope.freq_divisors != kNoTensor) config.Refuse(Code::kUnsupported, "rope_parameters", "only the default kind is supported");
  l.rope.freq_divisors = b.Values("rope.freq_divisors", std::vector<float>(l.d / 2, -1.0f));
  config.Finish();
  return FinishDecoder(b, "nanochat", shape, tied, spec, ReadGatedLayers(b, shape));
}

}  // namespace thimble
