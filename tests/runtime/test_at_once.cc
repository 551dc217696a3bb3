// Sessions of one model at work at the same time, each on a thread of its own and with workers of its own: what each of them
// says is what it says alone.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <thread>

#include "tests/runtime/runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// What one session of the model is asked, and all that it answers. Every call a session has belongs here.
struct Answers {
  std::vector<std::vector<float>> rows, steps;
  std::vector<int32_t> greedy, text_ids;
  std::vector<std::string> pieces;
  bool operator==(const Answers&) const = default;
};

Answers Ask(Runner& runner, const std::vector<int32_t>& ids) {
  Answers a;
  runner.Rewind(0);
  a.rows = runner.Prefill(ids);
  a.greedy = runner.GreedyIds(6);
  runner.Rewind(ids.size() - 6);
  a.steps = runner.DecodeEach({ids.end() - 6, ids.end()});
  if (InfoOf(runner.model()).has_tokenizer) {
    a.text_ids = runner.Tokenize("abc de fa", true);
    runner.Rewind(0);
    a.pieces = runner.Generate("abc de", 10).pieces;
  }
  return a;
}

// `count` sessions over one model; those at even places differ from the others in what they are asked.
void CheckAtOnce(const std::vector<uint8_t>& bytes, const ApiOptions& options, size_t tokens, size_t count) {
  const ShareAllWork share;
  Runner alone(bytes, options);
  const std::vector<int32_t> texts[2] = {WindowIds(tokens), WindowIds(tokens - 3)};
  const Answers expected[2] = {Ask(alone, texts[0]), Ask(alone, texts[1])};
  REQUIRE(!(expected[0] == expected[1]));

  std::vector<std::unique_ptr<Runner>> runners;
  for (size_t i = 0; i < count; ++i) runners.push_back(std::make_unique<Runner>(alone, options));
  std::atomic<size_t> ready{0}, wrong{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < count) std::this_thread::yield();
      for (int round = 0; round < 3; ++round) wrong += !(Ask(*runners[i], texts[i % 2]) == expected[i % 2]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  if (options.threads > 1) CHECK(share.TasksOfOthers() > 0);
}

}  // namespace

TEST_CASE("two sessions of one model at once answer as one alone", "[threads]") {
  const std::vector<uint8_t> text = ZooEntry("none_on_write").Bytes(), rings = WindowModel().Bytes();
  for (const char* kernels : {"scalar", static_cast<const char*>(nullptr)}) {
    for (const int32_t cache : {THIMBLE_CACHE_F16, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4}) {
      INFO((kernels != nullptr ? kernels : "best") << " kernels, cache type " << cache);
      ApiOptions options = ApiOptions();
      options.kernels = kernels;
      options.key_cache = options.value_cache = cache;
      options.threads = 2;
      options.chunk_tokens = 7;
      CheckAtOnce(text, options, 16, 2);
      options.window_tokens = 33;
      options.sink_tokens = 4;
      CheckAtOnce(rings, options, 330, 2);
    }
  }
}

TEST_CASE("more sessions than processors, some of them created while others work", "[threads]") {
  ApiOptions options = ApiOptions();
  const std::vector<uint8_t> bytes = ZooEntry("k_v_on_read").Bytes();
  CheckAtOnce(bytes, options, 16, 6);

  Runner first(bytes, options);
  const std::vector<int32_t> ids = WindowIds(16);
  const Answers expected = Ask(first, ids);
  std::atomic<size_t> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        Runner own(first, options);
        wrong += !(Ask(own, ids) == expected);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
