// One-pass attention against the two-pass oracle in double.
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "tests/ops/attention_case.h"
#include "tests/ops/attention_oracle.h"

using namespace thimble;
using namespace thimble::test;

namespace {

double ErrorOf(Random& random, const AttentionOptions& options) {
  AttentionCase c(random, options);
  const std::vector<float> out = c.Run(nullptr);
  const std::vector<double> expected = AttentionOracle(c.args());
  Worst worst;
  for (size_t i = 0; i < out.size(); ++i)
    worst.See(std::fabs(out[i] - expected[i]) / (1.0 + std::fabs(expected[i])), i);
  return worst.error;
}

}  // namespace

TEST_CASE("attention agrees with the oracle on random problems") {
  Random random(20);
  Worst worst;
  for (size_t round = 0; round < 130; ++round)
    worst.See(ErrorOf(random, RandomAttention(random, 600)), round);
  INFO("round " << worst.where);
  CHECK(worst.error < 3e-5);
}

TEST_CASE("attention over every length around tiles and chunks") {
  Random random(21);
  Worst worst;
  for (size_t positions = 1; positions <= 70; ++positions) {
    worst.See(ErrorOf(random, {.t = 1, .heads = 4, .kv_heads = 2, .d = 9, .positions = positions}),
              positions);
  }
  for (const size_t positions : std::vector<size_t>{127, 128, 255, 256, 257, 288, 511, 512, 513, 545}) {
    for (const bool one_row : {false, true}) {
      worst.See(ErrorOf(random, {.t = 3,
                                 .heads = 4,
                                 .kv_heads = 1,
                                 .d = 24,
                                 .positions = positions,
                                 .key_type = CacheType::kQ8,
                                 .value_type = CacheType::kQ8,
                                 .one_row = one_row}),
                positions);
    }
  }
  INFO("length " << worst.where);
  CHECK(worst.error < 1e-5);
}

TEST_CASE("attention with windows of every size") {
  Random random(22);
  Worst worst;
  for (const bool causal : {true, false}) {
    for (size_t window = 1; window <= 45; ++window) {
      worst.See(ErrorOf(random, {.t = 40,
                                 .heads = 2,
                                 .kv_heads = 1,
                                 .d = 8,
                                 .positions = 80,
                                 .causal = causal,
                                 .window = window}),
                window);
    }
    worst.See(ErrorOf(
        random,
        {.t = 2, .heads = 2, .kv_heads = 2, .d = 8, .positions = 600, .causal = causal, .window = 300}));
  }
  CHECK(worst.error < 1e-5);
}

TEST_CASE("attention with extreme scores") {
  Random random(23);
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kQ8, CacheType::kQ4}) {
    // One key dominates; all scores equal; all rows zero.
    CHECK(ErrorOf(random, {.t = 4,
                           .heads = 4,
                           .kv_heads = 2,
                           .d = 32,
                           .positions = 300,
                           .key_type = type,
                           .value_type = type,
                           .query_factor = 300.0f}) < 5e-4);
    CHECK(ErrorOf(random, {.t = 4,
                           .heads = 4,
                           .kv_heads = 2,
                           .d = 32,
                           .positions = 300,
                           .key_type = type,
                           .value_type = type,
                           .equal_keys = true}) < 1e-5);
    CHECK(ErrorOf(random, {.t = 4,
                           .heads = 4,
                           .kv_heads = 2,
                           .d = 32,
                           .positions = 300,
                           .key_type = type,
                           .value_type = type,
                           .query_factor = 0.0f}) < 1e-5);
    AttentionOptions zeros = {.t = 2,
                              .heads = 4,
                              .kv_heads = 2,
                              .d = 32,
                              .positions = 40,
                              .key_type = type,
                              .one_row = true,
                              .zero_rows = true};
    CHECK(ErrorOf(random, zeros) < 1e-5);
  }
}

TEST_CASE("masking rows by an infinite bias") {
  Random random(24);
  AttentionCase c(random,
                  {.t = 2, .heads = 2, .kv_heads = 1, .d = 8, .positions = 300, .position_bias = true});
  float* bias = const_cast<float*>(c.args().position_bias);
  // A whole first chunk, and then everything.
  for (size_t j = 0; j < 290; ++j) bias[j] = -std::numeric_limits<float>::infinity();
  std::vector<float> out = c.Run(nullptr);
  const std::vector<double> expected = AttentionOracle(c.args());
  for (size_t i = 0; i < out.size(); ++i) CHECK(std::fabs(out[i] - expected[i]) < 1e-5);
  for (size_t j = 0; j < 300; ++j) bias[j] = -std::numeric_limits<float>::infinity();
  out = c.Run(nullptr);
  for (const float v : out) CHECK(v == 0.0f);
}

TEST_CASE("scratch does not depend on the length") {
  // One function of the shape; a rough bound so that it does not grow unnoticed.
  CHECK(AttentionScratchBytes(1, 16, 1, 64) < 40 * 1024);
  CHECK(AttentionScratchBytes(4, 16, 1, 64) < 256 * 1024);
  CHECK(AttentionScratchBytes(4, 32, 4, 64) < 256 * 1024);
}
