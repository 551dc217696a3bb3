// Our own ARM kernels. Each is compiled with its instruction set's flags in a file of its own.
#pragma once

#include "ops/attention/attention_float_kernel.h"
#include "ops/attention/attention_kernel.h"
#include "ops/linear/linear_kernel.h"
#include "runtime/core/block_format.h"

namespace thimble {

#if defined(__aarch64__) || defined(__arm__)
extern const AttentionKernel kAttentionNeon;
extern const AttentionKernel kAttentionNeonDot;
extern const AttentionFloatKernel kAttentionFloatNeon;

// Rows of signed bytes, alone; in pairs, as LinearQ4NeonI8mm takes them.
RowQuantisation QuantiseRowNeon(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
RowQuantisation QuantiseRowNeonPairs(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);

// Layouts kQ4x16c4 and kQ8x16c4, rows of signed bytes.
void LinearQ4NeonDot(const PackedGemm* gemm);
void LinearQ8NeonDot(const PackedGemm* gemm);
// The same layouts and results, rows of QuantiseRowNeonPairs.
void LinearQ4NeonI8mm(const PackedGemm* gemm);
void LinearQ8NeonI8mm(const PackedGemm* gemm);

// Layout kTernary16, rows of QuantiseTernary.
void LinearTernaryNeon(const PackedGemm* gemm);
void LinearTernaryNeonDot(const PackedGemm* gemm);

// Rows of block types, as BlockInput says.
RowQuantisation QuantiseBlocksNeon(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
#define THIMBLE_DECLARE(Name, index)                   \
  void Linear##Name##Neon(const BlockGemm* gemm);      \
  void Linear##Name##NeonDot(const BlockGemm* gemm);   \
  void Linear##Name##NeonI8mm(const BlockGemm* gemm);
THIMBLE_BLOCK_TYPES(THIMBLE_DECLARE)
#undef THIMBLE_DECLARE
#endif

}  // namespace thimble
