// Attention over int8 cache rows with SDOT. Compiled for ARMv8.2 with dot products: includes intrinsics and
// the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define THIMBLE_LANES 4
#define THIMBLE_PLANES 1
#include "ops/attention/attention_softmax.h"
#include "ops/attention/attention_widen.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

// Loops over registers say that they are to be unrolled: by itself gcc 12 does it so late that the registers lie in memory.

inline int8x16_t LoadBytes(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

inline int32x4_t LoadFourTimesFour(const int8_t* p) {
  int32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return vdupq_n_s32(v);
}

// A block of 16 rows is four registers of 4 rows for every 4 bytes of the head.
template <int kRows>
inline void ScoreBlock(const AttentionQueries& queries, size_t row, const uint8_t* block, size_t d4,
                       ptrdiff_t ahead, float* out, size_t out_stride) {
  const int8_t* q = queries.q + row * queries.q_stride;
  int32x4_t sums[kRows][4];
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < 4; ++j) sums[r][j] = vdupq_n_s32(0);
  }
  const uint8_t* keys = block;
  size_t i = 0;
  for (; i + 16 <= d4; i += 16, keys += 256) {
    int8x16_t sixteen[kRows];
    for (int r = 0; r < kRows; ++r) sixteen[r] = vld1q_s8(q + r * queries.q_stride + i);
    for (int j = 0; j < 4; ++j) {
      __builtin_prefetch(keys + 64 * j + ahead);
      const int8x16_t k0 = LoadBytes(keys + 16 * j), k1 = LoadBytes(keys + 64 + 16 * j);
      const int8x16_t k2 = LoadBytes(keys + 128 + 16 * j), k3 = LoadBytes(keys + 192 + 16 * j);
      for (int r = 0; r < kRows; ++r) {
        sums[r][j] = vdotq_laneq_s32(sums[r][j], k0, sixteen[r], 0);
        sums[r][j] = vdotq_laneq_s32(sums[r][j], k1, sixteen[r], 1);
        sums[r][j] = vdotq_laneq_s32(sums[r][j], k2, sixteen[r], 2);
        sums[r][j] = vdotq_laneq_s32(sums[r][j], k3, sixteen[r], 3);
      }
    }
  }
  for (; i < d4; i += 4, keys += 64) {
    for (int r = 0; r < kRows; ++r) {
      const int8x16_t four = vreinterpretq_s8_s32(LoadFourTimesFour(q + r * queries.q_stride + i));
      for (int j = 0; j < 4; ++j) sums[r][j] = vdotq_s32(sums[r][j], LoadBytes(keys + 16 * j), four);
    }
  }
  const float* scales = reinterpret_cast<const float*>(block + 16 * d4);
  for (int j = 0; j < 4; ++j) {
    const float32x4_t scale = vld1q_f32(scales + 4 * j);
    for (int r = 0; r < kRows; ++r) {
      const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(sums[r][j]), scale);
      vst1q_f32(out + r * out_stride + 4 * j, vmulq_n_f32(scaled, queries.scales[row + r]));
    }
  }
}

template <int kRows>
inline void ScoreRows(const AttentionQueries& queries, size_t row, const AttentionBlocks& keys, float* out,
                      size_t out_stride) {
  for (size_t b = 0; b < keys.count; ++b) {
    ScoreBlock<kRows>(queries, row, keys.data + b * 16 * (keys.d4 + 4), keys.d4, keys.ahead,
                      out + row * out_stride + 16 * b, out_stride);
  }
}

void Scores(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t out_stride) {
  ForRowGroups<4>(queries->rows, [&]<int kRows>(size_t row) {
    ScoreRows<kRows>(*queries, row, *keys, out, out_stride);
  });
}

// kGroups x 4 columns of a few rows. A register of 4 cache rows x 4 columns is turned around by TBL, then one
// SDOT adds 4 rows to 4 columns, of each plane.
template <int kRows, int kGroups>
inline void ValueColumns(const uint8_t* p, const float* p_scales, const uint8_t* columns, size_t block_bytes,
                         size_t blocks, ptrdiff_t ahead, float* out, size_t out_stride) {
  static const uint8_t kTurn[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const uint8x16_t turn = vld1q_u8(kTurn);
  int32x4_t sums[2 * kRows][kGroups];
#pragma GCC unroll 8
  for (int plane = 0; plane < 2 * kRows; ++plane) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) sums[plane][g] = vdupq_n_s32(0);
  }
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* block = columns + b * block_bytes;
    int8x16_t sixteen[2 * kRows];
#pragma GCC unroll 8
    for (int plane = 0; plane < 2 * kRows; ++plane) {
      sixteen[plane] = LoadBytes(p + plane / 2 * kAttentionProbabilityBytes + 32 * b + plane % 2 * 16);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      __builtin_prefetch(block + 64 * g + ahead);
      const int8x16_t v0 = vqtbl1q_s8(LoadBytes(block + 64 * g), turn);
      const int8x16_t v1 = vqtbl1q_s8(LoadBytes(block + 64 * g + 16), turn);
      const int8x16_t v2 = vqtbl1q_s8(LoadBytes(block + 64 * g + 32), turn);
      const int8x16_t v3 = vqtbl1q_s8(LoadBytes(block + 64 * g + 48), turn);
#pragma GCC unroll 8
      for (int plane = 0; plane < 2 * kRows; ++plane) {
        sums[plane][g] = vdotq_laneq_s32(sums[plane][g], v0, sixteen[plane], 0);
        sums[plane][g] = vdotq_laneq_s32(sums[plane][g], v1, sixteen[plane], 1);
        sums[plane][g] = vdotq_laneq_s32(sums[plane][g], v2, sixteen[plane], 2);
        sums[plane][g] = vdotq_laneq_s32(sums[plane][g], v3, sixteen[plane], 3);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const int32x4_t total = vaddq_s32(vshlq_n_s32(sums[2 * r][g], 7), sums[2 * r + 1][g]);
      vst1q_f32(out + r * out_stride + 4 * g, vmulq_n_f32(vcvtq_f32_s32(total), p_scales[r]));
    }
  }
}

template <int kRows>
inline void ValueRows(const uint8_t* p, const float* p_scales, size_t row, const AttentionBlocks& values,
                      float* out, size_t out_stride) {
  const size_t d4 = values.d4, block_bytes = 16 * (d4 + 4);
  p += row * kAttentionProbabilityBytes;
  p_scales += row;
  out += row * out_stride;
  size_t i = 0;
  constexpr int kGroups = kRows <= 2 ? 4 : 2;
  for (; i + 4 * kGroups <= d4; i += 4 * kGroups) {
    ValueColumns<kRows, kGroups>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i,
                           out_stride);
  }
  for (; i < d4; i += 4) {
    ValueColumns<kRows, 1>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i,
                           out_stride);
  }
  for (; i % 16 != 0; i += 4) {
    for (int r = 0; r < kRows; ++r) vst1q_f32(out + r * out_stride + i, vdupq_n_f32(0.0f));
  }
}

void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
            size_t out_stride) {
  ForRowGroups<4>(rows, [&]<int kRows>(size_t row) {
    ValueRows<kRows>(p, p_scales, row, *values, out, out_stride);
  });
}

}  // namespace

constinit const AttentionKernel kAttentionNeonDot = {
    .name = "attention_q8__neondot",
    .scores = Scores,
    .softmax = SoftmaxTile,
    .values = Values,
    .widen = WidenTile, .query = QuantiseQueryPortable,
    .store = StoreRowPortable, .floats = &kAttentionFloatNeon};

}  // namespace thimble

#endif
