// Attention's order of sums: the same bits for any thread count and for any split of a prompt into passes.
#include <catch2/catch_test_macros.hpp>

#include "tests/ops/attention_case.h"
#include "tests/support/shared_work.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("attention gives the same bits for every thread count", "[threads]") {
  const ShareAllWork share;
  Random random(30);
  Pool two(2), four(4), seven(7);
  size_t wrong = 0, round = 0;
  for (; round < 60; ++round) {
    AttentionCase c(random, RandomAttention(random, 1500));
    const std::vector<float> one = c.Run(nullptr);
    for (const Pool* pool : {&two, &four, &seven}) wrong += !SameBits(one, c.Run(pool->get()));
  }
  CHECK(wrong == 0);
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("decoding one token over many chunks gives the same bits for every thread count", "[threads]") {
  const ShareAllWork share;
  Random random(31);
  Pool two(2), four(4);
  for (const size_t positions : std::vector<size_t>{256, 257, 2000, 4500}) {
    for (const size_t kv_heads : std::vector<size_t>{1, 3}) {
      AttentionCase c(random, {.t = 1,
                               .heads = 2 * kv_heads,
                               .kv_heads = kv_heads,
                               .d = 64,
                               .positions = positions,
                               .key_type = CacheType::kQ8,
                               .one_row = true});
      const std::vector<float> one = c.Run(nullptr);
      CHECK(SameBits(one, c.Run(two.get())));
      CHECK(SameBits(one, c.Run(four.get())));
    }
  }
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("passes of any length give the bits of one pass") {
  Random random(32);
  Pool four(4);
  size_t wrong = 0;
  for (size_t round = 0; round < 30; ++round) {
    AttentionOptions o = RandomAttention(random, 400);
    o.t = std::min<size_t>(o.positions, 50);
    AttentionCase c(random, o);
    const std::vector<float> whole = c.Run(nullptr);
    wrong += !SameBits(whole, c.RunInParts(random, 1, nullptr));
    wrong += !SameBits(whole, c.RunInParts(random, 13, nullptr));
    wrong += !SameBits(whole, c.RunInParts(random, 5, four.get()));
  }
  CHECK(wrong == 0);
}
