// Linear layers with SDOT by element: 4 channels to a register, 4 elements of K at a time. One row, which is what
// decoding needs, is written in assembly: gcc 12 moves every register of a four-register load, and its block of
// 32 x 16 int4 weights took 119 instructions instead of 90. Compiled for ARMv8.2 with dot products: includes
// intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/lanes/fetch.h"
#include "ops/neon/linear_lanes.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

// Sums of 16 channels of one row, 4 channels to a register.
struct Sums {
  int32x4_t s0, s1, s2, s3;
};

// Adds the 16 x 4 weights of registers a to d, times element `lane` of register `row`.
#define THIMBLE_DOT_FOUR(a, b, c, d, row, lane)                                                                \
  "sdot %[s0].4s, v" #a ".16b, v" #row ".4b[" #lane "]\n sdot %[s1].4s, v" #b ".16b, v" #row ".4b[" #lane "]\n" \
  "sdot %[s2].4s, v" #c ".16b, v" #row ".4b[" #lane "]\n sdot %[s3].4s, v" #d ".16b, v" #row ".4b[" #lane "]\n"
// The same of 16 x 8 weights of 4 bits: the low halves by element `low`, the high ones by element `high`.
#define THIMBLE_DOT_HALVES(a, b, c, d, row, low, high)                                                     \
  "shl v28.16b, v" #a ".16b, #4\n shl v29.16b, v" #b ".16b, #4\n"                                     \
  "shl v30.16b, v" #c ".16b, #4\n shl v31.16b, v" #d ".16b, #4\n"                                     \
  THIMBLE_DOT_FOUR(28, 29, 30, 31, row, low)                                                           \
  "and v" #a ".16b, v" #a ".16b, %[mask].16b\n and v" #b ".16b, v" #b ".16b, %[mask].16b\n"           \
  "and v" #c ".16b, v" #c ".16b, %[mask].16b\n and v" #d ".16b, v" #d ".16b, %[mask].16b\n"           \
  THIMBLE_DOT_FOUR(a, b, c, d, row, high)
#define THIMBLE_LOAD_FIRST "ld1 {v20.16b-v23.16b}, [%[w]], #64\n"
#define THIMBLE_LOAD_SECOND "ld1 {v24.16b-v27.16b}, [%[w]], #64\n"
#define THIMBLE_SUMS(how) [s0] how(sums->s0), [s1] how(sums->s1), [s2] how(sums->s2), [s3] how(sums->s3)

