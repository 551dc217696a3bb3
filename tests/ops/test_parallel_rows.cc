// Rows cut into pieces for threads: each row once, pairs together, and the same results as on one thread.
#include <catch2/catch_test_macros.hpp>

#include "ops/tables/kernel_table.h"
#include "ops/linear/linear.h"
#include "ops/pool/parallel_rows.h"
#include "tests/ops/support.h"
#include "tests/support/shared_work.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("every row is in one piece, and pieces begin at even rows", "[threads]") {
  ThreadPool* pool = CreateThreadPool(3).value();
  for (const size_t width : {1u, 64u, 576u, 5632u, 70000u}) {
    for (const size_t rows : {0u, 1u, 2u, 63u, 64u, 1025u, 70001u}) {
      if (rows * width > 10'000'000) continue;
      INFO(rows << " rows of " << width);
      std::vector<uint8_t> seen(rows);
      std::vector<uint8_t> odd(rows);
      ForRows(pool, rows, width, [&](size_t first, size_t count) {
        odd[first] = first % 2 != 0;
        for (size_t i = first; i < first + count; ++i) ++seen[i];
      });
      CHECK(seen == std::vector<uint8_t>(rows, 1));
      CHECK(odd == std::vector<uint8_t>(rows, 0));
    }
  }
  DestroyThreadPool(pool);
}

TEST_CASE("rows quantised by several threads are those of one", "[threads]") {
  const ShareAllWork share;
  ThreadPool* pool = CreateThreadPool(3).value();
  Random random(77);
  const size_t k = 1000;
  for (const size_t t : {66u, 67u, 130u}) {
    REQUIRE(t * k >= kWorthSharingFloats);
    const std::vector<float> x = random.Normals(t * k);
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->supported(DetectCpu()) || table->Kernel(WeightType::kQ8)->input.quantise == nullptr) continue;
      INFO(t << " rows, table " << table->name);
      std::vector<int8_t> q[2];
      std::vector<RowQuantisation> parameters[2];
      for (size_t i = 0; i < 2; ++i) {
        q[i].resize(QuantisedRowsBytes(t, k) + kLinearSlackBytes);
        parameters[i].resize(QuantisedParameterCount(t));
        QuantiseRows(table->Kernel(WeightType::kQ8)->input, nullptr, x.data(), k, t, k, nullptr, q[i].data(), parameters[i].data(),
                     i == 0 ? nullptr : pool);
      }
      CHECK(q[0] == q[1]);
      bool same = true;
      for (size_t i = 0; i < t; ++i) {
        same = same && parameters[0][i].zero_point == parameters[1][i].zero_point &&
               parameters[0][i].scale == parameters[1][i].scale;
      }
      CHECK(same);
    }
  }
  DestroyThreadPool(pool);
  CHECK(share.TasksOfOthers() > 0);
}
