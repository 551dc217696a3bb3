// The list of kernel tables and their choice.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "ops/kernel_table.h"

using namespace thimble;

TEST_CASE("the scalar table is first and runs everywhere") {
  CHECK(std::strcmp(AllKernelTables().front()->name, "scalar") == 0);
  CHECK(AllKernelTables().front()->supported(CpuFeatures{}));
  CHECK(BestKernelTable(CpuFeatures{}) == AllKernelTables().front());
  CHECK(FindKernelTable("no such table") == nullptr);
}

TEST_CASE("tables are complete and named once") {
  const CpuFeatures cpu = DetectCpu();
  bool best_is_listed = false;
  for (const KernelTable* table : AllKernelTables()) {
    CHECK(FindKernelTable(table->name) == table);
    best_is_listed |= table == BestKernelTable(cpu);
    for (const WeightType type : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4}) {
      const LinearKernel* kernel = table->Kernel(type);
      REQUIRE(kernel != nullptr);
      CHECK(kernel->layout.type == type);
      CHECK(kernel->quantised_rows == (type != WeightType::kF32));
      CHECK(kernel->column_tile % kernel->layout.nr == 0);
      // One region runs layers of different types together.
      CHECK(kernel->row_tile == table->f32->row_tile);
      CHECK((kernel->pack == nullptr) == (kernel->packed_bytes(64, 64, 32) == 0));
    }
  }
  CHECK(best_is_listed);
  CHECK(BestKernelTable(cpu)->supported(cpu));
  WARN("this CPU's best table: " << BestKernelTable(cpu)->name);
}

TEST_CASE("packed sizes that overflow are recognisable") {
  for (const KernelTable* table : AllKernelTables()) {
    if (table->f32->pack == nullptr) continue;
    CHECK(table->f32->packed_bytes(UINT32_MAX, UINT32_MAX, 0) == UINT64_MAX);
    CHECK(table->q8->packed_bytes(UINT32_MAX, UINT32_MAX, 0) >= uint64_t{UINT32_MAX} * UINT32_MAX);
  }
}
