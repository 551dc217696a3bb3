// Rows of the portable weight layout as floats.
#include "ops/linear/embed.h"

#include <cstring>

#include "ops/linear/block_row.h"
#include "runtime/core/float16.h"

namespace thimble {

namespace {

void DecodeF32(const WeightRows& rows, uint32_t row, float factor, float* out) {
  const float* w = static_cast<const float*>(rows.data) + size_t{row} * rows.k;
  for (size_t i = 0; i < rows.k; ++i) out[i] = w[i] * factor;
}

void DecodeQ8(const WeightRows& rows, uint32_t row, float factor, float* out) {
  const int8_t* w = static_cast<const int8_t*>(rows.data) + size_t{row} * rows.k;
  const float scale = static_cast<const float*>(rows.scales)[row] * factor;
  for (size_t i = 0; i < rows.k; ++i) out[i] = static_cast<float>(w[i]) * scale;
}

void DecodeQ4(const WeightRows& rows, uint32_t row, float factor, float* out) {
  const size_t block = rows.block, blocks = CeilDiv(size_t{rows.k}, block);
  const uint8_t* w = static_cast<const uint8_t*>(rows.data) + row * blocks * (block / 2);
  const uint16_t* scales = static_cast<const uint16_t*>(rows.scales) + row * blocks;
  for (size_t i = 0; i < rows.k; ++i) {
    const int32_t nibble = w[i / 2] >> (i % 2 * 4) & 15;
    out[i] = static_cast<float>(nibble - 8) * (Bfloat16ToFloat(scales[i / block]) * factor);
  }
}

void DecodeTernary(const WeightRows& rows, uint32_t row, float factor, float* out) {
  const uint8_t* w = static_cast<const uint8_t*>(rows.data) + row * (CeilDiv(size_t{rows.k}, size_t{kTernaryColumns}) * 4);
  const float scale = static_cast<const float*>(rows.scales)[row] * factor;
  for (size_t i = 0; i < rows.k; ++i) out[i] = static_cast<float>(static_cast<int32_t>(TernaryCode(w, i)) - 1) * scale;
}

void DecodeBlocks(const WeightRows& rows, uint32_t row, float factor, float* out) {
  const BlockFormat& format = *FormatOf(rows.type);
  const size_t block_bytes = kBlockColumns / 8 * format.bits, row_scales = static_cast<size_t>(BlockScaleBytes(format, rows.k));
  const uint8_t* block = static_cast<const uint8_t*>(rows.data) + row * CeilDiv(size_t{rows.k}, size_t{kBlockColumns}) * block_bytes;
  const BlockScaleRow scales(format, rows.k, static_cast<const uint8_t*>(rows.scales) + row * row_scales);
  for (size_t start = 0; start < rows.k; start += kBlockColumns, block += block_bytes) {
    uint8_t codes[kBlockColumns];
    UnpackBlockCodes(format, block, codes);
    DecodeBlock(format, codes, scales, start / format.group, rows.k - start < kBlockColumns ? rows.k - start : kBlockColumns, factor, out + start);
  }
}

}  // namespace

void DecodeWeightRow(const WeightRows& rows, uint32_t row, float factor, float* out) {
  switch (rows.type) {
    case WeightType::kF32: return DecodeF32(rows, row, factor, out);
    case WeightType::kQ8: return DecodeQ8(rows, row, factor, out);
    case WeightType::kQ4: return DecodeQ4(rows, row, factor, out);
    case WeightType::kTernary: return DecodeTernary(rows, row, factor, out);
    default: return DecodeBlocks(rows, row, factor, out);
  }
}

}  // namespace thimble
