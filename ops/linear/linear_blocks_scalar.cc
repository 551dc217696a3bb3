// The portable kernel of all block types (runtime/core/block_format.h): what every other is compared with. A block's integer sum is
// exact; each goes to the total with its scales, block after block, then the minimum's part, and at the very beginning the bias.
#include "ops/linear/block_row.h"
#include "ops/linear/linear_scalar.h"

namespace thimble {
namespace {

constexpr uint32_t kRowTile = 16;
constexpr uint32_t kColumnTile = 32;

void RunBlocks(const LinearTile& tile) {
  const WeightRows& w = tile.op->rows;
  const BlockFormat& format = *FormatOf(w.type);
  const size_t k = w.k, blocks = CeilDiv(k, size_t{kBlockColumns}), block_bytes = kBlockColumns / 8 * format.bits;
  const size_t groups = kBlockColumns / format.group, row_scales = static_cast<size_t>(BlockScaleBytes(format, k));
  const size_t q_stride = BlockRowBytes(k);
  for (size_t n = tile.column_begin; n < tile.column_end; ++n) {
    const uint8_t* block = static_cast<const uint8_t*>(w.data) + n * blocks * block_bytes;
    const BlockScaleRow scales(format, k, static_cast<const uint8_t*>(w.scales) + n * row_scales);
    float totals[kRowTile];
    for (float& total : totals) total = tile.op->bias != nullptr ? tile.op->bias[n] : 0.0f;
    for (size_t b = 0; b < blocks; ++b, block += block_bytes) {
      uint8_t codes[kBlockColumns];
      int32_t values[kBlockColumns];
      UnpackBlockCodes(format, block, codes);
      for (uint32_t i = 0; i < kBlockColumns; ++i) values[i] = BlockValue(format, codes[i]);
      for (size_t t = tile.row_begin; t < tile.row_end; ++t) {
        const int8_t* row = tile.x->q + t * q_stride;
        const BlockInput input = reinterpret_cast<const BlockInput*>(row + BlockInputsAt(k))[b];
        float& total = totals[t - tile.row_begin];
        for (size_t g = 0; g < groups; ++g) {
          int32_t sum = 0, q_sum = 0;
          for (size_t i = g * format.group; i < (g + 1) * format.group; ++i) {
            const int32_t q = row[b * kBlockColumns + i];
            sum += q * values[i];
            q_sum += q;
          }
          total += static_cast<float>(sum) * (scales.Scale(b * groups + g) * input.scale);
          if (format.minimum) total += scales.Minimum(b * groups + g) * (groups == 1 ? input.scaled_sum : static_cast<float>(q_sum) * input.scale);
        }
      }
    }
    for (size_t t = tile.row_begin; t < tile.row_end; ++t) tile.y[t * tile.y_stride + n] = totals[t - tile.row_begin];
  }
}

constexpr LinearKernel Scalar(const char* name, WeightType type) {
  return {.name = name,
          .type = type,
          .layout = nullptr,
          .input = {.quantise = QuantiseBlocks, .turn = 0, .block = kBlockColumns},
          .row_tile = kRowTile,
          .column_tile = kColumnTile,
          .run = RunBlocks,
          .blocks = nullptr};
}

}  // namespace

#define THIMBLE_SCALAR(Name, index) Scalar("linear_" #Name "__scalar", WeightType::k##Name),
constinit const LinearKernel kLinearBlocksScalar[kBlockTypeCount] = {THIMBLE_BLOCK_TYPES(THIMBLE_SCALAR)};
#undef THIMBLE_SCALAR

}  // namespace thimble
