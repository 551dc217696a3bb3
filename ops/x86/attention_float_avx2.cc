// Attention in float with AVX2 and F16C. Includes intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 8
#define THIMBLE_ROW_TILE 3
#define THIMBLE_KEY_TILE 2
#define THIMBLE_VALUE_ROWS 4
#define THIMBLE_VALUE_TILE 2
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

inline Lanes LoadHalves(const uint8_t* halves) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}

}  // namespace
}  // namespace thimble

#include "ops/attention/attention_float_lanes.h"

namespace thimble {

constinit const AttentionFloatKernel kAttentionFloatAvx2 = FloatKernel("attention_float__avx2");

}  // namespace thimble

#endif
