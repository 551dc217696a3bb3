// The list of kernel tables and their choice.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "ops/tables/kernel_table.h"
#include "ops/linear/packing/layouts.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

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
    REQUIRE(table->attention != nullptr);
    best_is_listed |= table == BestKernelTable(cpu);
    for (const WeightType type : AllWeightTypes()) {
      const LinearKernel* kernel = table->Kernel(type);
      REQUIRE(kernel != nullptr);
      // The list that writes files for other machines knows what this kernel reads.
      const TablePacking* packing = FindTablePacking(table->name);
      REQUIRE(packing != nullptr);
      CHECK(packing->Layout(type) == kernel->layout);
      CHECK(kernel->type == type);
      CHECK((kernel->input.quantise != nullptr) == (type != WeightType::kF32));
      if (kernel->layout != nullptr) {
        CHECK(kernel->layout->type == type);
        CHECK(kernel->column_tile % kernel->layout->key.nr == 0);
      }
      // One region runs layers with one input key together.
      for (const WeightType other : AllWeightTypes()) {
        if (table->Kernel(other)->input == kernel->input) CHECK(table->Kernel(other)->row_tile == kernel->row_tile);
      }
    }
  }
  CHECK(best_is_listed);
  CHECK(BestKernelTable(cpu)->supported(cpu));
  WARN("this CPU's best table: " << BestKernelTable(cpu)->name);
}

TEST_CASE("a weight type that a table does not list is read by the portable kernel") {
  const KernelTable* scalar = AllKernelTables().front();
  KernelTable table = *AllKernelTables().back();
  for (const LinearKernel*& kernel : table.linear) {
    const WeightType type = kernel->type;
    kernel = nullptr;
    CHECK(table.Kernel(type) == scalar->Kernel(type));
  }
}

TEST_CASE("packed sizes that overflow are recognisable") {
  for (const PackedLayout* layout : AllPackedLayouts()) {
    const uint32_t block = BlockFor(layout->type, 32);
    const uint64_t bytes = PackedBytes(*layout, UINT32_MAX, UINT32_MAX, block);
    if (layout->type == WeightType::kF32) CHECK(bytes == UINT64_MAX);
    CHECK(bytes >= uint64_t{UINT32_MAX} / 8 * UINT32_MAX * TraitsOf(layout->type).value_bits);
  }
}
