#include "targets/convert/state_space.h"

#include <algorithm>
#include <cmath>

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
