// Nemotron-H: one block in a layer, by a pattern of letters: M a selective state space, - down(relu(up x)^2), * attention without
// positions.
#include <cmath>
#include <limits>

#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/state_space.h"

namespace thimble {

ModelPlan PlanNemotronH(Config& config, const Checkpoint& checkpoint) {
  config.Ignore({"num_nextn_predict_layers", "mtp_hybrid_override_pattern", "mtp_layers_block_type"});  // guesses of later tokens
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  // The reference reads head_dim, the code beside the published weights attention_head_dim: both must say the same.
  if (config.Has("head_dim")) config.Only("attention_head_dim", l.d);
  else l.d = config.Count("attention_head_dim", 128, kMaxHeadWidth);
  l.eps = config.Positive("layer_norm_epsilon", config.Positive("rms_norm_eps", 1e-5));
  config.Only("rms_norm_eps", l.eps);
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
  stored.bias = BiasIf(config, "use_bias", false);
  stored.conv_bias = config.Flag("use_conv_bias", true);
  stored.eps = l.eps;
  config.Only("mamba_hidden_act", "silu");
  config.Only("mamba_proj_bias", stored.bias == Bias::kRequired);
  config.Only("sliding_window", nullptr);
  const bool tied = config.Flag("tie_word_embeddings", false);
  const std::string pattern = config.Text("hybrid_override_pattern", "");
  if (pattern.size() != shape.L) config.Refuse(Code::kInvalidModel, "hybrid_override_pattern", "expected a letter for each layer");
  const size_t unknown = pattern.find_first_not_of("M-*");
  if (unknown != std::string::npos)
    config.Refuse(Code::kUnsupported, "hybrid_override_pattern", "'" + pattern.substr(unknown, 1) + "' is not supported, expected M, - and *");
  CheckForeignFields(config, l);
  CheckAutoMap(config, "nemotron_h", "NemotronH");
  config.Ignore({"chunk_size", "expand", "mamba_ssm_cache_dtype", "num_logits_to_keep", "rescale_prenorm_residual", "residual_in_fp32",
                 "time_step_floor", "time_step_limit", "time_step_max", "time_step_rank", "use_mamba_kernels"});
  config.Finish();

  PlanBuilder b(checkpoint, config.file(), {"module.", "backbone.", "model."});
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    BlockSpec block;
    if (pattern[i] == 'M') {
      block.norm = b.RmsNorm(name + "state_space_norm", h + "norm", l.D, l.eps);
      block.mixer = ReadStateSpace(b, name + "state_space.", h + "mixer.", l.D, stored);
    } else {
      block = pattern[i] == '-' ? ReadFfnBlock(b, i, l) : ReadAttentionBlock(b, i, l);
    }
    layers.push_back({{block}});
  }
  shape.table = "embeddings.weight";
  return FinishDecoder(b, "nemotron_h", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
