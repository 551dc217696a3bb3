// The 256-bit kernels of block types: both encodings of one code give the same bits.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "ops/linear/packed_linear.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/linear_blocks_256_evex.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

#if defined(__x86_64__)
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
