// The activations, 8 lanes at a time. Compiled for AVX2: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 8
#include "ops/rows/activation_lanes.h"

namespace thimble {

void ActivateAvx2(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  ActivateLanes(activation, gate, up, y, count);
}

}  // namespace thimble

#endif
