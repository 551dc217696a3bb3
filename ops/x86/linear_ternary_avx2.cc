// Ternary linear layers with VPMADDUBSW. Compiled for AVX2: includes intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace thimble {
namespace {

// Eight products of at most 3 * 127 fit 16 bits.
inline __m256i AddDots(__m256i sums, const __m256i codes[4], const __m256i fours[4]) {
  const __m256i first = _mm256_add_epi16(_mm256_maddubs_epi16(codes[0], fours[0]), _mm256_maddubs_epi16(codes[1], fours[1]));
  const __m256i second = _mm256_add_epi16(_mm256_maddubs_epi16(codes[2], fours[2]), _mm256_maddubs_epi16(codes[3], fours[3]));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1)));
}

}  // namespace
}  // namespace thimble

#include "ops/x86/linear_ternary_256.h"

namespace thimble {

void LinearTernaryAvx2(const PackedGemm* gemm) { RunTernary(*gemm); }

}  // namespace thimble

#endif
