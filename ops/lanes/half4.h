// Half precision to float and back, four at a time: the bits of runtime/core/float16.h (NaN stays NaN).
#pragma once

#include "ops/lanes/vec4.h"
#include "runtime/core/float16.h"

namespace thimble {

// Halves in the low 16 bits of each lane.
inline Vec4 HalfToFloat4(Int4 half) {
  const Int4 magnitude = (half & 0x7fff) << 13, exponent = magnitude & 0x0f800000;
  const Int4 special = exponent == 0x0f800000;  // infinity, NaN
  const Int4 normal = magnitude + ((127 - 15) << 23) + (special & ((128 - 16) << 23));
  // A subnormal's mantissa counts 2^-24: put it behind 2^-14 and take that away.
  const Vec4 subnormal = AsFloat4(magnitude + (113 << 23)) - 0x1p-14f;
  return AsFloat4(AsInt4(Select4(exponent == 0, subnormal, AsFloat4(normal))) | (half & 0x8000) << 16);
}

inline Int4 FloatToHalf4(Vec4 x) {
  const Int4 magnitude = AsInt4(x) & 0x7fffffff;
  // Below 2^-14: adding 0.5 leaves round(|x| * 2^24) in the low mantissa bits, rounded to nearest even.
  const Int4 subnormal = AsInt4(AsFloat4(magnitude) + 0.5f) - 0x3f000000;
  Int4 half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const auto choose = [&](Int4 mask, Int4 other) { half = (mask & other) | (~mask & half); };
  choose(magnitude < 0x38800000, subnormal);
  choose(magnitude >= 0x477ff000, Int4{} + 0x7c00);  // rounds to 65520 or more
  choose(magnitude > 0x7f800000, Int4{} + 0x7e00);
  return half | ((AsInt4(x) >> 16) & 0x8000);
}

inline void HalvesToFloats(const void* halves, size_t count, float* x) {
  using Short4 = uint16_t __attribute__((vector_size(8)));
  const uint8_t* bytes = static_cast<const uint8_t*>(halves);
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    Short4 four;
    std::memcpy(&four, bytes + 2 * i, sizeof four);
    Store4(x + i, HalfToFloat4(__builtin_convertvector(four, Int4)));
  }
  for (; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + 2 * i, sizeof half);
    x[i] = HalfToFloat(half);
  }
}

inline void FloatsToHalves(const float* x, size_t count, void* halves) {
  using Short4 = uint16_t __attribute__((vector_size(8)));
  uint8_t* bytes = static_cast<uint8_t*>(halves);
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const Short4 four = __builtin_convertvector(FloatToHalf4(Load4(x + i)), Short4);
    std::memcpy(bytes + 2 * i, &four, sizeof four);
  }
  for (; i < count; ++i) {
    const uint16_t half = FloatToHalf(x[i]);
    std::memcpy(bytes + 2 * i, &half, sizeof half);
  }
}

}  // namespace thimble
