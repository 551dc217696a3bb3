// Linear layers of block types with VPDPBUSD: unsigned weights times signed rows, 16 channels to a register, 4 columns at a time
// (ops/linear/packing/pack_blocks.cc says how they lie). One row is multiplied while a super block of weights is unpacked; of more, all
// rows of the task share a super block that was unpacked once to a buffer that stays in the first-level cache (Q8_0 is read where it
// lies). The same operations for a row either way: for each scale, total = sum * (scale * scale of the input) + total; where scales are integers with a number d
// for the super block, its sum is made with them alone, and d multiplies it once. Compiled for AVX-512 VNNI: includes
// intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "ops/lanes/row_groups.h"
#include "ops/x86/linear_blocks_512.h"

namespace thimble {
namespace {

// In place. gcc 12 copies the sums before and after each intrinsic.
inline void AddDots(__m512i* sums, __m512i unsigned_bytes, __m512i signed_bytes) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(unsigned_bytes), "v"(signed_bytes));
}

inline __m512i FourTimes16(const uint8_t* q) {
  int32_t v;
  __builtin_memcpy(&v, q, sizeof v);
  return _mm512_set1_epi32(v);
}

// What a sum of products begins at.
template <int kZero>
inline __m512i Start(const BlockInput& input, size_t half, bool halves) {
  if constexpr (kZero == 0) return _mm512_setzero_si512();
  const __m512i offset = _mm512_set1_epi32(OffsetOf(input, half, halves));
  return kZero == 128 ? offset : _mm512_srai_epi32(offset, kZero == 32 ? 2 : kZero == 16 ? 3 : kZero == 8 ? 4 : kZero == 4 ? 5 : 7);
}

// One row, kTiles tiles side by side: one, or kStreams whose lines are asked for.
template <int kIndex, int kTiles>
inline void OneRow(const BlockGemm& g, const uint8_t* tiles, const uint8_t* q, float* y, size_t columns) {
  using T = Type<kIndex>;
  constexpr size_t kGroups = T::kGroupsOfBlock;
  const BlockInput* input = reinterpret_cast<const BlockInput*>(q + g.inputs);
  Streams<kTiles> streams(tiles, g.tile_bytes);
  __m512 total[kTiles];
#pragma GCC unroll 4
  for (int n = 0; n < kTiles; ++n) total[n] = _mm512_loadu_ps(tiles + n * g.tile_bytes);
  const uint8_t* w = tiles + 64;
  for (size_t left = BlocksOf(g.k); left > 0;) {
    const size_t blocks = left < 8 ? left : 8;
    const uint8_t* const scales_at = w;
    if constexpr (kTiles == 1) {
      // The codes behind the scales the processor fetches ahead by itself, the planes of a block, too.
      FetchInOrder(w, T::ScaleBytes(blocks * kGroups));
    } else {
      streams.FetchPages(w);
      streams.FetchLines(w, T::ScaleBytes(blocks * kGroups));
    }
    w += T::ScaleBytes(blocks * kGroups);
    __m512 super[kTiles];
#pragma GCC unroll 4
    for (int n = 0; n < kTiles; ++n) super[n] = _mm512_setzero_ps();
    for (size_t b = 0; b < blocks; ++b, w += T::kBlockBytes, q += 32, ++input) {
      if constexpr (kTiles > 1) streams.FetchLines(w, T::kBlockBytes);
#pragma GCC unroll 4
      for (int n = 0; n < kTiles; ++n) {
        const typename T::Scales scales(scales_at + n * g.tile_bytes, blocks * kGroups);
        __m512i codes[8];
        T::Codes(w + n * g.tile_bytes, codes);
#pragma GCC unroll 2
        for (size_t half = 0; half < kGroups; ++half) {
          __m512i sums[2] = {Start<T::kZero>(*input, half, kGroups == 2), _mm512_setzero_si512()};
#pragma GCC unroll 8
          for (size_t i = 0; i < 8 / kGroups; ++i) {
            const size_t group = half * (8 / kGroups) + i;
            AddDots(&sums[i % 2], codes[group], FourTimes16(q + 4 * group));
          }
          const __m512i sum = _mm512_add_epi32(sums[0], sums[1]);
          const size_t at = b * kGroups + half;
          if constexpr (T::kSuper) {
            const __m512i scaled = _mm512_mullo_epi32(sum, scales.Integer(at));
            super[n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(scaled), _mm512_set1_ps(input->scale), super[n]);
          } else {
            total[n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scales.Scale(at), _mm512_set1_ps(input->scale)), total[n]);
          }
          if constexpr (T::kFormat.minimum) {
            total[n] = _mm512_fmadd_ps(scales.Minimum(at), _mm512_set1_ps(ScaledSum(*input, half, kGroups == 2)), total[n]);
          }
        }
      }
    }
    if constexpr (T::kSuper) {
#pragma GCC unroll 4
      for (int n = 0; n < kTiles; ++n) {
        total[n] = _mm512_fmadd_ps(super[n], typename T::Scales(scales_at + n * g.tile_bytes, blocks * kGroups).d, total[n]);
      }
    }
    left -= blocks;
  }
