// The state space's recurrence, 16 lanes at a time. Compiled for AVX-512: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 16
#include "ops/rows/state_lanes.h"

namespace thimble {

extern constexpr StateKernel kStateAvx512 = {.step = StateStepLanes, .delta = StateDeltaLanes};

}  // namespace thimble

#endif
