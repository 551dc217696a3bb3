// One-pass attention against the two-pass oracle in double.
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "tests/ops/attention_case.h"
#include "tests/ops/attention_oracle.h"

using namespace thimble;
using namespace thimble::test;

namespace {

bool Int8Path(const AttentionOptions& o) {
  const auto small = [](CacheType type) { return type == CacheType::kQ8 || type == CacheType::kQ4; };
  return small(o.key_type) && small(o.one_row ? o.key_type : o.value_type);
}

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
  Worst in_float, in_int8;
  for (size_t round = 0; round < 260; ++round) {
    AttentionOptions options = RandomAttention(random, 600);
    options.int8_queries = Int8Path(options);
    // Keys that are rounded once more are as wrong as the scores are large.
    if (Int8Path(options)) options.query_factor = options.query_factor == 0.0f ? 0.0f : 1.0f;
    (Int8Path(options) ? in_int8 : in_float).See(ErrorOf(random, options), round);
  }
  INFO("rounds " << in_float.where << " and " << in_int8.where);
  CHECK(in_float.error < 3e-5);
  CHECK(in_int8.error < 0.05);
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
                                 .key_type = CacheType::kF16,
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
  for (const CacheType type : {CacheType::kF32, CacheType::kF16}) {
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

TEST_CASE("int8 attention with extreme scores") {
  Random random(25);
  AttentionOptions o = {.t = 4, .heads = 4, .kv_heads = 2, .d = 32, .positions = 300};
  o.key_type = o.value_type = CacheType::kQ8;
  o.int8_queries = true;
  o.query_factor = 300.0f;  // one key dominates, and has all 7 bits of the probabilities
  CHECK(ErrorOf(random, o) < 0.01);
  o.query_factor = 0.0f;
  CHECK(ErrorOf(random, o) < 0.005);
  o.query_factor = 1.0f;
  o.equal_keys = true;
  CHECK(ErrorOf(random, o) < 0.005);
  o.equal_keys = false;
  o.one_row = o.zero_rows = true;
  CHECK(ErrorOf(random, o) < 0.01);
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
  // A function of the shape; rough bounds so that it does not grow unnoticed.
  AttentionShape shape = {.heads = 16, .kv_heads = 1, .d = 64, .key_type = CacheType::kQ8, .value_type = CacheType::kQ8};
  CHECK(AttentionScratchBytes(shape, 1) < 32 * 1024);
  CHECK(AttentionScratchBytes(shape, 4) < 288 * 1024);
  shape.turned_keys = true;
  CHECK(AttentionScratchBytes(shape, 1) < 50 * 1024);
  shape.key_type = shape.value_type = CacheType::kF16;
  CHECK(AttentionScratchBytes(shape, 1) < 72 * 1024);
}
