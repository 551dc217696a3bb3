// Linear layers with SMMLA: 2 rows x 8 elements of K times 2 channels. The weights are those of linear_neondot.cc,
// 4 channels x 4 elements to a register: ZIP makes two operands of two registers, for all rows of a tile. Rows come
// in pairs (QuantiseRowNeonPairs), elements 0 to 3 and 8 to 11 of sixteen side by side, and the others, as ZIP and the
// halves of a byte leave the weights. One row alone is left to the dot products: half of SMMLA would be idle.
// Compiled for ARMv8.2 with int8 matrix products: includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/neon/linear_lanes.h"
#include "ops/row_groups.h"

namespace thimble {
namespace {

// Registers with two rows hold channels c, c + 1 of the first, then of the second.

template <typename V>
inline V TwiceLow(V v) {
  return reinterpret_cast<V>(vdupq_laneq_s64(reinterpret_cast<int64x2_t>(v), 0));
}
template <typename V>
inline V TwiceHigh(V v) {
  return reinterpret_cast<V>(vdupq_laneq_s64(reinterpret_cast<int64x2_t>(v), 1));
}

// The four channels of one of the rows.
template <typename V>
inline V FirstRow(const V v[2]) {
  return reinterpret_cast<V>(vzip1q_s64(reinterpret_cast<int64x2_t>(v[0]), reinterpret_cast<int64x2_t>(v[1])));
}
template <typename V>
inline V SecondRow(const V v[2]) {
  return reinterpret_cast<V>(vzip2q_s64(reinterpret_cast<int64x2_t>(v[0]), reinterpret_cast<int64x2_t>(v[1])));
}

inline int8x16_t ZipLow(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}
inline int8x16_t ZipHigh(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

// The layouts are described in linear_neondot.cc. `part` counts the registers of 4 channels of a tile, kParts of
// which are computed for kPairs pairs of rows; zero_points[pair] are those of its rows, twice each. Functions of their
// own, or gcc 12 runs out of registers.
struct Q4 {
  // As many as the registers hold the totals and the sums of.
  static constexpr int Parts(int pairs) { return pairs > 2 ? 1 : pairs > 1 ? 2 : 4; }

  template <int kPairs, int kParts>
  [[gnu::noinline]] static void Run(const PackedGemm& g, const uint8_t* tile, size_t part, const int8_t* q,
                  const int32x4_t* zero_points, const RowQuantisation* quantisation, float* y, ptrdiff_t columns) {
    const int8x16_t high_halves = vdupq_n_s8(static_cast<int8_t>(0xf0));
    const int8_t* w = reinterpret_cast<const int8_t*>(tile) + 64 + 16 * part;
    const int8_t* at[kPairs];
    float32x4_t totals[kPairs][kParts][2];
#pragma GCC unroll 8
    for (int r = 0; r < kPairs; ++r) {
      at[r] = q + 2 * r * g.q_stride;
      const float32x4_t zero_point = vcvtq_f32_s32(zero_points[r]);
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const float32x4_t negative_sums = vld1q_f32(reinterpret_cast<const float*>(tile) + 4 * (part + p));
        totals[r][p][0] = vmulq_f32(TwiceLow(negative_sums), zero_point);
        totals[r][p][1] = vmulq_f32(TwiceHigh(negative_sums), zero_point);
      }
    }
    const size_t block = g.block;
    const int8_t* const end = q + 2 * g.k;
    do {
      int32x4_t sums[kPairs][kParts][2];
#pragma GCC unroll 8
      for (int r = 0; r < kPairs; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) sums[r][p][0] = sums[r][p][1] = vdupq_n_s32(0);
      }
      const int8_t* const block_end = at[0] + 2 * block;
      do {
#pragma GCC unroll 2
        for (int sixteen = 0; sixteen < 2; ++sixteen) {
          int8x16_t low[kParts][2], high[kParts][2];
#pragma GCC unroll 4
          for (int p = 0; p < kParts; ++p) {
            const int8_t* from = w + 128 * sixteen + 16 * p;
            const int8x16_t first_eight = vld1q_s8(from), second_eight = vld1q_s8(from + 64);
            const int8x16_t two = ZipLow(first_eight, second_eight);
            const int8x16_t other_two = ZipHigh(first_eight, second_eight);
            low[p][0] = vshlq_n_s8(two, 4);
            low[p][1] = vshlq_n_s8(other_two, 4);
            high[p][0] = vandq_s8(two, high_halves);
            high[p][1] = vandq_s8(other_two, high_halves);
          }
#pragma GCC unroll 8
          for (int r = 0; r < kPairs; ++r) {
            int8x16_t even, odd;
            LoadTwo(&at[r], &even, &odd);
#pragma GCC unroll 4
            for (int p = 0; p < kParts; ++p) {
              sums[r][p][0] = vmmlaq_s32(sums[r][p][0], even, low[p][0]);
              sums[r][p][1] = vmmlaq_s32(sums[r][p][1], even, low[p][1]);
              sums[r][p][0] = vmmlaq_s32(sums[r][p][0], odd, high[p][0]);
              sums[r][p][1] = vmmlaq_s32(sums[r][p][1], odd, high[p][1]);
            }
          }
        }
        w += 256;
      } while (at[0] != block_end);
      // Behind the block, from these channels' place in it.
      const uint16_t* scales = reinterpret_cast<const uint16_t*>(w - 16 * part) + 4 * part;
      w += 32;
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const float32x4_t scale = WidenScales(vld1_u16(scales + 4 * p));
        const float32x4_t low = TwiceLow(scale), high = TwiceHigh(scale);
#pragma GCC unroll 8
        for (int r = 0; r < kPairs; ++r) {
          totals[r][p][0] = vfmaq_f32(totals[r][p][0], vcvtq_f32_s32(sums[r][p][0]), low);
          totals[r][p][1] = vfmaq_f32(totals[r][p][1], vcvtq_f32_s32(sums[r][p][1]), high);
        }
      }
    } while (at[0] != end);
    const float* bias_at = reinterpret_cast<const float*>(w - 16 * part) + 4 * part;
    TileOutput<2 * kPairs, 4 * kParts> output(y + 4 * part, g.y_stride, columns - static_cast<ptrdiff_t>(4 * part));
#pragma GCC unroll 8
    for (int r = 0; r < kPairs; ++r) {
      float *first = output.Row(2 * r), *second = output.Row(2 * r + 1);
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const float32x4_t bias = vld1q_f32(bias_at + 4 * p);
        vst1q_f32(first + 4 * p, vfmaq_n_f32(bias, FirstRow(totals[r][p]), quantisation[2 * r].scale));
        vst1q_f32(second + 4 * p, vfmaq_n_f32(bias, SecondRow(totals[r][p]), quantisation[2 * r + 1].scale));
      }
    }
    output.Finish();
  }
};

