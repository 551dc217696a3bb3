// Vectors of THIMBLE_LANES floats for the attention kernels' files, each of which is compiled for another
// instruction set: everything is static. No intrinsics, and the same operations at every width: same bits.
#pragma once

#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES 4|8|16"
#endif

#include <stddef.h>
#include <stdint.h>

namespace thimble {
namespace {

typedef float Lanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef int32_t IntLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef uint32_t WordLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
enum : size_t { kLanes = THIMBLE_LANES, kVectors = 16 / THIMBLE_LANES };  // of 16 floats

static inline Lanes LoadLanes(const float* p) {
  Lanes v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
static inline void StoreLanes(float* p, Lanes v) { __builtin_memcpy(p, &v, sizeof v); }

// exp for x <= 0, relative error below 2e-7; 1e-38 instead of anything smaller. The range and the last bit of
// float_math.h are not needed for what becomes 7 bits and a sum.
static inline Lanes ExpNegative(Lanes x) {
  x = x < -87.0f ? Lanes{} - 87.0f : x;
  const Lanes shifted = x * 1.44269504f + 12582912.0f;
  const IntLanes n = (IntLanes)shifted - 0x4b400000;
  const Lanes nf = shifted - 12582912.0f;
  const Lanes r = (x - nf * 0.693359375f) - nf * -2.12194440e-4f;
  Lanes p = r * 1.38888889e-3f + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  return p * (Lanes)((n + 127) << 23);
}

}  // namespace
}  // namespace thimble