#pragma GCC unroll 4
  for (int n = 0; n < kTiles; ++n) StoreColumns(y + 16 * n, columns - 16 * static_cast<size_t>(n), total[n]);
}

// Adds a super block to the totals of kRows rows.
template <int kRows, Form kForm, typename W>
inline void AddSuper(const W& w, size_t blocks, const uint8_t* q, size_t q_stride, const BlockInput* input, float (*totals)[2][16], Next* next) {
  constexpr size_t kGroups = kForm.halves ? 2 : 1;
  AddMinimums<kRows, kForm>(w, 0, blocks * kGroups, input, q_stride, totals);
  Sums<kRows> sum = {};
  if constexpr (!kForm.super) sum = LoadTotals<kRows>(totals);
  for (size_t b = 0; b < blocks; ++b, q += 32, ++input) {
    next->Fetch();
#pragma GCC unroll 2
    for (size_t half = 0; half < kGroups; ++half) {
      __m512i sums[kRows][2];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = Start<128>(*InputOfRow(input, q_stride, r), half, kForm.halves);
#pragma GCC unroll 8
      for (size_t i = 0; i < 8 / kGroups; ++i) {
        const size_t group = half * (8 / kGroups) + i;
        const __m512i first = w.Codes(8 * b + group, 0), second = w.Codes(8 * b + group, 1);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const __m512i four = FourTimes16(q + static_cast<size_t>(r) * q_stride + 4 * group);
          AddDots(&sums[r][0], first, four);
          AddDots(&sums[r][1], second, four);
        }
      }
      AddGroup<kRows, kForm>(w, b * kGroups + half, input, q_stride, [&](int r, int n) { return sums[r][n]; }, &sum);
    }
  }
  EndSuper<kRows, kForm>(w, sum, totals);
}

template <Form kForm, typename W>
__attribute__((noinline)) void AddSuperToRows(const W& w, size_t blocks, const BlockGemm& g, size_t first_block, Next next, size_t bytes,
                                              float (*totals)[2][16]) {
  next.Spread(bytes, (g.rows + 5) / 6 * blocks);
  ForRowGroups<6>(g.rows, [&]<int kRows>(size_t row) {
    const uint8_t* q = g.q + row * g.q_stride;
    AddSuper<kRows, kForm>(w, blocks, q + 32 * first_block, g.q_stride, reinterpret_cast<const BlockInput*>(q + g.inputs) + first_block,
                           totals + row, &next);
  });
}

template <int kIndex>
void Run(const BlockGemm& g) {
  using T = Type<kIndex>;
  if (g.rows == 1) {
    const uint8_t* w = g.w;
    size_t n = 0;
    for (; g.streams && n + 16 * (kStreams - 1) < g.columns; n += 16 * kStreams, w += kStreams * g.tile_bytes) {
      OneRow<kIndex, kStreams>(g, w, g.q, g.y + n, g.columns - n);
    }
    for (; n < g.columns; n += 16, w += g.tile_bytes) {
      FetchPages(w + g.tile_bytes, g.tile_bytes);
      OneRow<kIndex, 1>(g, w, g.q, g.y + n, g.columns - n);
    }
    return;
  }
  RunRows<kIndex>(g, [&](const auto& w, size_t blocks, size_t first_block, const Next& next, float (*totals)[2][16]) {
    AddSuperToRows<T::kForm>(w, blocks, g, first_block, next, T::kSuperBytes, totals);
  });
}

}  // namespace

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##Avx512Vnni(const BlockGemm* gemm) { Run<index>(*gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif
