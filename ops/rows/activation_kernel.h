// What the activations' files share with the rest: included by files that are compiled for one instruction set, so
// no inline functions here.
#pragma once

#include <stddef.h>

#include "runtime/core/kinds.h"

namespace thimble {

// y[i] = act(gate[i]) * up[i], or act(gate[i]) where up is null, i < count; y may be gate or up. Every one of them
// gives the same bits, wherever an element lies.
typedef void (*ActivateFn)(Activation activation, const float* gate, const float* up, float* y, size_t count);

}  // namespace thimble
