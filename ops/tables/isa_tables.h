// The kernel tables of the instruction sets, beside the scalar one of kernel_table.cc.
#pragma once

#include "ops/tables/kernel_table.h"

namespace thimble {

#if defined(__x86_64__)
extern const KernelTable kAvx2Table;
extern const KernelTable kAvxVnniTable;
extern const KernelTable kAvx512VnniTable;
extern const KernelTable kAmxTable;
#elif defined(__aarch64__) || defined(__arm__)
extern const KernelTable kNeonTable;
#if defined(__aarch64__)
extern const KernelTable kNeonDotTable;
extern const KernelTable kNeonI8mmTable;
#endif
#endif

}  // namespace thimble
