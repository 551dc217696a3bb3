// Linear layers with SMMLA: 2 rows x 8 elements of K times 2 channels. The weights are those of linear_neondot.cc,
// 4 channels x 4 elements to a register: ZIP makes two operands of two registers, for all rows of a tile. Rows come
// in pairs (QuantiseRowNeonPairs), elements 0 to 3 and 8 to 11 of sixteen side by side, and the others, as ZIP and the
// halves of a byte leave the weights. One row alone is left to the dot products: half of SMMLA would be idle.
// Compiled for ARMv8.2 with int8 matrix products: includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/neon/linear_lanes.h"
#include "ops/lanes/row_groups.h"

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

// Blocks of 32, two to eight pairs of rows. 4 channels of a block are unpacked once, to eight registers, and multiplied
// with one pair after the other. A pair's sums are complete then and go to its totals at once: they need two registers,
// and with eight pairs none is left. A block takes 22 instructions and 15 for every pair. In assembly, since gcc 12 kept
// the totals in memory. Two sums are few for SMMLA's latency: it takes the renaming of registers to overlap the pairs'.
constexpr size_t kMostPairs = 8;
constexpr size_t kBytesOf32 = 16 * (32 / 2 + sizeof(uint16_t));

struct PairQuantisation {
  float32x4_t zero_points, scales;  // the first row's twice, then the second's
};

// v0 to v3: weights of the low halves, v4 to v7: of the high ones; channels 0 and 1, then 2 and 3, of the first sixteen
// elements, then of the others. v8 to v23: totals. v24, v25: what all rows share. v26, v27: sums. v28 to v31: a pair's
// rows. x9 to x16: where their next ones are.
#define THIMBLE_IF_PAIR(pair, ...) ".if %c[pairs] > " #pair "\n" __VA_ARGS__ ".endif\n"
#define THIMBLE_ALL_PAIRS(how)                                                                       \
  how(0, 8, 9, 9, 10) how(1, 10, 11, 10, 11) how(2, 12, 13, 11, 12) how(3, 14, 15, 12, 13)           \
  how(4, 16, 17, 13, 14) how(5, 18, 19, 14, 15) how(6, 20, 21, 15, 16) how(7, 22, 23, 16, 17)
