#include "targets/convert/quantiser/block_types.h"

#include <algorithm>
#include <cstring>

#include "ops/linear/block_row.h"

namespace thimble {

static_assert(BlockGrid::kSuperWeights == kSuperColumns && BlockGrid::kMaxGroup == kBlockColumns);

bool CanQuantiseTo(WeightType type) {
  const BlockFormat* format = FormatOf(type);
  return format != nullptr && format->scales != BlockScales::kPower && format->scales != BlockScales::kWide;
}

BlockGrid GridOf(WeightType type) {
  const BlockFormat& format = *FormatOf(type);
  BlockGrid grid;
  grid.group = format.group;
  grid.codebook = format.book != 0 ? kCodebooks[format.book] : nullptr;
  grid.minimum = format.minimum;
  grid.scales = format.scales == BlockScales::kSuper ? BlockGrid::Scales::kSuper : BlockGrid::Scales::kHalf;
  if (format.bits == 8) {
    grid.low = -127;
    grid.high = 127;
  } else {
    grid.low = -static_cast<int32_t>(format.zero);
    grid.high = (1 << format.bits) - 1 - format.zero;
  }
  return grid;
}

void PackGridRow(WeightType type, const GridRow& row, size_t k, uint8_t* data, uint8_t* scales) {
  const BlockFormat& format = *FormatOf(type);
  const size_t block_bytes = size_t{4} * format.bits;
  for (size_t at = 0; at < k; at += kBlockColumns, data += block_bytes) {
    uint8_t codes[kBlockColumns];
    for (size_t i = 0; i < kBlockColumns; ++i)
      codes[i] = static_cast<uint8_t>((at + i < k ? row.levels[at + i] : 0) + (format.book != 0 ? 0 : format.zero));
    PackBlockCodes(format, codes, data);
  }
  std::memset(scales, 0, static_cast<size_t>(BlockScaleBytes(format, k)));
  const size_t groups = static_cast<size_t>(BlockGroups(format, k));
  const size_t halves = format.scales == BlockScales::kHalf ? groups : static_cast<size_t>(SuperBlocks(k));
  std::memcpy(scales, row.d.data(), row.d.size() * sizeof(uint16_t));
  scales += halves * sizeof(uint16_t);
  if (format.minimum) {
    std::memcpy(scales, row.dmin.data(), row.dmin.size() * sizeof(uint16_t));
    scales += halves * sizeof(uint16_t);
  }
  if (format.scales != BlockScales::kSuper) return;
  std::memcpy(scales, row.s.data(), row.s.size());
  if (format.minimum) std::memcpy(scales + groups, row.m.data(), row.m.size());
}

}  // namespace thimble
