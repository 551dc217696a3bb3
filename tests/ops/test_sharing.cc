// That threads work at all. Every other test of threads compares results, and those are the same where the calling thread
// did everything: a threshold too high or a pool that is not handed on would pass them.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "ops/tables/kernel_table.h"
#include "ops/pool/parallel_rows.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/weights.h"
#include "tests/support/shared_work.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Less work than is shared, several times: nobody else comes.
template <typename F>
bool OthersStayAway(const F& work) {
  const uint64_t before = TasksOfOtherWorkers();
  for (int i = 0; i < 50; ++i) work();
  return TasksOfOtherWorkers() == before;
}

AttentionOptions DecodeOver(size_t positions) {
  return {.t = 1, .heads = 8, .kv_heads = 1, .d = 64, .positions = positions, .key_type = CacheType::kQ8, .one_row = true};
}

}  // namespace

TEST_CASE("every worker of a pool works", "[threads]") {
  for (const size_t threads : {2u, 3u, 8u}) {
    // As many tasks as workers, of which none ends before all have begun: each worker has one.
    struct Roll {
      std::atomic<size_t> begun{0};
      std::vector<std::atomic<int>> tasks;
      std::chrono::steady_clock::time_point end;  // of waiting, where somebody never comes
    } roll = {{}, std::vector<std::atomic<int>>(threads), std::chrono::steady_clock::now() + std::chrono::seconds(20)};
    const auto meet = [](void* context, size_t, size_t worker) {
      Roll& r = *static_cast<Roll*>(context);
      ++r.tasks[worker];
      ++r.begun;
      while (r.begun < r.tasks.size() && std::chrono::steady_clock::now() < r.end) std::this_thread::yield();
    };
    const ShareAllWork share;
    const Pool pool(threads);
    ParallelFor(pool.get(), threads, meet, &roll);
    for (const auto& tasks : roll.tasks) CHECK(tasks == 1);
    CHECK(share.TasksOfOthers() == threads - 1);
  }
}

TEST_CASE("a linear layer is shared from its threshold on, and below it where tests ask for it", "[threads]") {
  Random random(41);
  const Pool pool(2);
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(DetectCpu())) continue;
    INFO("table " << table->name);
    const LinearKernel* kernel = table->Kernel(WeightType::kQ8);
    const auto layer_of = [&](uint32_t n, uint32_t k, const auto& check) {
      const Weights weights(random, WeightType::kQ8, n, k, 32);
      const Layer layer(kernel, weights, nullptr);
      Rows rows(random.Normals(k), 1, k);
      std::vector<float> y(n);
      const RowBatch& x = rows.For(kernel);
      check([&] { RunLinear(layer.op(), x, y.data(), n, pool.get()); });
    };
    layer_of(1024, 512, [](const auto& run) { CHECK(OthersComeToWork(run)); });
    layer_of(511, 512, [](const auto& run) {
      CHECK(OthersStayAway(run));
      const ShareAllWork share;
      CHECK(OthersComeToWork(run));
    });
  }
}

TEST_CASE("attention is shared from its threshold on, by chunks and by queries, and below it where tests ask for it", "[threads]") {
  Random random(42);
  const Pool pool(2);
  const auto run_of = [&](AttentionCase& c) { return [&] { c.Run(pool.get()); }; };
  AttentionCase chunks(random, DecodeOver(4000));
  CHECK(OthersComeToWork(run_of(chunks)));
  AttentionCase queries(random, {.t = 40, .heads = 8, .kv_heads = 2, .d = 64, .positions = 200});
  CHECK(OthersComeToWork(run_of(queries)));

  AttentionCase small(random, DecodeOver(250));
  CHECK(OthersStayAway(run_of(small)));
  AttentionCase small_pairs(random, {.t = 4, .heads = 4, .kv_heads = 4, .d = 16, .positions = 20});
  CHECK(OthersStayAway(run_of(small_pairs)));
  const ShareAllWork share;
  CHECK(OthersComeToWork(run_of(small_pairs)));
}

TEST_CASE("rows are shared from their threshold on", "[threads]") {
  const Pool pool(2);
  std::vector<float> x(1 << 18, 1.0f);
  const auto run = [&](size_t rows) {
    return [&, rows] {
      ForRows(pool.get(), rows, 256, [&](size_t first, size_t count) {
        for (size_t i = first * 256; i < (first + count) * 256; ++i) x[i] = x[i] * 0.5f + 1.0f;
      });
    };
  };
  CHECK(OthersComeToWork(run(1024)));
  CHECK(OthersStayAway(run(255)));
}
