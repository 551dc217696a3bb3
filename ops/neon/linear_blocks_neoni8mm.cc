// Several rows of linear layers of block types with SMMLA: 2 rows x 8 columns times 2 channels. A register holds channels c and c + 1 of the
// first row, then of the second, and so do the totals; the float operations of a row are those of the dot products, to which one row is
// left. Compiled for ARMv8.2 with int8 matrix products: includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/lanes/row_groups.h"
#include "ops/neon/block_lanes.h"

namespace thimble {
namespace {

template <typename V>
inline V LowHalves(V a, V b) {
  return reinterpret_cast<V>(vzip1q_s64(reinterpret_cast<int64x2_t>(a), reinterpret_cast<int64x2_t>(b)));
}
template <typename V>
inline V HighHalves(V a, V b) {
  return reinterpret_cast<V>(vzip2q_s64(reinterpret_cast<int64x2_t>(a), reinterpret_cast<int64x2_t>(b)));
}

// A super block of two rows: 8 columns of the first and of the second, and the scale of the first's block twice, then the second's.
struct PairOfRows {
  alignas(64) int8_t q[8][4][16];
  float scales[8][4];
};

// Rows `first` and `second`, which may be the same.
void MakePair(const SuperRows& rows, int first, int second, PairOfRows* out) {
  const int8_t* q0 = reinterpret_cast<const int8_t*>(rows.q) + static_cast<size_t>(first) * rows.stride;
  const int8_t* q1 = reinterpret_cast<const int8_t*>(rows.q) + static_cast<size_t>(second) * rows.stride;
  for (size_t b = 0; b < rows.blocks; ++b, q0 += 32, q1 += 32) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const int8x16_t v0 = vld1q_s8(q0 + 16 * h), v1 = vld1q_s8(q1 + 16 * h);
      vst1q_s8(out->q[b][2 * h], LowHalves(v0, v1));
      vst1q_s8(out->q[b][2 * h + 1], HighHalves(v0, v1));
    }
    const float32x2_t scale0 = vdup_n_f32(rows.Input(first)[b].scale), scale1 = vdup_n_f32(rows.Input(second)[b].scale);
    vst1q_f32(out->scales[b], vcombine_f32(scale0, scale1));
  }
}

// AddBlock() for two rows.
template <bool kSuper, int kGroups>
inline float32x4_t AddPairs(float32x4_t total, const int32x4_t sums[kGroups], const float32x4_t scales[kGroups], float32x4_t inputs) {
  if constexpr (kSuper) {
    int32x4_t sum = vmulq_s32(sums[0], vreinterpretq_s32_f32(scales[0]));
    if constexpr (kGroups == 2) sum = vmlaq_s32(sum, sums[1], vreinterpretq_s32_f32(scales[1]));
    return vfmaq_f32(total, vcvtq_f32_s32(sum), inputs);
  } else {
    return vfmaq_f32(total, vcvtq_f32_s32(sums[0]), vmulq_f32(scales[0], inputs));
  }
}

// The products of kPairs pairs of rows; `last`: the last row of them, which may stand alone.
template <bool kSuper, int kGroups, int kPairs>
inline void SomePairs(const SuperRows& rows, const PairOfRows* pairs, int last) {
  int second[kPairs];
#pragma GCC unroll 4
  for (int r = 0; r < kPairs; ++r) second[r] = 2 * r + 1 < last ? 2 * r + 1 : last;
  const UnpackedBlocks& w = *rows.w;
  for (int p = 0; p < 4; ++p) {
    float32x4_t parts[kPairs][2];
#pragma GCC unroll 4
    for (int r = 0; r < kPairs; ++r) {
      const float32x4_t a = vld1q_f32(rows.totals[2 * r] + 4 * p), b = vld1q_f32(rows.totals[second[r]] + 4 * p);
      parts[r][0] = kSuper ? vdupq_n_f32(0) : LowHalves(a, b);
      parts[r][1] = kSuper ? vdupq_n_f32(0) : HighHalves(a, b);
    }
    for (size_t b = 0; b < rows.blocks; ++b) {
      int8x16_t values[8];
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) values[i] = vld1q_s8(w.values[b][p][i]);
      float32x4_t scales[2][kGroups];
#pragma GCC unroll 2
      for (int h = 0; h < kGroups; ++h) {
        const float32x4_t four = vld1q_f32(w.scales[b][h] + 4 * p);
        scales[0][h] = LowHalves(four, four);
        scales[1][h] = HighHalves(four, four);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kPairs; ++r) {
        int32x4_t sums[2][kGroups];
#pragma GCC unroll 2
        for (int h = 0; h < kGroups; ++h) sums[0][h] = sums[1][h] = vdupq_n_s32(0);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const int8x16_t q = vld1q_s8(pairs[r].q[b][i]);
          const int h = i * kGroups / 4;
          sums[0][h] = vmmlaq_s32(sums[0][h], q, values[2 * i]);
          sums[1][h] = vmmlaq_s32(sums[1][h], q, values[2 * i + 1]);
        }
        const float32x4_t of_inputs = vld1q_f32(pairs[r].scales[b]);
        parts[r][0] = AddPairs<kSuper, kGroups>(parts[r][0], sums[0], scales[0], of_inputs);
        parts[r][1] = AddPairs<kSuper, kGroups>(parts[r][1], sums[1], scales[1], of_inputs);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kPairs; ++r) {
      float *const first_at = rows.totals[2 * r] + 4 * p, *const second_at = rows.totals[second[r]] + 4 * p;
      float32x4_t a = LowHalves(parts[r][0], parts[r][1]), b = HighHalves(parts[r][0], parts[r][1]);
      if constexpr (kSuper) {
        const float32x4_t d = vld1q_f32(w.d + 4 * p);
        a = vfmaq_f32(vld1q_f32(first_at), a, d);
        b = vfmaq_f32(vld1q_f32(second_at), b, d);
      }
      vst1q_f32(first_at, a);
      vst1q_f32(second_at, b);
    }
  }
}