// 16 channels x 16 int8 weights. Both pointers move on.
inline void DotSixteen(const uint8_t** w, const int8_t** q, Sums* sums) {
  __asm__("ldr q16, [%[q]], #16\n" THIMBLE_LOAD_FIRST THIMBLE_LOAD_SECOND
          THIMBLE_DOT_FOUR(20, 21, 22, 23, 16, 0) THIMBLE_LOAD_FIRST
          THIMBLE_DOT_FOUR(24, 25, 26, 27, 16, 1) THIMBLE_LOAD_SECOND
          THIMBLE_DOT_FOUR(20, 21, 22, 23, 16, 2)
          THIMBLE_DOT_FOUR(24, 25, 26, 27, 16, 3)
          : THIMBLE_SUMS("+w"), [w] "+r"(*w), [q] "+r"(*q)
          :
          : "memory", "v16", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27");
}

// A block of 16 channels of int4 weights, 16 times the sums, and its scales of channels 0 to 7 and 8 to 15.
inline void DotBlock(const uint8_t** w, const int8_t** q, size_t block, int8x16_t high_halves, Sums* sums,
                     uint16x8_t scales[2]) {
  const int8_t* const end = *q + block;
  __asm__("movi %[s0].4s, #0\n movi %[s1].4s, #0\n movi %[s2].4s, #0\n movi %[s3].4s, #0\n"
          "1:\n ldp q16, q17, [%[q]], #32\n" THIMBLE_LOAD_FIRST THIMBLE_LOAD_SECOND
          THIMBLE_DOT_HALVES(20, 21, 22, 23, 16, 0, 1) THIMBLE_LOAD_FIRST
          THIMBLE_DOT_HALVES(24, 25, 26, 27, 16, 2, 3) THIMBLE_LOAD_SECOND
          THIMBLE_DOT_HALVES(20, 21, 22, 23, 17, 0, 1)
          THIMBLE_DOT_HALVES(24, 25, 26, 27, 17, 2, 3)
          "cmp %[q], %[end]\n b.ne 1b\n ldp %q[scales0], %q[scales1], [%[w]], #32"
          : THIMBLE_SUMS("=&w"), [w] "+r"(*w), [q] "+r"(*q), [scales0] "=w"(scales[0]), [scales1] "=w"(scales[1])
          : [mask] "w"(high_halves), [end] "r"(end)
          : "cc", "memory", "v16", "v17", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
            "v31");
}

#undef THIMBLE_DOT_FOUR
#undef THIMBLE_DOT_HALVES
#undef THIMBLE_LOAD_FIRST
#undef THIMBLE_LOAD_SECOND
#undef THIMBLE_SUMS

// The tiles: 16 channels, kRows rows.

// float -sums[16]; per block: 16 x 4 bytes of 8 elements (element i in the high half is i + 4), bfloat16 scales[16];
// float bias[16]. The low halves are shifted up, so that both are 16 times the weight; the stored scale is a 16th.
struct Q4 {
  static void OneRow(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                     float* y, ptrdiff_t columns) {
    const int8x16_t high_halves = vdupq_n_s8(static_cast<int8_t>(0xf0));
    float32x4_t totals[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const float32x4_t negative_sums = vld1q_f32(reinterpret_cast<const float*>(w) + 4 * p);
      totals[p] = vmulq_n_f32(negative_sums, static_cast<float>(quantisation->zero_point));
    }
    w += 64;
    const size_t block = g.block;
    const int8_t* const end = q + g.k;
    do {
      Sums sums;
      uint16x8_t scales[2];
      DotBlock(&w, &q, block, high_halves, &sums, scales);
      totals[0] = vfmaq_f32(totals[0], vcvtq_f32_s32(sums.s0), WidenScales(vget_low_u16(scales[0])));
      totals[1] = vfmaq_f32(totals[1], vcvtq_f32_s32(sums.s1), WidenScales(vget_high_u16(scales[0])));
      totals[2] = vfmaq_f32(totals[2], vcvtq_f32_s32(sums.s2), WidenScales(vget_low_u16(scales[1])));
      totals[3] = vfmaq_f32(totals[3], vcvtq_f32_s32(sums.s3), WidenScales(vget_high_u16(scales[1])));
    } while (q != end);
    TileOutput<1, 16> output(y, 0, columns);
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const float32x4_t bias = vld1q_f32(reinterpret_cast<const float*>(w) + 4 * p);
      vst1q_f32(output.Row(0) + 4 * p, vfmaq_n_f32(bias, totals[p], quantisation->scale));
    }
    output.Finish();
  }

  // Half the channels, from the first of the registers of four on: sums, totals and rows fit the registers.
  template <int kRows>
  static void Half(const PackedGemm& g, const uint8_t* tile, size_t first, const int8_t* q,
                   const RowQuantisation* quantisation, float* y, ptrdiff_t columns) {
    const int8x16_t high_halves = vdupq_n_s8(static_cast<int8_t>(0xf0));
    const float* negative_sums = reinterpret_cast<const float*>(tile) + 4 * first;
    const int8_t* w = reinterpret_cast<const int8_t*>(tile) + 64 + 16 * first;
    float32x4_t totals[kRows][2];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float zero_point = static_cast<float>(quantisation[r].zero_point);
      totals[r][0] = vmulq_n_f32(vld1q_f32(negative_sums), zero_point);
      totals[r][1] = vmulq_n_f32(vld1q_f32(negative_sums + 4), zero_point);
    }
    const int8_t* at[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) at[r] = q + r * g.q_stride;
    const size_t block = g.block;
    size_t left = g.k;
    do {
      int32x4_t sums[kRows][2];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = vdupq_n_s32(0);
      size_t left_of_block = block;
      do {
        int8x16_t rows[kRows][2];
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) LoadTwo(&at[r], &rows[r][0], &rows[r][1]);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
          int8x16_t first_eight[2], second_eight[2];
          LoadTwo<64>(&w, &first_eight[0], &first_eight[1]);
          LoadTwo<64>(&w, &second_eight[0], &second_eight[1]);
#pragma GCC unroll 2
          for (int p = 0; p < 2; ++p) {
            const int8x16_t w0 = vshlq_n_s8(first_eight[p], 4), w1 = vandq_s8(first_eight[p], high_halves);
            const int8x16_t w2 = vshlq_n_s8(second_eight[p], 4), w3 = vandq_s8(second_eight[p], high_halves);
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r) {
              sums[r][p] = vdotq_laneq_s32(sums[r][p], w0, rows[r][half], 0);
              sums[r][p] = vdotq_laneq_s32(sums[r][p], w1, rows[r][half], 1);
              sums[r][p] = vdotq_laneq_s32(sums[r][p], w2, rows[r][half], 2);
              sums[r][p] = vdotq_laneq_s32(sums[r][p], w3, rows[r][half], 3);
            }
          }
        }
        left_of_block -= 32;
      } while (left_of_block != 0);
      // Behind the block, from these channels' place in it.
      const uint16x8_t scales = vld1q_u16(reinterpret_cast<const uint16_t*>(w - 16 * first) + 4 * first);
      w += 32;
      const float32x4_t low = WidenScales(vget_low_u16(scales)), high = WidenScales(vget_high_u16(scales));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        totals[r][0] = vfmaq_f32(totals[r][0], vcvtq_f32_s32(sums[r][0]), low);
        totals[r][1] = vfmaq_f32(totals[r][1], vcvtq_f32_s32(sums[r][1]), high);
      }
      left -= block;
    } while (left != 0);
    const float* bias = reinterpret_cast<const float*>(w - 16 * first) + 4 * first;
    TileOutput<kRows, 8> output(y + 4 * first, g.y_stride, columns - static_cast<ptrdiff_t>(4 * first));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      vst1q_f32(output.Row(r), vfmaq_n_f32(vld1q_f32(bias), totals[r][0], quantisation[r].scale));
      vst1q_f32(output.Row(r) + 4, vfmaq_n_f32(vld1q_f32(bias + 4), totals[r][1], quantisation[r].scale));
    }
    output.Finish();
  }

  template <int kRows>
  static void Rows(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                   float* y, ptrdiff_t columns) {
    Half<kRows>(g, w, 0, q, quantisation, y, columns);
    Half<kRows>(g, w, 2, q, quantisation, y, columns);
  }
};

