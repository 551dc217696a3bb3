// Falcon-H1: attention and a selective state space read the same normed rows in every layer. Factors everywhere: those on inputs and
// outputs of linear layers lie in the weights and scales here.
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"
#include "targets/convert/scaled_rows.h"
#include "targets/convert/state_space.h"

namespace thimble {
namespace {

StoredStateSpace ReadMamba(Config& config, uint32_t D) {
  // Null says that it follows from the width.
  const uint64_t expanded = uint64_t{config.Count("mamba_expand", 2)} * D;
  const uint64_t inner = config.Has("mamba_d_ssm") ? config.Count("mamba_d_ssm") : config.Mentions("mamba_d_ssm") ? expanded : 1024;
  StoredStateSpace stored = ReadStateSpaceNumbers(config, inner, "mamba_d_ssm");
  StateSpaceSpec& s = stored.shape;
  stored.norm = config.Flag("mamba_rms_norm", false);
  if (stored.norm) {
    s.gate_after_norm = config.Flag("mamba_norm_before_gate", true);
    s.norm_groups = s.groups;
  }
  if (config.Has("ssm_multipliers")) stored.factors = config.PositiveNumbers("ssm_multipliers");
  if (stored.factors.size() != 5) config.Refuse(Code::kInvalidModel, "ssm_multipliers", "expected five numbers");
  stored.input_factor = config.Positive("ssm_in_multiplier", 1.0);
  stored.out_bias = BiasIf(config, "projectors_bias", false);
  config.Ignore({"mamba_chunk_size", "mamba_norm_before_gate", "mamba_use_mlp", "mlp_expansion_factor", "time_step_floor", "time_step_max",
                 "time_step_min", "time_step_rank", "mamba_expand"});
  return stored;
}

}  // namespace

ModelPlan PlanFalconH1(Config& config, const Checkpoint& checkpoint) {
  ModelSpec spec;
  spec.input.scale = static_cast<float>(config.Positive("embedding_multiplier", 1.0));
  spec.output.scale = static_cast<float>(config.Positive("lm_head_multiplier", 1.0));
  DecoderShape shape = ReadDecoderShape(config, {.kv_heads = 8});
  shape.final_norm = "final_layernorm";
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  l.ffn_norm = "pre_ff_layernorm";
  l.ffn_gate = "feed_forward.gate_proj", l.ffn_up = "feed_forward.up_proj", l.ffn_down = "feed_forward.down_proj";
  const double key = config.Positive("key_multiplier", 1.0), in = config.Positive("attention_in_multiplier", 1.0);
  // Without biases a factor on what attention reads is one on its scores and one on what it gives.
  const double outside = l.qkv_bias == Bias::kRequired ? 1 : in;
  l.input_scale = in / outside;
  l.scale = key * outside * outside / std::sqrt(static_cast<double>(l.d));
  const double attention_out = config.Positive("attention_out_multiplier", 1.0), out = config.Positive("ssm_out_multiplier", 1.0);
  std::vector<double> mlp = {1, 1};
  if (config.Has("mlp_multipliers")) mlp = config.PositiveNumbers("mlp_multipliers");
  if (mlp.size() != 2) config.Refuse(Code::kInvalidModel, "mlp_multipliers", "expected two numbers");
  StoredStateSpace stored = ReadMamba(config, l.D);
  stored.eps = l.eps;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  config.Only("attn_layer_indices", nullptr);
  if (l.activation != Activation::kSilu) config.Refuse(Code::kUnsupported, "hidden_act", "state spaces have silu");
  config.Ignore({"num_logits_to_keep"});

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    BlockSpec attention = ReadAttentionBlock(b, i, l), state_space, ffn;
    attention.scale = static_cast<float>(attention_out * outside);
    state_space.form = BlockForm::kParallel;
    state_space.mixer = ReadStateSpace(b, name + "state_space.", h + "mamba.", l.D, stored);
    state_space.scale = static_cast<float>(out);
    ffn.norm = b.RmsNorm(name + "ffn_norm", h + l.ffn_norm, l.D, l.eps);
    FfnSpec f;
    f.kind = FfnKind::kGated;
    f.activation = l.activation;
    f.width = l.F;
    f.gate = ReadScaledRows(b, name + "ffn.gate", h + l.ffn_gate, 0, l.F, l.D, {{l.F, mlp[0], mlp[0]}}, l.mlp_bias);
    f.up = b.Linear(name + "ffn.up", h + l.ffn_up, l.F, l.D, l.mlp_bias);
    f.down = b.Linear(name + "ffn.down", h + l.ffn_down, l.D, l.F, l.mlp_bias);
    ffn.mixer = f;
    ffn.scale = static_cast<float>(mlp[1]);
    layers.push_back({{attention, state_space, ffn}});
  }
  return FinishDecoder(b, "falcon_h1", shape, tied, spec, std::move(layers));
}

}  // namespace thimble
