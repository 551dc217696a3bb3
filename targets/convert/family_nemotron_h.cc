// Nemotron-H: one block in a layer, by a list of kinds or a pattern of letters: M a selective state space, - down(relu(up x)^2), * attention
// without positions, E a mixture of experts of the same form with one that every row sees.
#include <algorithm>
#include <limits>

#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/state_space.h"

namespace thimble {

namespace {

// A letter for each layer.
std::string ReadPattern(Config& config) {
  static constexpr struct { const char *type; char letter; } kTypes[] = {{"linear_attention", 'M'}, {"mamba", 'M'}, {"mlp", '-'},
                                                                         {"full_attention", '*'}, {"attention", '*'}, {"moe", 'E'}};
  const char* field = config.Has("layer_types") ? "layer_types" : "layers_block_type";
  std::string pattern = config.Text("hybrid_override_pattern", "");
  if (const auto types = config.Texts(field)) {
    pattern.clear();
    for (const std::string& type : *types) {
      const auto* known = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return type == t.type; });
      if (known == std::end(kTypes)) {
        config.Refuse(Code::kUnsupported, field, "'" + type + "' is not supported, expected linear_attention, mlp, full_attention or moe");
      }
      pattern += known->letter;
    }
  }
  const size_t unknown = pattern.find_first_not_of("M-*E");
  if (unknown != std::string::npos)
    config.Refuse(Code::kUnsupported, "hybrid_override_pattern", "'" + pattern.substr(unknown, 1) + "' is not supported, expected M, -, * and E");
  return pattern.empty() ? "ME*-" : pattern;  // the reference's, where nothing is written
}

GatedLayer::Experts ReadExperts(Config& config) {
  GatedLayer::Experts e;
  e.E = config.Count(config.Has("num_local_experts") ? "num_local_experts" : "n_routed_experts", 8);
  e.K = config.Count("num_experts_per_tok", 2);
  e.F = config.Count("moe_intermediate_size", 7688);
  e.shared_F = config.Count("moe_shared_expert_intermediate_size", 7688);
  e.score = ExpertScore::kSigmoid;
  e.normalise = config.Flag("norm_topk_prob", true);
  e.normalise_eps = 1e-20;
  e.scale = config.Positive("routed_scaling_factor", 1.0);
  e.groups = config.Count("n_group", 1, kMaxExpertGroups);
  e.chosen_groups = config.Count("topk_group", 1, kMaxExpertGroups);
  if (e.groups == 1) e.groups = e.chosen_groups = 0;
  e.router = "mixer.gate";
  e.selection_bias = "mixer.gate.e_score_correction_bias";
  e.experts = "mixer.experts.";
  e.shared_up = "mixer.shared_experts.up_proj", e.shared_down = "mixer.shared_experts.down_proj";
  return e;
}

}  // namespace

ModelPlan PlanNemotronH(Config& config, const Checkpoint& checkpoint) {
  const std::string pattern = ReadPattern(config);
  const GatedLayer::Experts experts = ReadExperts(config);
  const bool sparse = pattern.find('E') != std::string::npos;
  if (sparse) config.Only("moe_latent_size", nullptr);
  else config.Ignore({"moe_latent_size"});
  config.Ignore({"n_shared_experts", "moe_shared_expert_overlap"});  // they are one network of the width above
  IgnoreRouterTraining(config);
  config.Ignore({"num_nextn_predict_layers", "mtp_hybrid_override_pattern", "mtp_layers_block_type"});  // guesses of later tokens
  DecoderShape shape = ReadDecoderShape(config, {.layers = static_cast<uint32_t>(pattern.size())});
  if (shape.L != pattern.size()) config.Refuse(Code::kInvalidModel, "num_hidden_layers", "is not the number of layers that are listed");
  GatedLayer& l = shape.layer;
  // The reference reads head_dim, the code beside the published weights attention_head_dim: both must say the same.
  if (config.Has("head_dim")) config.Only("attention_head_dim", l.d);
  else l.d = config.Count("attention_head_dim", 128, kMaxHeadWidth);
  l.eps = config.Positive("layer_norm_epsilon", config.Positive("rms_norm_eps", 1e-5));
  l.attention = "mixer.";
  l.attention_norm = l.ffn_norm = "norm";
  l.rotation = KeyRotation::kNone;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  l.activation = ReadActivation(config, "mlp_hidden_act", "relu2");
  l.plain_ffn = true;
  l.ffn_up = "mixer.up_proj";
  l.ffn_down = "mixer.down_proj";
  shape.final_norm = "norm_f";
  StoredStateSpace stored;
  StateSpaceSpec& s = stored.shape;
  s.heads = config.Count("mamba_num_heads", 128);
  s.head_width = config.Count("mamba_head_dim", 64);
  s.groups = s.norm_groups = config.Count("n_groups", 8);
  s.states = config.Count("ssm_state_size", 128);
  s.taps = config.Count("conv_kernel", 4);
  // The reference bounds steps from below by time_step_min, and not from above, whatever time_step_limit says.
  s.min_step = static_cast<float>(config.Positive("time_step_min", 0.001));
  s.max_step = std::numeric_limits<float>::infinity();
  stored.bias = stored.out_bias = BiasIf(config, "use_bias", false);
  stored.conv_bias = config.Flag("use_conv_bias", true);
  stored.eps = l.eps;
  config.Only("mamba_hidden_act", "silu");
  config.Only("sliding_window", nullptr);
  const bool may_be_tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  CheckAutoMap(config, "nemotron_h", "NemotronH");
  config.Ignore({"mamba_proj_bias", "norm_eps", "partial_rotary_factor", "rope_theta"});
  config.Ignore({"chunk_size", "expand", "mamba_ssm_cache_dtype", "num_logits_to_keep", "rescale_prenorm_residual", "residual_in_fp32",
                 "time_step_floor", "time_step_limit", "time_step_max", "time_step_rank", "use_mamba_kernels"});
  config.Finish();

  PlanBuilder b(checkpoint, config.file(), {"module.", "backbone.", "model."});
  // The reference has none of these biases, whatever the flag says; the code beside the published weights has.
  const size_t first = pattern.find('*');
  if (first != std::string::npos && !b.Has("layers." + std::to_string(first) + ".mixer.q_proj.bias")) l.qkv_bias = l.o_bias = Bias::kAbsent;
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    BlockSpec block;
    if (pattern[i] == 'M') {
      block.norm = b.RmsNorm(name + "state_space_norm", h + "norm", l.D, l.eps);
      block.mixer = ReadStateSpace(b, name + "state_space.", h + "mixer.", l.D, stored);
    } else {
      l.experts = pattern[i] == 'E' ? experts : GatedLayer::Experts();
      block = pattern[i] == '*' ? ReadAttentionBlock(b, i, l) : ReadFfnBlock(b, i, l);
    }
    layers.push_back({{block}});
  }
  shape.table = "embeddings.weight";
  // The reference ties nothing: a head that is stored is the head.
  return FinishDecoder(b, "nemotron_h", shape, may_be_tied && !b.Has("lm_head.weight"), {}, std::move(layers));
}

}  // namespace thimble