#define THIMBLE_START(pair, t0, t1, at, next)                                                        \
  THIMBLE_IF_PAIR(pair, "ldr q28, [%[quantisation], #32 * " #pair "]\n"                              \
                  "add x" #next ", x" #at ", %[q_stride]\n"                                          \
                  "fmul v" #t0 ".4s, v24.4s, v28.4s\n fmul v" #t1 ".4s, v25.4s, v28.4s\n")
#define THIMBLE_ADD(pair, t0, t1, at, next)                                                          \
  THIMBLE_IF_PAIR(pair, "movi v26.4s, #0\n movi v27.4s, #0\n"                                        \
                  "smmla v26.4s, v28.16b, v0.16b\n smmla v27.4s, v28.16b, v1.16b\n"                  \
                  "smmla v26.4s, v29.16b, v4.16b\n smmla v27.4s, v29.16b, v5.16b\n"                  \
                  "smmla v26.4s, v30.16b, v2.16b\n smmla v27.4s, v30.16b, v3.16b\n"                  \
                  "smmla v26.4s, v31.16b, v6.16b\n smmla v27.4s, v31.16b, v7.16b\n"                  \
                  ".if %c[pairs] > " #pair " + 1\n ld1 {v28.16b-v31.16b}, [x" #next "], #64\n .endif\n" \
                  "scvtf v26.4s, v26.4s\n scvtf v27.4s, v27.4s\n"                                    \
                  "fmla v" #t0 ".4s, v26.4s, v24.4s\n fmla v" #t1 ".4s, v27.4s, v25.4s\n")
#define THIMBLE_STORE(pair, t0, t1, at, next)                                                        \
  THIMBLE_IF_PAIR(pair, "ldr q28, [%[quantisation], #32 * " #pair " + 16]\n"                         \
                  "mov v26.16b, v24.16b\n mov v27.16b, v25.16b\n"                                    \
                  "fmla v26.4s, v" #t0 ".4s, v28.4s\n fmla v27.4s, v" #t1 ".4s, v28.4s\n"            \
                  "zip2 v29.2d, v26.2d, v27.2d\n stp d26, d27, [%[y]]\n str q29, [%[y], %[y_stride]]\n" \
                  "add %[y], %[y], %[y_stride], lsl #1\n")

// 4 channels: w and scales are those of the first block. Strides in bytes, of a pair and of a row.
template <int kPairs>
inline void RunBlocksOf32(const uint8_t* w, size_t blocks, const uint8_t* scales, const int8_t* q, size_t q_stride,
                          const PairQuantisation* quantisation, float* y, size_t y_stride) {
  __asm__ volatile(
      // The sums of the weights lie before them, the bias behind.
      "ldr q25, [%[w], #-64]\n mov x9, %[q]\n dup v24.2d, v25.d[0]\n dup v25.2d, v25.d[1]\n"
      THIMBLE_ALL_PAIRS(THIMBLE_START)
      "1:\n ldr q1, [%[w], #64]\n ldr q0, [%[w]], #128\n ldr q3, [%[w], #64]\n ldr q2, [%[w]], #160\n"
      "ld2r {v24.4s, v25.4s}, [%[scales]], %[block_bytes]\n movi v28.16b, #0xf0\n"
      "zip1 v4.4s, v0.4s, v1.4s\n zip2 v5.4s, v0.4s, v1.4s\n"
      "zip1 v6.4s, v2.4s, v3.4s\n zip2 v7.4s, v2.4s, v3.4s\n"
      "shl v0.16b, v4.16b, #4\n shl v1.16b, v5.16b, #4\n shl v2.16b, v6.16b, #4\n shl v3.16b, v7.16b, #4\n"
      "and v4.16b, v4.16b, v28.16b\n and v5.16b, v5.16b, v28.16b\n"
      "and v6.16b, v6.16b, v28.16b\n and v7.16b, v7.16b, v28.16b\n"
      "ld1 {v28.16b-v31.16b}, [x9], #64\n shll v24.4s, v24.4h, #16\n shll v25.4s, v25.4h, #16\n"
      THIMBLE_ALL_PAIRS(THIMBLE_ADD)
      "cmp %[w], %[end]\n b.ne 1b\n"
      "ldr q25, [%[w]]\n dup v24.2d, v25.d[0]\n dup v25.2d, v25.d[1]\n"
      THIMBLE_ALL_PAIRS(THIMBLE_STORE)
      : [w] "+&r"(w), [scales] "+&r"(scales), [y] "+&r"(y)
      : [pairs] "n"(kPairs), [end] "r"(w + blocks * kBytesOf32), [q] "r"(q), [q_stride] "r"(q_stride),
        [quantisation] "r"(quantisation), [y_stride] "r"(y_stride), [block_bytes] "r"(kBytesOf32)
      : "cc", "memory", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "v0", "v1", "v2", "v3", "v4",
        "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
        "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#undef THIMBLE_IF_PAIR
#undef THIMBLE_ALL_PAIRS
#undef THIMBLE_START
#undef THIMBLE_ADD
#undef THIMBLE_STORE

template <int kPairs>
void RunTilesOf32(const PackedGemm& g, size_t pair) {
  const int8_t* q = reinterpret_cast<const int8_t*>(g.q) + 2 * pair * g.q_stride;
  PairQuantisation quantisation[kPairs];
  for (int r = 0; r < kPairs; ++r) {
    const RowQuantisation *first = g.quantisation + 2 * (pair + r), *second = first + 1;
    quantisation[r].zero_points = vcombine_f32(vdup_n_f32(static_cast<float>(first->zero_point)),
                                               vdup_n_f32(static_cast<float>(second->zero_point)));
    quantisation[r].scales = vcombine_f32(vdup_n_f32(first->scale), vdup_n_f32(second->scale));
  }
  float* y = g.y + 2 * pair * g.y_stride;
  const uint8_t* w = g.w + 64;
  for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
    for (size_t part = 0; part < 4 && n + 4 * part < g.columns; ++part) {
      float some[2 * kPairs][4];
      float* const at = y + n + 4 * part;
      const size_t left = g.columns - n - 4 * part;
      const bool all = left >= 4;
      RunBlocksOf32<kPairs>(w + 16 * part, g.k / 32, w + 256 + 8 * part, q, 2 * g.q_stride, quantisation,
                            all ? at : some[0], sizeof(float) * (all ? g.y_stride : 4));
      if (__builtin_expect(all, 1)) continue;
      for (int r = 0; r < 2 * kPairs; ++r) __builtin_memcpy(at + r * g.y_stride, some[r], left * sizeof(float));
    }
  }
}

// At least two pairs, in as few groups as possible, of sizes that differ by one at most: none has less than two.
void RunPairsOf32(const PackedGemm& g) {
  constexpr void (*kRun[kMostPairs - 1])(const PackedGemm&, size_t) = {
      RunTilesOf32<2>, RunTilesOf32<3>, RunTilesOf32<4>, RunTilesOf32<5>,
      RunTilesOf32<6>, RunTilesOf32<7>, RunTilesOf32<8>};
  const size_t pairs = g.rows / 2;
  for (size_t pair = 0, groups = (pairs + kMostPairs - 1) / kMostPairs; groups != 0; --groups) {
    const size_t count = (pairs - pair + groups - 1) / groups;
    kRun[count - 2](g, pair);
    pair += count;
  }
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
  if (gemm->block == 32 && gemm->rows >= 4) {
    RunPairsOf32(*gemm);
  } else {
    RunPairs<Q4>(*gemm);
  }
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
