// Our own x86-64 kernels. Each is compiled with its instruction set's flags in a file of its own.
#pragma once

#include "ops/rows/activation_kernel.h"
#include "ops/attention/attention_float_kernel.h"
#include "ops/attention/attention_kernel.h"
#include "ops/linear/linear_kernel.h"
#include "ops/rows/row_kernel.h"
#include "ops/rows/state_kernel.h"
#include "runtime/core/block_format.h"

namespace thimble {

#if defined(__x86_64__)
extern const AttentionKernel kAttentionAvx2;
extern const AttentionKernel kAttentionAvxVnni;
extern const AttentionKernel kAttentionAvx512Vnni;
extern const AttentionFloatKernel kAttentionFloatAvx2;
extern const AttentionFloatKernel kAttentionFloatAvx512;
extern const StateKernel kStateAvx2;
extern const StateKernel kStateAvx512;
extern const RowKernels kRowsAvx2;
extern const RowKernels kRowsAvx512;

// Layout kF32x16.
void LinearF32Avx512(const FloatGemm* gemm);

// Layouts kQ4x16c4 and kQ8x16c4, rows of q + 128.
void LinearQ4Avx512Vnni(const PackedGemm* gemm);
void LinearQ8Avx512Vnni(const PackedGemm* gemm);
RowQuantisation QuantiseRowAvx2(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
// Rows of q + 128.
RowQuantisation QuantiseRowAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);

// Layout kTernary16, rows of QuantiseTernary.
void LinearTernaryAvx2(const PackedGemm* gemm);
void LinearTernaryAvxVnni(const PackedGemm* gemm);
void LinearTernaryAvx512Vnni(const PackedGemm* gemm);
RowQuantisation QuantiseTernaryAvx2(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
RowQuantisation QuantiseTernaryAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);

// Layouts kBlocks16c4.
#define THIMBLE_DECLARE(Name, index)                     \
  void Linear##Name##Avx2(const BlockGemm* gemm);        \
  void Linear##Name##AvxVnni(const BlockGemm* gemm);     \
  void Linear##Name##Avx512Vnni(const BlockGemm* gemm);  \
  void Linear##Name##Amx(const BlockGemm* gemm);
THIMBLE_BLOCK_TYPES(THIMBLE_DECLARE)
#undef THIMBLE_DECLARE
RowQuantisation QuantiseBlocksAvx2(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
RowQuantisation QuantiseBlocksAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);

// TurnFn.
void TurnAvx2(float* x, size_t count, size_t block);
void TurnAvx512(float* x, size_t count, size_t block);

// ActivateFn.
void ActivateAvx2(Activation activation, const float* gate, const float* up, float* y, size_t count);
void ActivateAvx512(Activation activation, const float* gate, const float* up, float* y, size_t count);
#endif

}  // namespace thimble
