// Layers of block types: inputs in two planes; and the 256-bit kernels, whose two encodings of one code give the same bits.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <tuple>

#include "ops/linear/packed_linear.h"
#include "ops/linear/turn.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/linear_blocks_256_evex.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("two planes of inputs: the error of one is gone, row by row, for any number of threads") {
  const CpuFeatures cpu = DetectCpu();
  Random random(52);
  const Pool pool(3);
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(cpu)) continue;
    for (const auto& [type, n, k, t] : {std::tuple{WeightType::kQ8_0, 83u, 384u, size_t{131}}, std::tuple{WeightType::kQ8_0, 7u, 96u, size_t{2}},
                                        std::tuple{WeightType::kQ4_K, 33u, 512u, size_t{5}}, std::tuple{WeightType::kQ6_K, 16u, 72u, size_t{1}}}) {
      INFO(table->name << ' ' << n << ' ' << k << ' ' << t);
      const Weights weights(random, type, n, k, 32);
      const std::vector<float> bias = random.Normals(n);
      const Layer layer(table->Kernel(type), weights, bias.data());
      Linear fine = layer.op();
      fine.rows.turn = TurnBlock(k);
      Linear coarse = fine;
      fine.rows.fine = true;
      std::vector<float> x = random.Normals(t * k);
      x[3] *= 1000.0f;  // as inputs of real models are
      if (t > 2) std::fill_n(x.begin() + static_cast<std::ptrdiff_t>((t - 1) * k), k, 0.0f);
      const auto run = [&](const Linear& op, size_t first, size_t rows, ThreadPool* threads) {
        const InputKey key = KeyOf(op);
        const Block q(rows * InputRowBytes(key, k)), turned(4 * TurnedRowFloats(k) * sizeof(float)), parameters(QuantisedParameterCount(rows) * sizeof(RowQuantisation));
        const RowBatch batch = QuantiseRows(key, table->turn, x.data() + first * k, k, rows, k, turned.As<float>(), q.As<int8_t>(), parameters.As<RowQuantisation>(), threads);
        std::vector<float> y(rows * n);
        RunLinear(op, batch, y.data(), n, threads);
        return y;
      };
      const std::vector<float> y = run(fine, 0, t, nullptr), one = run(coarse, 0, t, nullptr);
      CHECK(SameBits(run(fine, 0, t, pool.get()), y));
      const std::vector<float> last = run(fine, t - 1, 1, nullptr);
      CHECK(SameBits(last, std::vector<float>(y.end() - n, y.end())));
      double fine_error = 0, coarse_error = 0, sizes = 0;
      for (size_t r = 0; r < t; ++r) {
        std::vector<float> row(x.begin() + static_cast<std::ptrdiff_t>(r * k), x.begin() + static_cast<std::ptrdiff_t>((r + 1) * k));
        Turn(row.data(), k, TurnBlock(k));
        for (size_t j = 0; j < n; ++j) {
          double exact = bias[j], size = 1e-3;
          for (size_t i = 0; i < k; ++i) {
            exact += weights.Value(j, i) * double{row[i]};
            size += std::fabs(weights.Value(j, i) * double{row[i]});
          }
          fine_error += std::fabs(y[r * n + j] - exact) / size;
          coarse_error += std::fabs(one[r * n + j] - exact) / size;
          sizes += 1;
        }
      }
      CHECK(fine_error < coarse_error / 50);  // 254 but for the sums' own rounding
      CHECK(fine_error / sizes < 5e-5);
    }
  }
}

#if defined(__x86_64__)
static bool Always() { return true; }

