// Rows of the portable weight layout as floats.
#include "ops/linear/embed.h"

#include <cstring>

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

// By WeightType.
constexpr void (*kDecode[])(const WeightRows&, uint32_t, float, float*) = {DecodeF32, DecodeQ8, DecodeQ4};
static_assert(sizeof kDecode / sizeof kDecode[0] == kWeightTypeCount);

}  // namespace

void DecodeWeightRow(const WeightRows& rows, uint32_t row, float factor, float* out) {
  kDecode[static_cast<size_t>(rows.type)](rows, row, factor, out);
}

}  // namespace thimble
