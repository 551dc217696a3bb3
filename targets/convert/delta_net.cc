#include "targets/convert/delta_net.h"

#include <cmath>
#include <limits>

namespace thimble {

DeltaNet ReadDeltaNet(Config& config, double beta_scale, const StateSpaceSpec& usual) {
  DeltaNet net;
  StateSpaceSpec& s = net.shape;
  s.rule = StateRule::kDelta;
  s.groups = config.Count("linear_num_key_heads", usual.groups);
  s.heads = config.Count("linear_num_value_heads", usual.heads);
  s.states = config.Count("linear_key_head_dim", usual.states);
  s.head_width = config.Count("linear_value_head_dim", usual.head_width);
  s.taps = config.Count("linear_conv_kernel_dim", 4);
  s.max_step = std::numeric_limits<float>::infinity();
  s.gate_after_norm = true;
  s.norm_groups = s.heads;
  s.beta_scale = static_cast<float>(beta_scale);
  if (s.heads % s.groups != 0) config.Refuse(Code::kInvalidModel, "linear_num_value_heads", "is no multiple of linear_num_key_heads");
  return net;
}

LinearSpec GatherRows(PlanBuilder& b, const std::string& name, uint64_t k, const std::vector<RowRun>& runs) {
  return b.Gathered(name, k, [&] {
    std::vector<SourceRows> pieces;
    for (const RowRun& run : runs) pieces.push_back({run.tensor, run.first * k, run.rows, k, k, 1});
    return pieces;
  }());
}

void ReadDeltaRest(PlanBuilder& b, const std::string& ours, const std::string& source, uint64_t width, const DeltaNet& net,
                   const std::vector<std::string>& convolutions, const std::string& norm, const std::string& out, StateSpaceSpec* spec) {
  const uint64_t H = spec->heads, taps = spec->taps, C = spec->channels(), keys = net.keys();
  std::vector<float> stored;
  for (const std::string& name : convolutions) {
    // Of three the parts are as the file has them (transformers writes thirds of all channels); without a file those of q, k and v.
    const uint64_t own = convolutions.size() == 1 ? C : &name == &convolutions.back() ? net.values() : keys;
    const uint64_t rows = !b.Has(source + name) ? own : b.Shape(source + name).empty() ? 0 : b.Shape(source + name)[0];
    const std::vector<float> part = b.Numbers(source + name, {rows, 1, taps}, 0, rows * taps);
    stored.insert(stored.end(), part.begin(), part.end());
  }
  if (stored.size() != C * taps) b.Refuse(Code::kInvalidModel, source + convolutions[0], "channels are not those of queries, keys and values");
  // Channel c here is channel from(c) there.
  const auto from = [&](uint64_t c) {
    if (c < net.values()) return 2 * keys + c;
    return c < net.values() + keys ? keys + c - net.values() : c - net.values() - keys;
  };
  std::vector<float> weight(taps * C);
  for (uint64_t c = 0; c < C; ++c) {
    for (uint64_t j = 0; j < taps; ++j) weight[j * C + c] = stored[from(c) * taps + j];
  }
  spec->conv_weight = b.Values(ours + "conv_weight", std::move(weight), taps);
  std::vector<float> decay = b.Numbers(source + "A_log", {H}, 0, H);
  for (float& a : decay) a = static_cast<float>(-std::exp(static_cast<double>(a)));
  spec->decay = b.Values(ours + "decay", std::move(decay));
  spec->step_bias = b.Vector(ours + "step_bias", source + "dt_bias", H);
  const std::vector<float> head = b.Numbers(source + norm + ".weight", {spec->head_width}, 0, spec->head_width);
  std::vector<float> all;
  for (uint64_t h = 0; h < H; ++h) all.insert(all.end(), head.begin(), head.end());
  spec->norm.kind = NormKind::kRmsNorm;
  spec->norm.eps = static_cast<float>(net.eps);
  spec->norm.weight = b.Values(ours + "norm.weight", std::move(all));
  spec->out = b.Linear(ours + "out", source + out, width, spec->inner(), Bias::kAbsent);
}

}  // namespace thimble
