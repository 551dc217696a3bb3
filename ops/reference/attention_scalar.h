// The portable attention kernel: what every other one must equal, bit for bit.
#pragma once

#include "ops/attention_kernel.h"

namespace thimble {

extern const AttentionKernel kAttentionScalar;

}  // namespace thimble
