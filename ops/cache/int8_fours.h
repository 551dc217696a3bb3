// Symmetric int8, four numbers at a time: what cache rows and the queries that meet them have in common.
#pragma once

#include "ops/lanes/vec4.h"

namespace thimble {

// x[i] to x[i + 3]; zero behind d.
inline Vec4 LoadFour(const float* x, size_t i, size_t d) {
  if (i + 4 <= d) return Load4(x + i);
  Vec4 tail = {};
  for (size_t l = 0; i + l < d; ++l) tail[l] = x[i + l];
  return tail;
}

// The largest |x[i]|; NaN does not count.
inline float LargestMagnitude(const float* x, size_t d) {
  Vec4 most = {};
  for (size_t i = 0; i < d; i += 4) most = Max4(AsFloat4(AsInt4(LoadFour(x, i, d)) & 0x7fffffff), most);
  float largest = 0.0f;
  for (int l = 0; l < 4; ++l) largest = most[l] > largest ? most[l] : largest;
  return largest;
}

// A row whose largest number is not above this is zero: 127 / largest would overflow.
inline constexpr float kLeastMagnitude = 1e-30f;

// v * inverse to the nearest of [-127, 127], to even. NaN becomes -127: the bytes stay in range, whatever a broken
// model gives.
inline Int4 QuantiseFour(Vec4 v, float inverse) {
  return AsInt4(Min4(Max4(v * inverse, Splat4(-127.0f)), Splat4(127.0f)) + 12582912.0f) - 0x4b400000;
}

inline void StoreBytes(Int4 four, void* to) {
  using Byte4 = int8_t __attribute__((vector_size(4)));
  const Byte4 bytes = __builtin_convertvector(four, Byte4);
  std::memcpy(to, &bytes, sizeof bytes);
}

}  // namespace thimble
