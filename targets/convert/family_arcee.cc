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
struct Xielu {
  double alpha_p = 0, alpha_n = 0, beta = 0, eps = 0;

  int32_t Store(PlanBuilder& b, const std::string& name) const {
    return b.Values(name, {static_cast<float>(Softplus(alpha_p)), static_cast<float>(beta + Softplus(alpha_n)), static_cast<float>(beta),
                           static_cast<float>(eps)});
  }
};

Xielu ReadXielu(PlanBuilder& b, const std::string& source) {
  const auto number = [&](const char* field, const std::vector<uint64_t>& shape) { return static_cast<double>(b.Numbers(source + field, shape, 0, 1)[0]); };
  return {number("alpha_p", {1}), number("alpha_n", {1}), number("beta", {}), number("eps", {})};
}

// As a file of another format stores them: in the configuration, a list for each. Empty where there are none.
std::vector<Xielu> ReadXielus(Config& config, uint32_t layers) {
  std::optional<Config> lists = config.Object("xielu");
  if (!lists) return {};
  std::vector<Xielu> all(layers);
  for (const auto& [field, member] : {std::pair{"alpha_p", &Xielu::alpha_p}, std::pair{"alpha_n", &Xielu::alpha_n}, std::pair{"beta", &Xielu::beta},
                                      std::pair{"eps", &Xielu::eps}}) {
    const std::optional<std::vector<double>> numbers = lists->Numbers(field, layers);
    if (!numbers) lists->Refuse(Code::kInvalidModel, field, "is missing");
    for (uint32_t i = 0; i < layers; ++i) all[i].*member = (*numbers)[i];
  }
  lists->Finish();
  return all;
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
  const bool xielu = config.Text("hidden_act", "xielu") == "xielu";
  l.activation = xielu ? Activation::kXielu : ReadActivation(config, "hidden_act", "");
  l.plain_ffn = true;
  l.attention_norm = "attention_layernorm";
  l.ffn_norm = "feedforward_layernorm";
  l.qk_norm = HeadNorm::kPerHead;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  config.Only("post_norm", false);
  config.Only("qk_norm", true);
  const std::vector<Xielu> stored = ReadXielus(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  constexpr const char* kUsual = R"({"rope_type": "llama3", "rope_theta": 12e6, "factor": 8, "original_max_position_embeddings": 8192,
      "low_freq_factor": 1, "high_freq_factor": 4})";
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 12e6, .usual = kUsual});
  config.Finish();
  std::vector<LayerSpec> layers = ReadGatedLayers(b, shape);
  for (uint32_t i = 0; xielu && i < shape.L; ++i) {
    const std::string n = std::to_string(i);
    const Xielu numbers = stored.empty() ? ReadXielu(b, "layers." + n + ".mlp.act_fn.") : stored[i];
    layers[i].ffn().shape = numbers.Store(b, "layer." + n + ".ffn.shape");
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
  l.qk_norm = HeadNorm::kPerHead;
  l.norm_order = NormOrder::kAfterRotation;
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
  l.rope = ReadWholeRotary(config, l.d, b, {.backwards = true});
  config.Finish();
  return FinishDecoder(b, "nanochat", shape, tied, spec, ReadGatedLayers(b, shape));
}

}  // namespace thimble
