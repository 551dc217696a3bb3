// The quantisation of a row of block types, with the bits of the portable one (ops/linear/quantise_rows.cc). Sixteen blocks at a time:
// their largest numbers, scales and sums are found side by side, those of a block in a lane. Compiled for AVX-512 VNNI.
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
  // At most 127 and hardly more, which rounds to it; NaN goes to -127.
  const __m512 scaled = Larger(_mm512_mul_ps(v, inverse), _mm512_set1_ps(-127.0f));
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

// Lane i of the result joins all lanes of in[i].
template <typename Join>
inline __m512 JoinLanes(const __m512* in, Join join) {
  __m512 eight[8], four[4], two[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) eight[i] = join(_mm512_shuffle_f32x4(in[i], in[i + 8], 0x44), _mm512_shuffle_f32x4(in[i], in[i + 8], 0xee));
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) four[i] = join(_mm512_shuffle_f32x4(eight[i], eight[i + 4], 0x88), _mm512_shuffle_f32x4(eight[i], eight[i + 4], 0xdd));
#pragma GCC unroll 8
  for (int i = 0; i < 2; ++i) two[i] = join(_mm512_shuffle_ps(four[i], four[i + 2], 0x44), _mm512_shuffle_ps(four[i], four[i + 2], 0xee));
  const __m512 mixed = join(_mm512_shuffle_ps(two[0], two[1], 0x88), _mm512_shuffle_ps(two[0], two[1], 0xdd));
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15), mixed);
}

// Word j of sixteen BlockInput one after another is number j / 5 of vector j % 5: from vectors 0 and 1, 2 and 3, or 4.
constexpr int kInputWords = 5;
static_assert(sizeof(BlockInput) == 4 * kInputWords);
struct InputPlaces {
  alignas(64) int32_t from[kInputWords][16] = {};  // of a pair of vectors, 16 and more: of the second
  uint16_t of_second_pair[kInputWords] = {}, of_last[kInputWords] = {};
};
constexpr InputPlaces FindInputPlaces() {
  InputPlaces places;
  for (int j = 0; j < 16 * kInputWords; ++j) {
    const int block = j / kInputWords, vector = j % kInputWords, out = j / 16, lane = j % 16;
    places.from[out][lane] = block + 16 * (vector % 2);
    if (vector / 2 == 1) places.of_second_pair[out] |= static_cast<uint16_t>(1 << lane);
    if (vector == 4) places.of_last[out] |= static_cast<uint16_t>(1 << lane);
  }
  return places;
}
constexpr InputPlaces kInputPlaces = FindInputPlaces();

inline void StoreInputs(const __m512i* vectors, BlockInput* inputs) {
#pragma GCC unroll 8
  for (int out = 0; out < kInputWords; ++out) {
    const __m512i from = _mm512_load_si512(kInputPlaces.from[out]);
    __m512i words = _mm512_permutex2var_epi32(vectors[0], from, vectors[1]);
    words = _mm512_mask_mov_epi32(words, kInputPlaces.of_second_pair[out], _mm512_permutex2var_epi32(vectors[2], from, vectors[3]));
    words = _mm512_mask_permutexvar_epi32(words, kInputPlaces.of_last[out], from, vectors[4]);
    _mm512_storeu_si512(reinterpret_cast<uint8_t*>(inputs) + 64 * out, words);
  }
}

// The sums of fours of each of four vectors: a quarter of the result has those of the same quarter of all four.
inline __m512i SumFours(const __m512i* in) {
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(in[0], in[1]), _mm512_unpackhi_epi32(in[0], in[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(in[2], in[3]), _mm512_unpackhi_epi32(in[2], in[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

inline __m512i TimesMinus128(__m512i v) { return _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(v, 7)); }

inline void QuantiseSixteenBlocks(const float* x, int8_t* q, BlockInput* inputs) {
  __m512 largest[16];
#pragma GCC unroll 16
  for (int b = 0; b < 16; ++b) {
    const __m512 low = _mm512_loadu_ps(x + 32 * b), high = _mm512_loadu_ps(x + 32 * b + 16);
    largest[b] = Larger(_mm512_abs_ps(high), Larger(_mm512_abs_ps(low), _mm512_setzero_ps()));
  }
  const __m512 amax = JoinLanes(largest, Larger), most = _mm512_set1_ps(127.0f);
  const __mmask16 something = _mm512_cmp_ps_mask(amax, _mm512_set1_ps(1e-30f), _CMP_GT_OQ);  // as ScaleOfBlock() has it
  const __m512 scale = _mm512_maskz_div_ps(something, amax, most);
  alignas(64) float inverse[16];
  _mm512_store_ps(inverse, _mm512_maskz_div_ps(something, most, amax));
  __m512i sums[2];
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    __m512i fours[4];
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair) {
      const int b = 8 * half + 2 * pair;
      const __m512 first = _mm512_set1_ps(inverse[b]), second = _mm512_set1_ps(inverse[b + 1]);
      const float* from = x + 32 * b;
      const __m256i low = _mm256_set_m128i(Sixteen(_mm512_loadu_ps(from + 16), first), Sixteen(_mm512_loadu_ps(from), first));
      const __m256i high = _mm256_set_m128i(Sixteen(_mm512_loadu_ps(from + 48), second), Sixteen(_mm512_loadu_ps(from + 32), second));
      const __m512i bytes = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
      _mm512_storeu_si512(q + 32 * b, bytes);
      fours[pair] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), bytes);
    }
    sums[half] = SumFours(fours);
  }
  // Quarters of a half of the sums are: first and second half of even blocks, then of odd ones.
  const __m512i even_odd = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 16, 24, 17, 25, 18, 26, 19, 27);
  const __m512i first = _mm512_permutex2var_epi32(sums[0], even_odd, sums[1]);
  const __m512i second = _mm512_permutex2var_epi32(sums[0], _mm512_add_epi32(even_odd, _mm512_set1_epi32(4)), sums[1]);
  const __m512i sum = _mm512_add_epi32(first, second);
  const __m512i vectors[kInputWords] = {_mm512_castps_si512(scale), _mm512_castps_si512(_mm512_mul_ps(scale, _mm512_cvtepi32_ps(sum))),
                                        TimesMinus128(sum), TimesMinus128(first), TimesMinus128(second)};
  StoreInputs(vectors, inputs);
}

}  // namespace

RowQuantisation QuantiseBlocksAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  size_t i = 0;
  for (; i + 512 <= k; i += 512) QuantiseSixteenBlocks(x + i, q + i, reinterpret_cast<BlockInput*>(q + padded) + i / 32);
  return QuantiseBlocksWith(QuantiseBlock, x, k, padded, q, i);
}

}  // namespace thimble

#endif
