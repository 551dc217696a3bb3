// The quantiser: layout, error against plain rounding and against theory, special values, independence of
// splitting.
#include <catch2/catch_test_macros.hpp>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "targets/convert/quantise.h"
#include "runtime/core/float16.h"

using namespace thimble;

namespace {

struct Quantised {
  std::vector<uint8_t> data, scales;
  QuantiseError error;
};

Quantised Run(const WeightFormat& format, const std::vector<float>& w, size_t rows, size_t cols) {
  uint64_t data = 0, scales = 0;
  REQUIRE(WeightDataBytes(format.type, rows, cols, format.block, &data));
  REQUIRE(WeightScaleBytes(format.type, rows, cols, format.block, &scales));
  Quantised q{std::vector<uint8_t>(data, 0xaa), std::vector<uint8_t>(scales, 0xaa), {}};
  q.error = QuantiseRows(format, w.data(), rows, cols, q.data.data(), q.scales.data());
  return q;
}

std::vector<float> Gaussian(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> w(n);
  for (float& v : w) {  // sum of 12 uniforms: the same on every standard library
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += (random() >> 8) * 0x1p-24;
    v = static_cast<float>(0.02 * sum);
  }
  return w;
}

double ErrorOf(const WeightFormat& format, const Quantised& q, const std::vector<float>& w, size_t rows,
               size_t cols) {
  std::vector<float> back(cols);
  double error = 0, weight = 0;
  for (size_t r = 0; r < rows; ++r) {
    DequantiseRow(format, q.data.data() + r * (q.data.size() / rows),
                  q.scales.data() + r * (q.scales.size() / rows), cols, back.data());
    for (size_t i = 0; i < cols; ++i) {
      const double e = static_cast<double>(back[i]) - w[r * cols + i];
      error += e * e;
      weight += static_cast<double>(w[r * cols + i]) * w[r * cols + i];
    }
  }
  return std::sqrt(error / weight);
}

}  // namespace

TEST_CASE("q8: every weight within half a step, search never worse than full range") {
  constexpr size_t kRows = 37, kCols = 259;
  const std::vector<float> w = Gaussian(kRows * kCols, 1);
  const WeightFormat plain{WeightType::kQ8, 0, false}, searched{WeightType::kQ8, 0, true};
  const Quantised a = Run(plain, w, kRows, kCols), b = Run(searched, w, kRows, kCols);
  for (size_t r = 0; r < kRows; ++r) {
    float scale, largest = 0;
    std::memcpy(&scale, a.scales.data() + r * 4, 4);
    for (size_t i = 0; i < kCols; ++i) largest = std::max(largest, std::fabs(w[r * kCols + i]));
    CHECK(std::fabs(scale * 127 - largest) <= 1e-6f * largest);
    for (size_t i = 0; i < kCols; ++i) {
      const float back = static_cast<float>(static_cast<int8_t>(a.data[r * kCols + i])) * scale;
      CHECK(std::fabs(back - w[r * kCols + i]) <= 0.5001f * scale);
    }
  }
  CHECK(std::fabs(a.error.Relative() - ErrorOf(plain, a, w, kRows, kCols)) < 1e-9);
  CHECK(a.error.Relative() < 0.009);
  CHECK(b.error.Relative() <= a.error.Relative());
}

TEST_CASE("q4: better than rounding to the full range, at every block size and odd widths") {
  for (const uint32_t block : {32u, 64u, 128u}) {
    for (const size_t cols : {size_t{256}, size_t{131}, size_t{7}}) {
      constexpr size_t kRows = 40;
      const std::vector<float> w = Gaussian(kRows * cols, block);
      const WeightFormat plain{WeightType::kQ4, block, false}, searched{WeightType::kQ4, block, true};
      const Quantised a = Run(plain, w, kRows, cols), b = Run(searched, w, kRows, cols);
      INFO("block " << block << " cols " << cols << ": " << a.error.Relative() << " -> "
                    << b.error.Relative());
      CHECK(std::fabs(b.error.Relative() - ErrorOf(searched, b, w, kRows, cols)) < 1e-9);
      CHECK(b.error.Relative() < 0.85 * a.error.Relative());
      CHECK(b.error.Relative() < (block == 32 ? 0.083 : block == 64 ? 0.092 : 0.099));
      // Elements behind the last one are zeros.
      const size_t row_bytes = b.data.size() / kRows;
      for (size_t e = cols; e < row_bytes * 2; ++e) {
        for (size_t r = 0; r < kRows; ++r) CHECK(((b.data[r * row_bytes + e / 2] >> (e % 2 * 4)) & 15) == 8);
      }
    }
  }
}

