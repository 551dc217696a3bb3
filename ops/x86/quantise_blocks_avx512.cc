// The quantisation of a row of block types, with the bits of the portable one (ops/linear/quantise_rows.cc). Blocks do not wait for each
// other, so that the processor works at several of them while one looks for its largest number. Compiled for AVX-512 VNNI.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "ops/linear/quantise_blocks.h"

namespace thimble {
namespace {

// The larger of each pair, the second where the first is NaN.
inline __m512 Larger(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }

inline float LargestOf(__m512 v) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline __m128i Sixteen(__m512 v, __m512 inverse) {
  const __m512 most = _mm512_set1_ps(127.0f), least = _mm512_set1_ps(-127.0f);
  const __m512 scaled = _mm512_min_ps(Larger(_mm512_mul_ps(v, inverse), least), most);  // NaN goes to the least
  // The last byte of the sum is that of the rounded number.
  return _mm512_cvtepi32_epi8(_mm512_castps_si512(_mm512_add_ps(scaled, _mm512_set1_ps(12582912.0f))));
}

inline void QuantiseBlock(const float* x, int8_t* q, BlockInput* input) {
  const __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
  const float amax = LargestOf(Larger(_mm512_abs_ps(high), Larger(_mm512_abs_ps(low), _mm512_setzero_ps())));
  const BlockScale by = ScaleOfBlock(amax);
  const __m512 times = _mm512_set1_ps(by.inverse);
  const __m256i bytes = _mm256_set_m128i(Sixteen(high, times), Sixteen(low, times));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  const __m256i fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
  const __m256i pairs = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e)), ones = _mm256_add_epi32(pairs, _mm256_shuffle_epi32(pairs, 0xb1));
  const int32_t first = _mm256_extract_epi32(ones, 0), second = _mm256_extract_epi32(ones, 4);
  *input = InputOfBlock(by.scale, first, second);
}

}  // namespace

RowQuantisation QuantiseBlocksAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseBlocksWith(QuantiseBlock, x, k, padded, q);
}

}  // namespace thimble

#endif
