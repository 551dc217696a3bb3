// Ternary linear layers with VPDPBUSD in its VEX encoding. Compiled for AVX-VNNI: includes intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace thimble {
namespace {

// From zero, so that the next columns do not wait for these.
inline __m256i AddDots(__m256i sums, const __m256i codes[4], const __m256i fours[4]) {
  __m256i dots = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) dots = _mm256_dpbusd_avx_epi32(dots, codes[i], fours[i]);
  return _mm256_add_epi32(sums, dots);
}

}  // namespace
}  // namespace thimble

#include "ops/x86/linear_ternary_256.h"

namespace thimble {

void LinearTernaryAvxVnni(const PackedGemm* gemm) { RunTernary(*gemm); }

}  // namespace thimble

#endif
