// ops/x86/linear_blocks_256.h with VPDPBUSD in its EVEX encoding.
#include "tests/ops/linear_blocks_256_evex.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace thimble {
namespace {

constexpr int kBias = 128;

inline __m256i AddFours(__m256i sums, __m256i weights, __m256i signed_bytes) {
  return _mm256_dpbusd_epi32(sums, weights, signed_bytes);
}

}  // namespace
}  // namespace thimble

#include "ops/x86/linear_blocks_256.h"

namespace thimble::test {

#define THIMBLE_RUN(Name, index) [](const BlockGemm* gemm) { Run<index>(*gemm); },
void (*const kLinearBlocks256Evex[kBlockTypeCount])(const BlockGemm*) = {THIMBLE_BLOCK_TYPES(THIMBLE_RUN)};
#undef THIMBLE_RUN

}  // namespace thimble::test

#endif
