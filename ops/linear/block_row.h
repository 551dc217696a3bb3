// A row of a block type (runtime/core/block_format.h) in the portable layout, block by block: its codes, and its scales as floats.
#pragma once

#include <cstring>

#include "runtime/core/float16.h"
#include "runtime/core/weight_type.h"

namespace thimble {

// codes[32] <-> one block of portable rows. Codes of 8 bits are the bytes of signed numbers.
void UnpackBlockCodes(const BlockFormat& format, const uint8_t* block, uint8_t* codes);
void PackBlockCodes(const BlockFormat& format, const uint8_t* codes, uint8_t* block);

// What a code stands for, as an integer: in [-128, 127].
inline int32_t BlockValue(const BlockFormat& format, uint8_t code) {
  if (format.book != 0) return kCodebooks[format.book][code];
  if (format.bits == 8) return static_cast<int8_t>(code);
  return static_cast<int32_t>(code) - format.zero;
}

// 2^(e - 128).
inline float PowerScale(uint8_t e) {
  return std::bit_cast<float>(e < 2 ? uint32_t{0x00200000} << e : (uint32_t{e} - 1) << 23);
}

// The scales of one row. Places are even, but for bytes.
class BlockScaleRow {
 public:
  BlockScaleRow(const BlockFormat& format, size_t k, const uint8_t* scales)
      : format_(format), groups_(static_cast<size_t>(BlockGroups(format, k))), supers_(static_cast<size_t>(SuperBlocks(k))), scales_(scales) {}

  float Scale(size_t group) const {
    switch (format_.scales) {
      case BlockScales::kHalf: return Half(group);
      case BlockScales::kSuper: return Half(Super(group)) * static_cast<float>(static_cast<int8_t>(Bytes()[group]));
      case BlockScales::kPower: return PowerScale(scales_[group]);
      case BlockScales::kWide: return Half(Super(group));
    }
    return 0;
  }
  // 0 where the type has none.
  float Minimum(size_t group) const {
    if (!format_.minimum) return 0;
    if (format_.scales == BlockScales::kHalf) return Half(groups_ + group);
    return Half(supers_ + Super(group)) * static_cast<float>(Bytes()[groups_ + group]);
  }

 private:
  size_t Super(size_t group) const { return group / (kSuperColumns / format_.group); }
  const uint8_t* Bytes() const { return scales_ + supers_ * sizeof(uint16_t) * (format_.minimum ? 2 : 1); }
  float Half(size_t index) const {
    uint16_t half;
    std::memcpy(&half, scales_ + index * sizeof half, sizeof half);
    return HalfToFloat(half);
  }

  const BlockFormat& format_;
  size_t groups_, supers_;
  const uint8_t* scales_;
};

// out[0, count): a block's numbers, count <= 32, times `factor`; `first_group`: of the block, in `scales`. The operations of GGUF's readers
// in their order, then the factor: the same bits as theirs for a factor of 1.
void DecodeBlock(const BlockFormat& format, const uint8_t* codes, const BlockScaleRow& scales, size_t first_group, size_t count, float factor,
                 float* out);

}  // namespace thimble
