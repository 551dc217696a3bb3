// The quantisation of a row of block types, a block at a time, with the bits of quantise_blocks.h. Blocks do not wait for each other, so that
// the processor works at several of them while one looks for its largest number. Compiled for AVX-512 VNNI.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

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

inline void QuantiseBlock(__m512 low, __m512 high, int8_t* q, BlockInput* input) {
  const float amax = LargestOf(Larger(_mm512_abs_ps(high), Larger(_mm512_abs_ps(low), _mm512_setzero_ps())));
  // Below, 127 / amax would overflow: such a block is zero for every layer.
  const bool something = amax > 1e-30f;
  const float inverse = something ? 127.0f / amax : 0.0f, scale = something ? amax / 127.0f : 0.0f;
  const __m512 times = _mm512_set1_ps(inverse);
  const __m256i bytes = _mm256_set_m128i(Sixteen(high, times), Sixteen(low, times));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  const __m256i fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
  const __m256i pairs = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e)), ones = _mm256_add_epi32(pairs, _mm256_shuffle_epi32(pairs, 0xb1));
  const int32_t first = _mm256_extract_epi32(ones, 0), second = _mm256_extract_epi32(ones, 4), sum = first + second;
  *input = {scale, scale * static_cast<float>(sum), -128 * sum, {-128 * first, -128 * second}};
}

}  // namespace

RowQuantisation QuantiseBlocksAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  BlockInput* input = reinterpret_cast<BlockInput*>(q + padded);
  size_t i = 0;
  for (; i + 32 <= k; i += 32) QuantiseBlock(_mm512_loadu_ps(x + i), _mm512_loadu_ps(x + i + 16), q + i, input++);
  if (i < k) {
    const uint32_t some = (uint32_t{1} << (k - i)) - 1;
    QuantiseBlock(_mm512_maskz_loadu_ps(static_cast<__mmask16>(some), x + i), _mm512_maskz_loadu_ps(static_cast<__mmask16>(some >> 16), x + i + 16),
                  q + i, input);
    i += 32;
  }
  __builtin_memset(q + i, 0, padded - i);
  return {0, 0.0f};
}

}  // namespace thimble

#endif
