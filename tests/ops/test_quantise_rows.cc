// Dynamic quantisation of rows: error of half a step, zero exactly represented, padding, repeated parameters.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "ops/tables/kernel_table.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("quantised rows are within half a step") {
  Random random(12);
  Worst worst;
  for (size_t round = 0; round < 60; ++round) {
    const size_t t = random.Integer(1, 20), k = random.Integer(1, 300);
    std::vector<float> x = random.Normals(t * k, random.Pick({1.0f, 1e-6f, 1e6f}));
    const float shift = random.Pick({0.0f, 0.0f, 5.0f, -1e6f});
    for (float& v : x) v += shift;
    const Rows rows(x, t, k);
    const RowBatch& b = rows.batch();
    size_t wrong = 0;
    for (size_t r = 0; r < t; ++r) {
      const RowQuantisation p = b.quantisation[r];
      wrong += p.zero_point < -128 || p.zero_point > 127 || !(p.scale > 0);
      const int8_t* q = b.q + r * QuantisedRowBytes(k);
      for (size_t i = 0; i < k; ++i) {
        // The zero point is rounded too, which may cost the far end another half step.
        worst.See(std::fabs((q[i] - p.zero_point) * double{p.scale} - x[r * k + i]) / double{p.scale});
      }
      for (size_t i = k; i < QuantisedRowBytes(k); ++i) wrong += q[i] != 0;
    }
    for (size_t r = t; r < QuantisedParameterCount(t); ++r) {
      wrong += b.quantisation[r].zero_point != b.quantisation[t - 1].zero_point;
      wrong += b.quantisation[r].scale != b.quantisation[t - 1].scale;
    }
    CHECK(wrong == 0);
  }
  CHECK(worst.error < 1.01);
}

TEST_CASE("rows of zeros, of tiny numbers and of nonsense are quantised to something") {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  for (const float value : {0.0f, 1e-40f, 3e38f, -3e38f, infinity, -infinity, nan}) {
    std::vector<float> x(37, value);
    x[3] = 1.0f;
    const Rows rows(x, 1, x.size());
    CHECK(rows.batch().quantisation[0].zero_point >= -128);
    CHECK(rows.batch().quantisation[0].zero_point <= 127);
  }
  const Rows zeros(std::vector<float>(40, 0.0f), 1, 40);
  for (size_t i = 0; i < 40; ++i) CHECK(zeros.batch().q[i] == zeros.batch().quantisation[0].zero_point);
}

TEST_CASE("quantised rows are the same for every thread count") {
  Random random(13);
  const size_t t = 45, k = 77;
  const std::vector<float> x = random.Normals(t * k);
  const Rows one(x, t, k);
  for (const size_t threads : std::vector<size_t>{2, 4}) {
    Pool pool(threads);
    const Rows many(x, t, k, pool.get());
    CHECK(std::memcmp(one.batch().q, many.batch().q, QuantisedRowsBytes(t, k)) == 0);
    CHECK(std::memcmp(one.batch().quantisation, many.batch().quantisation,
                      QuantisedParameterCount(t) * sizeof(RowQuantisation)) == 0);
  }
}

