// The softmax of one query over one tile, for any vector width: included by each attention kernel's file
// after `#define THIMBLE_LANES 4|8|16` and `#define THIMBLE_PLANES 0|1`: probabilities are words, uint16 [rows], or planes,
// for every 16 rows 16 high bytes and then 16 low ones (of 7 bits). Everything is static, since each file is compiled for
// another instruction set. Same operations in the same order at every width: same bits.
#include "ops/attention/attention_kernel.h"
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

typedef uint8_t ByteLanes __attribute__((vector_size(THIMBLE_LANES)));
typedef uint16_t NarrowLanes __attribute__((vector_size(THIMBLE_LANES * 2)));

static inline IntLanes Inside(size_t first, size_t begin, size_t end) {
  static const int32_t kCount[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  IntLanes index;
  __builtin_memcpy(&index, kCount, sizeof index);
  index += static_cast<int32_t>(first);
  return (index >= static_cast<int32_t>(begin)) & (index < static_cast<int32_t>(end));
}

// exp for x <= 0, relative error below 1e-5 and 1e-38 instead of anything smaller: enough for what becomes 14 bits and their
// sum. 2^n is added to the exponent of a polynomial for 2^f, |f| <= 1/2; n stands in the low bits of `shifted`.
static inline Lanes ExpForBytes(Lanes x) {
  const Lanes least = Lanes{} - 87.0f;
  x = least > x ? least : x;
  const Lanes t = x * 1.44269504f, shifted = t + 12582912.0f, f = t - (shifted - 12582912.0f);
  Lanes p = f * 9.5701e-3f + 5.5917863e-2f;
  p = p * f + 2.4024745e-1f;
  p = p * f + 6.9312181e-1f;
  p = p * f + 9.9999926e-1f;
  // Unsigned: scores that nobody sees may be larger than the largest, or no numbers.
  return (Lanes)((WordLanes)p + ((WordLanes)shifted << 23));
}

// The low bytes. gcc takes vectors of 8 and 16 numbers apart for a conversion.
static inline void StoreLowBytes(uint8_t* p, IntLanes v) {
#if THIMBLE_LANES == 16
  _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8((__m512i)v));
#elif THIMBLE_LANES == 8
  typedef uint8_t AllBytes __attribute__((vector_size(32)));
  const auto fours = __builtin_shufflevector((AllBytes)v, (AllBytes)v, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 16,
                                             20, 24, 28, 16, 20, 24, 28, 16, 20, 24, 28, 16, 20, 24, 28);
  const IntLanes words = (IntLanes)fours;
  const int32_t low = words[0], high = words[4];
  __builtin_memcpy(p, &low, 4);
  __builtin_memcpy(p + 4, &high, 4);
#else
  const ByteLanes bytes = __builtin_convertvector(v, ByteLanes);
  __builtin_memcpy(p, &bytes, sizeof bytes);
#endif
}

