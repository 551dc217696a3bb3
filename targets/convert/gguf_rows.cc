#include "targets/convert/gguf_rows.h"

#include <cstring>

#include "ops/linear/block_row.h"

namespace thimble {

void CarryGgufRow(const GgufBlockType& type, const uint8_t* gguf_row, uint32_t k, uint8_t* data, uint8_t* scales) {
  const BlockFormat& f = *FormatOf(type.weights);
  const uint64_t blocks = k / type.elements, groups = BlockGroups(f, k), block_groups = type.elements / f.group;
  std::memset(scales, 0, BlockScaleBytes(f, k));
  uint8_t* minimums = scales + 2 * blocks;
  uint8_t* group_scales = minimums + (f.minimum ? 2 * blocks : 0);
  uint8_t* group_minimums = group_scales + groups;
  for (uint64_t b = 0; b < blocks; ++b) {
    GgufParts parts;
    type.take_apart(gguf_row + b * type.bytes, &parts);
    for (uint32_t i = 0; i < type.elements; i += kBlockColumns, data += kBlockColumns / 8 * f.bits)
      PackBlockCodes(f, parts.codes + i, data);
    if (f.scales == BlockScales::kPower) {
      scales[b] = static_cast<uint8_t>(parts.d);
      continue;
    }
    std::memcpy(scales + 2 * b, &parts.d, 2);
    if (f.minimum) std::memcpy(minimums + 2 * b, &parts.m, 2);
    if (f.scales != BlockScales::kSuper) continue;
    std::memcpy(group_scales + b * block_groups, parts.scales, block_groups);
    if (f.minimum) std::memcpy(group_minimums + b * block_groups, parts.minimums, block_groups);
  }
}

}  // namespace thimble
