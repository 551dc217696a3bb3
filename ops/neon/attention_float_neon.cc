// Attention in float for every ARM CPU with NEON: multiply and add, not fused, so that the bits are those of the
// portable kernel. Includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include "ops/neon/missing_intrinsics.h"

#define THIMBLE_LANES 4
#define THIMBLE_ROW_TILE 2
#define THIMBLE_KEY_TILE 2
#define THIMBLE_VALUE_ROWS 4
#define THIMBLE_VALUE_TILE 4
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

inline Lanes LoadHalves(const uint8_t* halves) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(halves)));
}

}  // namespace
}  // namespace thimble

#include "ops/attention/attention_float_lanes.h"

namespace thimble {

constinit const AttentionFloatKernel kAttentionFloatNeon = FloatKernel("attention_float__neon");

}  // namespace thimble

#endif
