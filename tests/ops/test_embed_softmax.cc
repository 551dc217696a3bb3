// Embedding rows, softmax, log-sum-exp, argmax, and the sizes of the portable weight layout.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "ops/linear/embed.h"
#include "ops/rows/softmax.h"
#include "tests/ops/support.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("weight sizes") {
  uint64_t bytes = 0;
  CHECK((WeightDataBytes(WeightType::kF32, 3, 5, 0, &bytes) && bytes == 60));
  CHECK((WeightDataBytes(WeightType::kQ8, 3, 5, 0, &bytes) && bytes == 15));
  CHECK((WeightDataBytes(WeightType::kQ4, 3, 33, 32, &bytes) && bytes == 96));
  CHECK((WeightScaleBytes(WeightType::kF32, 3, 5, 0, &bytes) && bytes == 0));
  CHECK((WeightScaleBytes(WeightType::kQ8, 3, 5, 0, &bytes) && bytes == 12));
  CHECK((WeightScaleBytes(WeightType::kQ4, 3, 33, 32, &bytes) && bytes == 12));
  CHECK_FALSE(WeightDataBytes(WeightType::kF32, UINT64_MAX / 2, 5, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kF32, 1, UINT64_MAX, 0, &bytes));
  CHECK_FALSE(WeightScaleBytes(WeightType::kQ8, UINT64_MAX / 2, 5, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(static_cast<WeightType>(kWeightTypeCount), 1, 1, 0, &bytes));
  CHECK(IsWeightBlock(WeightType::kQ4, 64));
  CHECK_FALSE(IsWeightBlock(WeightType::kQ4, 16));
  CHECK_FALSE(IsWeightBlock(WeightType::kQ8, 32));
}

TEST_CASE("embedding rows are the dequantised weights") {
  Random random(10);
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4}) {
    for (const uint32_t k : {1u, 31u, 64u, 129u}) {
      const Weights w(random, type, 5, k, 32);
      std::vector<float> out(k);
      for (uint32_t row = 0; row < 5; ++row) {
        DecodeWeightRow(w.rows(), row, 2.5f, out.data());
        Worst worst;
        for (uint32_t i = 0; i < k; ++i) worst.See(std::fabs(out[i] - 2.5 * w.Value(row, i)));
        CHECK(worst.error < 1e-5);
      }
    }
  }
}

TEST_CASE("softmax and log-sum-exp") {
  Random random(11);
  for (const size_t count : std::vector<size_t>{1, 2, 7, 1000}) {
    for (const float factor : {0.1f, 5.0f, 200.0f}) {
      std::vector<float> x = random.Normals(count, factor);
      double largest = -1e300, sum = 0;
      for (const float v : x) largest = std::max(largest, static_cast<double>(v));
      for (const float v : x) sum += std::exp(static_cast<double>(v) - largest);
      CHECK(std::fabs(LogSumExp(x.data(), count) - (largest + std::log(sum))) <
            1e-12 * (1 + std::fabs(largest)));
      const std::vector<float> logits = x;
      Softmax(x.data(), count);
      Worst worst;
      for (size_t i = 0; i < count; ++i) {
        worst.See(std::fabs(x[i] - std::exp(static_cast<double>(logits[i]) - largest) / sum));
      }
      CHECK(worst.error < 1e-7);
    }
  }
}

TEST_CASE("argmax takes the lowest index and never NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> ties = {1, 3, 2, 3};
  CHECK(ArgMax(ties.data(), ties.size()) == 1);
  const std::vector<float> broken = {nan, -5, nan, -4};
  CHECK(ArgMax(broken.data(), broken.size()) == 3);
  const std::vector<float> all = {nan, nan};
  CHECK(ArgMax(all.data(), all.size()) == 0);
}
