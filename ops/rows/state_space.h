// The recurrence of a selective state space, row by row. Knows nothing about layers and where states are kept.
#pragma once

#include <cstddef>

#include "ops/rows/state_kernel.h"

namespace thimble {

// clamp(softplus(x), low, high); high may be infinite.
float StateSpaceStep(float x, float low, float high);

extern const StateKernel kStatePortable;

// x * factor / sqrt(|x|^2 + 1e-6)
void UnitLength(float* x, size_t count, float factor);

}  // namespace thimble
