// The quantisation of a row of block types, with the bits of the portable one (ops/linear/quantise_rows.cc). Compiled for AVX2.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "ops/linear/quantise_blocks.h"

namespace thimble {
namespace {

inline float LargestOf(__m256 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline __m256i Eight(__m256 v, __m256 inverse) {
  // The second of two numbers is what they give where the first is NaN: that goes to the least.
  const __m256 scaled = _mm256_min_ps(_mm256_max_ps(_mm256_mul_ps(v, inverse), _mm256_set1_ps(-127.0f)), _mm256_set1_ps(127.0f));
  return _mm256_sub_epi32(_mm256_castps_si256(_mm256_add_ps(scaled, _mm256_set1_ps(12582912.0f))), _mm256_set1_epi32(0x4b400000));
}

inline int32_t SumOf(__m256i v) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

inline void QuantiseBlock(const float* x, int8_t* q, BlockInput* input) {
  __m256 v[4], most = _mm256_setzero_ps();
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    most = _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v[i]), most);  // keeps the old value where x is NaN
  }
  const float amax = LargestOf(most);
  const BlockScale by = ScaleOfBlock(amax);
  const __m256 times = _mm256_set1_ps(by.inverse);
  const __m256i a = Eight(v[0], times), b = Eight(v[1], times), c = Eight(v[2], times), d = Eight(v[3], times);
  const __m256i fours = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));  // of a, b, c, d, and again
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm256_permutevar8x32_epi32(fours, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  const int32_t first = SumOf(_mm256_add_epi32(a, b)), second = SumOf(_mm256_add_epi32(c, d));
  *input = InputOfBlock(by.scale, first, second);
}

}  // namespace

RowQuantisation QuantiseBlocksAvx2(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseBlocksWith(QuantiseBlock, x, k, padded, q);
}

}  // namespace thimble

#endif
