// Our own aarch64 kernels. Each is compiled with its instruction set's flags in a file of its own.
#pragma once

#include "ops/attention_kernel.h"

namespace thimble {

#if defined(__aarch64__)
extern const AttentionKernel kAttentionNeon;
extern const AttentionKernel kAttentionNeonDot;
#endif

}  // namespace thimble
