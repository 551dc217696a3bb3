// Mamba-2 (arXiv 2405.21060): x += mixer(norm(x)), no attention and no feed-forward network.
#include <limits>

#include "targets/convert/family.h"
#include "targets/convert/state_space.h"

namespace thimble {

ModelPlan PlanMamba2(Config& config, const Checkpoint& checkpoint) {
  const uint32_t V = config.Count("vocab_size"), L = config.Count("num_hidden_layers"), D = config.Count("hidden_size");
  StoredStateSpace stored;
  StateSpaceSpec& shape = stored.shape;
  shape.heads = config.Count("num_heads");
  shape.head_width = config.Count("head_dim", 64);
  shape.groups = shape.norm_groups = config.Count("n_groups", 8);
  shape.states = config.Count("state_size", 128);
  shape.taps = config.Count("conv_kernel", 4);
  const uint64_t inner = shape.inner();
  const double expand = config.Positive("expand", 2);
  if (expand * D != static_cast<double>(inner)) {
    config.Refuse(Code::kInvalidModel, "expand", "times hidden_size is not num_heads times head_dim");
  }
  const auto [low, high] = config.Interval("time_step_limit", {0.0, std::numeric_limits<double>::infinity()});
  shape.min_step = static_cast<float>(low);
  shape.max_step = static_cast<float>(high);
  stored.eps = config.Positive("layer_norm_epsilon", 1e-5);
  stored.bias = stored.out_bias = config.Flag("use_bias", false) ? Bias::kRequired : Bias::kAbsent;
  stored.conv_bias = config.Flag("use_conv_bias", true);
  const bool tied = config.Flag("tie_word_embeddings", false);
  config.Only("hidden_act", "silu");
  config.Only("rms_norm", true);
  config.Only("intermediate_size", inner);
  // What the model was trained with, not what it can read: it has no positions.
  const uint32_t positions = config.Count("max_position_embeddings", 2048);
  // How it was initialised, how the reference cuts its computation, and what no implementation goes by.
  config.Ignore({"norm_before_gate", "time_step_init_scheme", "time_step_scale"});
  config.Ignore({"chunk_size", "rescale_prenorm_residual", "residual_in_fp32", "time_step_floor", "time_step_max", "time_step_min",
                 "time_step_rank"});
  config.IgnoreCommon();
  config.Finish();

  PlanBuilder b(checkpoint, config.file(), {"module.", "backbone."});
  ModelSpec spec;
  spec.width = D;
  spec.outputs = spec.vocabulary = V;
  spec.max_positions = positions;
  spec.input.table = b.Matrix("input.table", "embeddings.weight", V, D, TensorRole::kTable);
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".state_space";
    BlockSpec block;
    block.norm = b.RmsNorm(name + "_norm", h + "norm", D, stored.eps);
    block.mixer = ReadStateSpace(b, name + ".", h + "mixer.", D, stored);
    layers.push_back({{block}});
  }
  spec.output.norm = b.RmsNorm("output.norm", "norm_f", D, stored.eps);
  b.Head(&spec, tied, "embeddings.weight", V, D);
  return b.Finish("mamba2", spec, std::move(layers));
}

}  // namespace thimble
