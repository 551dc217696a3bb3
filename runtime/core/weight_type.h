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

// The values are those of the file.
enum class WeightType : uint8_t { kF32 = 0, kQ8 = 1, kQ4 = 2 };

struct WeightTraits {
  const char* name;      // for people and options
  uint32_t value_bits;   // of one weight
  uint32_t scale_bytes;  // of one scale; 0: none
  bool blocks;           // a scale per block, else one per row
};

// A row for each type, in its place.
inline constexpr WeightTraits kWeightTraits[] = {
    {"f32", 32, 0, false},
    {"q8", 8, sizeof(float), false},
    {"q4", 4, sizeof(uint16_t), true},
};
inline constexpr uint8_t kWeightTypeCount = sizeof kWeightTraits / sizeof kWeightTraits[0];

constexpr bool IsWeightType(WeightType type) { return static_cast<uint8_t>(type) < kWeightTypeCount; }

// Requires IsWeightType(type).
constexpr const WeightTraits& TraitsOf(WeightType type) { return kWeightTraits[static_cast<uint8_t>(type)]; }

// "" for what is no type.
constexpr const char* WeightTypeName(WeightType type) { return IsWeightType(type) ? TraitsOf(type).name : ""; }

// Block sizes that types with blocks know. The other types have block 0.
constexpr bool IsWeightBlock(WeightType type, uint32_t block) {
  const bool blocks = IsWeightType(type) && TraitsOf(type).blocks;
  return blocks ? block == 32 || block == 64 || block == 128 : block == 0;
}

// Blocks in one row; 0 for the types without blocks.
constexpr uint64_t WeightRowBlocks(WeightType type, uint64_t k, uint32_t block) {
  return IsWeightType(type) && TraitsOf(type).blocks ? k / block + (k % block != 0 ? 1 : 0) : 0;
}

// Bytes of one row without its scales. False on overflow or an unknown type. Requires IsWeightBlock(type, block).
inline bool WeightRowBytes(WeightType type, uint64_t k, uint32_t block, uint64_t* bytes) {
  if (!IsWeightType(type)) return false;
  const WeightTraits& traits = TraitsOf(type);
  if (traits.blocks) return CheckedMul(WeightRowBlocks(type, k, block), block * traits.value_bits / 8, bytes);
  return CheckedMul(k, traits.value_bits / 8, bytes);
}

// Bytes of the n rows. False on overflow or an unknown type.
inline bool WeightDataBytes(WeightType type, uint64_t n, uint64_t k, uint32_t block, uint64_t* bytes) {
  uint64_t row = 0;
  return WeightRowBytes(type, k, block, &row) && CheckedMul(n, row, bytes);
}

// Bytes of all scales: of n rows, or of n * ceil(k / block) blocks. False on overflow or an unknown type.
inline bool WeightScaleBytes(WeightType type, uint64_t n, uint64_t k, uint32_t block, uint64_t* bytes) {
  if (!IsWeightType(type)) return false;
  const WeightTraits& traits = TraitsOf(type);
  const uint64_t row_scales = traits.scale_bytes == 0 ? 0 : traits.blocks ? WeightRowBlocks(type, k, block) : 1;
  return CheckedMul(n, row_scales, bytes) && CheckedMul(*bytes, traits.scale_bytes, bytes);
}

}  // namespace thimble
