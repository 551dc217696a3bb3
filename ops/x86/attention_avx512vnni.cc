// Attention over int8 cache rows with VPDPBUSD. Compiled for AVX-512 VNNI: includes intrinsics and the
// contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 16
#define THIMBLE_PLANES 1
#include "ops/attention/attention_softmax.h"
#include "ops/attention/attention_rows.h"
#include "ops/attention/attention_widen.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

// Loops over registers say that they are to be unrolled: by itself gcc 12 does it so late that the registers lie in memory.

inline int32_t LoadFour(const int8_t* p) {
  int32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// VPDPBUSD multiplies unsigned by signed bytes: keys become key + 128, and the sums start at -128 times the
// query's sum.
template <int kRows, int kBlocks, bool kFetch>
inline void ScoreBlocks(const AttentionQueries& queries, size_t row, const uint8_t* blocks, size_t d4,
                        ptrdiff_t ahead, float* out, size_t out_stride) {
  const size_t block_bytes = 16 * (d4 + 4);
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  const int8_t* q = queries.q + row * queries.q_stride;
  __m512i sums[kRows][kBlocks];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) sums[r][b] = _mm512_set1_epi32(-128 * queries.sums[row + r]);
  }
  for (size_t i = 0; i < d4; i += 4) {
    __m512i keys[kBlocks];
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
      const uint8_t* at = blocks + b * block_bytes + 16 * i;
      keys[b] = _mm512_xor_si512(_mm512_load_si512(at), flip);
      if (kFetch) _mm_prefetch(reinterpret_cast<const char*>(at + ahead), _MM_HINT_T1);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512i four = _mm512_set1_epi32(LoadFour(q + r * queries.q_stride + i));
#pragma GCC unroll 8
      for (int b = 0; b < kBlocks; ++b) sums[r][b] = _mm512_dpbusd_epi32(sums[r][b], keys[b], four);
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
    const __m512 scales = _mm512_load_ps(blocks + b * block_bytes + 16 * d4);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][b]), scales);
      _mm512_storeu_ps(out + r * out_stride + 16 * b,
                       _mm512_mul_ps(scaled, _mm512_set1_ps(queries.scales[row + r])));
    }
  }
}

template <int kRows, int kBlocks, bool kFetch>
inline void ScoreRows(const AttentionQueries& queries, size_t row, const AttentionBlocks& keys, float* out,
                      size_t out_stride) {
  const size_t block_bytes = 16 * (keys.d4 + 4);
  size_t b = 0;
  for (; b + kBlocks <= keys.count; b += kBlocks) {
    ScoreBlocks<kRows, kBlocks, kFetch>(queries, row, keys.data + b * block_bytes, keys.d4, keys.ahead, out + 16 * b,
                                        out_stride);
  }
  for (; b < keys.count; ++b) {
    ScoreBlocks<kRows, 1, kFetch>(queries, row, keys.data + b * block_bytes, keys.d4, keys.ahead, out + 16 * b,
                                  out_stride);
  }
}

template <int kRows>
inline void ScoreRows(const AttentionQueries& queries, size_t row, const AttentionBlocks& keys, float* out,
                      size_t out_stride) {
  if (keys.ahead != 0) {
    ScoreRows<kRows, 4, true>(queries, row, keys, out, out_stride);
  } else {
    ScoreRows<kRows, 4, false>(queries, row, keys, out, out_stride);
  }
}

// Enough independent sums for the multiplier's latency, and few loads for each product: up to 4 rows x 4 blocks.
void Scores(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t out_stride) {
  ForRowGroups<4>(queries->rows, [&]<int kRows>(size_t row) {
    ScoreRows<kRows>(*queries, row, *keys, out + row * out_stride, out_stride);
  });
}

// The sums of the four lanes of each register, side by side.
inline __m512i SumLanes(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee));
  const __m512i cd = _mm512_add_epi32(_mm512_shuffle_i64x2(c, d, 0x44), _mm512_shuffle_i64x2(c, d, 0xee));
  return _mm512_add_epi32(_mm512_shuffle_i64x2(ab, cd, 0x88), _mm512_shuffle_i64x2(ab, cd, 0xdd));
}

