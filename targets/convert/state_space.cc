#include "targets/convert/state_space.h"

#include <cmath>
#include <limits>

#include "targets/convert/gated_decoder.h"
#include "targets/convert/scaled_rows.h"

namespace thimble {
StoredStateSpace ReadStateSpaceNumbers(Config& config, uint64_t inner, const std::string& what) {
  StoredStateSpace stored;
  StateSpaceSpec& s = stored.shape;
  s.heads = config.Count("mamba_n_heads", 128);
  if (inner % s.heads != 0) config.Refuse(Code::kInvalidModel, "mamba_n_heads", "does not divide " + what);
  s.head_width = static_cast<uint32_t>(inner / s.heads);
  if (config.IsText("mamba_d_head")) {
    config.Only("mamba_d_head", "auto");
  } else if (config.Count("mamba_d_head", s.head_width) != s.head_width) {
    config.Refuse(Code::kInvalidModel, "mamba_d_head", "times mamba_n_heads is not " + what);
  }
  s.groups = config.Count("mamba_n_groups", 1);
  s.states = config.Count("mamba_d_state", 256);
  s.taps = config.Count("mamba_d_conv", 4);
  const auto [low, high] = config.Interval("time_step_limit", {0.0, std::numeric_limits<double>::infinity()});
  s.min_step = static_cast<float>(low);
  s.max_step = static_cast<float>(high);
  stored.bias = stored.out_bias = BiasIf(config, "mamba_proj_bias", false);
  stored.conv_bias = config.Flag("mamba_conv_bias", true);
  return stored;
}

StateSpaceSpec ReadStateSpace(PlanBuilder& b, const std::string& ours, const std::string& source, uint64_t D, const StoredStateSpace& s) {
  StateSpaceSpec spec = s.shape;
  const uint64_t inner = spec.inner(), channels = spec.channels(), H = spec.heads, total = inner + channels + H;
  const uint64_t group = uint64_t{spec.groups} * spec.states;
  const auto run = [&](uint64_t rows, size_t i) { return ScaledRun{rows, s.factors[i] * s.input_factor, s.factors[i]}; };
  const auto rows = [&](const char* name, uint64_t first, const std::vector<ScaledRun>& runs) {
    return ReadScaledRows(b, ours + name, source + "in_proj", first, total, D, runs, s.bias);
  };
  spec.gate = rows("gate", 0, {run(inner, 0)});
  spec.input = rows("input", inner, {run(inner, 1), run(group, 2), run(group, 3)});
  spec.step = rows("step", inner + channels, {run(H, 4)});
  spec.conv_weight = b.Transposed(ours + "conv_weight", source + "conv1d.weight", {channels, 1, spec.taps}, spec.taps, channels);
  if (s.conv_bias) spec.conv_bias = b.Vector(ours + "conv_bias", source + "conv1d.bias", channels);
  std::vector<float> decay = b.Numbers(source + "A_log", {H}, 0, H);
  for (float& a : decay) a = static_cast<float>(-std::exp(static_cast<double>(a)));
  spec.decay = b.Values(ours + "decay", decay);
  spec.step_bias = b.Vector(ours + "step_bias", source + "dt_bias", H);
  spec.skip = b.Vector(ours + "skip", source + "D", H);
  if (s.norm) spec.norm = b.RmsNorm(ours + "norm", source + "norm", inner, s.eps);
  spec.out = b.Linear(ours + "out", source + "out_proj", D, inner, s.out_bias);
  return spec;
}

}  // namespace thimble
