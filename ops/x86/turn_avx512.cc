// The turn, 16 lanes at a time. Compiled for AVX-512: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 16
#include "ops/linear/turn_lanes.h"

namespace thimble {

void TurnAvx512(float* x, size_t count, size_t block) { TurnLanes(x, count, block); }

}  // namespace thimble

#endif