template <bool kSuper, int kGroups>
__attribute__((noinline)) void AllPairs(const SuperRows& rows, const PairOfRows* pairs, size_t count) {
  ForRowGroups<4>((count + 1) / 2, [&]<int kPairs>(size_t pair) {
    SomePairs<kSuper, kGroups, kPairs>(rows.From(2 * pair), pairs + pair, static_cast<int>(count - 1 - 2 * pair));
  });
}

template <bool kSuper, int kGroups>
__attribute__((noinline)) void AllMinimums(const SuperRows& rows, size_t count) {
  ForRowGroups<4>(count, [&]<int kRows>(size_t row) { AddMinimums<kSuper, kGroups, kRows>(rows.From(row)); });
}

constexpr size_t kRows = 48, kTiles = 4;  // pairs and an unpacked super block stay in the first-level cache together

// Rows are paired once for all tiles of the task.
template <int kIndex>
void RunPairs(const BlockGemm& g) {
  using T = BlockType<kIndex>;
  UnpackedBlocks unpacked;
  PairOfRows pairs[kRows / 2];
  alignas(64) float totals[kTiles][kRows][16];
  for (size_t row = 0; row < g.rows; row += kRows) {
    const size_t count = g.rows - row < kRows ? g.rows - row : kRows;
    const uint8_t* const q = g.q + row * g.q_stride;
    for (size_t n = 0; n < g.columns; n += 16 * kTiles) {
      const size_t left = (g.columns - n + 15) / 16, tiles = left < kTiles ? left : kTiles;
      const uint8_t* w[kTiles];
      for (size_t t = 0; t < tiles; ++t) {
        w[t] = g.w + (n / 16 + t) * g.tile_bytes;
        for (size_t r = 0; r < count; ++r) __builtin_memcpy(totals[t][r], w[t], 64);
        w[t] += 64;
      }
      for (size_t block = 0; block < BlocksOf(g.k); block += 8) {
        const size_t blocks = BlocksOf(g.k) - block < 8 ? BlocksOf(g.k) - block : 8;
        SuperRows rows = {&unpacked, blocks, q + 32 * block, reinterpret_cast<const BlockInput*>(q + g.inputs) + block, g.q_stride, totals[0]};
        for (size_t r = 0; r < count; r += 2) {
          MakePair(rows, static_cast<int>(r), static_cast<int>(r + 1 < count ? r + 1 : r), &pairs[r / 2]);
        }
        for (size_t t = 0; t < tiles; ++t) {
          w[t] = UnpackSuper<kIndex, true>(w[t], blocks, &unpacked);
          rows.totals = totals[t];
          AllPairs<T::kSuper, T::kGroups>(rows, pairs, count);
          if constexpr (T::kFormat.minimum) AllMinimums<T::kSuper, T::kGroups>(rows, count);
        }
      }
      for (size_t t = 0; t < tiles; ++t) {
        for (size_t r = 0; r < count; ++r) {
          const float* const from = totals[t][r];
          const float32x4_t result[4] = {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)};
          StoreColumns(g.y + (row + r) * g.y_stride + n + 16 * t, g.columns - n - 16 * t, result);
        }
      }
    }
  }
}

}  // namespace

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##NeonI8mm(const BlockGemm* gemm) { gemm->rows == 1 ? Linear##Name##NeonDot(gemm) : RunPairs<index>(*gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif
