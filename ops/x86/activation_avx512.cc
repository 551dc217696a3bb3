// The activations, 16 lanes at a time. Compiled for AVX-512: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 16
#include "ops/rows/activation_lanes.h"

namespace thimble {

void ActivateAvx512(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  ActivateLanes(activation, gate, up, y, count);
}

}  // namespace thimble

#endif
