#include "targets/convert/fold.h"

namespace thimble {
namespace {

// Square matrices of the second layer, which stand on a diagonal: element (out, in) of one is out * row + in * col.
struct Second {
  std::string weight, bias;  // bias "": none
  std::vector<uint64_t> shape;
  uint64_t blocks, width, row, col;
};

LinearSpec Fold(PlanBuilder& b, const std::string& name, const std::string& first, uint64_t k, const Second& s, Bias bias) {
  const uint64_t m = s.width, n = s.blocks * m, row = s.row, col = s.col;
  const size_t inner = b.Tensor(first + ".weight", {n, k}), outer = b.Tensor(s.weight, s.shape);
  LinearSpec linear;
  linear.weight = b.Made(name + ".weight", n, k, [=](const Checkpoint& reader, uint64_t from, uint64_t count, float* out) {
    std::vector<float> rows(m * k), block(m * m);
    std::vector<double> sum(k);
    uint64_t held = UINT64_MAX;  // the block whose matrices these are
    for (uint64_t r = from; r < from + count; ++r, out += k) {
      if (r / m != held) {
        held = r / m;
        reader.ReadFloats(inner, held * m * k, rows.size(), rows.data());
        reader.ReadFloats(outer, held * m * m, block.size(), block.data());
      }
      sum.assign(k, 0);
      for (uint64_t i = 0; i < m; ++i) {
        const double w = block[r % m * row + i * col];
        for (uint64_t c = 0; c < k; ++c) sum[c] += w * static_cast<double>(rows[i * k + c]);
      }
      for (uint64_t c = 0; c < k; ++c) out[c] = static_cast<float>(sum[c]);
    }
  });
  if (bias == Bias::kAbsent) return linear;
  const std::vector<float> inner_bias = b.Numbers(first + ".bias", {n}, 0, n);
  const std::vector<float> outer_bias = s.bias.empty() ? std::vector<float>(n) : b.Numbers(s.bias, {n}, 0, n);
  std::vector<float> folded(n);
  for (uint64_t h = 0; h < s.blocks; ++h) {
    const std::vector<float> block = b.Numbers(s.weight, s.shape, h * m * m, m * m);
    for (uint64_t r = 0; r < m; ++r) {
      double sum = outer_bias[h * m + r];
      for (uint64_t i = 0; i < m; ++i) sum += static_cast<double>(block[r * row + i * col]) * static_cast<double>(inner_bias[h * m + i]);
      folded[h * m + r] = static_cast<float>(sum);
    }
  }
  linear.bias = b.Values(name + ".bias", std::move(folded));
  return linear;
}

}  // namespace

LinearSpec FoldLinears(PlanBuilder& b, const std::string& name, const std::string& first, const std::string& second, uint64_t n, Bias bias) {
  const std::string second_bias = bias == Bias::kRequired ? second + ".bias" : "";
  return Fold(b, name, first, n, {second + ".weight", second_bias, {n, n}, 1, n, n, 1}, bias);
}

LinearSpec FoldRouting(PlanBuilder& b, const std::string& name, const std::string& first, const std::string& routing, uint32_t heads, uint64_t n,
                       Bias bias) {
  const uint64_t d = n / heads;
  return Fold(b, name, first, n, {routing, "", {heads, d, d}, heads, d, 1, d}, bias);
}

}  // namespace thimble