// int32 -sums[16]; 16 x 4 bytes for every 4 elements; float scales[16], bias[16]. Elements are taken 16 at a time:
// the last of them may be what lies behind the weights, times the zeros behind the row.
struct Q8 {
  static void Store(const int32x4_t sums[4], const float* scales, const RowQuantisation& quantisation, float* y) {
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const float32x4_t scaled = vmulq_n_f32(vcvtq_f32_s32(sums[p]), quantisation.scale);
      const float32x4_t scale = vld1q_f32(scales + 4 * p), bias = vld1q_f32(scales + 16 + 4 * p);
      vst1q_f32(y + 4 * p, vfmaq_f32(bias, scaled, scale));
    }
  }

  static void OneRow(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                     float* y, ptrdiff_t columns) {
    const float* scales = reinterpret_cast<const float*>(w + 64 + 16 * g.k);
    const int32_t* negative_sums = reinterpret_cast<const int32_t*>(w);
    const auto start = [&](int p) { return vmulq_n_s32(vld1q_s32(negative_sums + 4 * p), quantisation->zero_point); };
    Sums sums = {start(0), start(1), start(2), start(3)};
    w += 64;
    for (const int8_t* const end = q + g.k; q < end;) DotSixteen(&w, &q, &sums);
    const int32x4_t all[4] = {sums.s0, sums.s1, sums.s2, sums.s3};
    TileOutput<1, 16> output(y, 0, columns);
    Store(all, scales, *quantisation, output.Row(0));
    output.Finish();
  }

  template <int kRows>
  static void Rows(const PackedGemm& g, const uint8_t* w, const int8_t* q, const RowQuantisation* quantisation,
                   float* y, ptrdiff_t columns) {
    const float* scales = reinterpret_cast<const float*>(w + 64 + 16 * g.k);
    int32x4_t sums[kRows][4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const int32x4_t negative_sums = vld1q_s32(reinterpret_cast<const int32_t*>(w) + 4 * p);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][p] = vmulq_n_s32(negative_sums, quantisation[r].zero_point);
    }
    w += 64;
    for (size_t k = 0; k < g.k; k += 16, w += 256) {
      int8x16_t rows[kRows];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) rows[r] = vld1q_s8(q + r * g.q_stride + k);
      const int8_t* at = reinterpret_cast<const int8_t*>(w);
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
        const int8x16_t w0 = vld1q_s8(at + 16 * p), w1 = vld1q_s8(at + 64 + 16 * p);
        const int8x16_t w2 = vld1q_s8(at + 128 + 16 * p), w3 = vld1q_s8(at + 192 + 16 * p);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          sums[r][p] = vdotq_laneq_s32(sums[r][p], w0, rows[r], 0);
          sums[r][p] = vdotq_laneq_s32(sums[r][p], w1, rows[r], 1);
          sums[r][p] = vdotq_laneq_s32(sums[r][p], w2, rows[r], 2);
          sums[r][p] = vdotq_laneq_s32(sums[r][p], w3, rows[r], 3);
        }
      }
    }
    TileOutput<kRows, 16> output(y, g.y_stride, columns);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) Store(sums[r], scales, quantisation[r], output.Row(r));
    output.Finish();
  }
};

template <typename Kind>
void Run(const PackedGemm& g) {
  ForRowGroups<4>(g.rows, [&]<int kRows>(size_t row) {
    const uint8_t* w = g.w;
    const int8_t* q = reinterpret_cast<const int8_t*>(g.q) + row * g.q_stride;
    for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
      float* y = g.y + row * g.y_stride + n;
      const ptrdiff_t columns = static_cast<ptrdiff_t>(g.columns - n);
      if constexpr (kRows == 1) {
        FetchPages(w + g.tile_bytes, g.tile_bytes);
        Kind::OneRow(g, w, q, g.quantisation + row, y, columns);
      } else {
        Kind::template Rows<kRows>(g, w, q, g.quantisation + row, y, columns);
      }
    }
  });
}

}  // namespace

void LinearQ4NeonDot(const PackedGemm* gemm) { Run<Q4>(*gemm); }
void LinearQ8NeonDot(const PackedGemm* gemm) { Run<Q8>(*gemm); }

}  // namespace thimble

#endif
