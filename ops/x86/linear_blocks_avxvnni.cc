// Linear layers of block types with VPDPBUSD in its VEX encoding. Compiled for AVX-VNNI, FMA3 and F16C: includes intrinsics and the
// contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace thimble {
namespace {

constexpr int kBias = 128;

inline __m256i AddFours(__m256i sums, __m256i weights, __m256i signed_bytes) {
  return _mm256_dpbusd_avx_epi32(sums, weights, signed_bytes);
}

}  // namespace
}  // namespace thimble

#include "ops/x86/linear_blocks_256.h"

namespace thimble {

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##AvxVnni(const BlockGemm* gemm) { Run<index>(*gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif
