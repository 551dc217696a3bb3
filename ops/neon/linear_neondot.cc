// Linear layers with SDOT by element: 4 channels to a register, 4 elements of K at a time. XNNPACK's kernels
// spend 135 instructions on a block of 32 x 16 int4 weights for one row, these 119 (90 would do, the rest is
// what gcc 12 moves about): weights come four registers to a load, and nothing is spilled. Compiled for ARMv8.2 with dot products: includes intrinsics and the
// contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace thimble {
namespace {

// Four channels, those that there are.
inline void StoreFour(float* y, size_t columns, float32x4_t v) {
  if (columns >= 4) {
    vst1q_f32(y, v);
    return;
  }
  if (columns & 2) {
    vst1_f32(y, vget_low_f32(v));
    y += 2;
    v = vcombine_f32(vget_high_f32(v), vget_high_f32(v));
  }
  if (columns & 1) vst1q_lane_f32(y, v, 0);
}

inline float32x4_t WidenScales(uint16x4_t scales) { return vreinterpretq_f32_u32(vshll_n_u16(scales, 16)); }

// SDOT with element `kLane` of sixteen bytes.
#define THIMBLE_DOT(sum, weights, sixteen, lane) sum = vdotq_laneq_s32(sum, weights, sixteen, lane)

// One tile of 16 channels, the 4 kParts of them from channel 4 kFirst on, kRows rows. float -sums[16]; per block:
// 16 x 4 bytes of 8 elements (element i in the high half is i + 4), bfloat16 scales[16]; float bias[16]. The low
// halves are shifted up, so that both are 16 times the weight; the stored scale is a 16th.
template <int kRows, int kFirst, int kParts>
inline void TileQ4(const PackedGemm& g, const uint8_t* tile, const int8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
  const int8x16_t high_halves = vdupq_n_s8(static_cast<int8_t>(0xf0));
  const uint8_t* w = tile + 64 + 16 * kFirst;
  float32x4_t totals[kRows][kParts];
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p) {
    const float32x4_t negative_sums = vld1q_f32(reinterpret_cast<const float*>(tile) + 4 * (kFirst + p));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      totals[r][p] = vmulq_n_f32(negative_sums, static_cast<float>(quantisation[r].zero_point));
    }
  }
  for (size_t k = 0; k < g.k; k += g.block) {
    int32x4_t sums[kRows][kParts];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int p = 0; p < kParts; ++p) sums[r][p] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < g.block; i += 32, w += 256) {
      int8x16_t rows[kRows][2];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const int8_t* at = q + r * g.q_stride + k + i;
        rows[r][0] = vld1q_s8(at);
        rows[r][1] = vld1q_s8(at + 16);
      }
#pragma GCC unroll 4
      for (int group = 0; group < 4; ++group) {
        int8x16_t bytes[kParts];
        if constexpr (kParts == 4) {
          const int8x16x4_t four = vld1q_s8_x4(reinterpret_cast<const int8_t*>(w) + 64 * group);
          for (int p = 0; p < 4; ++p) bytes[p] = four.val[p];
        } else {
          const int8x16x2_t two = vld1q_s8_x2(reinterpret_cast<const int8_t*>(w) + 64 * group);
          for (int p = 0; p < 2; ++p) bytes[p] = two.val[p];
        }
#pragma GCC unroll 16
        for (int p = 0; p < kParts; ++p) {
          const int8x16_t low = vshlq_n_s8(bytes[p], 4), high = vandq_s8(bytes[p], high_halves);
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) {
            if (group % 2 == 0) {
              THIMBLE_DOT(sums[r][p], low, rows[r][group / 2], 0);
              THIMBLE_DOT(sums[r][p], high, rows[r][group / 2], 1);
            } else {
              THIMBLE_DOT(sums[r][p], low, rows[r][group / 2], 2);
              THIMBLE_DOT(sums[r][p], high, rows[r][group / 2], 3);
            }
          }
        }
      }
    }
    // Behind the block, from this part's place in it.
    const uint16_t* scales_at = reinterpret_cast<const uint16_t*>(w - 16 * kFirst) + 4 * kFirst;
    const uint16x8x2_t scales = kParts == 4 ? vld1q_u16_x2(scales_at) : uint16x8x2_t{{vld1q_u16(scales_at), vdupq_n_u16(0)}};
    w += 32;
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) {
      const uint16x8_t eight = scales.val[p / 2];
      const float32x4_t scale = WidenScales(p % 2 == 0 ? vget_low_u16(eight) : vget_high_u16(eight));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) totals[r][p] = vfmaq_f32(totals[r][p], vcvtq_f32_s32(sums[r][p]), scale);
    }
  }
  const float* bias = reinterpret_cast<const float*>(w - 16 * kFirst) + 4 * kFirst;
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p) {
    const size_t channel = 4 * (kFirst + p);
    if (channel >= columns) break;
    for (int r = 0; r < kRows; ++r) {
      StoreFour(y + r * g.y_stride + channel, columns - channel,
                vfmaq_n_f32(vld1q_f32(bias + 4 * p), totals[r][p], quantisation[r].scale));
    }
  }
}

// One tile of 16 channels, kRows rows. int32 -sums[16]; 16 x 4 bytes for every 4 elements; float scales[16],
// bias[16].
template <int kRows>
inline void TileQ8(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
  int32x4_t sums[kRows][4];
#pragma GCC unroll 16
  for (int p = 0; p < 4; ++p) {
    const int32x4_t negative_sums = vld1q_s32(reinterpret_cast<const int32_t*>(w) + 4 * p);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sums[r][p] = vmulq_n_s32(negative_sums, quantisation[r].zero_point);
  }
  w += 64;
  size_t k = 0;
  for (; k + 16 <= g.k; k += 16, w += 256) {
    int8x16_t rows[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) rows[r] = vld1q_s8(q + r * g.q_stride + k);
    const int8_t* at = reinterpret_cast<const int8_t*>(w);
    const int8x16x4_t w0 = vld1q_s8_x4(at), w1 = vld1q_s8_x4(at + 64);
#pragma GCC unroll 16
    for (int p = 0; p < 4; ++p) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        THIMBLE_DOT(sums[r][p], w0.val[p], rows[r], 0);
        THIMBLE_DOT(sums[r][p], w1.val[p], rows[r], 1);
      }
    }
    const int8x16x4_t w2 = vld1q_s8_x4(at + 128), w3 = vld1q_s8_x4(at + 192);
#pragma GCC unroll 16
    for (int p = 0; p < 4; ++p) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        THIMBLE_DOT(sums[r][p], w2.val[p], rows[r], 2);
        THIMBLE_DOT(sums[r][p], w3.val[p], rows[r], 3);
      }
    }
  }
  for (; k < g.k; k += 4, w += 64) {
    const int8x16x4_t weights = vld1q_s8_x4(reinterpret_cast<const int8_t*>(w));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      __builtin_memcpy(&four, q + r * g.q_stride + k, sizeof four);
      const int8x16_t row = vreinterpretq_s8_s32(vdupq_n_s32(four));
#pragma GCC unroll 16
      for (int p = 0; p < 4; ++p) sums[r][p] = vdotq_s32(sums[r][p], weights.val[p], row);
    }
  }
  const float* scales = reinterpret_cast<const float*>(w);
  for (int p = 0; p < 4; ++p) {
    const size_t channel = 4 * p;
    if (channel >= columns) break;
    const float32x4_t scale = vld1q_f32(scales + 4 * p), bias = vld1q_f32(scales + 16 + 4 * p);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float32x4_t scaled = vmulq_n_f32(vcvtq_f32_s32(sums[r][p]), quantisation[r].scale);
      StoreFour(y + r * g.y_stride + channel, columns - channel, vfmaq_f32(bias, scaled, scale));
    }
  }
}

#undef THIMBLE_DOT

struct Q4 {
  template <int kRows>
  static void Tile(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
    if constexpr (kRows == 1) {
      TileQ4<1, 0, 4>(g, w, q, quantisation, y, columns);
    } else {
      // Half the channels at a time: sums, totals and rows fit the registers.
      TileQ4<kRows, 0, 2>(g, w, q, quantisation, y, columns);
      TileQ4<kRows, 2, 2>(g, w, q, quantisation, y, columns);
    }
  }
};

struct Q8 {
  template <int kRows>
  static void Tile(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
    TileQ8<kRows>(g, w, q, quantisation, y, columns);
  }
};

template <typename Kind, int kRows>
void RunRows(const PackedGemm& g, size_t row) {
  const uint8_t* w = g.w;
  for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
    Kind::template Tile<kRows>(g, w, reinterpret_cast<const int8_t*>(g.q) + row * g.q_stride, g.quantisation + row,
                               g.y + row * g.y_stride + n, g.columns - n);
  }
}

template <typename Kind>
void Run(const PackedGemm& g) {
  size_t row = 0;
  for (; row + 4 <= g.rows; row += 4) RunRows<Kind, 4>(g, row);
  switch (g.rows - row) {
    case 3: return RunRows<Kind, 3>(g, row);
    case 2: return RunRows<Kind, 2>(g, row);
    case 1: return RunRows<Kind, 1>(g, row);
    default: return;
  }
}

}  // namespace

void LinearQ4NeonDot(const PackedGemm* gemm) { Run<Q4>(*gemm); }
void LinearQ8NeonDot(const PackedGemm* gemm) { Run<Q8>(*gemm); }

}  // namespace thimble

#endif
