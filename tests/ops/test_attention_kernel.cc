// Every attention kernel that this CPU runs gives the bits of the portable one, and that one is near the oracle.
#include <catch2/catch_test_macros.hpp>

#include "ops/tables/kernel_table.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/attention_oracle.h"
#include "tests/ops/attention_vnni256_evex.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::vector<const AttentionKernel*> Kernels() {
  std::vector<const AttentionKernel*> kernels;
  const CpuFeatures cpu = DetectCpu();
  for (const KernelTable* table : AllKernelTables()) {
    if (table->supported(cpu)) kernels.push_back(table->attention);
  }
#if defined(__x86_64__)
  // The code of the avxvnni table where that cannot run.
  if (cpu.avx512vnni) kernels.push_back(&kAttentionVnni256Evex);
#endif
  return kernels;
}

// Cases that differ from the portable kernel's bits on any kernel.
size_t Different(Random& random, const AttentionOptions& options) {
  AttentionCase c(random, options);
  const std::vector<float> portable = c.Run(nullptr);
  size_t different = 0;
  for (const AttentionKernel* kernel : Kernels()) {
    c.SetKernel(kernel);
    different += !SameBits(portable, c.Run(nullptr));
  }
  return different;
}

AttentionOptions Int8(size_t t, size_t group, size_t d, size_t positions) {
  AttentionOptions o = {.t = t, .heads = group, .kv_heads = 1, .d = d, .positions = positions};
  o.key_type = o.value_type = CacheType::kQ8;
  return o;
}

// Root mean square of the error over that of the result.
double RelativeError(Random& random, const AttentionOptions& options) {
  AttentionCase c(random, options);
  const std::vector<float> out = c.Run(nullptr);
  const std::vector<double> expected = AttentionOracle(c.args());
  double error = 0, power = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    error += std::pow(out[i] - expected[i], 2);
    power += std::pow(expected[i], 2);
  }
  return std::sqrt(error / power);
}

}  // namespace

TEST_CASE("attention kernels give the same bits on random problems") {
  Random random(50);
  size_t different = 0;
  for (size_t round = 0; round < 250; ++round) {
    AttentionOptions o = RandomAttention(random, 700);
    o.key_type = random.Pick({CacheType::kQ8, CacheType::kQ4});
    o.value_type = random.Pick({CacheType::kQ8, CacheType::kQ4});
    different += Different(random, o);
  }
  CHECK(different == 0);
}

TEST_CASE("attention kernels give the same bits for every head width and group") {
  Random random(51);
  size_t different = 0;
  for (size_t d = 1; d <= 256; d += d < 40 ? 1 : 13) different += Different(random, Int8(1, 3, d, 70));
  for (size_t group = 1; group <= 33; ++group) different += Different(random, Int8(2, group, 64, 270));
  CHECK(different == 0);
}

TEST_CASE("attention kernels give the same bits for every length") {
  Random random(52);
  size_t different = 0;
  for (size_t positions = 1; positions <= 300; positions += positions < 40 ? 1 : 7) {
    different += Different(random, Int8(1, 4, 16, positions));
  }
  for (const size_t positions : std::vector<size_t>{511, 512, 513, 5000}) {
    different += Different(random, Int8(1, 8, 64, positions));
  }
  CHECK(different == 0);
}

TEST_CASE("attention kernels give the same bits for extreme bytes") {
  Random random(53);
  size_t different = 0;
  for (const float factor : {0.0f, 1e-20f, 300.0f, 1e20f}) {
    for (const bool equal : {false, true}) {
      AttentionOptions o = Int8(3, 4, 64, 300);
      o.query_factor = factor;
      o.equal_keys = equal;
      o.zero_rows = !equal;
      different += Different(random, o);
    }
  }
  CHECK(different == 0);
}

TEST_CASE("widened int4 blocks are the rows that were stored, by every kernel") {
  Random random(56);
  constexpr size_t kCount = 3;
  for (size_t d = 1; d <= 260; d += d < 70 ? 1 : 11) {
    const size_t rows = kCount * kCacheBlockRows;
    const Block narrow(rows * CacheRowBytes(CacheType::kQ4, d)), wide(rows * CacheRowBytes(CacheType::kQ8, d));
    for (size_t j = 0; j < rows; ++j) {
      std::vector<float> x = random.Normals(d, random.Pick({1.0f, 1e-4f, 1e4f, 0.0f}));
      for (size_t i = 0; i < d; ++i) x[i] *= i / kCacheQ4Group % 2 == 0 ? 1.0f : 0.1f;
      StoreCacheRow(CacheType::kQ4, x.data(), d, j, narrow.As<void>());
    }
    for (const AttentionKernel* kernel : Kernels()) {
      std::memset(wide.As<void>(), 0x55, rows * CacheRowBytes(CacheType::kQ8, d));
      kernel->widen(narrow.As<uint8_t>(), d, kCount, wide.As<uint8_t>());
      size_t different = 0;
      std::vector<float> expected(d), got(d);
      for (size_t j = 0; j < rows; ++j) {
        LoadCacheRow(CacheType::kQ4, narrow.As<void>(), j, d, expected.data());
        LoadCacheRow(CacheType::kQ8, wide.As<void>(), j, d, got.data());
        different += std::memcmp(expected.data(), got.data(), d * sizeof(float)) != 0;
      }
      INFO(kernel->name << ", d " << d);
      CHECK(different == 0);
    }
  }
}

TEST_CASE("int8 attention is close to exact attention over the same rows") {
  Random random(54);
  for (const size_t d : std::vector<size_t>{16, 64, 128, 256}) {
    for (const size_t positions : std::vector<size_t>{2, 33, 1000}) {
      INFO("d " << d << ", positions " << positions);
      CHECK(RelativeError(random, Int8(2, 8, d, positions)) < 0.025);
    }
  }
}
