// How the numbers of a weight matrix are stored in the portable layout, and the one place where the sizes of
// that layout are computed. Knows neither files nor kernels.
//
// A matrix W[n, k] is stored row by row; a row is one output channel:
//   kF32  k floats, no scales.
//   kQ8   k int8 values; one float scale per row. W = q * scale.
//   kQ4   ceil(k / block) blocks of `block` unsigned nibbles; one bfloat16 scale per block.
//         W = (nibble - 8) * scale. Element e of a row is the low half of byte e / 2 for even e, the high
//         half for odd e. Elements k and up of the last block are stored as nibble 8, that is zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/checked.h"

namespace thimble {

enum class WeightType : uint8_t { kF32 = 0, kQ8 = 1, kQ4 = 2 };
inline constexpr uint8_t kWeightTypeCount = 3;

// Block sizes that kQ4 knows. The other types have block 0.
constexpr bool IsWeightBlock(WeightType type, uint32_t block) {
  return type == WeightType::kQ4 ? block == 32 || block == 64 || block == 128 : block == 0;
}

// Blocks in one row; 0 for the types without blocks.
constexpr uint64_t WeightRowBlocks(WeightType type, uint64_t k, uint32_t block) {
  return type == WeightType::kQ4 ? k / block + (k % block != 0 ? 1 : 0) : 0;
}

// Bytes of one row without its scales. False on overflow. Requires IsWeightBlock(type, block).
inline bool WeightRowBytes(WeightType type, uint64_t k, uint32_t block, uint64_t* bytes) {
  switch (type) {
    case WeightType::kF32:
      return CheckedMul(k, sizeof(float), bytes);
    case WeightType::kQ8:
      *bytes = k;
      return true;
    case WeightType::kQ4:
      return CheckedMul(WeightRowBlocks(type, k, block), block / 2, bytes);
  }
  return false;
}

// Bytes of the n rows. False on overflow or an unknown type.
inline bool WeightDataBytes(WeightType type, uint64_t n, uint64_t k, uint32_t block, uint64_t* bytes) {
  uint64_t row = 0;
  return WeightRowBytes(type, k, block, &row) && CheckedMul(n, row, bytes);
}

// Bytes of all scales: n floats for kQ8, n * ceil(k / block) bfloat16 for kQ4, 0 for kF32.
inline bool WeightScaleBytes(WeightType type, uint64_t n, uint64_t k, uint32_t block, uint64_t* bytes) {
  switch (type) {
    case WeightType::kF32:
      *bytes = 0;
      return true;
    case WeightType::kQ8:
      return CheckedMul(n, sizeof(float), bytes);
    case WeightType::kQ4:
      return CheckedMul(n, WeightRowBlocks(type, k, block), bytes) &&
             CheckedMul(*bytes, sizeof(uint16_t), bytes);
  }
  return false;
}

}  // namespace thimble
