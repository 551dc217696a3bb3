// Attention over int8 cache rows with VPMADDUBSW. Compiled for AVX2: includes intrinsics and the contract
// only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 8
#include "ops/attention/attention_softmax.h"
#include "ops/attention/attention_widen.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

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
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm256_setzero_si256();
  for (size_t i = 0; i < d4; i += 4) {
    _mm_prefetch(reinterpret_cast<const char*>(block + 16 * i + ahead), _MM_HINT_T1);
    for (int half = 0; half < 2; ++half) {
      const __m256i keys = LoadBytes(block + 16 * i + 32 * half);
      const __m256i magnitudes = _mm256_abs_epi8(keys);
      for (int r = 0; r < kRows; ++r) {
        const __m256i four = _mm256_set1_epi32(LoadFour(q + r * queries.q_stride + i));
        sums[r][half] = _mm256_add_epi32(sums[r][half], DotFours(magnitudes, _mm256_sign_epi8(four, keys)));
      }
    }
  }
  const float* scales = reinterpret_cast<const float*>(block + 16 * d4);
  for (int r = 0; r < kRows; ++r) {
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

// Four columns of a few rows: a lane holds 4 columns x 4 cache rows.
template <int kRows>
inline void ValueColumns(const uint8_t* p, const float* p_scales, const uint8_t* columns, size_t block_bytes,
                         size_t blocks, ptrdiff_t ahead, float* out, size_t out_stride) {
  // Turns 4 rows x 4 columns of bytes around in each lane.
  const __m256i turn = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m256i spread[2] = {_mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3)};
  __m256i sums[kRows];
  for (int r = 0; r < kRows; ++r) sums[r] = _mm256_setzero_si256();
  for (size_t b = 0; b < blocks; ++b) {
    _mm_prefetch(reinterpret_cast<const char*>(columns + b * block_bytes + ahead), _MM_HINT_T1);
    for (int half = 0; half < 2; ++half) {
      const __m256i values = _mm256_shuffle_epi8(LoadBytes(columns + b * block_bytes + 32 * half), turn);
      for (int r = 0; r < kRows; ++r) {
        const __m128i sixteen =
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + r * kAttentionTileRows + 16 * b));
        const __m256i probabilities =
            _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(sixteen), spread[half]);
        sums[r] = _mm256_add_epi32(sums[r], DotFours(probabilities, values));
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const __m128i total = _mm_add_epi32(_mm256_castsi256_si128(sums[r]), _mm256_extracti128_si256(sums[r], 1));
    _mm_storeu_ps(out + r * out_stride, _mm_mul_ps(_mm_cvtepi32_ps(total), _mm_set1_ps(p_scales[r])));
  }
}

template <int kRows>
inline void ValueRows(const uint8_t* p, const float* p_scales, size_t row, const AttentionBlocks& values,
                      float* out, size_t out_stride) {
  for (size_t i = 0; i < values.d4; i += 4) {
    ValueColumns<kRows>(p + row * kAttentionTileRows, p_scales + row, values.data + 16 * i,
                        16 * (values.d4 + 4), values.count, values.ahead, out + row * out_stride + i, out_stride);
  }
  for (int r = 0; r < kRows; ++r) {
    for (size_t i = values.d4; i % 16 != 0; i += 4) {
      _mm_storeu_ps(out + (row + r) * out_stride + i, _mm_setzero_ps());
    }
  }
}

void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
            size_t out_stride) {
  ForRowGroups<4>(rows, [&]<int kRows>(size_t row) {
    ValueRows<kRows>(p, p_scales, row, *values, out, out_stride);
  });
}

}  // namespace

constinit const AttentionKernel kAttentionAvx2 = {
    .name = "attention_q8__avx2", .scores = Scores, .softmax = SoftmaxTile, .values = Values, .widen = WidenTile,
    .floats = &kAttentionFloatAvx2};

}  // namespace thimble

#endif
