// Attention in float with AVX-512. Includes intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 16
#define THIMBLE_ROW_TILE 6
#define THIMBLE_KEY_TILE 4
#define THIMBLE_VALUE_ROWS 6
#define THIMBLE_VALUE_TILE 4
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

inline Lanes LoadHalves(const uint8_t* halves) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

}  // namespace
}  // namespace thimble

#include "ops/attention/attention_float_lanes.h"

namespace thimble {

constinit const AttentionFloatKernel kAttentionFloatAvx512 = FloatKernel("attention_float__avx512");

}  // namespace thimble

#endif