TEST_CASE("every table quantises rows to the bits of the portable one, flipped where its kernels want that") {
  Random random(15);
  const CpuFeatures cpu = DetectCpu();
  size_t wrong = 0;
  for (size_t round = 0; round < 200; ++round) {
    const size_t k = random.Integer(1, 400), row_bytes = QuantisedRowBytes(k);
    std::vector<float> x = random.Normals(k, random.Pick({1.0f, 0.0f, 1e-35f, 1e30f}));
    if (round % 5 == 0) x[random.Integer(0, k - 1)] = std::numeric_limits<float>::quiet_NaN();
    if (round % 7 == 0) x[random.Integer(0, k - 1)] = std::numeric_limits<float>::infinity();
    std::vector<int8_t> expected(row_bytes), q(row_bytes);
    const RowQuantisation portable = QuantiseRow(x.data(), k, row_bytes, expected.data(), RowPlace::kAlone);
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->supported(cpu)) continue;
      const RowQuantisation other = table->Kernel(WeightType::kQ8)->input.quantise(x.data(), k, row_bytes, q.data(), RowPlace::kAlone);
      wrong += std::memcmp(&other, &portable, sizeof other) != 0;
      const int8_t flip = static_cast<int8_t>(q[0] ^ expected[0]);
      wrong += flip != 0 && flip != -128;
      for (size_t i = 0; i < k; ++i) wrong += (q[i] ^ flip) != expected[i];
      for (size_t i = k; i < row_bytes; ++i) wrong += q[i] != 0;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("rows of blocks: each within half a step of its own block, with their sums") {
  Random random(16);
  Worst worst;
  size_t wrong = 0;
  for (size_t round = 0; round < 200; ++round) {
    const size_t k = random.Integer(1, 400), padded = BlockInputsAt(k);
    std::vector<float> x = random.Normals(k, random.Pick({1.0f, 1e-6f, 1e6f}));
    for (size_t i = 0; i < k; i += 97) x[random.Integer(0, k - 1)] *= 1000.0f;  // other blocks do not suffer
    std::vector<int8_t> row(BlockRowBytes(k), 99);
    QuantiseBlocks(x.data(), k, padded, row.data(), RowPlace::kAlone);
    const BlockInput* inputs = reinterpret_cast<const BlockInput*>(row.data() + padded);
    for (size_t b = 0; b * 32 < k; ++b) {
      int32_t sum = 0, first = 0;
      for (size_t i = b * 32; i < b * 32 + 32; ++i) {
        sum += row[i];
        if (i < b * 32 + 16) first += row[i];
        if (i < k) worst.See(std::fabs(row[i] * double{inputs[b].scale} - double{x[i]}) / double{inputs[b].scale});
      }
      wrong += inputs[b].offset != -128 * sum || inputs[b].half_offset[0] != -128 * first || inputs[b].half_offset[1] != -128 * (sum - first);
      wrong += inputs[b].scaled_sum != inputs[b].scale * static_cast<float>(sum);
    }
    for (size_t i = k; i < padded; ++i) wrong += row[i] != 0;
  }
  CHECK(wrong == 0);
  CHECK(worst.error < 0.5001);
}

TEST_CASE("every table quantises blocks to the bits of the portable row") {
  Random random(17);
  const CpuFeatures cpu = DetectCpu();
  size_t wrong = 0;
  for (size_t round = 0; round < 200; ++round) {
    const size_t k = random.Integer(1, 400), padded = BlockInputsAt(k);
    std::vector<float> x = random.Normals(k, random.Pick({1.0f, 0.0f, 1e-35f, 1e30f}));
    if (round % 5 == 0) x[random.Integer(0, k - 1)] = std::numeric_limits<float>::quiet_NaN();
    if (round % 7 == 0) x[random.Integer(0, k - 1)] = std::numeric_limits<float>::infinity();
    std::vector<int8_t> expected(BlockRowBytes(k)), q(BlockRowBytes(k));
    QuantiseBlocks(x.data(), k, padded, expected.data(), RowPlace::kAlone);
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->supported(cpu)) continue;
      table->Kernel(WeightType::kQ8_0)->input.quantise(x.data(), k, padded, q.data(), RowPlace::kAlone);
      const size_t used = padded + CeilDiv(k, 32) * sizeof(BlockInput);
      if (round % 7 != 0) {
        wrong += std::memcmp(q.data(), expected.data(), used) != 0;
      } else {
        // Times an infinity: which NaN it is, no one says.
        wrong += std::memcmp(q.data(), expected.data(), padded) != 0;
      }
    }
  }
  CHECK(wrong == 0);
}
