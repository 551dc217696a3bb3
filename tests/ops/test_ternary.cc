// Ternary layers: integers are added for a whole row, so that every kernel has the same bits, and inputs are rounded as BitNet's
// layers round them.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "ops/linear/packed_linear.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/linear_blocks_256_evex.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::vector<float> Run(const LinearKernel* kernel, const Weights& weights, const std::vector<float>& x, size_t t, const std::vector<float>& bias) {
  const WeightRows rows = weights.rows();
  const Layer layer(kernel, weights, bias.data());
  Rows inputs(x, t, rows.k);
  std::vector<float> y(t * rows.n);
  RunLinear(layer.op(), inputs.For(kernel), y.data(), rows.n, nullptr);
  return y;
}

// Random shapes, and the largest sums there are: all inputs alike, over more columns than 16 bits hold products of.
template <typename F>
void ForShapes(F f) {
  Random random(61);
  for (size_t round = 0; round < 40; ++round) {
    const size_t t = round % 3 == 0 ? 1 : random.Integer(1, 40);
    const uint32_t n = static_cast<uint32_t>(random.Integer(1, 90)), k = static_cast<uint32_t>(random.Integer(1, round % 4 == 0 ? 3000 : 400));
    const Weights weights(random, WeightType::kTernary, n, k, 0);
    std::vector<float> x = random.Normals(t * k);
    if (round % 4 == 0) std::fill(x.begin(), x.end(), round % 8 == 0 ? 1.0f : -1.0f);
    f(weights, x, t, random.Normals(n));
  }
}

}  // namespace

TEST_CASE("ternary layers have the same bits with every kernel table") {
  const CpuFeatures cpu = DetectCpu();
  ForShapes([&](const Weights& weights, const std::vector<float>& x, size_t t, const std::vector<float>& bias) {
    const std::vector<float> expected = Run(AllKernelTables()[0]->Kernel(WeightType::kTernary), weights, x, t, bias);
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->supported(cpu)) continue;
      INFO(table->name << ", " << t << " rows, " << weights.rows().n << " x " << weights.rows().k);
      CHECK(SameBits(Run(table->Kernel(WeightType::kTernary), weights, x, t, bias), expected));
    }
  });
}

#if defined(__x86_64__)
TEST_CASE("256-bit ternary kernels have the same bits with unsigned dot products, too") {
  if (!DetectCpu().avx512vnni) SKIP("this CPU has no AVX-512 VNNI, which the code needs here");
  const LinearKernel* avx2 = FindKernelTable("avx2")->Kernel(WeightType::kTernary);
  const LinearKernel evex = PackedLinear<kTernary16, LinearTernary256Evex>("", avx2->input.quantise, kGemmRowTile);
  ForShapes([&](const Weights& weights, const std::vector<float>& x, size_t t, const std::vector<float>& bias) {
    CHECK(SameBits(Run(&evex, weights, x, t, bias), Run(avx2, weights, x, t, bias)));
  });
}
#endif

TEST_CASE("inputs of ternary layers are 127ths of the row's largest, rounded to the nearest and even one") {
  Random random(62);
  size_t wrong = 0;
  for (size_t round = 0; round < 100; ++round) {
    const size_t k = random.Integer(1, 400), padded = QuantisedRowBytes(k);
    std::vector<float> x = random.Normals(k, random.Pick({1.0f, 1e-3f, 1e-7f, 1e6f}));
    if (round % 4 == 0) {
      // Halves of steps: of 1 to 127, all of which a float holds.
      x[0] = 127.0f;
      for (size_t i = 1; i < k; ++i) x[i] = static_cast<float>(random.Integer(0, 506)) / 2.0f - 126.5f;
    }
    std::vector<int8_t> q(padded, 99);
    const RowQuantisation p = QuantiseTernary(x.data(), k, padded, q.data(), RowPlace::kAlone);
    float most = 1e-5f;
    for (const float v : x) most = std::max(most, std::fabs(v));
    int32_t sum = 0;
    for (size_t i = 0; i < k; ++i) {
      wrong += q[i] != std::nearbyint(x[i] * (127.0f / most));
      sum += q[i];
    }
    for (size_t i = k; i < padded; ++i) wrong += q[i] != 0;
    wrong += p.scale != most / 127.0f || p.zero_point != sum;
  }
  CHECK(wrong == 0);
}

TEST_CASE("every table rounds inputs of ternary layers to the bits of the portable row") {
  Random random(63);
  const CpuFeatures cpu = DetectCpu();
  size_t wrong = 0;
  for (size_t round = 0; round < 200; ++round) {
    const size_t k = random.Integer(1, 400), padded = QuantisedRowBytes(k);
    std::vector<float> x = random.Normals(k, random.Pick({1.0f, 0.0f, 1e-35f, 1e30f}));
    if (round % 5 == 0) x[random.Integer(0, k - 1)] = std::numeric_limits<float>::quiet_NaN();
    if (round % 7 == 0) x[random.Integer(0, k - 1)] = std::numeric_limits<float>::infinity();
    std::vector<int8_t> expected(padded), q(padded);
    const RowQuantisation portable = QuantiseTernary(x.data(), k, padded, expected.data(), RowPlace::kAlone);
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->supported(cpu)) continue;
      const RowQuantisation other = table->Kernel(WeightType::kTernary)->input.quantise(x.data(), k, padded, q.data(), RowPlace::kAlone);
      wrong += std::memcmp(&other, &portable, sizeof other) != 0 || q != expected;
    }
  }
  CHECK(wrong == 0);
}