// Columns [16 of them] of a few rows: lane t of a register holds 4 columns x cache rows 4 t to 4 t + 3.
template <int kRows, int kGroups>
inline void ValueColumns(const uint8_t* p, const float* p_scales, const uint8_t* columns, size_t block_bytes,
                         size_t blocks, ptrdiff_t ahead, float* out, size_t out_stride) {
  // Turns 4 rows x 4 columns of bytes around in each lane.
  const __m512i turn = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  // Lane t takes the t-th four of 16 probabilities, four times.
  const __m512i spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  // The same of 16 bytes further on, of the low plane.
  const __m512i spread_low = _mm512_add_epi32(spread, _mm512_set1_epi32(4));
  __m512i sums[2 * kRows][4];
#pragma GCC unroll 8
  for (int plane = 0; plane < 2 * kRows; ++plane) {
#pragma GCC unroll 8
    for (int g = 0; g < 4; ++g) sums[plane][g] = _mm512_setzero_si512();
  }
  for (size_t b = 0; b < blocks; ++b) {
    __m512i values[kGroups];
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const uint8_t* at = columns + b * block_bytes + 64 * g;
      values[g] = _mm512_shuffle_epi8(_mm512_load_si512(at), turn);
      _mm_prefetch(reinterpret_cast<const char*>(at + ahead), _MM_HINT_T1);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512i sixteen = _mm512_castsi256_si512(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + r * kAttentionProbabilityBytes + 32 * b)));
#pragma GCC unroll 8
      for (int plane = 2 * r; plane < 2 * r + 2; ++plane) {
        const __m512i four = _mm512_permutexvar_epi32(plane % 2 == 0 ? spread : spread_low, sixteen);
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) sums[plane][g] = _mm512_dpbusd_epi32(sums[plane][g], four, values[g]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const __m512i *high = sums[2 * r], *low = sums[2 * r + 1];
    const __m512i total = _mm512_add_epi32(_mm512_slli_epi32(SumLanes(high[0], high[1], high[2], high[3]), 7),
                                           SumLanes(low[0], low[1], low[2], low[3]));
    _mm512_storeu_ps(out + r * out_stride,
                     _mm512_mul_ps(_mm512_cvtepi32_ps(total), _mm512_set1_ps(p_scales[r])));
  }
}

template <int kRows>
inline void ValueRows(const uint8_t* p, const float* p_scales, const AttentionBlocks& values, float* out,
                      size_t out_stride) {
  const size_t d4 = values.d4, block_bytes = 16 * (d4 + 4);
  size_t i = 0;
  for (; i + 16 <= d4; i += 16) {
    ValueColumns<kRows, 4>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
  const uint8_t* columns = values.data + 16 * i;
  switch (d4 - i) {
    case 12: ValueColumns<kRows, 3>(p, p_scales, columns, block_bytes, values.count, values.ahead, out + i, out_stride); break;
    case 8: ValueColumns<kRows, 2>(p, p_scales, columns, block_bytes, values.count, values.ahead, out + i, out_stride); break;
    case 4: ValueColumns<kRows, 1>(p, p_scales, columns, block_bytes, values.count, values.ahead, out + i, out_stride); break;
    default: break;
  }
}

void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
            size_t out_stride) {
  ForRowGroups<3>(rows, [&]<int kRows>(size_t row) {
    ValueRows<kRows>(p + row * kAttentionProbabilityBytes, p_scales + row, *values, out + row * out_stride, out_stride);
  });
}

}  // namespace

constinit const AttentionKernel kAttentionAvx512Vnni = {
    .name = "attention_q8__avx512vnni", .scores = Scores, .softmax = SoftmaxTile, .values = Values, .widen = WidenTile, .query = QuantiseQuery,
    .store = StoreRow, .floats = &kAttentionFloatAvx512};

}  // namespace thimble

#endif
