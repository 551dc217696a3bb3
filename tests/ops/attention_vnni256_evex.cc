// The kernel of the avxvnni table in AVX-512's encoding of the same instruction, so that its code runs where there is
// no AVX-VNNI. Compiled for AVX-512 VL and VNNI: nothing but the kernel here.
#include "ops/x86/kernels.h"
#include "tests/ops/attention_vnni256_evex.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 8
#define THIMBLE_PLANES 1
#include "ops/attention/attention_softmax.h"
#include "ops/attention/attention_rows.h"
#include "ops/attention/attention_widen.h"

namespace thimble {
namespace {

inline __m256i AddFours(__m256i sums, __m256i unsigned_bytes, __m256i signed_bytes) {
  return _mm256_dpbusd_epi32(sums, unsigned_bytes, signed_bytes);
}

}  // namespace
}  // namespace thimble

#include "ops/x86/attention_vnni256.h"

namespace thimble::test {

constinit const AttentionKernel kAttentionVnni256Evex = {
    .name = "attention_q8__vnni256_evex", .scores = Scores, .softmax = SoftmaxTile, .values = Values, .widen = WidenTile, .query = QuantiseQuery,
    .store = StoreRow, .floats = &kAttentionFloatAvx2};

}  // namespace thimble::test

#endif
