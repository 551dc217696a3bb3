// attention_float_kernel.h in portable vectors of four.
#include "ops/lanes/half4.h"
#include "ops/attention/attention_scalar.h"

#define THIMBLE_LANES 4
#define THIMBLE_ROW_TILE 2
#define THIMBLE_KEY_TILE 1
#define THIMBLE_VALUE_ROWS 4
#define THIMBLE_VALUE_TILE 2
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

inline Lanes LoadHalves(const uint8_t* halves) {
  Lanes x;
  HalvesToFloats(halves, 4, reinterpret_cast<float*>(&x));
  return x;
}

}  // namespace
}  // namespace thimble

#include "ops/attention/attention_float_lanes.h"

namespace thimble {

constinit const AttentionFloatKernel kAttentionFloatScalar = FloatKernel("attention_float__scalar");

}  // namespace thimble
