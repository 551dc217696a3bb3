// Pointwise functions of the feed-forward network and of logits. Knows nothing about layers.
#pragma once

#include <cstddef>

#include "runtime/core/kinds.h"

namespace thimble {

// x[i] = act(x[i])
void Activate(Activation activation, float* x, size_t count);
// y[i] = act(gate[i]) * up[i]; y may be gate or up.
void ActivateGated(Activation activation, const float* gate, const float* up, float* y, size_t count);
// x[i] = cap * tanh(x[i] / cap), cap > 0
void Softcap(float cap, float* x, size_t count);

}  // namespace thimble
