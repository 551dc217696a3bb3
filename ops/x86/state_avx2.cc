// The state space's recurrence, 8 lanes at a time. Compiled for AVX2: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 8
#include "ops/rows/state_lanes.h"

namespace thimble {

extern constexpr StateKernel kStateAvx2 = {.step = StateStepLanes, .delta = StateDeltaLanes};

}  // namespace thimble

#endif
