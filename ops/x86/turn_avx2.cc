// The turn, 8 lanes at a time. Compiled for AVX2: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 8
#include "ops/linear/turn_lanes.h"

namespace thimble {

void TurnAvx2(float* x, size_t count, size_t block) { TurnLanes(x, count, block); }

}  // namespace thimble

#endif
