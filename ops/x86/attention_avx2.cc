// Attention over int8 cache rows with VPMADDUBSW and VPMADDWD. Compiled for AVX2: includes intrinsics and the contract
// only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 8
#define THIMBLE_PLANES 0
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

inline __m256i LoadBytes(const uint8_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }

// Sums of fours of unsigned times signed bytes. Pairs stay below 2^15: both factors are at most 127.
inline __m256i DotFours(__m256i magnitudes, __m256i bytes) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(magnitudes, bytes), _mm256_set1_epi16(1));
}

// One block of 16 rows, as two registers of 8. The sign of a key moves to the query.
template <int kRows>
inline void ScoreBlock(const AttentionQueries& queries, size_t row, const uint8_t* block, size_t d4,
                       ptrdiff_t ahead, float* out, size_t out_stride) {
  const int8_t* q = queries.q + row * queries.q_stride;
  __m256i sums[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm256_setzero_si256();
  for (size_t i = 0; i < d4; i += 4) {
    _mm_prefetch(reinterpret_cast<const char*>(block + 16 * i + ahead), _MM_HINT_T1);
#pragma GCC unroll 8
    for (int half = 0; half < 2; ++half) {
      const __m256i keys = LoadBytes(block + 16 * i + 32 * half);
      const __m256i magnitudes = _mm256_abs_epi8(keys);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const __m256i four = _mm256_set1_epi32(LoadFour(q + r * queries.q_stride + i));
        sums[r][half] = _mm256_add_epi32(sums[r][half], DotFours(magnitudes, _mm256_sign_epi8(four, keys)));
      }
    }
  }
  const float* scales = reinterpret_cast<const float*>(block + 16 * d4);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int half = 0; half < 2; ++half) {
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][half]), _mm256_load_ps(scales + 8 * half));
      _mm256_storeu_ps(out + r * out_stride + 8 * half,
                       _mm256_mul_ps(scaled, _mm256_set1_ps(queries.scales[row + r])));
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

inline const __m128i* Sixteen(const uint8_t* p) { return reinterpret_cast<const __m128i*>(p); }

// Four words, four times.
inline __m256i FourWords(const void* p) {
  int64_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return _mm256_set1_epi64x(v);
}

// Sums of pairs of words.
inline __m256i AddPairs(__m256i sums, __m256i a, __m256i b) { return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)); }

// Columns [4 of each group] of a few rows: of 4 cache rows at a time, turned around, their bytes made words.
template <int kRows, int kGroups>
inline void ValueColumns(const uint8_t* p, const float* p_scales, const uint8_t* columns, size_t block_bytes,
                         size_t blocks, ptrdiff_t ahead, float* out, size_t out_stride) {
  const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m256i sums[kRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) sums[r][g] = _mm256_setzero_si256();
  }
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* at = columns + b * block_bytes;
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) _mm_prefetch(reinterpret_cast<const char*>(at + 64 * g + ahead), _MM_HINT_T1);
#pragma GCC unroll 1
    for (int four = 0; four < 4; ++four) {
      __m256i values[kGroups];
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        values[g] = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(_mm_load_si128(Sixteen(at + 64 * g + 16 * four)), turn));
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const __m256i probabilities = FourWords(p + r * kAttentionProbabilityBytes + 32 * b + 8 * four);
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) sums[r][g] = AddPairs(sums[r][g], values[g], probabilities);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const __m128i total = _mm_hadd_epi32(_mm256_castsi256_si128(sums[r][g]), _mm256_extracti128_si256(sums[r][g], 1));
      _mm_storeu_ps(out + r * out_stride + 4 * g, _mm_mul_ps(_mm_cvtepi32_ps(total), _mm_set1_ps(p_scales[r])));
    }
  }
}

template <int kRows>
inline void ValueRows(const uint8_t* p, const float* p_scales, const AttentionBlocks& values, float* out,
                      size_t out_stride) {
  const size_t d4 = values.d4, block_bytes = 16 * (d4 + 4);
  size_t i = 0;
  constexpr int kGroups = kRows == 1 ? 4 : 2;
  for (; i + 4 * kGroups <= d4; i += 4 * kGroups) {
    ValueColumns<kRows, kGroups>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
  for (; i < d4; i += 4) {
    ValueColumns<kRows, 1>(p, p_scales, values.data + 16 * i, block_bytes, values.count, values.ahead, out + i, out_stride);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    for (i = d4; i % 16 != 0; i += 4) _mm_storeu_ps(out + r * out_stride + i, _mm_setzero_ps());
  }
}

void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
            size_t out_stride) {
  ForRowGroups<4>(rows, [&]<int kRows>(size_t row) {
    ValueRows<kRows>(p + row * kAttentionProbabilityBytes, p_scales + row, *values, out + row * out_stride, out_stride);
  });
}

}  // namespace

constinit const AttentionKernel kAttentionAvx2 = {
    .name = "attention_q8__avx2", .scores = Scores, .softmax = SoftmaxTile, .values = Values, .widen = WidenTile, .query = QuantiseQuery,
    .store = StoreRow, .floats = &kAttentionFloatAvx2};

}  // namespace thimble

#endif
