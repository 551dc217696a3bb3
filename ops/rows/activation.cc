// The portable activations, four lanes at a time.
#include "ops/rows/activation.h"

#include "ops/lanes/vec4.h"

#define THIMBLE_LANES 4
#include "ops/rows/activation_lanes.h"

namespace thimble {

void ActivatePortable(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  ActivateLanes(activation, gate, up, y, count);
}

void Softcap(float cap, float* x, size_t count) {
  const float inverse = 1.0f / cap;
  Map4(x, x, count, [=](Vec4 v) { return Tanh(v * inverse) * cap; });
}

}  // namespace thimble
