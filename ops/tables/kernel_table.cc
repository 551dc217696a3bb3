// The list of tables of this build.
#include "ops/tables/kernel_table.h"

#include <cstring>
#include <initializer_list>

#include "ops/rows/activation.h"
#include "ops/rows/row_kernels.h"
#include "ops/rows/state_space.h"
#include "ops/attention/attention_scalar.h"
#include "ops/linear/linear_scalar.h"
#include "ops/linear/turn.h"
#include "ops/tables/isa_tables.h"

namespace thimble {
namespace {

constinit const KernelTable kScalarTable = {
    .name = "scalar",
    .description = "portable reference, any CPU, weights used in place",
    .supported = [](const CpuFeatures&) { return true; },
    .linear = {&kLinearF32Scalar, &kLinearQ8Scalar, &kLinearQ4Scalar, &kLinearTernaryScalar},
    .blocks = kLinearBlocksScalar,
    .attention = &kAttentionScalar,
    .activate = ActivatePortable,
    .turn = Turn,
    .state = &kStatePortable,
    .rows = &kRowsPortable,
};

// Slowest first: the last one that a CPU supports is its best.
constinit const KernelTable* const kTables[] = {
    &kScalarTable,
#if defined(__x86_64__)
    &kAvx2Table,
    &kAvxVnniTable,
    &kAvx512VnniTable,
    &kAmxTable,
#elif defined(__aarch64__) || defined(__arm__)
    &kNeonTable,
#if defined(__aarch64__)
    &kNeonDotTable,
    &kNeonI8mmTable,
#endif
#endif
};

}  // namespace

const LinearKernel* KernelTable::Kernel(WeightType type) const {
  if (FormatOf(type) != nullptr) {
    return (blocks != nullptr ? blocks : kScalarTable.blocks) + (static_cast<size_t>(type) - static_cast<size_t>(WeightType::kQ8_0));
  }
  const size_t place = type == WeightType::kTernary ? 3 : static_cast<size_t>(type);
  return linear[place] != nullptr ? linear[place] : kScalarTable.linear[place];
}

std::span<const KernelTable* const> AllKernelTables() { return kTables; }

const KernelTable* BestKernelTable(const CpuFeatures& cpu) {
  const KernelTable* best = &kScalarTable;
  for (const KernelTable* table : kTables) {
    if (table->supported(cpu)) best = table;
  }
  return best;
}

const KernelTable* FindKernelTable(const char* name) {
  for (const KernelTable* table : kTables) {
    if (std::strcmp(table->name, name) == 0) return table;
  }
  return nullptr;
}

}  // namespace thimble
