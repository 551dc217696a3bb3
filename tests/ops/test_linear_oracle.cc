// Every kernel that this CPU can run against exact arithmetic in double, over random shapes: K and N
// multiples of nothing, T from 1 to 70, with and without bias, every block size.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "ops/tables/kernel_table.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Shape {
  size_t t;
  uint32_t n, k, block;
};

Shape RandomShape(Random& random, size_t round) {
  Shape s;
  s.t = round % 3 == 0 ? 1 : random.Integer(1, 70);
  s.n = static_cast<uint32_t>(random.Integer(1, 150));
  s.k = static_cast<uint32_t>(random.Integer(1, round % 5 == 0 ? 700 : 150));
  s.block = random.Pick({32u, 64u, 128u});
  if (s.t * s.n * s.k > 600000) s.t = 1 + s.t % 7;
  return s;
}

struct Result {
  std::vector<double> exact;
  std::vector<double> magnitude;  // sum of |x w|: what rounding errors are relative to
};

Result Oracle(const Weights& w, const Rows& rows, const InputKey& key, size_t t_count, uint32_t n, uint32_t k, const std::vector<float>& bias) {
  Result r;
  std::vector<double> row(k);
  std::vector<double> values(size_t{n} * k);
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < k; ++i) values[j * k + i] = w.Value(j, i);
  }
  for (size_t t = 0; t < t_count; ++t) {
    for (size_t i = 0; i < k; ++i) row[i] = rows.Value(key, t, i);
    for (size_t j = 0; j < n; ++j) {
      double sum = bias.empty() ? 0.0 : double{bias[j]}, magnitude = 1e-6 + std::fabs(sum);
      for (size_t i = 0; i < k; ++i) {
        sum += row[i] * values[j * k + i];
        magnitude += std::fabs(row[i]) * w.Magnitude(j, i);
      }
      r.exact.push_back(sum);
      r.magnitude.push_back(magnitude);
    }
  }
  return r;
}

// Numbers as real models have them: normal, and some a thousand times as large. For block types and ternary, whose kernels add
// in 16 bits where they know that it fits, also all the same: the largest sums.
std::vector<float> Inputs(Random& random, WeightType type, size_t count, size_t round) {
  if ((FormatOf(type) != nullptr || type == WeightType::kTernary) && round % 4 == 2) return std::vector<float>(count, round % 8 == 2 ? 1.0f : -1.0f);
  std::vector<float> x = random.Normals(count);
  for (size_t i = 0; round % 2 == 1 && i < 1 + count / 100; ++i) x[random.Integer(0, count - 1)] *= 1000.0f;
  return x;
}

// `bound`; `bound_outliers` where the input has them.
void CheckType(WeightType type, size_t rounds, double bound, double bound_outliers) {
  const CpuFeatures cpu = DetectCpu();
  Random random(100 + static_cast<uint64_t>(type));
  std::vector<Worst> worst(2 * AllKernelTables().size()), against_scalar(2 * AllKernelTables().size());
  for (size_t round = 0; round < rounds; ++round) {
    const Shape s = RandomShape(random, round);
    // Where q and the weight are both -128, XNNPACK's kernels without dot products exceed 16 bits; our int8 weights are symmetric.
    const Weights weights(random, type, s.n, s.k, s.block, -127);
    const std::vector<float> bias = random.Integer(0, 1) != 0 ? random.Normals(s.n) : std::vector<float>();
    const InputKey key = AllKernelTables()[0]->Kernel(type)->input;
    Rows rows(Inputs(random, type, s.t * s.k, round), s.t, s.k);
    rows.For(AllKernelTables()[0]->Kernel(type));
    const Result expected = Oracle(weights, rows, key, s.t, s.n, s.k, bias);
    std::vector<float> scalar;
    for (size_t i = 0; i < AllKernelTables().size(); ++i) {
      const KernelTable* table = AllKernelTables()[i];
      if (!table->supported(cpu)) continue;
      const Layer layer(table->Kernel(type), weights, bias.empty() ? nullptr : bias.data());
      std::vector<float> y(s.t * s.n, -777.0f);
      RunLinear(layer.op(), rows.For(table->Kernel(type)), y.data(), s.n, nullptr);
      if (i == 0) scalar = y;
      for (size_t e = 0; e < y.size(); ++e) {
        worst[2 * i + round % 2].See(std::fabs(y[e] - expected.exact[e]) / expected.magnitude[e], round);
        against_scalar[2 * i + round % 2].See(std::fabs(double{y[e]} - double{scalar[e]}) / expected.magnitude[e], round);
      }
    }
  }
  for (size_t i = 0; i < worst.size(); ++i) {
    INFO("table " << AllKernelTables()[i / 2]->name << (i % 2 != 0 ? ", outliers" : "") << ", round " << worst[i].where);
    CHECK(worst[i].error < (i % 2 != 0 ? bound_outliers : bound));
    // Two errors of either sign.
    CHECK(against_scalar[i].error < 1.5 * (i % 2 != 0 ? bound_outliers : bound));
  }
}

}  // namespace

TEST_CASE("f32 layers agree with exact arithmetic") { CheckType(WeightType::kF32, 40, 3e-6, 3e-6); }
TEST_CASE("q8 layers agree with exact arithmetic") { CheckType(WeightType::kQ8, 40, 1e-6, 1e-6); }
// One zero point for a row with outliers is far from zero, and its part of the sum, which nearly cancels, is a float.
TEST_CASE("q4 layers agree with exact arithmetic") { CheckType(WeightType::kQ4, 60, 2e-6, 6e-5); }

TEST_CASE("ternary layers agree with exact arithmetic") { CheckType(WeightType::kTernary, 40, 3e-7, 3e-7); }

TEST_CASE("layers of every block type agree with exact arithmetic") {
  for (const WeightType type : AllWeightTypes()) {
    if (FormatOf(type) == nullptr) continue;
    INFO(WeightTypeName(type));
    CheckType(type, 30, 4e-7, 6e-7);
  }
}
