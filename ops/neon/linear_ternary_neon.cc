// Ternary linear layers with SMULL and SMLAL, for the CPUs that have no dot products: a product is at most 3 * 127, so that 16 bits
// hold the sums of 20 groups of columns before they are widened. Compiled for NEON, of 64 and of 32 bits: includes intrinsics and the
// contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include "ops/lanes/fetch.h"
#include "ops/lanes/row_groups.h"
#include "ops/neon/missing_intrinsics.h"

namespace thimble {
namespace {

constexpr size_t kGroupsInWords = 20;  // of 16 columns, four products of a lane each: 80 * 3 * 127 < 2^15

// 4 kParts channels of a tile from part `part` on, kRows rows. float scales[16], bias[16]; 16 x 4 bytes for every 16 elements: bits
// 2 i of byte j are the code of element 4 i + j, one more than the weight.
template <int kRows, int kParts>
inline void Part(const PackedGemm& g, const uint8_t* w, size_t part, size_t row, float* y, size_t columns) {
  const uint8_t *q = g.q + row * g.q_stride, *codes = w + 128 + 16 * part;
  const uint8x16_t mask = vdupq_n_u8(3);
  int32x4_t sums[kRows][kParts][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) sums[r][p][0] = sums[r][p][1] = vdupq_n_s32(0);
  }
  for (size_t left = g.k / 16; left > 0;) {
    const size_t groups = left < kGroupsInWords ? left : kGroupsInWords;
    int16x8_t words[kRows][kParts][2];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) words[r][p][0] = words[r][p][1] = vdupq_n_s16(0);
    }
    for (size_t group = 0; group < groups; ++group, codes += 64, q += 16) {
      uint8x16_t bytes[kParts];
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) bytes[p] = vld1q_u8(codes + 16 * p);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        int8x16_t four[kRows];
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r)
          four[r] = vreinterpretq_s8_s32(vld1q_dup_s32(reinterpret_cast<const int32_t*>(q + static_cast<size_t>(r) * g.q_stride + 4 * i)));
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) {
          const int8x16_t now = vreinterpretq_s8_u8(vandq_u8(bytes[p], mask));
          bytes[p] = vshrq_n_u8(bytes[p], 2);
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            words[r][p][0] = vmlal_s8(words[r][p][0], vget_low_s8(now), vget_low_s8(four[r]));
            words[r][p][1] = vmlal_high_s8(words[r][p][1], now, four[r]);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        sums[r][p][0] = vpadalq_s16(sums[r][p][0], words[r][p][0]);
        sums[r][p][1] = vpadalq_s16(sums[r][p][1], words[r][p][1]);
      }
    }
    left -= groups;
  }
#pragma GCC unroll 4
  for (int p = 0; p < kParts; ++p) {
    const size_t first = 4 * (part + static_cast<size_t>(p));
    const float* floats = reinterpret_cast<const float*>(w) + first;
    const float32x4_t scales = vld1q_f32(floats), bias = vld1q_f32(floats + 16);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const RowQuantisation& quantisation = g.quantisation[row + static_cast<size_t>(r)];
      const int32x4_t sum = vsubq_s32(vpaddq_s32(sums[r][p][0], sums[r][p][1]), vdupq_n_s32(quantisation.zero_point));
      const float32x4_t value = vaddq_f32(vmulq_f32(vcvtq_f32_s32(sum), vmulq_n_f32(scales, quantisation.scale)), bias);
      float* to = y + static_cast<size_t>(r) * g.y_stride + first;
      if (first + 4 <= columns) {
        vst1q_f32(to, value);
      } else {
        float some[4];
        vst1q_f32(some, value);
        for (size_t i = 0; first + i < columns; ++i) to[i] = some[i];
      }
    }
  }
}

}  // namespace

void LinearTernaryNeon(const PackedGemm* gemm) {
  const PackedGemm& g = *gemm;
  ForRowGroups<4>(g.rows, [&]<int kRows>(size_t row) {
    const uint8_t* w = g.w;
    for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
      float* y = g.y + row * g.y_stride + n;
      if constexpr (kRows == 1) {
        FetchPages(w + g.tile_bytes, g.tile_bytes);
        Part<1, 4>(g, w, 0, row, y, g.columns - n);
      } else {
        for (size_t part = 0; part < 4; ++part) Part<kRows, 1>(g, w, part, row, y, g.columns - n);
      }
    }
  });
}

}  // namespace thimble

#endif
