// Linear layers of block types with VPMADDUBSW. Compiled for AVX2, FMA3 and F16C: includes intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace thimble {
namespace {

constexpr int kBias = 0;

// Signed weights: their size times the input with their sign. Sums of two stay below 2 * 128 * 127: nothing saturates.
inline __m256i AddFours(__m256i sums, __m256i weights, __m256i signed_bytes) {
  const __m256i twos = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(signed_bytes, weights));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(twos, _mm256_set1_epi16(1)));
}

}  // namespace
}  // namespace thimble

#include "ops/x86/linear_blocks_256.h"

namespace thimble {

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##Avx2(const BlockGemm* gemm) { Run<index>(*gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif
