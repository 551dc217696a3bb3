// OLMo Hybrid: three gated delta nets to one attention, without positions where the configuration writes rope_theta as null. Norms stand
// before the former and behind the latter.
#include "targets/convert/delta_net.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

// As many heads as the attention has, of three quarters of the width together, values twice as wide.
StateSpaceSpec UsualNet(Config& config, const GatedLayer& l) {
  StateSpaceSpec s;
  s.groups = config.Count("linear_num_key_heads", l.H);
  s.heads = l.H;
  s.states = config.Count("linear_key_head_dim", 3 * l.D / (4 * s.groups));
  s.head_width = 2 * s.states;
  return s;
}

bool HasRotation(Config& config) {
  const auto null_theta = [](const Config& from) { return from.Mentions("rope_theta") && !from.Has("rope_theta"); };
  std::optional<Config> parameters = config.Object("rope_parameters");
  if (!parameters || !parameters->Mentions("rope_theta")) return !null_theta(config);
  if (!null_theta(*parameters)) return true;
  parameters->Only("rope_type", "default");
  parameters->Finish();
  return false;
}

}  // namespace

ModelPlan PlanOlmoHybrid(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  if (l.activation != Activation::kSilu) config.Refuse(Code::kUnsupported, "hidden_act", "only silu is supported in this family");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.qk_norm = HeadNorm::kAllHeads;
  DeltaNet net = ReadDeltaNet(config, config.Flag("linear_allow_neg_eigval", true) ? 2 : 1, UsualNet(config, l));
  net.eps = 1e-5;  // the reference's, whatever the others are
  const bool tied = config.Flag("tie_word_embeddings", false);
  auto types = config.Texts("layer_types");
  if (!types) {
    types.emplace(shape.L, "linear_attention");
    for (uint32_t i = 3; i < shape.L; i += 4) (*types)[i] = "full_attention";
    if (shape.L < 4) types->back() = "full_attention";
  }
  if (types->size() != shape.L) config.Refuse(Code::kInvalidModel, "layer_types", "expected one for each layer");
  CheckForeignFields(config, l);
  // How it was initialised.
  config.Ignore({"linear_a_log_max", "linear_a_log_min", "linear_dt_init_floor", "linear_dt_max", "linear_dt_min"});

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  if (HasRotation(config)) {
    l.rope = ReadWholeRotary(config, l.d, b);
  } else {
    l.rotation = KeyRotation::kNone;
    config.Ignore({"rope_theta", "rope_scaling"});
  }
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", ours = "layer." + std::to_string(i) + ".state_space", net_of = h + "linear_attn.";
    GatedLayer own = l;
    // Two names of one norm, as published and as transformers has them in memory.
    const auto either = [&](const char* published, const char* other) { return b.Has(h + published + ".weight") ? published : other; };
    const std::string second = either("feedforward_layer_norm", "post_attention_layernorm");
    BlockSpec first;
    if ((*types)[i] == "full_attention") {
      own.attention_norm = own.ffn_norm = "";
      own.attention_post_norm = second;
      own.ffn_post_norm = "post_feedforward_layernorm";
      first = ReadAttentionBlock(b, i, own);
    } else if ((*types)[i] == "linear_attention") {
      own.ffn_norm = second;
      first.norm = b.RmsNorm(ours + "_norm", h + either("attention_layer_norm", "input_layernorm"), l.D, l.eps);
      StateSpaceSpec s = net.shape;
      const size_t q = b.Tensor(net_of + "q_proj.weight", {net.keys(), l.D}), k = b.Tensor(net_of + "k_proj.weight", {net.keys(), l.D});
      const size_t v = b.Tensor(net_of + "v_proj.weight", {net.values(), l.D});
      s.input = GatherRows(b, ours + ".input", l.D, {{v, 0, net.values()}, {k, 0, net.keys()}, {q, 0, net.keys()}});
      s.gate = b.Linear(ours + ".gate", net_of + "g_proj", net.values(), l.D, Bias::kAbsent);
      s.step = b.Linear(ours + ".step", net_of + "a_proj", s.heads, l.D, Bias::kAbsent);
      s.beta = b.Linear(ours + ".beta", net_of + "b_proj", s.heads, l.D, Bias::kAbsent);
      ReadDeltaRest(b, ours + ".", net_of, l.D, net, {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"}, "o_norm", "o_proj", &s);
      first.mixer = s;
    } else {
      config.Refuse(Code::kUnsupported, "layer_types", "'" + (*types)[i] + "' is not supported, expected linear_attention or full_attention");
    }
    layers.push_back({{first, ReadFfnBlock(b, i, own)}});
  }
  return FinishDecoder(b, "olmo_hybrid", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
