// Our own x86-64 kernels. Each is compiled with its instruction set's flags in a file of its own.
#pragma once

#include "ops/attention_kernel.h"

namespace thimble {

#if defined(__x86_64__)
extern const AttentionKernel kAttentionAvx2;
extern const AttentionKernel kAttentionAvx512Vnni;
#endif

}  // namespace thimble
