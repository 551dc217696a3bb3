// Attention over int8 cache rows with VPDPBUSD in its VEX encoding. Compiled for AVX2 and AVX-VNNI: includes intrinsics
// and the contract only.
#include "ops/x86/kernels.h"

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
  return _mm256_dpbusd_avx_epi32(sums, unsigned_bytes, signed_bytes);
}

}  // namespace
}  // namespace thimble

#include "ops/x86/attention_vnni256.h"

namespace thimble {

constinit const AttentionKernel kAttentionAvxVnni = {
    .name = "attention_q8__avxvnni", .scores = Scores, .softmax = SoftmaxTile, .values = Values, .widen = WidenTile, .query = QuantiseQuery,
    .store = StoreRow, .floats = &kAttentionFloatAvx2};

}  // namespace thimble

#endif
