// How the numbers of a weight matrix are stored in the portable layout, and the one place where the sizes of
// that layout are computed. Knows neither files nor kernels.
//
// A matrix W[n, k] is stored row by row; a row is one output channel:
//   kF32  k floats, no scales.
//   kQ8   k int8 values; one float scale per row. W = q * scale.
//   kQ4   ceil(k / block) blocks of `block` unsigned nibbles; one bfloat16 scale per block.
//         W = (nibble - 8) * scale. Element e of a row is the low half of byte e / 2 for even e, the high
//         half for odd e. Elements k and up of the last block are stored as nibble 8, that is zero.
//   kTernary  ceil(k / 16) groups of four bytes; one float scale per row. W = (code - 1) * scale with a code of two bits, 0 to 2.
//         Element e of a row is in byte e % 4 of group e / 16, from bit 2 (e % 16 / 4) on. Elements k and up: any code.
// and the types of blocks of 32 that are described in block_format.h, named as GGUF names them. Of a row:
//   data    ceil(k / 32) blocks of 4 * bits bytes, planes of bits one after another, the lowest first: a byte for each code (8
//           bits); or 4 bits (element e: of byte e / 2, the low half for even e), then 2 bits (of byte e / 4, from bit 2 (e % 4)) and
//           1 bit (of byte e / 8, bit e % 8), as many as make up `bits`. Elements k and up hold `zero`.
//   scales  G = ceil(k / 32) * 32 / group groups, S = ceil(k / 256) super blocks, padded by a zero to an even number of bytes:
//           kHalf   half scale[G], half minimum[G]
//           kSuper  half d[S], half dm[S], int8 s[G], uint8 m[G]; scale = d * s, minimum = dm * m
//           kPower  uint8 e[G]
//           kWide   half scale[S]
//           without what concerns minimums where the type has none.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/block_format.h"
#include "runtime/core/checked.h"

namespace thimble {

// The values are those of the file.
enum class WeightType : uint8_t {
  kF32 = 0, kQ8 = 1, kQ4 = 2,
  kQ8_0 = 3, kQ4_0 = 4, kQ4_1 = 5, kQ5_0 = 6, kQ5_1 = 7,
  kQ2_K = 8, kQ3_K = 9, kQ4_K = 10, kQ5_K = 11, kQ6_K = 12,
  kIQ4_NL = 13, kIQ4_XS = 14, kMXFP4 = 15, kTQ2_0 = 16,
  kTernary = 17,
};

struct WeightTraits {
  const char* name;      // for people and options
  uint32_t value_bits;   // of one weight
  uint32_t scale_bytes;  // of one scale; 0: none, or `format` says
  bool blocks;           // a scale per block, else one per row
  const BlockFormat* format = nullptr;  // of the types in block_format.h
};

// A row for each type, in its place.
inline constexpr WeightTraits kWeightTraits[] = {
    {"f32", 32, 0, false},
    {"q8", 8, sizeof(float), false},
    {"q4", 4, sizeof(uint16_t), true},
    {"q8_0", 8, 0, true, &kBlockFormats[0]},
    {"q4_0", 4, 0, true, &kBlockFormats[1]},
    {"q4_1", 4, 0, true, &kBlockFormats[2]},
    {"q5_0", 5, 0, true, &kBlockFormats[3]},
    {"q5_1", 5, 0, true, &kBlockFormats[4]},
    {"q2_k", 2, 0, true, &kBlockFormats[5]},
    {"q3_k", 3, 0, true, &kBlockFormats[6]},
    {"q4_k", 4, 0, true, &kBlockFormats[7]},
    {"q5_k", 5, 0, true, &kBlockFormats[8]},
    {"q6_k", 6, 0, true, &kBlockFormats[9]},
    {"iq4_nl", 4, 0, true, &kBlockFormats[10]},
    {"iq4_xs", 4, 0, true, &kBlockFormats[11]},
    {"mxfp4", 4, 0, true, &kBlockFormats[12]},
    {"tq2_0", 2, 0, true, &kBlockFormats[13]},
    {"ternary", 2, sizeof(float), false},
};
inline constexpr uint8_t kWeightTypeCount = sizeof kWeightTraits / sizeof kWeightTraits[0];

// Columns of a row of kTernary that share four bytes, and the code of element e.
inline constexpr uint32_t kTernaryColumns = 16;
constexpr uint32_t TernaryCode(const uint8_t* row, size_t e) {
  return row[e / kTernaryColumns * 4 + e % 4] >> (e % kTernaryColumns / 4 * 2) & 3u;
}

constexpr bool IsWeightType(WeightType type) { return static_cast<uint8_t>(type) < kWeightTypeCount; }

// Requires IsWeightType(type).
constexpr const WeightTraits& TraitsOf(WeightType type) { return kWeightTraits[static_cast<uint8_t>(type)]; }

// "" for what is no type.
constexpr const char* WeightTypeName(WeightType type) { return IsWeightType(type) ? TraitsOf(type).name : ""; }

// null for the types that block_format.h does not describe.
constexpr const BlockFormat* FormatOf(WeightType type) { return IsWeightType(type) ? TraitsOf(type).format : nullptr; }

constexpr uint64_t BlockGroups(const BlockFormat& format, uint64_t k) {
  return (k / kBlockColumns + (k % kBlockColumns != 0 ? 1 : 0)) * (kBlockColumns / format.group);
}
constexpr uint64_t SuperBlocks(uint64_t k) { return k / kSuperColumns + (k % kSuperColumns != 0 ? 1 : 0); }

// Bytes of one row's scales.
constexpr uint64_t BlockScaleBytes(const BlockFormat& format, uint64_t k) {
  const uint64_t each = format.minimum ? 2 : 1, groups = BlockGroups(format, k);
  const uint64_t bytes = format.scales == BlockScales::kHalf    ? groups * each * sizeof(uint16_t)
                         : format.scales == BlockScales::kSuper ? (SuperBlocks(k) * sizeof(uint16_t) + groups) * each
                         : format.scales == BlockScales::kWide  ? SuperBlocks(k) * sizeof(uint16_t)
                                                                : groups;
  return bytes + bytes % 2;
}

// Block sizes that types with blocks know. The other types have block 0.
constexpr bool IsWeightBlock(WeightType type, uint32_t block) {
  if (FormatOf(type) != nullptr) return block == kBlockColumns;
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
  if (type == WeightType::kTernary) return CheckedMul(k / kTernaryColumns + (k % kTernaryColumns != 0 ? 1 : 0), 4, bytes);
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
  if (traits.format != nullptr) return CheckedMul(n, BlockScaleBytes(*traits.format, k), bytes);
  const uint64_t row_scales = traits.scale_bytes == 0 ? 0 : traits.blocks ? WeightRowBlocks(type, k, block) : 1;
  return CheckedMul(n, row_scales, bytes) && CheckedMul(*bytes, traits.scale_bytes, bytes);
}

}  // namespace thimble
