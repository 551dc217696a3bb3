#include "targets/convert/state_space.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "targets/convert/gated_decoder.h"

namespace thimble {
namespace {

// Rows of in_proj, with a factor for each of the runs that follow each other.
struct Run {
  uint64_t rows;
  double factor;
};
LinearSpec ReadRuns(PlanBuilder& b, const std::string& name, const std::string& source, uint64_t first, uint64_t total, uint64_t k,
                    const std::vector<Run>& runs, Bias bias) {
  uint64_t n = 0;
  bool plain = true;
  for (const Run& run : runs) {
    n += run.rows;
    plain = plain && run.factor == 1;
  }
  if (plain) return b.Linear(name, source, n, k, bias, {first, total});
  if (bias == Bias::kRequired) b.Refuse(Code::kUnsupported, source + ".bias", "factors on projections with biases are not supported");
  const size_t tensor = b.Tensor(source + ".weight", {total, k});
  LinearSpec linear;
  linear.weight = b.Made(name + ".weight", n, k, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
    reader.ReadFloats(tensor, (first + row) * k, count * k, out);
    for (uint64_t r = row; r < row + count; ++r) {
      uint64_t end = 0;
      double factor = 1;
      for (const Run& run : runs) {
        if (r >= end && r < end + run.rows) factor = run.factor;
        end += run.rows;
      }
      for (uint64_t c = 0; c < k; ++c) {
        float& x = out[(r - row) * k + c];
        x = static_cast<float>(static_cast<double>(x) * factor);
      }
    }
  });
  return linear;
}

}  // namespace

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
  stored.bias = BiasIf(config, "mamba_proj_bias", false);
  stored.conv_bias = config.Flag("mamba_conv_bias", true);
  return stored;
}

StateSpaceSpec ReadStateSpace(PlanBuilder& b, const std::string& ours, const std::string& source, uint64_t D, const StoredStateSpace& s) {
  StateSpaceSpec spec = s.shape;
  const uint64_t inner = spec.inner(), channels = spec.channels(), H = spec.heads, total = inner + channels + H;
  const uint64_t group = uint64_t{spec.groups} * spec.states;
  const auto& f = s.factors;
  spec.gate = ReadRuns(b, ours + "gate", source + "in_proj", 0, total, D, {{inner, f[0]}}, s.bias);
  spec.input = ReadRuns(b, ours + "input", source + "in_proj", inner, total, D, {{inner, f[1]}, {group, f[2]}, {group, f[3]}}, s.bias);
  spec.step = ReadRuns(b, ours + "step", source + "in_proj", inner + channels, total, D, {{H, f[4]}}, s.bias);
  spec.conv_weight = b.Transposed(ours + "conv_weight", source + "conv1d.weight", {channels, 1, spec.taps}, spec.taps, channels);
  if (s.conv_bias) spec.conv_bias = b.Vector(ours + "conv_bias", source + "conv1d.bias", channels);
  std::vector<float> decay = b.Numbers(source + "A_log", {H}, 0, H);
  for (float& a : decay) a = static_cast<float>(-std::exp(static_cast<double>(a)));
  spec.decay = b.Values(ours + "decay", decay);
  spec.step_bias = b.Vector(ours + "step_bias", source + "dt_bias", H);
  spec.skip = b.Vector(ours + "skip", source + "D", H);
  if (s.norm) spec.norm = b.RmsNorm(ours + "norm", source + "norm", inner, s.eps);
  spec.out = b.Linear(ours + "out", source + "out_proj", D, inner, s.bias);
  return spec;
}

}  // namespace thimble
