// How a packed tile of a block type lies (ops/linear/packing/pack_blocks.cc draws it), for whoever writes or reads one: offsets in bytes
// from where a super block's scales begin, of so many `groups` of a scale. And what a block's input gives beside its bytes. Included by
// files that are compiled for one instruction set, so everything is static.
#pragma once

#include "ops/linear/linear_kernel.h"
#include "runtime/core/block_format.h"

namespace thimble {
namespace {

static constexpr size_t kTileChannels = 16;

// kSuper: where the bytes begin, behind d and dm. Else 0.
static constexpr size_t TileBytesAt(const BlockFormat& f) {
  return f.scales == BlockScales::kSuper ? kTileChannels * 2 * (f.minimum ? 2 : 1) : 0;
}
// Minimums, one for each group: halves (kHalf) or bytes (kSuper).
static constexpr size_t TileMinimumsAt(const BlockFormat& f, size_t groups) {
  if (f.scales == BlockScales::kWide) return kTileChannels * 2;
  return TileBytesAt(f) + groups * kTileChannels * (f.scales == BlockScales::kHalf ? 2 : 1);
}
// All of the scales: the codes follow.
static constexpr size_t TileScaleBytes(const BlockFormat& f, size_t groups) {
  return (TileMinimumsAt(f, f.minimum ? 2 * groups : groups) + 63) / 64 * 64;
}
// The codes of one block of 32 columns.
static constexpr size_t TileBlockBytes(const BlockFormat& f) { return kTileChannels * 4 * f.bits; }

static inline size_t BlocksOf(size_t k) { return (k + kBlockColumns - 1) / kBlockColumns; }

// -128 * (sum of q): of the block, or of its first or second half.
static inline int32_t OffsetOf(const BlockInput& input, size_t half, bool halves) {
  return halves ? input.half_offset[half] : input.offset;
}
// Sums of products begin at what takes the zero point out.
static inline int32_t StartOf(const BlockInput& input, size_t half, bool halves, int zero) {
  const int32_t offset = OffsetOf(input, half, halves);
  return zero == 128 ? offset : (offset >> 7) * zero;
}
// (scale of the input) * (sum of q).
static inline float ScaledSum(const BlockInput& input, size_t half, bool halves) {
  return !halves ? input.scaled_sum : static_cast<float>(OffsetOf(input, half, halves) / -128) * input.scale;
}

}  // namespace
}  // namespace thimble
