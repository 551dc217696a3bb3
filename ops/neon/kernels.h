// Our own aarch64 kernels. Each is compiled with its instruction set's flags in a file of its own.
#pragma once

#include "ops/attention_float_kernel.h"
#include "ops/attention_kernel.h"
#include "ops/linear_kernel.h"

namespace thimble {

#if defined(__aarch64__)
extern const AttentionKernel kAttentionNeon;
extern const AttentionKernel kAttentionNeonDot;
extern const AttentionFloatKernel kAttentionFloatNeon;

// Layouts kQ4x16c4 and kQ8x16c4, rows of signed bytes.
void LinearQ4NeonDot(const PackedGemm* gemm);
void LinearQ8NeonDot(const PackedGemm* gemm);
#endif

}  // namespace thimble
