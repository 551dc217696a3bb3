// Norms against double formulas: any width, strides, in place, offsets, extremes.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "ops/rows/norm.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("LayerNorm agrees with its formula") {
  Random random(4);
  Worst worst;
  for (size_t width : std::vector<size_t>{1, 2, 3, 5, 7, 16, 31, 64, 257, 1024}) {
    const size_t count = 3, stride = width + 2;
    for (const float shift : {0.0f, 100.0f}) {
      std::vector<float> x = random.Normals(count * stride);
      for (float& v : x) v += shift;
      const std::vector<float> weight = random.Normals(width), bias = random.Normals(width);
      const bool scaled = random.Integer(0, 3) != 0;
      std::vector<float> y(count * width);
      LayerNorm(x.data(), stride, count, width, scaled ? weight.data() : nullptr,
                scaled ? bias.data() : nullptr, 1e-5f, y.data(), width);
      for (size_t r = 0; r < count; ++r) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < width; ++i) mean += static_cast<double>(x[r * stride + i]);
        mean /= static_cast<double>(width);
        for (size_t i = 0; i < width; ++i)
          variance += std::pow(static_cast<double>(x[r * stride + i]) - mean, 2);
        variance /= static_cast<double>(width);
        for (size_t i = 0; i < width; ++i) {
          double e = (static_cast<double>(x[r * stride + i]) - mean) / std::sqrt(variance + 1e-5);
          if (scaled) e = e * static_cast<double>(weight[i]) + static_cast<double>(bias[i]);
          // The centre is rounded to float: that is what limits rows far from zero.
          worst.See(std::fabs(y[r * width + i] - e) / (1.0 + std::fabs(e)) / (shift == 0.0f ? 1.0 : 100.0));
        }
      }
      std::vector<float> in_place(x);
      LayerNorm(in_place.data(), stride, count, width, scaled ? weight.data() : nullptr,
                scaled ? bias.data() : nullptr, 1e-5f, in_place.data(), stride);
      for (size_t r = 0; r < count; ++r) {
        CHECK(std::memcmp(&in_place[r * stride], &y[r * width], width * sizeof(float)) == 0);
      }
    }
  }
  CHECK(worst.error < 2e-6);
}

TEST_CASE("RmsNorm agrees with its formula") {
  Random random(5);
  Worst worst;
  for (size_t width : std::vector<size_t>{1, 2, 3, 5, 7, 16, 31, 64, 257, 1024}) {
    for (const float offset : {0.0f, 1.0f}) {
      const size_t count = 4;
      const std::vector<float> x = random.Normals(count * width, width % 2 == 0 ? 1e-3f : 1e3f);
      const std::vector<float> weight = random.Normals(width);
      const bool scaled = random.Integer(0, 3) != 0;
      std::vector<float> y(count * width);
      RmsNorm(x.data(), width, count, width, scaled ? weight.data() : nullptr, offset, 1e-6f, y.data(),
              width);
      for (size_t r = 0; r < count; ++r) {
        double square = 0;
        for (size_t i = 0; i < width; ++i) square += std::pow(static_cast<double>(x[r * width + i]), 2);
        for (size_t i = 0; i < width; ++i) {
          double e =
              static_cast<double>(x[r * width + i]) / std::sqrt(square / static_cast<double>(width) + 1e-6);
          if (scaled) e *= static_cast<double>(offset) + static_cast<double>(weight[i]);
          worst.See(std::fabs(y[r * width + i] - e) / (1.0 + std::fabs(e)));
        }
      }
    }
  }
  CHECK(worst.error < 1e-6);
}

TEST_CASE("Norms of zero rows are zero and large rows stay finite") {
  std::vector<float> x(16, 0.0f), y(16);
  RmsNorm(x.data(), 16, 1, 16, nullptr, 0.0f, 1e-6f, y.data(), 16);
  CHECK(y == x);
  LayerNorm(x.data(), 16, 1, 16, nullptr, nullptr, 1e-5f, y.data(), 16);
  CHECK(y == x);
  for (float& v : x) v = 1e30f;
  RmsNorm(x.data(), 16, 1, 16, nullptr, 0.0f, 1e-6f, y.data(), 16);
  for (const float v : y) CHECK(std::fabs(v - 1.0f) < 1e-6f);
}