TEST_CASE("q4: low nibble first, bfloat16 scale") {
  std::vector<float> w(32, 0.0f);
  w[0] = -8;
  w[1] = 7;
  w[2] = 1;
  const Quantised q = Run({WeightType::kQ4, 32, true}, w, 1, 32);
  uint16_t scale;
  std::memcpy(&scale, q.scales.data(), 2);
  CHECK(Bfloat16ToFloat(scale) == 1.0f);
  CHECK(q.data[0] == 0xf0);
  CHECK(q.data[1] == 0x89);
  CHECK(q.error.Relative() == 0);
  // The side that reaches to 8 follows the larger weights: here a negative scale.
  for (float& v : w) v = -v;
  const Quantised mirrored = Run({WeightType::kQ4, 32, true}, w, 1, 32);
  CHECK(mirrored.error.Relative() == 0);
}

// GGUF's Q4_0 with scales that bfloat16 holds: the same integers and scales come out.
TEST_CASE("q4: blocks of integers times a bfloat16 scale come back bit for bit") {
  std::mt19937 random(11);
  for (const uint32_t block : {32u, 64u, 128u}) {
    constexpr size_t kRows = 50;
    std::vector<float> w(kRows * block);
    for (size_t r = 0; r < kRows; ++r) {
      const float scale = Bfloat16ToFloat(FloatToBfloat16(0.001f * static_cast<float>(1 + random() % 1000))) *
                          (random() % 2 == 0 ? 1.0f : -1.0f);
      for (size_t i = 0; i < block; ++i) w[r * block + i] = scale * (static_cast<float>(random() % 16) - 8);
      w[r * block + random() % block] = scale * -8;
    }
    CHECK(Run({WeightType::kQ4, block, true}, w, kRows, block).error.largest == 0);
  }
}

TEST_CASE("f32 is a copy") {
  const std::vector<float> w = Gaussian(60, 3);
  const Quantised q = Run({WeightType::kF32, 0, true}, w, 4, 15);
  CHECK(std::memcmp(q.data.data(), w.data(), q.data.size()) == 0);
  CHECK(q.error.Relative() == 0);
}

TEST_CASE("zeros, tiny and huge weights give finite scales and finite weights") {
  for (const float value : {0.0f, FLT_TRUE_MIN, 1e-42f, FLT_MIN, 1e-30f, 1e30f, FLT_MAX / 2}) {
    for (const WeightFormat& format :
         {WeightFormat{WeightType::kQ8, 0, true}, WeightFormat{WeightType::kQ4, 32, true},
          WeightFormat{WeightType::kQ4, 32, false}}) {
      std::vector<float> w(70);
      for (size_t i = 0; i < w.size(); ++i) w[i] = value * ((static_cast<float>(i % 7) - 3) / 3);
      const Quantised q = Run(format, w, 2, 35);
      std::vector<float> back(35);
      for (size_t r = 0; r < 2; ++r) {
        DequantiseRow(format, q.data.data() + r * (q.data.size() / 2),
                      q.scales.data() + r * (q.scales.size() / 2), 35, back.data());
        for (size_t i = 0; i < 35; ++i) {
          CHECK(std::isfinite(back[i]));
          CHECK(std::fabs(back[i] - w[r * 35 + i]) <= 0.1f * value + FLT_MIN);
        }
      }
    }
  }
}

TEST_CASE("the bytes do not depend on how the rows are split or how many threads there are") {
  constexpr size_t kRows = 300, kCols = 1024;
  const std::vector<float> w = Gaussian(kRows * kCols, 5);
  for (const WeightFormat& format :
       {WeightFormat{WeightType::kQ8, 0, true}, WeightFormat{WeightType::kQ4, 64, true}}) {
    const Quantised whole = Run(format, w, kRows, kCols);
    std::vector<uint8_t> data, scales;
    QuantiseError error;
    for (size_t r = 0; r < kRows; ++r) {
      const Quantised row = Run(format, {w.begin() + r * kCols, w.begin() + (r + 1) * kCols}, 1, kCols);
      data.insert(data.end(), row.data.begin(), row.data.end());
      scales.insert(scales.end(), row.scales.begin(), row.scales.end());
      error.Add(row.error);
    }
    CHECK(data == whole.data);
    CHECK(scales == whole.scales);
    CHECK(error.squared_error == whole.error.squared_error);
  }
}
