// Attention over int8 cache rows with SMULL and SADALP (scores) and SMLAL (values), for every ARM CPU with NEON. Includes intrinsics and the
// contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include "ops/neon/missing_intrinsics.h"

#define THIMBLE_LANES 4
#define THIMBLE_PLANES 0
#include "ops/attention/attention_softmax.h"
#include "ops/attention/attention_widen.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

// Loops over registers say that they are to be unrolled: by itself gcc 12 does it so late that the registers lie in memory.

inline int8x16_t LoadBytes(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

inline int8x16_t LoadFourTimesFour(const void* p) {
  int32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

// Sums of fours of bytes as two registers of pairs. Two products fit 16 bits: factors are at most 127.
struct Pairs {
  int32x4_t low, high;
};

inline Pairs Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }

inline void AddDots(Pairs* sum, int8x16_t a0, int8x16_t b0, int8x16_t a1, int8x16_t b1) {
  const int16x8_t low =
      vmlal_s8(vmull_s8(vget_low_s8(a0), vget_low_s8(b0)), vget_low_s8(a1), vget_low_s8(b1));
  const int16x8_t high = vmlal_high_s8(vmull_high_s8(a0, b0), a1, b1);
  sum->low = vpadalq_s16(sum->low, low);
  sum->high = vpadalq_s16(sum->high, high);
}

inline void AddDot(Pairs* sum, int8x16_t a, int8x16_t b) {
  sum->low = vpadalq_s16(sum->low, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
  sum->high = vpadalq_s16(sum->high, vmull_high_s8(a, b));
}

inline float32x4_t Total(const Pairs& sum) { return vcvtq_f32_s32(vpaddq_s32(sum.low, sum.high)); }

// Rows at a time; with 32 bits there are half as many registers.
#if defined(__aarch64__)
constexpr int kRowsTogether = 4;
#else
constexpr int kRowsTogether = 2;
#endif

// A block of 16 rows is four registers of 4 rows for every 4 bytes of the head; two of them at a time.
template <int kRows>
inline void ScoreHalfBlock(const AttentionQueries& queries, size_t row, const uint8_t* keys,
                           const float* scales, size_t d4, ptrdiff_t ahead, float* out, size_t out_stride) {
  const int8_t* q = queries.q + row * queries.q_stride;
  Pairs sums[kRows][2];
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = Zero();
  size_t i = 0;
  for (; i + 8 <= d4; i += 8, keys += 128) {
    __builtin_prefetch(keys + ahead);
    __builtin_prefetch(keys + 64 + ahead);
    for (int r = 0; r < kRows; ++r) {
      const int8x16_t q0 = LoadFourTimesFour(q + r * queries.q_stride + i);
      const int8x16_t q1 = LoadFourTimesFour(q + r * queries.q_stride + i + 4);
      for (int j = 0; j < 2; ++j) {
        AddDots(&sums[r][j], LoadBytes(keys + 16 * j), q0, LoadBytes(keys + 64 + 16 * j), q1);
      }
    }
  }
  for (; i < d4; i += 4, keys += 64) {
    for (int r = 0; r < kRows; ++r) {
      const int8x16_t four = LoadFourTimesFour(q + r * queries.q_stride + i);
      for (int j = 0; j < 2; ++j) AddDot(&sums[r][j], LoadBytes(keys + 16 * j), four);
    }
  }
  for (int j = 0; j < 2; ++j) {
    const float32x4_t scale = vld1q_f32(scales + 4 * j);
    for (int r = 0; r < kRows; ++r) {
      const float32x4_t scaled = vmulq_f32(Total(sums[r][j]), scale);
      vst1q_f32(out + r * out_stride + 4 * j, vmulq_n_f32(scaled, queries.scales[row + r]));
    }
  }
}

template <int kRows>
inline void ScoreRows(const AttentionQueries& queries, size_t row, const AttentionBlocks& keys, float* out,
                      size_t out_stride) {
  for (size_t b = 0; b < keys.count; ++b) {
    const uint8_t* block = keys.data + b * 16 * (keys.d4 + 4);
    const float* scales = reinterpret_cast<const float*>(block + 16 * keys.d4);
    for (size_t half = 0; half < 2; ++half) {
      ScoreHalfBlock<kRows>(queries, row, block + 32 * half, scales + 8 * half, keys.d4,
                            half == 0 ? keys.ahead : 0, out + row * out_stride + 16 * b + 8 * half,
                            out_stride);
    }
  }
}

void Scores(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t out_stride) {
  ForRowGroups<kRowsTogether>(queries->rows, [&]<int kRows>(size_t row) {
    ScoreRows<kRows>(*queries, row, *keys, out, out_stride);
  });
}

// Columns [4 of each group] of a few rows. Bytes become words; four of a cache row times its probability are one SMLAL.
template <int kRows, int kGroups>
inline void ValueColumns(const uint8_t* p, const float* p_scales, const uint8_t* columns, size_t block_bytes,
                         size_t blocks, ptrdiff_t ahead, float* out, size_t out_stride) {
  int32x4_t sums[kRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) sums[r][g] = vdupq_n_s32(0);
  }
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* block = columns + b * block_bytes;
    for (int g = 0; g < kGroups; ++g) __builtin_prefetch(block + 64 * g + ahead);
    for (int four = 0; four < 4; ++four) {
      int16x8_t low[kGroups], high[kGroups];
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const int8x16_t bytes = LoadBytes(block + 64 * g + 16 * four);
        low[g] = vmovl_s8(vget_low_s8(bytes));
        high[g] = vmovl_high_s8(bytes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const uint8_t* at = p + r * kAttentionProbabilityBytes + 32 * b + 8 * four;
        const int16x4_t probabilities = vld1_s16(reinterpret_cast<const int16_t*>(at));
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) {
          int32x4_t sum = vmlal_lane_s16(sums[r][g], vget_low_s16(low[g]), probabilities, 0);
          sum = vmlal_high_lane_s16(sum, low[g], probabilities, 1);
          sum = vmlal_lane_s16(sum, vget_low_s16(high[g]), probabilities, 2);
          sums[r][g] = vmlal_high_lane_s16(sum, high[g], probabilities, 3);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      vst1q_f32(out + r * out_stride + 4 * g, vmulq_n_f32(vcvtq_f32_s32(sums[r][g]), p_scales[r]));
    }
  }
}

template <int kRows>
inline void ValueRows(const uint8_t* p, const float* p_scales, const AttentionBlocks& values, float* out,
                      size_t out_stride) {
  const size_t d4 = values.d4, block_bytes = 16 * (d4 + 4);
  size_t i = 0;
  for (; i + 8 <= d4; i += 8) {
    ValueColumns<kRows, 2>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
  if (i < d4) {
    ValueColumns<kRows, 1>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
  for (i = d4; i % 16 != 0; i += 4) {
    for (int r = 0; r < kRows; ++r) vst1q_f32(out + r * out_stride + i, vdupq_n_f32(0.0f));
  }
}

void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
            size_t out_stride) {
  ForRowGroups<kRowsTogether>(rows, [&]<int kRows>(size_t row) {
    ValueRows<kRows>(p + row * kAttentionProbabilityBytes, p_scales + row, *values, out + row * out_stride, out_stride);
  });
}

}  // namespace

constinit const AttentionKernel kAttentionNeon = {
    .name = "attention_q8__neon",
    .scores = Scores,
    .softmax = SoftmaxTile,
    .values = Values,
    .widen = WidenTile, .query = QuantiseQueryPortable,
    .store = StoreRowPortable, .floats = &kAttentionFloatNeon};

}  // namespace thimble

#endif
