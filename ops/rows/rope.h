// Rotary positions: tables of one position's angles, and turning a head vector by them, forth and back. Knows
// nothing about heads, layers or caches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/rows/row_kernels.h"
#include "runtime/core/kinds.h"

namespace thimble {

// Pair i < width / 2 of a head vector, at
//   half-split:  offset + i      and offset + i + pair_stride
//   interleaved: offset + 2 i    and offset + 2 i + 1
// turns by position * position_scale * inv_freq_i, inv_freq_i = theta^(-2 i / denominator) /
// freq_divisors[i].
struct RopeShape {
  uint32_t width = 0;   // rotated numbers of a head, even; 0: no rotation
  uint32_t offset = 0;  // first rotated number
  RopePairing pairing = RopePairing::kHalfSplit;
  uint32_t pair_stride = 0;  // half-split: distance of partners: width / 2, or d / 2 to span the head
  double theta = 10000.0;
  double denominator = 0;  // width, or the head width where the exponent counts all of it
  double position_scale = 1.0;
  double magnitude = 1.0;                // factor on cosine and sine
  const float* freq_divisors = nullptr;  // [width / 2] or null
};

// One past the last number that the shape touches: at most the head width.
constexpr uint64_t RopeEnd(const RopeShape& shape) {
  if (shape.width == 0) return 0;
  return shape.pairing == RopePairing::kInterleaved
             ? uint64_t{shape.offset} + shape.width
             : uint64_t{shape.offset} + shape.pair_stride + shape.width / 2;
}

// cos and sin [count, width / 2] of positions from `first` on. Computed in double, the same bits everywhere.
void FillRopeRows(const RopeShape& shape, uint32_t first, size_t count, float* cos, float* sin);
inline void FillRopeRow(const RopeShape& shape, uint32_t position, float* cos, float* sin) { FillRopeRows(shape, position, 1, cos, sin); }

// In place: (a, b) -> (a cos - b sin, a sin + b cos) for every pair of the head vector.
void ApplyRope(const RopeShape& shape, const float* cos, const float* sin, float* head, const RowKernels& kernels = kRowsPortable);
// The turn by the negative angle. Times magnitude squared when magnitude is not 1.
void ApplyInverseRope(const RopeShape& shape, const float* cos, const float* sin, float* head);

}  // namespace thimble
