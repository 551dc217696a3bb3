// The code of the avxvnni kernels of block types and of ternary layers for CPUs with AVX-512 VL and VNNI.
#pragma once

#include "ops/linear/linear_kernel.h"
#include "runtime/core/block_format.h"

namespace thimble::test {

#if defined(__x86_64__)
// In the order of kBlockFormats.
extern void (*const kLinearBlocks256Evex[kBlockTypeCount])(const BlockGemm*);
void LinearTernary256Evex(const PackedGemm* gemm);
#endif

}  // namespace thimble::test
