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

Result Oracle(const Weights& w, const RowBatch& x, bool quantised, uint32_t n,
              const std::vector<float>& bias) {
  Result r;
  std::vector<double> row(x.k);
  std::vector<double> values(size_t{n} * x.k);
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < x.k; ++i) values[j * x.k + i] = w.Value(j, i);
  }
  for (size_t t = 0; t < x.t; ++t) {
    const RowQuantisation p = x.quantisation[t];
    for (size_t i = 0; i < x.k; ++i) {
      row[i] = quantised ? (x.q[t * QuantisedRowBytes(x.k) + i] - p.zero_point) * double{p.scale}
                         : double{x.x[t * x.x_stride + i]};
    }
    for (size_t j = 0; j < n; ++j) {
      double sum = bias.empty() ? 0.0 : double{bias[j]}, magnitude = 1e-6 + std::fabs(sum);
      for (size_t i = 0; i < x.k; ++i) {
        const double product = row[i] * values[j * x.k + i];
        sum += product;
        magnitude += std::fabs(product);
      }
      r.exact.push_back(sum);
      r.magnitude.push_back(magnitude);
    }
  }
  return r;
}

void CheckType(WeightType type, size_t rounds, double bound) {
  const CpuFeatures cpu = DetectCpu();
  Random random(100 + static_cast<uint64_t>(type));
  std::vector<Worst> worst(AllKernelTables().size()), against_scalar(AllKernelTables().size());
  for (size_t round = 0; round < rounds; ++round) {
    const Shape s = RandomShape(random, round);
    const Weights weights(random, type, s.n, s.k, s.block);
    const std::vector<float> bias = random.Integer(0, 1) != 0 ? random.Normals(s.n) : std::vector<float>();
    Rows rows(random.Normals(s.t * s.k), s.t, s.k);
    const Result expected = Oracle(weights, rows.batch(), type != WeightType::kF32, s.n, bias);
    std::vector<float> scalar;
    for (size_t i = 0; i < AllKernelTables().size(); ++i) {
      const KernelTable* table = AllKernelTables()[i];
      if (!table->supported(cpu)) continue;
      const Layer layer(table->Kernel(type), weights, bias.empty() ? nullptr : bias.data());
      std::vector<float> y(s.t * s.n, -777.0f);
      RunLinear(layer.op(), rows.For(table->Kernel(type)), y.data(), s.n, nullptr);
      if (i == 0) scalar = y;
      for (size_t e = 0; e < y.size(); ++e) {
        worst[i].See(std::fabs(y[e] - expected.exact[e]) / expected.magnitude[e], round);
        against_scalar[i].See(std::fabs(double{y[e]} - double{scalar[e]}) / expected.magnitude[e], round);
      }
    }
  }
  for (size_t i = 0; i < worst.size(); ++i) {
    INFO("table " << AllKernelTables()[i]->name << ", round " << worst[i].where);
    CHECK(worst[i].error < bound);
    CHECK(against_scalar[i].error < bound);
  }
}

}  // namespace

TEST_CASE("f32 layers agree with exact arithmetic") { CheckType(WeightType::kF32, 40, 3e-6); }
TEST_CASE("q8 layers agree with exact arithmetic") { CheckType(WeightType::kQ8, 40, 1e-6); }
TEST_CASE("q4 layers agree with exact arithmetic") { CheckType(WeightType::kQ4, 60, 2e-6); }
