// The portable attention kernels: what every other one must equal, bit for bit.
#pragma once

#include "ops/attention/attention_float_kernel.h"
#include "ops/attention/attention_kernel.h"

namespace thimble {

extern const AttentionKernel kAttentionScalar;
extern const AttentionFloatKernel kAttentionFloatScalar;

}  // namespace thimble