// The last of the elements, 16 at a time, may be what lies behind the weights, times the zeros behind the rows.
struct Q8 {
  static constexpr int Parts(int pairs) { return pairs > 2 ? 2 : 4; }

  template <int kPairs, int kParts>
  [[gnu::noinline]] static void Run(const PackedGemm& g, const uint8_t* tile, size_t part, const int8_t* q,
                  const int32x4_t* zero_points, const RowQuantisation* quantisation, float* y, ptrdiff_t columns) {
    const int8_t* w = reinterpret_cast<const int8_t*>(tile) + 64 + 16 * part;
    const float* scales = reinterpret_cast<const float*>(tile + 64 + 16 * g.k) + 4 * part;
    const int8_t* at[kPairs];
    int32x4_t sums[kPairs][kParts][2];
#pragma GCC unroll 8
    for (int r = 0; r < kPairs; ++r) {
      at[r] = q + 2 * r * g.q_stride;
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const int32x4_t four = vld1q_s32(reinterpret_cast<const int32_t*>(tile) + 4 * (part + p));
        sums[r][p][0] = vmulq_s32(TwiceLow(four), zero_points[r]);
        sums[r][p][1] = vmulq_s32(TwiceHigh(four), zero_points[r]);
      }
    }
    for (const int8_t* const end = q + 2 * g.k; at[0] < end; w += 256) {
#pragma GCC unroll 2
      for (int odd = 0; odd < 2; ++odd) {
        int8x16_t weights[kParts][2];
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) {
          const int8_t* from = w + 64 * odd + 16 * p;
          const int8x16_t four = vld1q_s8(from), eight_on = vld1q_s8(from + 128);
          weights[p][0] = ZipLow(four, eight_on);
          weights[p][1] = ZipHigh(four, eight_on);
        }
#pragma GCC unroll 8
        for (int r = 0; r < kPairs; ++r) {
          const int8x16_t rows = LoadOne(&at[r]);
#pragma GCC unroll 4
          for (int p = 0; p < kParts; ++p) {
            sums[r][p][0] = vmmlaq_s32(sums[r][p][0], rows, weights[p][0]);
            sums[r][p][1] = vmmlaq_s32(sums[r][p][1], rows, weights[p][1]);
          }
        }
      }
    }
    TileOutput<2 * kPairs, 4 * kParts> output(y + 4 * part, g.y_stride, columns - static_cast<ptrdiff_t>(4 * part));
