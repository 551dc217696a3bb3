// The byte layouts of XNNPACK's packed weights, written and read by our own code: no allocation, any K and N.
//
// All three put `nr` output channels side by side, K in groups of `kr`, and let channel j of a tile start its
// groups j * kr further inside each stretch of kr * sr (sr = 1: no shift). N is rounded up to nr, K to kr *
// sr; what is beyond is zero.
//
//   kF32  per tile: float bias[nr], float w[K][nr]
//   kQ8   per tile: int32 -sum[nr], int8 w[K / kr][nr][kr], float scale[nr], float bias[nr]
//   kQ4   per tile: float -scaled_sum[nr], then per block: uint8 w[block / 2 kr][nr][kr], bfloat16 scale[nr];
//         then float bias[nr]. A byte holds element i of its group of 2 kr in the low half and element i + kr
//         in the high half, as signed nibbles. Kernels compute 16 times the sum: the stored scale is a 16th.
// The sums are what an input row's zero point is multiplied by.
#pragma once

#include "ops/linear.h"

namespace thimble {

struct PackShape {
  uint32_t nr, kr, sr;
};

// Bytes from one tile of nr channels to the next.
uint64_t PackedTileBytes(WeightType type, PackShape shape, uint64_t k, uint64_t block);
// All tiles; UINT64_MAX on overflow.
uint64_t PackedBytes(WeightType type, PackShape shape, uint32_t n, uint32_t k, uint32_t block);
void PackWeights(PackShape shape, const WeightRows& rows, const float* bias, void* packed);
void DecodePackedRow(PackShape shape, const Linear& op, uint32_t row, float factor, float* out);

}  // namespace thimble
