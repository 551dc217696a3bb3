// Rows of the portable weight layout as floats.
#include "ops/linear/embed.h"

#include <cstring>

#include "runtime/core/float16.h"

namespace thimble {

void DecodeWeightRow(const WeightRows& rows, uint32_t row, float factor, float* out) {
  const size_t k = rows.k;
  switch (rows.type) {
    case WeightType::kF32: {
      const float* w = static_cast<const float*>(rows.data) + row * k;
      for (size_t i = 0; i < k; ++i) out[i] = w[i] * factor;
      return;
    }
    case WeightType::kQ8: {
      const int8_t* w = static_cast<const int8_t*>(rows.data) + row * k;
      const float scale = static_cast<const float*>(rows.scales)[row] * factor;
      for (size_t i = 0; i < k; ++i) out[i] = static_cast<float>(w[i]) * scale;
      return;
    }
    case WeightType::kQ4: {
      const size_t block = rows.block, blocks = CeilDiv(k, block);
      const uint8_t* w = static_cast<const uint8_t*>(rows.data) + row * blocks * (block / 2);
      const uint16_t* scales = static_cast<const uint16_t*>(rows.scales) + row * blocks;
      for (size_t i = 0; i < k; ++i) {
        const int32_t nibble = w[i / 2] >> (i % 2 * 4) & 15;
        out[i] = static_cast<float>(nibble - 8) * (Bfloat16ToFloat(scales[i / block]) * factor);
      }
      return;
    }
  }
}

}  // namespace thimble