#pragma GCC unroll 8
    for (int r = 0; r < kPairs; ++r) {
      float *first = output.Row(2 * r), *second = output.Row(2 * r + 1);
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const float32x4_t scale = vld1q_f32(scales + 4 * p), bias = vld1q_f32(scales + 16 + 4 * p);
        const float32x4_t first_sums = vcvtq_f32_s32(FirstRow(sums[r][p]));
        const float32x4_t second_sums = vcvtq_f32_s32(SecondRow(sums[r][p]));
        vst1q_f32(first + 4 * p, vfmaq_f32(bias, vmulq_n_f32(first_sums, quantisation[2 * r].scale), scale));
        vst1q_f32(second + 4 * p, vfmaq_f32(bias, vmulq_n_f32(second_sums, quantisation[2 * r + 1].scale), scale));
      }
    }
    output.Finish();
  }
};

template <typename Kind>
void RunPairs(const PackedGemm& g) {
  ForRowGroups<6>(g.rows / 2, [&]<int kPairs>(size_t pair) {
    constexpr int kParts = Kind::Parts(kPairs);
    const uint8_t* w = g.w;
    const int8_t* q = reinterpret_cast<const int8_t*>(g.q) + 2 * pair * g.q_stride;
    const RowQuantisation* quantisation = g.quantisation + 2 * pair;
    float* y = g.y + 2 * pair * g.y_stride;
    int32x4_t zero_points[kPairs];
    for (int r = 0; r < kPairs; ++r) {
      const int32x2_t first = vdup_n_s32(quantisation[2 * r].zero_point);
      zero_points[r] = vcombine_s32(first, vdup_n_s32(quantisation[2 * r + 1].zero_point));
    }
    for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
      for (size_t part = 0; part < 4; part += kParts) {
        Kind::template Run<kPairs, kParts>(g, w, part, q, zero_points, quantisation, y + n,
                                           static_cast<ptrdiff_t>(g.columns - n));
      }
    }
  });
}

PackedGemm LastRow(const PackedGemm& g) {
  PackedGemm last = g;
  last.q += (g.rows - 1) * g.q_stride;
  last.quantisation += g.rows - 1;
  last.y += (g.rows - 1) * g.y_stride;
  last.rows = 1;
  return last;
}

}  // namespace

void LinearQ4NeonI8mm(const PackedGemm* gemm) {
  RunPairs<Q4>(*gemm);
  if (gemm->rows % 2 == 0) return;
  const PackedGemm last = LastRow(*gemm);
  LinearQ4NeonDot(&last);
}

void LinearQ8NeonI8mm(const PackedGemm* gemm) {
  RunPairs<Q8>(*gemm);
  if (gemm->rows % 2 == 0) return;
  const PackedGemm last = LastRow(*gemm);
  LinearQ8NeonDot(&last);
}

}  // namespace thimble

#endif