TEST_CASE("one row of block types has the same bits when its tiles are read in several streams") {
  const KernelTable* table = FindKernelTable("avx512vnni");
  if (!table->supported(DetectCpu())) SKIP("this CPU has no AVX-512 VNNI");
  Random random(53);
  for (size_t type = 0; type < kBlockTypeCount; ++type) {
    LinearKernel one = *table->Kernel(static_cast<WeightType>(type + 3)), streams = one;
    one.run = RunBlockLinear<ReadsOneStream>;
    streams.run = RunBlockLinear<Always>;
    INFO(one.name);
    for (const uint32_t n : {7u, 64u, 83u, 176u}) {
      const uint32_t k = static_cast<uint32_t>(random.Integer(1, 700));
      const Weights weights(random, one.type, n, k, 32);
      const std::vector<float> bias = random.Normals(n);
      const Layer layer(&one, weights, bias.data()), other(&streams, weights, bias.data());
      Rows rows(random.Normals(k), 1, k);
      std::vector<float> expected(n), y(n);
      RunLinear(layer.op(), rows.For(&one), expected.data(), n, nullptr);
      RunLinear(other.op(), rows.For(&one), y.data(), n, nullptr);
      CHECK(SameBits(y, expected));
    }
  }
}

TEST_CASE("AMX kernels of block types have the bits of AVX-512 VNNI") {
  const KernelTable *amx = FindKernelTable("amx"), *vnni = FindKernelTable("avx512vnni");
  if (!amx->supported(DetectCpu())) SKIP("this CPU has no AMX, or Linux does not lend it");
  Random random(52);
  for (size_t type = 0; type < kBlockTypeCount; ++type) {
    const LinearKernel *one = amx->Kernel(static_cast<WeightType>(type + 3)), *other = vnni->Kernel(static_cast<WeightType>(type + 3));
    INFO(one->name);
    // Tiles of 16 rows, fewer than those, and what is left of them; super blocks that are not full.
    for (const size_t t : std::vector<size_t>{7, 8, 9, 15, 16, 17, 31, 33, 120, 127}) {
      const uint32_t n = static_cast<uint32_t>(random.Integer(1, 100)), k = static_cast<uint32_t>(random.Integer(1, 900));
      const Weights weights(random, one->type, n, k, 32);
      const std::vector<float> bias = random.Normals(n);
      const Layer layer(one, weights, bias.data()), same(other, weights, bias.data());
      std::vector<float> x = random.Normals(t * k);
      for (size_t i = 0; i < x.size(); i += 97) x[i] *= 1000;  // outliers
      Rows rows(x, t, k);
      std::vector<float> expected(t * n), y(t * n);
      RunLinear(same.op(), rows.For(other), expected.data(), n, nullptr);
      RunLinear(layer.op(), rows.For(one), y.data(), n, nullptr);
      CHECK(SameBits(y, expected));
    }
  }
}

TEST_CASE("256-bit kernels of block types have the bits of AVX2 with unsigned products, too") {
  const CpuFeatures cpu = DetectCpu();
  if (!cpu.avx512vnni) SKIP("this CPU has no AVX-512 VNNI, which the code needs here");
  Random random(51);
  for (size_t type = 0; type < kBlockTypeCount; ++type) {
    const LinearKernel* avx2 = FindKernelTable("avx2")->Kernel(static_cast<WeightType>(type + 3));
    INFO(avx2->name);
    LinearKernel evex = *avx2;
    evex.blocks = kLinearBlocks256Evex[type];
    for (const size_t t : std::vector<size_t>{1, 2, 7, 125}) {
      const uint32_t n = 83, k = static_cast<uint32_t>(random.Integer(1, 700));
      const Weights weights(random, avx2->type, n, k, 32);
      const std::vector<float> bias = random.Normals(n);
      const Layer layer(avx2, weights, bias.data()), other(&evex, weights, bias.data());
      Rows rows(random.Normals(t * k), t, k);
      std::vector<float> expected(t * n), y(t * n);
      RunLinear(layer.op(), rows.For(avx2), expected.data(), n, nullptr);
      RunLinear(other.op(), rows.For(avx2), y.data(), n, nullptr);
      CHECK(SameBits(y, expected));
    }
  }
}
#endif
