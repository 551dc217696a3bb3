// Four floats at a time through the compiler's vector types: the portable operations' only SIMD. The same
// arithmetic in the same order on every CPU, so the same bits; no instruction set is named here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace thimble {

using Vec4 = float __attribute__((vector_size(16)));
using Int4 = int32_t __attribute__((vector_size(16)));

inline Vec4 Load4(const float* p) {
  Vec4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void Store4(float* p, Vec4 v) { std::memcpy(p, &v, sizeof v); }

inline Vec4 Splat4(float x) { return Vec4{x, x, x, x}; }

inline Vec4 AsFloat4(Int4 v) { return (Vec4)v; }
inline Int4 AsInt4(Vec4 v) { return (Int4)v; }

// Lanes of `a` where the mask is set, else of `b`. Masks come from comparing vectors.
inline Vec4 Select4(Int4 mask, Vec4 a, Vec4 b) { return AsFloat4((mask & AsInt4(a)) | (~mask & AsInt4(b))); }

// b where a is NaN.
inline Vec4 Max4(Vec4 a, Vec4 b) { return Select4(a > b, a, b); }
inline Vec4 Min4(Vec4 a, Vec4 b) { return Select4(a < b, a, b); }

inline float Sum4(Vec4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// f(Vec4) -> Vec4 over x[0, count), the tail padded with zeros: an element's result does not depend on its
// place.
template <typename F>
inline void Map4(const float* x, float* y, size_t count, F f) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) Store4(y + i, f(Load4(x + i)));
  if (i < count) {
    float tail[4] = {};
    std::memcpy(tail, x + i, (count - i) * sizeof(float));
    Store4(tail, f(Load4(tail)));
    std::memcpy(y + i, tail, (count - i) * sizeof(float));
  }
}

// Sum of a[i] * b[i]: sixteen partial sums, added in a fixed order, then the tail one by one.
inline float Dot(const float* a, const float* b, size_t count) {
  Vec4 s0 = {}, s1 = {}, s2 = {}, s3 = {};
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    s0 += Load4(a + i) * Load4(b + i);
    s1 += Load4(a + i + 4) * Load4(b + i + 4);
    s2 += Load4(a + i + 8) * Load4(b + i + 8);
    s3 += Load4(a + i + 12) * Load4(b + i + 12);
  }
  for (; i + 4 <= count; i += 4) s0 += Load4(a + i) * Load4(b + i);
  float sum = Sum4((s0 + s1) + (s2 + s3));
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace thimble
