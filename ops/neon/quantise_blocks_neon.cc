// The quantisation of a row of block types, a block at a time, with the bits of the portable one (ops/linear/quantise_rows.cc): minNum and
// maxNum instead of comparisons, sums over bytes. For every ARM CPU with NEON.
#include "ops/neon/kernels.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include "ops/linear/quantise_blocks.h"
#include "ops/neon/missing_intrinsics.h"

namespace thimble {
namespace {

inline int8x16_t Sixteen(const float32x4_t v[4], float inverse) {
  int16x8_t words[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    // minNum and maxNum keep the number where the other one is NaN.
    const float32x4_t scaled = vminnmq_f32(vmaxnmq_f32(vmulq_n_f32(v[i], inverse), vdupq_n_f32(-127.0f)), vdupq_n_f32(127.0f));
    // The last byte of the sum is that of the rounded number.
    words[i] = vreinterpretq_s16_f32(vaddq_f32(scaled, vdupq_n_f32(12582912.0f)));
  }
  return vuzp1q_s8(vreinterpretq_s8_s16(vuzp1q_s16(words[0], words[1])), vreinterpretq_s8_s16(vuzp1q_s16(words[2], words[3])));
}

inline void QuantiseBlock(const float* x, int8_t* q, BlockInput* input) {
  float32x4_t v[8], most = vdupq_n_f32(0);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    v[i] = vld1q_f32(x + 4 * i);
    most = vmaxnmq_f32(most, vabsq_f32(v[i]));
  }
  const float amax = vmaxnmvq_f32(most);
  const BlockScale by = ScaleOfBlock(amax);
  const int8x16_t low = Sixteen(v, by.inverse), high = Sixteen(v + 4, by.inverse);
  vst1q_s8(q, low);
  vst1q_s8(q + 16, high);
  const int32_t first = vaddlvq_s8(low), second = vaddlvq_s8(high);
  *input = InputOfBlock(by.scale, first, second);
}

}  // namespace

RowQuantisation QuantiseBlocksNeon(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseBlocksWith(QuantiseBlock, x, k, padded, q);
}

}  // namespace thimble

#endif
