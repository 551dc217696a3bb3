// The row kernels of every table against the portable ones: the same bits at every width, and the same as cache rows have.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "ops/cache/cache_row.h"
#include "ops/rows/row_kernels.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

namespace {

template <typename F>
void ForTables(const F& f) {
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(DetectCpu())) continue;
    INFO(table->name);
    f(*table);
  }
}

}  // namespace

TEST_CASE("row kernels give the same bits in every table") {
  Random random(50);
  for (size_t width = 1; width < 120; width += width < 70 ? 1 : 7) {
    INFO("width " << width);
    const std::vector<float> x = random.Normals(width), w = random.Normals(width), other = random.Normals(width);
    const std::vector<float> pairs = random.Normals(2 * width), cos = random.Normals(width), sin = random.Normals(width);
    ForTables([&](const KernelTable& table) {
      for (const float* weight : {w.data(), static_cast<const float*>(nullptr)}) {
        std::vector<float> expected(width), y(width);
        kRowsPortable.rms_norm(x.data(), width, weight, 1.0f, 1e-6f, expected.data());
        table.rows->rms_norm(x.data(), width, weight, 1.0f, 1e-6f, y.data());
        CHECK(SameBits(y, expected));
      }
      std::vector<float> expected = x, y = x;
      kRowsPortable.add(expected.data(), other.data(), width);
      table.rows->add(y.data(), other.data(), width);
      CHECK(SameBits(y, expected));
      for (const RopePairing pairing : {RopePairing::kHalfSplit, RopePairing::kInterleaved}) {
        expected = y = pairs;
        kRowsPortable.rotate(pairing, width, width, cos.data(), sin.data(), expected.data());
        table.rows->rotate(pairing, width, width, cos.data(), sin.data(), y.data());
        CHECK(SameBits(y, expected));
        size_t wrong = 0;
        for (size_t i = 0; i < width; ++i) {
          const size_t a = pairing == RopePairing::kHalfSplit ? i : 2 * i, b = pairing == RopePairing::kHalfSplit ? width + i : 2 * i + 1;
          wrong += y[a] != pairs[a] * cos[i] - pairs[b] * sin[i] || y[b] != pairs[a] * sin[i] + pairs[b] * cos[i];
        }
        CHECK(wrong == 0);
      }
    });
  }
}

TEST_CASE("queries and int8 rows have the bits of cache rows in every table") {
  Random random(51);
  for (size_t d = kCacheSearchedWidth + 1; d < 140; ++d) {
    INFO("width " << d);
    std::vector<float> x = random.Normals(d, d % 2 == 0 ? 1.0f : 1e-20f);
    if (d % 11 == 0) x[d / 3] = std::numeric_limits<float>::quiet_NaN();
    if (d % 13 == 0) x[d / 2] = std::numeric_limits<float>::infinity();
    if (d % 17 == 0) x.assign(d, 1e-31f);
    const size_t block_bytes = kCacheBlockRows * CacheRowBytes(CacheType::kQ8, d), row = d % kCacheBlockRows, d4 = RoundUp(d, 4);
    std::vector<uint8_t> expected(block_bytes, 0x55);
    StoreCacheRow(CacheType::kQ8, x.data(), d, row, expected.data());
    float scale;
    std::memcpy(&scale, &expected[kCacheBlockRows * d4 + 4 * row], sizeof scale);
    ForTables([&](const KernelTable& table) {
      std::vector<uint8_t> block(block_bytes, 0x55);
      table.attention->store(x.data(), d, row, block.data());
      CHECK(block == expected);
      // A query is the same bytes; its scale is that of the row, but that of rows too small to be stored.
      std::vector<int8_t> q(d4 + 1, 0x55);
      int32_t sum = -1, expected_sum = 0;
      float query_scale = -1;
      table.attention->query(x.data(), d, 0.125f, q.data(), &sum, &query_scale);
      size_t wrong = 0;
      for (size_t i = 0; i < d4; ++i) {
        const int8_t byte = static_cast<int8_t>(expected[(i / 4 * kCacheBlockRows + row) * 4 + i % 4]);
        wrong += q[i] != byte;
        expected_sum += byte;
      }
      CHECK(wrong == 0);
      CHECK(q[d4] == 0x55);
      CHECK(sum == expected_sum);
      if (scale != 0) CHECK(query_scale == scale * 0.125f);
    });
  }
}
