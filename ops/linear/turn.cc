#include "ops/linear/turn.h"

#define THIMBLE_LANES 4
#include "ops/linear/turn_lanes.h"

namespace thimble {

void Turn(float* x, size_t count, size_t block) { TurnLanes(x, count, block); }

}  // namespace thimble
