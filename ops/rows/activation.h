// Pointwise functions of the feed-forward network and of logits. Knows nothing about layers.
#pragma once

#include <cstddef>

#include "ops/rows/activation_kernel.h"

namespace thimble {

// The ActivateFn of any CPU.
void ActivatePortable(Activation activation, const float* gate, const float* up, float* y, size_t count);
// y[i] of the activations with a shape of four numbers (runtime/core/kinds.h); `up` null where there is no gate. y may be up,
// or gate where there is no other.
void ActivateByShape(Activation activation, const float* shape, const float* gate, const float* up, float* y, size_t count);
// y[i] *= sigmoid(gate[i])
void SigmoidTimes(const float* gate, float* y, size_t count);
// x[i] = cap * tanh(x[i] / cap), cap > 0
void Softcap(float cap, float* x, size_t count);

}  // namespace thimble
