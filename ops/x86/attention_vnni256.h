// Attention over int8 cache rows with VPDPBUSD on 256-bit registers: included, after a function
//   __m256i AddFours(__m256i sums, __m256i unsigned_bytes, __m256i signed_bytes)
// by a file for AVX-VNNI and by a test for AVX-512 VL and VNNI, whose encodings differ and nothing else. Everything is
// static. Includes intrinsics and the contract only.
#include <immintrin.h>

#include "ops/attention/attention_kernel.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

// Loops over registers say that they are to be unrolled: by itself gcc 12 does it so late that the registers lie in memory.

static inline int32_t LoadFour(const int8_t* p) {
  int32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

static inline __m256i LoadBytes(const uint8_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }

// Unsigned times signed bytes: keys become key + 128, and the sums start at -128 times the query's sum.
template <int kRows, int kBlocks>
static inline void ScoreBlocks(const AttentionQueries& queries, size_t row, const uint8_t* blocks, size_t d4,
                               ptrdiff_t ahead, float* out, size_t out_stride) {
  const size_t block_bytes = 16 * (d4 + 4);
  const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
  const int8_t* q = queries.q + row * queries.q_stride;
  __m256i sums[kRows][2 * kBlocks];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int b = 0; b < 2 * kBlocks; ++b) sums[r][b] = _mm256_set1_epi32(-128 * queries.sums[row + r]);
  }
  for (size_t i = 0; i < d4; i += 4) {
    __m256i keys[2 * kBlocks];
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
      const uint8_t* at = blocks + b * block_bytes + 16 * i;
      keys[2 * b] = _mm256_xor_si256(LoadBytes(at), flip);
      keys[2 * b + 1] = _mm256_xor_si256(LoadBytes(at + 32), flip);
      _mm_prefetch(reinterpret_cast<const char*>(at + ahead), _MM_HINT_T1);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256i four = _mm256_set1_epi32(LoadFour(q + r * queries.q_stride + i));
#pragma GCC unroll 8
      for (int b = 0; b < 2 * kBlocks; ++b) sums[r][b] = AddFours(sums[r][b], keys[b], four);
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < 2 * kBlocks; ++b) {
    const uint8_t* scales_at = blocks + b / 2 * block_bytes + 16 * d4 + b % 2 * 32;
    const __m256 scales = _mm256_load_ps(reinterpret_cast<const float*>(scales_at));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][b]), scales);
      _mm256_storeu_ps(out + r * out_stride + 8 * b, _mm256_mul_ps(scaled, _mm256_set1_ps(queries.scales[row + r])));
    }
  }
}

template <int kRows, int kBlocks>
static inline void ScoreRows(const AttentionQueries& queries, size_t row, const AttentionBlocks& keys, float* out,
                             size_t out_stride) {
  const size_t block_bytes = 16 * (keys.d4 + 4);
  size_t b = 0;
  for (; b + kBlocks <= keys.count; b += kBlocks) {
    ScoreBlocks<kRows, kBlocks>(queries, row, keys.data + b * block_bytes, keys.d4, keys.ahead, out + 16 * b, out_stride);
  }
  for (; b < keys.count; ++b) {
    ScoreBlocks<kRows, 1>(queries, row, keys.data + b * block_bytes, keys.d4, keys.ahead, out + 16 * b, out_stride);
  }
}

// Rows x registers of keys is 8 sums or less: the multiplier's latency is covered, and 16 registers are enough.
static void Scores(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t out_stride) {
  ForRowGroups<4>(queries->rows, [&]<int kRows>(size_t row) {
    ScoreRows<kRows, kRows <= 2 ? 2 : 1>(*queries, row, *keys, out + row * out_stride, out_stride);
  });
}

// Columns [4 of each group] of a few rows: a lane holds 4 columns x 4 cache rows.
template <int kRows, int kGroups>
static inline void ValueColumns(const uint8_t* p, const float* p_scales, const uint8_t* columns, size_t block_bytes,
                                size_t blocks, ptrdiff_t ahead, float* out, size_t out_stride) {
  // Turns 4 rows x 4 columns of bytes around in each lane.
  const __m256i turn = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  // Of the 8 fours of 16 rows: those of the high plane, then of the low one.
  const __m256i spread[4] = {_mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3),
                             _mm256_setr_epi32(4, 4, 4, 4, 5, 5, 5, 5), _mm256_setr_epi32(6, 6, 6, 6, 7, 7, 7, 7)};
  __m256i high[kRows][kGroups], low[kRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) high[r][g] = low[r][g] = _mm256_setzero_si256();
  }
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* at = columns + b * block_bytes;
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) _mm_prefetch(reinterpret_cast<const char*>(at + 64 * g + ahead), _MM_HINT_T1);
#pragma GCC unroll 8
    for (int half = 0; half < 2; ++half) {
      __m256i values[kGroups];
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) values[g] = _mm256_shuffle_epi8(LoadBytes(at + 64 * g + 32 * half), turn);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const __m256i sixteen =
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + r * kAttentionProbabilityBytes + 32 * b));
        const __m256i p_high = _mm256_permutevar8x32_epi32(sixteen, spread[half]);
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) high[r][g] = AddFours(high[r][g], p_high, values[g]);
        const __m256i p_low = _mm256_permutevar8x32_epi32(sixteen, spread[2 + half]);
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) low[r][g] = AddFours(low[r][g], p_low, values[g]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const __m256i sums = _mm256_add_epi32(_mm256_slli_epi32(high[r][g], 7), low[r][g]);
      const __m128i total = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
      _mm_storeu_ps(out + r * out_stride + 4 * g, _mm_mul_ps(_mm_cvtepi32_ps(total), _mm_set1_ps(p_scales[r])));
    }
  }
}

template <int kRows>
static inline void ValueRows(const uint8_t* p, const float* p_scales, const AttentionBlocks& values, float* out,
                             size_t out_stride) {
  const size_t d4 = values.d4, block_bytes = 16 * (d4 + 4);
  size_t i = 0;
  for (; i + 8 <= d4; i += 8) {
    ValueColumns<kRows, 2>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
  if (i < d4) {
    ValueColumns<kRows, 1>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    for (i = d4; i % 16 != 0; i += 4) _mm_storeu_ps(out + r * out_stride + i, _mm_setzero_ps());
  }
}

static void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
                   size_t out_stride) {
  ForRowGroups<2>(rows, [&]<int kRows>(size_t row) {
    ValueRows<kRows>(p + row * kAttentionProbabilityBytes, p_scales + row, *values, out + row * out_stride, out_stride);
  });
}

}  // namespace
}  // namespace thimble