// p: room for sixteen numbers, of which these are those from `place` on. Only their low 14 bits count.
static inline void StoreNumbers(uint8_t* p, size_t place, IntLanes v) {
#if THIMBLE_PLANES
  StoreLowBytes(p + place, (IntLanes)((WordLanes)v >> 7));
  StoreLowBytes(p + 16 + place, v & 127);
#elif THIMBLE_LANES == 8
  // Packs words in each half of a register, then brings the halves together.
  const __m256i numbers = (__m256i)(v & 0x3fff), packed = _mm256_packus_epi32(numbers, numbers);
  _mm_storeu_si128((__m128i*)(p + 2 * place), _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
#else
  const NarrowLanes words = __builtin_convertvector(v, NarrowLanes);
  __builtin_memcpy(p + 2 * place, &words, sizeof words);
#endif
}

typedef float FourLanes __attribute__((vector_size(16)));

// Sixteen numbers become four, lane l joining l + 8 and then l + 4.
template <typename Join>
static inline FourLanes JoinToFour(const Lanes* v, Join join) {
#if THIMBLE_LANES == 4
  return join(join(v[0], v[2]), join(v[1], v[3]));
#else
#if THIMBLE_LANES == 8
  const Lanes eight = join(v[0], v[1]);
#else
  const auto eight = join(__builtin_shufflevector(v[0], v[0], 0, 1, 2, 3, 4, 5, 6, 7),
                          __builtin_shufflevector(v[0], v[0], 8, 9, 10, 11, 12, 13, 14, 15));
#endif
  return join(__builtin_shufflevector(eight, eight, 0, 1, 2, 3), __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
#endif
}

static inline float SumSixteen(const Lanes* v) {
  const FourLanes four = JoinToFour(v, [](auto a, auto b) { return a + b; });
  return (four[0] + four[2]) + (four[1] + four[3]);
}
static inline float MostOfSixteen(const Lanes* v) {
  const auto larger = [](auto a, auto b) { return a > b ? a : b; };
  const FourLanes four = JoinToFour(v, larger);
  return larger(larger(four[0], four[2]), larger(four[1], four[3]));
}

static void SoftmaxTile(float* scores, size_t begin, size_t end, const AttentionBlocks* values, uint8_t* p,
                        AttentionSoftmax* result) {
  const float kNothing = -__builtin_inff();
  const size_t n = values->count * 16, block_bytes = 16 * (values->d4 + 4);
  const size_t first = begin / 16, last = (end + 15) / 16;
  result->largest = kNothing;
  result->sum = 0.0f;
  result->p_scale = 0.0f;
  Lanes most[kVectors];
  for (Lanes& v : most) v = Lanes{} + kNothing;
  for (size_t i = first * 16; begin < end && i < last * 16; i += 16) {
    for (size_t l = 0; l < kVectors; ++l) {
      const size_t at = i + l * kLanes;
      Lanes v = LoadLanes(scores + at);
      if (at < begin || at + kLanes > end) v = Inside(at, begin, end) ? v : Lanes{} + kNothing;
      most[l] = v > most[l] ? v : most[l];
    }
  }
  const float largest = MostOfSixteen(most);
  if (!(largest > kNothing)) {
    __builtin_memset(p, 0, 2 * n);
    return;
  }
  Lanes sums[kVectors] = {};
  Lanes heaviest[kVectors] = {};
  for (size_t block = first; block < last; ++block) {
    const float* scales = reinterpret_cast<const float*>(values->data + block * block_bytes + 16 * values->d4);
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t i = block * 16 + v * kLanes;
      Lanes e = ExpForBytes(LoadLanes(scores + i) - largest);
      Lanes w = e * LoadLanes(scales + v * kLanes);
      if (i < begin || i + kLanes > end) {
        const IntLanes inside = Inside(i, begin, end);
        e = inside ? e : Lanes{};
        w = inside ? w : Lanes{};
      }
      sums[v] += e;
      heaviest[v] = w > heaviest[v] ? w : heaviest[v];
      StoreLanes(scores + i, w);
    }
  }
  const float heavy = MostOfSixteen(heaviest);
  result->largest = largest;
  result->sum = SumSixteen(sums);
  // Below, 127 / heavy would overflow: such values are zero for everybody.
  const float inverse = heavy > 1e-30f ? 16383.0f / heavy : 0.0f;
  result->p_scale = heavy > 1e-30f ? heavy / 16383.0f : 0.0f;
  if (first != 0) __builtin_memset(p, 0, 2 * first * 16);
  for (size_t block = first; block < last; ++block) {
    for (size_t v = 0; v < kVectors; ++v) {
      const Lanes steps = LoadLanes(scores + block * 16 + v * kLanes) * inverse + 12582912.0f;
      StoreNumbers(p + block * 32, v * kLanes, (IntLanes)steps);
    }
  }
  if (last * 16 != n) __builtin_memset(p + 2 * last * 16, 0, 2 * (n - last * 16));
}

}  // namespace
}  // namespace thimble
