// What is done to rows between linear layers, as kernel tables have it: included by files that are compiled for one
// instruction set, so no inline functions here.
#pragma once

#include <stddef.h>

#include "runtime/core/kinds.h"

namespace thimble {

// Every table gives the same bits.
struct RowKernels {
  // RmsNorm() of norm.h, one row.
  void (*rms_norm)(const float* x, size_t width, const float* weight, float weight_offset, float eps, float* y);
  // The pairs of rope.h, `pairs` of them from x on: (a, b) -> (a cos - b sin, a sin + b cos).
  void (*rotate)(RopePairing pairing, size_t pairs, size_t pair_stride, const float* cos, const float* sin, float* x);
  // y[i] += x[i]
  void (*add)(float* y, const float* x, size_t count);
};

}  // namespace thimble
