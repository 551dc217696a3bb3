// Are the numbers of a weight matrix finite: infinities and NaN have all bits of the exponent set.
#pragma once

#include <cstring>

#include "runtime/core/weight_type.h"

namespace thimble {

// Where the first number lies that is not; `bytes` where all are. Numbers of 4 bytes (floats) or 2 (bfloat16: a float's upper half;
// with `half`: half precision).
inline uint64_t FirstNotFinite(const uint8_t* numbers, uint64_t bytes, uint32_t element, bool half = false) {
  const uint16_t exponent = half ? 0x7c00u : 0x7f80u;
  for (uint64_t i = 0; i < bytes; i += element) {
    uint16_t upper;
    std::memcpy(&upper, numbers + i + element - 2, sizeof upper);
    if ((upper & exponent) == exponent) return i;
  }
  return bytes;
}

// The same of the scales of `rows` portable rows of k columns.
inline uint64_t FirstScaleNotFinite(WeightType type, const uint8_t* scales, uint64_t rows, uint64_t k, uint64_t bytes) {
  const BlockFormat* format = FormatOf(type);
  if (format == nullptr) return FirstNotFinite(scales, bytes, TraitsOf(type).scale_bytes);
  if (format->scales == BlockScales::kPower) return bytes;  // any exponent is a number
  const uint64_t row_bytes = BlockScaleBytes(*format, k);
  const uint64_t halves = (format->scales == BlockScales::kHalf ? BlockGroups(*format, k) : SuperBlocks(k)) * (format->minimum ? 2 : 1);
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t at = FirstNotFinite(scales + row * row_bytes, halves * 2, 2, true);
    if (at != halves * 2) return row * row_bytes + at;
  }
  return bytes;
}

}  // namespace thimble
