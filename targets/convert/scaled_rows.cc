#include "targets/convert/scaled_rows.h"

#include <algorithm>

namespace thimble {
namespace {

// The run that row r belongs to.
const ScaledRun& RunOf(const std::vector<ScaledRun>& runs, uint64_t r) {
  size_t i = 0;
  for (uint64_t end = runs[0].rows; i + 1 < runs.size() && r >= end; end += runs[i].rows) ++i;
  return runs[i];
}

float Times(float x, double factor) { return static_cast<float>(static_cast<double>(x) * factor); }

}  // namespace

LinearSpec ReadScaledRows(PlanBuilder& b, const std::string& name, const std::string& source, uint64_t first, uint64_t total, uint64_t k,
                          const std::vector<ScaledRun>& runs, Bias bias) {
  uint64_t n = 0;
  for (const ScaledRun& run : runs) n += run.rows;
  const auto plain = [](const ScaledRun& run) { return run.weights == 1 && run.biases == 1; };
  if (std::all_of(runs.begin(), runs.end(), plain)) return b.Linear(name, source, n, k, bias, {first, total});
  const size_t tensor = b.Tensor(source + ".weight", {total, k});
  LinearSpec linear;
  linear.weight = b.Made(name + ".weight", n, k, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
    reader.ReadFloats(tensor, (first + row) * k, count * k, out);
    for (uint64_t i = 0; i < count * k; ++i) out[i] = Times(out[i], RunOf(runs, row + i / k).weights);
  });
  if (bias == Bias::kAbsent) return linear;
  std::vector<float> biases = b.Numbers(source + ".bias", {total}, first, n);
  for (uint64_t r = 0; r < n; ++r) biases[r] = Times(biases[r], RunOf(runs, r).biases);
  linear.bias = b.Values(name + ".bias", std::move(biases));
  return linear;
}

}  // namespace thimble
